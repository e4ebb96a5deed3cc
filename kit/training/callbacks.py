"""Callbacks of training beside Keras' own: scores, best weights, progress line."""

import logging
import math
import time

import keras

from kit.errors import KitError
from kit.terminal import duration, is_log_shown
from kit.training import checkpoint
from kit.training.run_state import learning_rate

log = logging.getLogger("kit")


class Scores(keras.callbacks.Callback):
    """Adds scores of the whole validation split to the logs, such as an entity-level F1.

    Args:
        validate: Function that returns values by name; they are logged as `val_<name>`.
    """

    def __init__(self, validate):
        super().__init__()
        self.validate = validate
        self.cpu_seconds = 0.0

    def on_epoch_end(self, epoch, logs=None):
        start = time.process_time()
        logs.update({f"val_{name}": float(value) for name, value in self.validate().items()})
        self.cpu_seconds += time.process_time() - start


class NaNGuard(keras.callbacks.Callback):
    """Ends a run whose loss is not a finite number, with advice on settings."""

    def on_train_batch_end(self, batch, logs=None):
        self._check(logs, "after a batch")

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs, f"in epoch {epoch + 1}")

    def _check(self, logs, when):
        for name in ("loss", "val_loss"):
            value = float((logs or {}).get(name, 0.0))
            if not math.isfinite(value):
                raise KitError(
                    f"{name} became {value} {when}; try a lower optimizer.learning_rate or optimizer.global_clipnorm=1"
                )


class SynchronizedReplicas(keras.callbacks.Callback):
    """Averages over devices the variables that each keeps apart, such as moving statistics of batch normalisation.

    Otherwise a part of the validation would be scored with statistics that are thrown away, since only those of the
    first device are saved.
    """

    def on_test_begin(self, logs=None):
        for variable in self.model.non_trainable_variables:
            copies = getattr(variable.value, "values", None)
            if copies and "float" in variable.dtype:
                arrays = [keras.ops.convert_to_numpy(copy) for copy in copies]
                variable.assign(sum(arrays) / len(arrays))


