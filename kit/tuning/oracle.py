"""Keras Tuner's oracles, and the log of what was asked of one and told to it.

An oracle is brought back by telling it all of that again, in order: what Keras Tuner saves of itself leaves out where a
grid search is, and the random state of the Bayesian one.
"""

import contextlib
import io
import json
import os
import random
import tempfile

from kit.errors import KitError

ALGORITHMS = ("random", "grid", "bayesian", "hyperband")


def make(algorithm, objective, mode, space, seed, *, trials, epochs, factor):
    """Returns one of Keras Tuner's oracles.

    Args:
        algorithm: One of `ALGORITHMS`.
        objective: Name of the monitored value.
        mode: "max" or "min".
        space: `keras_tuner.HyperParameters`.
        seed: Seed of its proposals.
        trials: Most trials; Hyperband's are as many as its brackets need.
        epochs: Epochs of a whole training.
        factor: Hyperband trains the best of so many trials on.
    """
    import keras_tuner

    shared = {
        "objective": keras_tuner.Objective(objective, mode),
        "hyperparameters": space,
        # Keras Tuner takes 0 for "any", and of two seeds that follow each other draws nearly the same numbers.
        "seed": random.Random(seed).randrange(1, 2**31),
        "allow_new_entries": False,
        "max_consecutive_failed_trials": 10**9,  # the study decides when it is enough
    }
    if algorithm == "hyperband":
        return keras_tuner.oracles.HyperbandOracle(
            max_epochs=epochs, factor=factor, hyperband_iterations=None, **shared
        )
    kind = {
        "random": keras_tuner.oracles.RandomSearchOracle,
        "grid": keras_tuner.oracles.GridSearchOracle,
        "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    }[algorithm]
    return kind(max_trials=trials, **shared)


def number(trial):
    """Returns the number of a Keras Tuner trial, from 0 in the order of their beginning."""
    return int(trial.trial_id)


class Journal:
    """An oracle with a file in which every exchange with it is kept, a line of JSON each.

    Args:
        oracle: Keras Tuner's oracle, new.
        path: The file; what it holds already is told to the oracle again.

    Raises:
        KitError: the file was not written by a study with these settings.
    """

    def __init__(self, oracle, path):
        self.oracle = oracle
        self.path = path
        self.ended = []
        self.is_over = False
        self._idle_since = None
        self._scratch = tempfile.TemporaryDirectory()
        oracle._set_project_dir(self._scratch.name, "oracle")  # Keras Tuner's files; the journal has all that counts
        oracle.verbose = 0
        # The last digits of a Gaussian process depend on the machine: what it proposed is taken from the file.
        self.is_exact = not hasattr(oracle, "gpr")
        self._replay()

    def close(self):
        self._scratch.cleanup()

    def ask(self):
        """Returns Keras Tuner's next trial; or None where there is none before another has ended, or `is_over`."""
        if self.is_over or self._idle_since == len(self.ended):
            return None
        # A worker of that name never asked before: Keras Tuner would give it the trial again that it has.
        worker = f"worker{len(self.oracle.trials)}"
        trial = self._create(worker)
        self.is_over = trial.status == "STOPPED"
        if self.is_over:  # that changes nothing, and with more trials allowed it is no longer so
            return None
        self._write({"ask": worker, "status": trial.status, "values": trial.hyperparameters.values})
        if trial.status == "IDLE":
            self._idle_since = len(self.ended)
            return None
        return trial

    def end(self, record):
        """Tells how a trial ended: its number `trial`, `state` (completed, stopped or failed), `score`, its costs."""
        self._write({"end": record})
        self._tell(record)

    def running(self):
        """Returns the trials that were begun and have not ended."""
        ended = {record["trial"] for record in self.ended}
        return [trial for trial in self.oracle.trials.values() if number(trial) not in ended]

    def _create(self, worker):
        with contextlib.redirect_stdout(io.StringIO()):
            trial = self.oracle.create_trial(worker)
        if trial.status == "RUNNING" and hasattr(self.oracle, "_populate_next"):
            # Grid search would wait for the trial's end before it goes on behind it: one trial at a time, and in an
            # order that depends on which ends first.
            self.oracle._populate_next.append(trial.trial_id)
        return trial

    def _tell(self, record):
        trial = self.oracle.trials[self.oracle.start_order[record["trial"]]]
        if record["state"] == "failed":
            trial.status, trial.message = "FAILED", record["message"]
        else:
            self.oracle.update_trial(trial.trial_id, {self.oracle.objective.name: record["score"]})
            trial.status = "COMPLETED"
        with contextlib.redirect_stdout(io.StringIO()):
            self.oracle.end_trial(trial)
        self.ended.append(record)

    def _write(self, entry):
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _replay(self):
        """Tells the oracle all that the file holds; a last line that was cut off by a kill is taken away."""
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            with open(self.path, "r+b") as file:
                file.truncate(len(whole))
        for count, line in enumerate(whole.decode("utf-8").splitlines(), 1):
            try:
                entry = json.loads(line)
                if "end" in entry:
                    self._tell(entry["end"])
                    continue
                trial = self._create(entry["ask"])
                values = json.loads(json.dumps(trial.hyperparameters.values))
                is_same = trial.status == entry["status"] and values.keys() == entry["values"].keys()
                if self.is_exact:
                    is_same = is_same and values == entry["values"]
                elif is_same:
                    trial.hyperparameters.values = entry["values"]
            except (ValueError, KeyError, TypeError, IndexError):
                raise KitError(f"{self.path}: line {count} is damaged; expected what a study wrote") from None
            if not is_same:
                raise KitError(
                    f"{self.path}: line {count} is not what these settings lead to; the study was started with other "
                    "ones, or another version of Keras Tuner"
                )
