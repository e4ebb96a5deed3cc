"""A study while it runs: an oracle that proposes, workers that try, and what is kept of it."""

import dataclasses
import logging
import shutil
import time

from kit import config as toml
from kit.errors import KitError
from kit.files import read_json, write_text
from kit.runs import folder as folders
from kit.terminal import counted
from kit.tuning import brackets, display, oracle, outcome, space
from kit.tuning.worker import carried_out

log = logging.getLogger("kit")

# So many trials that fail one after the other end a study: what is wrong with them is wrong with all.
_FAILURES_IN_A_ROW = 5
# A trial under which so many machines are lost may be what they are lost by.
_MOST_MACHINES_LOST = 5
# The median of fewer curves is chance.
_FEWEST_CURVES = 5


@dataclasses.dataclass
class _Attempt:
    """A trial in a worker.

    Args:
        number: Number of the trial.
        name: Name of the folder that it trains in.
        slot: Place of the worker.
        worker: The worker, such as a `kit.tuning.worker.Worker`.
        before: Values of the epochs that an earlier trial has trained.
        until: Last epoch.
    """

    number: int
    name: str
    slot: int
    worker: object
    before: list
    until: int
    is_stopped: bool = False


class Running:
    """A study while it runs: who works on what, and what came out.

    Args:
        recipe: The `Recipe`.
        folder: Folder of the study.
        search: `Search`.
        parameters: The space.
        types: Types of what is searched.
        seed: Seed of the proposals and of every trial.
        workers: Where trials work: `kit.tuning.worker.Processes` or `kit.tuning.ray_worker.Actors`.
    """

    def __init__(self, recipe, folder, search, parameters, types, seed, workers):
        self.recipe, self.folder, self.search, self.seed = recipe, folder, search, seed
        self.parameters, self.types = parameters, types
        self.workers = workers
        self.busy = {}  # worker: `_Attempt`
        self.deaths = {}  # number of a trial, and whether its machine was lost: how often its worker died so
        self.curves = {}  # folder of a trial: value of each epoch
        self.unchosen = {}  # folder of a trial: epochs that it has trained before it was chosen to go on

    def run(self):
        """Runs to the end; returns the `Study`."""
        facts = read_json(self.folder / "study.json")
        self.monitor, self.mode, self.epochs = facts["monitor"], facts["mode"], facts["epochs"]
        self.sign = 1 if self.mode == "max" else -1
        space_ = space.hyperparameters(self.parameters, self.types)
        algorithm = self.search.algorithm
        log.info(
            "%s: searching %s by %s, for the %s %s; %s of %s%s",
            self.recipe.name,
            ", ".join(dict.fromkeys(parameter.key for parameter in self.parameters)),
            algorithm,
            "highest" if self.mode == "max" else "lowest",
            self.monitor,
            counted(self.workers.count, "worker"),
            counted(self.workers.threads, "thread"),
            self.workers.where,
        )
        log.info("folder %s", self.folder)
        self.journal = oracle.Journal(
            oracle.make(
                algorithm,
                self.monitor,
                self.mode,
                space_,
                self.seed,
                trials=self.search.trials,
                epochs=self.epochs,
                factor=self.search.factor,
            ),
            self.folder / "journal.jsonl",
        )
        for record in self.journal.ended:
            name = self._folder(record["trial"])
            self.curves[name] = record["curve"]
            self.unchosen.setdefault(name, len(record["curve"]))
        self.started = time.perf_counter()
        self.begun_before = len(self.journal.ended)
        if self.begun_before:
            log.info("going on after %s", counted(self.begun_before, "trial"))
        self.show = display.Display(self)
        try:
            self._loop()
            self._clear(at_the_end=True)
            self.show.stop()
            done = outcome.write(self)
            return self._retrain(done) if self.search.retrain else done
        finally:
            self.show.stop()
            for attempt in self.busy.values():
                attempt.worker.stop()
            self.journal.close()

    @property
    def _config(self):
        return str((self.folder / "study.toml").resolve())

    def _loop(self):
        orphans = self.journal.running()
        while True:
            for slot in range(self.workers.count):
                if slot not in [attempt.slot for attempt in self.busy.values()]:
                    trial = orphans.pop(0) if orphans else self._next()
                    if trial is not None:
                        self._start(trial, slot)
            if not self.busy:
                return
            for worker in self.workers.wait(list(self.busy), timeout=1):
                self._hear(worker)
            self.show.update()

    def _next(self):
        """Returns the oracle's next trial, or None where there is none now."""
        if self._is_late():
            return None
        is_hyperband = self.search.algorithm == "hyperband"  # which has no end of its own
        if is_hyperband and not brackets.has_room(self.journal.oracle, self.search.trials * self.epochs):
            return None
        was_over = self.journal.is_over
        trial = self.journal.ask()
        if self.journal.is_over and not was_over and len(self.journal.oracle.trials) < self.search.trials:
            log.info("the space has no other settings than those that were tried")
        return trial

    def _is_late(self):
        """Tells whether it is too late to begin a trial."""
        gone = time.perf_counter() - self.started
        limit, minutes = self.search.time_limit_seconds, self.search.minutes
        took = [record["seconds"] for record in self.journal.ended if record["state"] == "completed"]
        still = max(took, default=0.0) * (2 if self.search.retrain else 1)
        return (limit is not None and gone > limit) or (minutes is not None and gone + still > 60 * minutes)

    def _folder(self, number):
        """Returns the name of the folder that a trial trains in: that of the one which it goes on from, if any."""
        trial = self.trial(number)
        earlier = trial.hyperparameters.values.get("tuner/trial_id")
        return self._folder(int(earlier)) if earlier is not None else f"{number:04}"

    def trial(self, number):
        """Returns Keras Tuner's trial of a number."""
        return self.journal.oracle.trials[self.journal.oracle.start_order[number]]

    def overrides(self, number):
        """Returns the settings of a trial, those that are searched."""
        return space.overrides(self.parameters, self.trial(number).hyperparameters.values)

    def _start(self, trial, slot):
        number = oracle.number(trial)
        name = self._folder(number)
        order = {
            "kind": "trial",
            "recipe": self.recipe.name,
            "overrides": self.overrides(number),
            "config": self._config,
            "folder": str((self.folder / "trials" / name).resolve()),
            "seed": self.seed,
            "monitor": self.monitor,
            "last_epoch": trial.hyperparameters.values.get("tuner/epochs"),
        }
        worker = self.workers.start(order, slot)
        before = next((each["curve"] for each in reversed(self.journal.ended) if each["folder"] == name), [])
        until = order["last_epoch"] or self.epochs
        self.busy[worker] = _Attempt(number, name, slot, worker, before, until)
        self.unchosen.setdefault(name, until)
        self.curves[name] = []

    def _hear(self, worker):
        """Takes in what a worker says; its death is one of the things that it may say."""
        attempt = self.busy[worker]
        message = worker.receive()
        if message is None:
            self._died(attempt)
        elif "done" in message:
            self._ended(attempt, message["done"])
        else:
            curve = self.curves[attempt.name]
            curve.append(message["value"])
            is_new = len(attempt.before) < len(curve) < attempt.until
            attempt.is_stopped = is_new and self._is_hopeless(attempt.name)
            worker.send({"stop": attempt.is_stopped})

    def _is_hopeless(self, name):
        """The median rule: is the best value so far worse than that of half of the others at this epoch?

        Those that Hyperband chose to go on count up to there: behind it they are no longer a fair sample.
        """
        curve = self.curves[name]
        epoch = len(curve)
        first = self.search.median_epochs or max(1, round(self.epochs / 4))
        others = [
            each[:epoch]
            for key, each in self.curves.items()
            if key != name and min(len(each), self.unchosen.get(key, self.epochs)) >= epoch
        ]
        if not self.search.median_stop or epoch < first or len(others) < _FEWEST_CURVES:
            return False
        median = sorted(map(self.best_value, others), key=lambda value: -self.sign * value)[len(others) // 2]
        return self.sign * self.best_value(curve) < self.sign * median

    def best_value(self, values):
        """Returns the best of several monitored values."""
        return max(values, key=lambda value: self.sign * value)

    def _died(self, attempt):
        """Tries a trial once more whose process died, or reports it."""
        del self.busy[attempt.worker]
        reason, is_of_machine = attempt.worker.death()
        death = (attempt.number, is_of_machine)
        self.deaths[death] = self.deaths.get(death, 0) + 1
        if self.deaths[death] <= (_MOST_MACHINES_LOST if is_of_machine else self.search.retries):
            log.info("trial %d: %s; it goes on from its last epoch", attempt.number, reason)
            self._start(self.trial(attempt.number), attempt.slot)
        else:
            self._end(attempt, {"state": "failed", "message": reason})

    def _ended(self, attempt, result):
        del self.busy[attempt.worker]
        if result.get("is_passing"):
            raise KitError(result["failed"])
        if "failed" in result:
            self._end(attempt, {"state": "failed", "message": result["failed"]})
            return
        state = "stopped" if attempt.is_stopped else "completed"
        self._end(attempt, {"state": state, "message": None, **result})

    def _end(self, attempt, result):
        record = {"trial": attempt.number, "folder": attempt.name, "curve": self.curves[attempt.name], **result}
        record["new_epochs"] = len(record["curve"]) - len(attempt.before)
        self.journal.end(record)
        self._clear()
        write_text(self.folder / "trials.csv", outcome.table(self).to_csv(index=False))
        self.show.ended(record)
        tried = self.journal.ended[self.begun_before :]
        if len(tried) >= _FAILURES_IN_A_ROW and self.best() is None:
            raise KitError(f"{len(tried)} trials failed one after the other; the last: {record['message']}")

    def best(self):
        """Returns the record of the best trial, or None where none has a score."""
        return next(iter(self._ranked()), None)

    def _ranked(self):
        """Returns the records of the trials that have a score, the best first."""
        scored = [record for record in self.journal.ended if record["state"] != "failed"]
        return sorted(scored, key=lambda record: (-self.sign * record["score"], record["trial"]))

    def _clear(self, at_the_end=False):
        """Removes the checkpoints of trials that are neither among the best nor may be trained on."""
        ranked = self._ranked()
        kept = set(list(dict.fromkeys(record["folder"] for record in ranked))[: self.search.keep])
        kept |= {each.name for each in self.busy.values()}
        if self.search.algorithm == "hyperband" and not at_the_end:
            kept |= brackets.may_go_on(self.journal.oracle, ranked)
        for record in self.journal.ended:
            path = self.folder / "trials" / record["folder"] / "checkpoint"
            if record["folder"] not in kept and path.exists():
                shutil.rmtree(path)

    def _retrain(self, done):
        """Trains with the best settings on training and validation split, and scores that on the test split."""
        best = self.best()
        flat = toml.read_toml(self.folder / "best.toml")
        stopped_early = best["epochs"] < flat["train.epochs"]
        overrides = {
            "train.use_validation": True,
            "train.patience": 0,
            "train.average_epochs": 0,
            "train.steps_per_execution": "auto",
            "train.epochs": best["best_epoch"] if stopped_early else flat["train.epochs"],
        }
        path = outcome.retrained(self.folder, best["trial"])
        if folders.finished(path):
            done.retrained = read_json(path / "metrics.json")["test"]
            return done
        log.info("training with the best settings on training and validation split")
        order = {"kind": "retraining", "recipe": self.recipe.name, "overrides": overrides, "seed": self.seed}
        order |= {"config": str(self.folder / "best.toml"), "folder": str(path)}
        found = carried_out(self.workers.alone(order))
        if "failed" in found:
            raise KitError(f"{path}: the best settings could not be trained again: {found['failed']}")
        done.retrained = found["metrics"]
        return done