def standard_error(examples):
    """Returns the function from a share of so many examples to its standard error.

    Two examples more that are right and two that are wrong are counted with them (Agresti and Coull 1998, "Approximate
    is better than 'exact' for interval estimation of binomial proportions"): otherwise few examples that are all right,
    by luck, would have no error.
    """

    def error(share):
        smoothed = (share * examples + 2) / (examples + 4)
        return math.sqrt(smoothed * (1 - smoothed) / (examples + 4))

    return error


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the best epoch in memory; they are what is evaluated, saved and returned.

    With `optimizer.use_ema` they are the averaged weights, since validation looked at those.

    Args:
        network: Model whose weights are kept: the trained one, or the one inside a training wrapper.
        monitor: Name in the logs.
        mode: "max" or "min".
        keep_last: Keep the weights of the last epoch, whatever its value.
        prefer_latest_on_tie: Of epochs with the same value keep the last, not the first.
        error: Function from the best value to how far from it another one is as good: of epochs whose values differ by
            chance alone the last is kept; or None.
    """

    def __init__(self, network, monitor, mode, keep_last=False, prefer_latest_on_tie=False, error=None):
        super().__init__()
        self.error = error
        self.keep_last = keep_last
        self.prefer_latest_on_tie = prefer_latest_on_tie
        self.network = network
        self.monitor = monitor
        self.sign = 1 if mode == "max" else -1
        self.best = None
        self.best_epoch = 0
        self.best_weights = []
        self._spare = None

    def beside(self):
        """Returns for `checkpoint.Writer` the weights with the number of their epoch."""
        return {"best": (self.best_epoch + 1, self.best_weights)} if self.best_weights else {}

    def put_back(self, arrays):
        self.best_weights = arrays.get("best", [])

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor not in logs:
            raise KitError(f"train.monitor: {self.monitor!r} is not among {', '.join(sorted(logs))}")
        value = float(logs[self.monitor])
        is_first = self.best is None or math.isnan(self.best)
        if self.keep_last or is_first or self.sign * value > self.sign * self.best:
            self.best = value
        elif self.error is not None:
            # One that no longer is as good, since a better one came, is not kept any more: the better one is later.
            if not self.sign * (self.best - value) <= self.error(self.best):
                return
        elif not (self.prefer_latest_on_tie and value == self.best):
            return
        # Those before may still be written: they are written over when the next ones have come.
        kept, self._spare = checkpoint.copied(self.network.weights, self._spare), self.best_weights
        self.best_epoch, self.best_weights = epoch, kept


class WatchedValue(keras.callbacks.Callback):
    """Calls `watch(epoch, value)` with the monitored value after each epoch; stops training when it returns True.

    Args:
        watch: Function `(epoch, value) -> bool`, epochs from 1.
        monitor: Name in the logs.
    """

    def __init__(self, watch, monitor):
        super().__init__()
        self.watch = watch
        self.monitor = monitor

    def on_epoch_end(self, epoch, logs=None):
        if self.watch(epoch + 1, float(logs[self.monitor])):
            self.model.stop_training = True


# Seconds between two lines of the log within an epoch, less than half a minute apart.
_SILENCE = 25
# Seconds between two looks of the moving line.
_BLINK = 0.2


class Progress(keras.callbacks.Callback):
    """One line that moves while an epoch runs, and one that stays when it ended.

    Where the output is no terminal, and in `run.log`, a line every half minute stands for the one that moves.

    Args:
        epochs: Epochs of the whole training.
        steps_per_epoch: Steps of an epoch.
        batch_size: Examples in a step.
        best: `BestWeights`, which knows what is monitored and which epoch is best.
        budget: `Budget` by whose clock the training ends, or None.
    """

    def __init__(self, epochs, steps_per_epoch, batch_size, best, budget=None):
        super().__init__()
        self.budget = budget
        self.epochs = epochs
        self.steps = steps_per_epoch
        self.batch_size = batch_size
        self.best = best

    def on_train_begin(self, logs=None):
        from rich.console import Console
        from rich.live import Live

        self.console = Console(highlight=False)
        self.live = None
        if self.console.is_terminal and is_log_shown():
            self.live = Live("", console=self.console, refresh_per_second=4, transient=True)
            self.live.start()
        self.is_compiled = False
        self.said = time.perf_counter()
        self.moved = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.start, self.skipped = epoch, time.perf_counter(), 0

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        if now - self.said > _SILENCE:
            self.said = now
            self._say(batch + 1, logs)
        if not self.is_compiled and not self.skipped and batch + 1 < self.steps:
            # The first call compiles; it says nothing of the speed.
            self.start, self.skipped = time.perf_counter(), batch + 1
        elif self.live is not None and now - self.moved > _BLINK:
            self.moved = now
            done = batch + 1
            speed, left = self._estimate(done)
            filled = round(20 * done / self.steps)
            full, empty = "#-" if self.console.options.ascii_only else "━─"
            bar = full * filled + empty * (20 - filled)
            number = self._number(self.epoch + 1)
            self.live.update(
                f"epoch {number} {bar} {self._values(logs)}  lr {learning_rate(self.model):.1e}  {speed}  {left}"
            )

    def on_test_batch_begin(self, batch, logs=None):
        # The end of a batch would make Keras wait for its values.
        now = time.perf_counter()
        if now - self.said > _SILENCE:
            self.said = now
            self._log("epoch %s  validation, batch %d", self._number(self.epoch + 1), batch + 1)

    def _say(self, done, logs):
        """Writes a line of the log after so many steps of the epoch."""
        speed, left = self._estimate(done)
        place = f"epoch {self._number(self.epoch + 1)}  step {done}/{self.steps}"
        self._log("%s  %s  %s  %s", place, self._values(logs), speed, left)

    def _log(self, *line):
        """Writes a line of the log: into `run.log` alone where a moving line says the same."""
        log.info(*line, extra={"is_shown": self.live is None})

    def on_epoch_end(self, epoch, logs=None):
        self.said = time.perf_counter()
        speed, left = self._estimate(self.steps)
        self.is_compiled = True
        number = self._number(f"{epoch + 1:{len(str(self.epochs))}}")
        star = "  *" if self.best.best_epoch == epoch else ""
        log.info(f"epoch {number}  {self._values(logs)}  lr {learning_rate(self.model):.1e}  {speed}  {left}{star}")

    def stop(self):
        """Takes the moving line away, also after an interrupt."""
        if getattr(self, "live", None) is not None:
            self.live.stop()
            self.live = None

    def on_train_end(self, logs=None):
        self.stop()

    def _number(self, epoch):
        return str(epoch).strip() if self.budget else f"{epoch}/{self.epochs}"

    def _values(self, logs):
        name = self.best.monitor.removeprefix("val_")
        names = [name, f"val_{name}"] if name != "loss" else []
        shown = [key for key in ("loss", "val_loss", *names) if key in logs]
        return "  ".join(f"{key} {float(logs[key]):.4f}" for key in shown)

    def _estimate(self, done):
        """Returns speed and time left, in words, after so many steps of the epoch."""
        if not self.is_compiled and not self.skipped:
            return "compiled", "time left unknown"
        seconds = max(time.perf_counter() - self.start, 1e-9)
        steps_per_second = max(done - self.skipped, 1) / seconds
        left = (self.epochs - self.epoch) * self.steps - done
        speed = steps_per_second * self.batch_size
        if self.budget is not None:
            return f"{speed:,.0f} examples/s", f"{duration(self.budget.left)} left"
        return f"{speed:,.0f} examples/s", f"{duration(left / steps_per_second)} left"
