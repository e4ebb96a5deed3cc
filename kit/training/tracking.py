"""Trackers of experiments, MLflow and Weights & Biases: told of settings, epochs and scores while a run trains.

They look on: what goes wrong with one is a warning, and the training goes on without it.
"""

import contextlib
import importlib.util
import inspect
import logging
import os
import time
import uuid

import keras

from kit.config import flatten, read_toml
from kit.errors import SettingError
from kit.files import read_json, write_json

log = logging.getLogger("kit")

_FILE = "trackers.json"
# MLflow takes parameters of at most so many characters, and so many in a call.
_LONGEST, _MOST = 500, 100


class MLflow:
    """A run of MLflow, in the store that `MLFLOW_TRACKING_URI` names; by default the one that MLflow chooses."""

    def __init__(self, folder, settings, known):
        # A server that does not answer is given up after seconds, not after the minutes that MLflow waits for.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        self.client, self.metric = MlflowClient(), Metric
        if known:
            self.client.update_run(known, status="RUNNING")
            self.id = known
            return
        name = str(settings.get("recipe", "kit"))
        found = self.client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self.client.create_experiment(name)
        self.id = self.client.create_run(experiment, run_name=folder.name, tags={"folder": str(folder)}).info.run_id
        params = [Param(key, str(value)[:_LONGEST]) for key, value in settings.items()]
        for start in range(0, len(params), _MOST):
            self.client.log_batch(self.id, params=params[start : start + _MOST])

    def log(self, values, step):
        """Logs numbers of an epoch, or those of the end."""
        now = int(1000 * time.time())
        self.client.log_batch(self.id, metrics=[self.metric(key, value, now, step) for key, value in values.items()])

    def end(self, values, step):
        """Logs the scores, and ends the run."""
        self.log(values, step)
        self.stop("FINISHED")

    def stop(self, status):
        """Ends the run without scores; `status` is "FINISHED", "FAILED" or "KILLED"."""
        self.client.set_terminated(self.id, status)


class WandB:
    """A run of Weights & Biases; `WANDB_MODE=offline` keeps it in the run folder, for `wandb sync`."""

    def __init__(self, folder, settings, known):
        import wandb

        quiet = wandb.Settings(silent=True, console="off", login_timeout=15, init_timeout=30)
        # By default it returns a run that is open in this process: a user's own, or another one of the kit.
        knows = "create_new" in str(inspect.signature(wandb.init).parameters.get("reinit"))
        self.run = wandb.init(
            project=str(settings.get("recipe", "kit")),
            name=folder.name,
            dir=str(folder),
            id=known or uuid.uuid4().hex[:8],
            resume="allow" if known and os.environ.get("WANDB_MODE") != "offline" else None,
            config=dict(settings),
            settings=quiet,
            **({"reinit": "create_new"} if knows else {}),
        )
        self.id = self.run.id

    def log(self, values, step):
        """Logs numbers of an epoch."""
        self.run.log(values, step=step)

    def end(self, values, step):
        """Keeps the scores as the run's summary, and ends it."""
        self.run.summary.update(values)
        self.stop("FINISHED")

    def stop(self, status):
        """Ends the run without scores, as one that failed unless `status` is "FINISHED"."""
        self.run.finish(exit_code=int(status != "FINISHED"))


TRACKERS = {"mlflow": MLflow, "wandb": WandB}
# What is installed for each; the whole of mlflow asks for an older pandas.
_PACKAGES = {"mlflow": "mlflow-skinny sqlalchemy alembic", "wandb": "wandb"}
# Trackers that are open, by run folder: those of the training are those of its end.
_OPEN = {}


def check_installed(names):
    """Raises SettingError for a tracker whose package is missing."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise SettingError("track", f"{name} is not installed; expected `pip install {_PACKAGES[name]}` before it")


def _told(folder, name, tell):
    """Calls `tell` with an open tracker; one that fails is let go, with a warning."""
    tracker = _OPEN.get(folder, {}).get(name)
    if tracker is None:
        return
    try:
        tell(tracker)
    except Exception as error:  # whatever a network, a disk or a package raises
        _let_go(folder, name, error)


def _let_go(folder, name, error):
    _OPEN.get(folder, {}).pop(name, None)
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    log.warning("%s is told no more of this run: %s", name, reason)


def begin(names, folder):
    """Opens the trackers of a run, or goes on in those that it had.

    Args:
        names: Their names.
        folder: The run folder, which has its `config.toml`.
    """
    path = folder / _FILE
    known = {}
    with contextlib.suppress(Exception):  # a damaged file is that of a run which is tracked anew
        known = {key: value for key, value in read_json(path).items() if isinstance(value, str)}
    settings = flatten(read_toml(folder / "config.toml"))
    _OPEN[folder] = {}
    for name in names:
        try:
            _OPEN[folder][name] = TRACKERS[name](folder, settings, known.get(name))
            known[name] = _OPEN[folder][name].id
        except Exception as error:  # as above
            _let_go(folder, name, error)
    if known:
        write_json(path, known)


def end(names, folder, scores, epochs):
    """Tells the trackers of a run its scores, and closes them.

    Args:
        names: Their names.
        folder: The run folder.
        scores: Scores of each split, by its name.
        epochs: Number of epochs of the training.
    """
    if names and folder not in _OPEN:
        begin(names, folder)  # it was killed behind its last epoch
    values = {
        f"{split}/{name}": float(value)
        for split, found in scores.items()
        for name, value in found.items()
        if isinstance(value, int | float)
    }
    for name in list(_OPEN.get(folder, {})):
        _told(folder, name, lambda tracker: tracker.end(values, epochs))
    _OPEN.pop(folder, None)


@contextlib.contextmanager
def closed(folder):
    """Closes the trackers of a run that ends inside without scores: by an exception, or since it is to be carried on.

    What goes wrong with that is a warning, and hides no exception.

    Args:
        folder: The run folder.
    """
    status = "FINISHED"
    try:
        yield
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"  # Ctrl-C and the like
        raise
    finally:
        try:
            for name in list(_OPEN.get(folder, {})):
                _told(folder, name, lambda tracker: tracker.stop(status))
        finally:
            _OPEN.pop(folder, None)


class Tracking(keras.callbacks.Callback):
    """Tells trackers the values of each epoch.

    Args:
        names: Names of the trackers.
        folder: The run folder.
    """

    def __init__(self, names, folder):
        super().__init__()
        self.names, self.folder = names, folder

    def on_train_begin(self, logs=None):
        if self.folder not in _OPEN:
            begin(self.names, self.folder)

    def on_epoch_end(self, epoch, logs=None):
        values = {name: float(value) for name, value in (logs or {}).items()}
        for name in list(_OPEN.get(self.folder, {})):
            _told(self.folder, name, lambda tracker: tracker.log(values, epoch + 1))
