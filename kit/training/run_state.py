"""State of a run while it trains: saved at the end of each epoch and within long ones, and put back."""

import logging
import time

import keras
import numpy as np
import pandas as pd

from kit import backend
from kit.files import write_text
from kit.training import checkpoint
from kit.training.engine import ALONE

log = logging.getLogger("kit")

# What Keras' callbacks count; other attributes are settings (restoring `min_delta` would flip its sign) or large.
_COUNTERS = (
    "wait",
    "best",
    "best_epoch",
    "stopped_epoch",
    "cooldown_counter",
    "_ema_weights_in_model",
    "cpu_seconds",
    "seconds_spent",
    "seconds_at_first_step",
    "validation_seconds",
)
# Bytes of a state from which on it is written behind training; a smaller one is there before anything can be lost.
_LARGE = 64_000_000


class RunState(keras.callbacks.Callback):
    """Writes the checkpoint and `history.csv` at the end of each epoch, and puts a checkpoint back.

    It stands behind all that count: they reset themselves in `on_train_begin` and count in `on_epoch_end`, both before
    it. Where a `stop` was asked for, or so many minutes are over, the checkpoint is written in the middle of an epoch,
    after a batch: what counts has counted nothing of that epoch yet, and the sums of the metrics belong to the state.

    Training stands still while the state is copied, and goes on while a large one is written.

    Args:
        path: File of the checkpoint.
        history_path: File of the history.
        others: The callbacks whose counters belong to the state, and what their `arrays()` and `beside()` return, where
            they have it.
        restored: What `checkpoint.load` returned, or None in a new run.
        steps_per_epoch: Steps of an epoch.
        stop: `kit.training.stopping.Stop`; None where nothing may stop within an epoch.
        minutes: Minutes after which a checkpoint is written within an epoch; 0 for never.
        is_awaited: Whether what comes behind it relies on that the checkpoint is written, or changes the arrays that
            others gave.
        engine: The engine, whose first process has the clock that counts.
    """

    def __init__(
        self,
        path,
        history_path,
        others,
        restored,
        steps_per_epoch,
        stop=None,
        minutes=0.0,
        is_awaited=False,
        engine=ALONE,
    ):
        super().__init__()
        self.steps_per_epoch = steps_per_epoch
        self.stop = stop
        self.steps = restored[1].get("steps", 0) if restored else 0  # of the present epoch, before this process
        self.sums = restored[0].get("sums", []) if restored else []
        self.writer = checkpoint.Writer(path)
        self.history_path = history_path
        self.others = others
        self.restored = restored
        self.rows = restored[1]["history"] if restored else []
        self.seconds = restored[1]["seconds"] if restored else [0.0, 0.0]
        self.minutes, self.is_awaited, self.engine = minutes, is_awaited, engine
        self.calls, self.next_look = 0, 1
        self.copies = None

    def on_train_begin(self, logs=None):
        self._started = time.perf_counter(), time.process_time()
        self.saved = self.looked = time.perf_counter()
        if self.restored is None:
            return
        arrays, values = self.restored
        checkpoint.assign(checkpoint.variables(self.model), arrays["variables"])
        for callback, counters in zip(self.others, values["counters"], strict=True):
            for name, value in counters.items():
                setattr(callback, name, value)
            if hasattr(callback, "put_back"):
                callback.put_back(arrays)
        self.restored = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if self.sums:  # of all processes together: the first one goes on with them
            sums = self.sums if self.engine.is_chief else [np.zeros_like(each) for each in self.sums]
            checkpoint.assign(self.model.metrics_variables, sums)
            self.sums = []
        if self.stop is not None:
            self.stop.is_saving_near = True

    def on_train_batch_end(self, batch, logs=None):
        done = self.steps + batch + 1
        is_asked = self.stop is not None and self.stop.is_asked
        is_due = self.minutes > 0 and self._is_due()
        if (is_asked or is_due) and done < self.steps_per_epoch:
            backend.sync(self.model)
            sums = [self.engine.total(each) for each in checkpoint.copied(self.model.metrics_variables)]
            self._save(self.epoch, done, {"sums": sums})
            log.info("saved in epoch %d, after step %d of %d", self.epoch + 1, done, self.steps_per_epoch)
            if is_asked:
                self.stop.raise_if_asked()

    def _is_due(self):
        """Returns whether so many minutes have passed; all processes look at the clock, that of the first, together."""
        self.calls += 1
        if self.calls < self.next_look:
            return False
        now, seconds = time.perf_counter(), 60 * self.minutes
        often = seconds / 50 * self.calls / max(now - self.looked, 1e-9)  # several processes wait for each other here
        found = self.engine.of_first({"is_due": now - self.saved >= seconds, "next_look": often})
        self.calls, self.next_look, self.looked = 0, max(int(found["next_look"]), 1), now
        return bool(found["is_due"])

    def on_epoch_end(self, epoch, logs=None):
        row = {name: float(value) for name, value in logs.items()}
        row["learning_rate"] = learning_rate(self.model)
        self.rows.append({"epoch": epoch + 1, **row})
        rows = list(self.rows)
        self._save(epoch + 1, then=lambda: write_history(self.history_path, rows))
        if self.steps:
            self.model.stop_training = True  # the next epoch has more steps than this `fit`
        if self.stop is not None:
            self.stop.raise_if_asked()

    def _save(self, epochs, steps=0, more=(), then=None):
        """Writes the checkpoint of a training after so many whole epochs, and steps of the next one."""
        self.writer.wait()
        self.copies = checkpoint.copied(checkpoint.variables(self.model), self.copies)
        arrays = {"variables": self.copies, **dict(more)}
        counters, beside = [], {}
        for callback in self.others:
            counters.append({name: _plain(vars(callback)[name]) for name in _COUNTERS if name in vars(callback)})
            if hasattr(callback, "arrays"):
                arrays |= callback.arrays()
            if hasattr(callback, "beside"):
                beside |= callback.beside()
        values = {
            "epochs": epochs,
            "steps": steps,
            "stopped": bool(self.model.stop_training),
            "history": list(self.rows),
            "counters": counters,
            "seconds": self.elapsed(),
        }
        self.writer.save(arrays, values, beside, then)
        if self.is_awaited or sum(array.nbytes for array in self.copies) < _LARGE:
            self.writer.wait()
        self.saved = time.perf_counter()

    def elapsed(self):
        """Returns seconds and CPU-seconds of training so far, those before a resume included."""
        wall, cpu = self._started
        return [
            self.seconds[0] + time.perf_counter() - wall,
            self.seconds[1] + time.process_time() - cpu,
        ]


def write_history(path, rows):
    """Writes one row an epoch; no wall-clock time, so that a repeated run gives the same file."""
    write_text(path, pd.DataFrame(rows, columns=None if rows else ["epoch"]).to_csv(index=False))


def _plain(value):
    """Returns a counter as a plain number that JSON can hold."""
    if value is None or isinstance(value, bool | int):
        return value
    return float(value)


def learning_rate(model):
    """Returns the present learning rate of a model's first optimizer."""
    backend.sync(model)
    return float(keras.ops.convert_to_numpy(checkpoint.optimizers(model)[0].learning_rate))
