"""Trackers look on: they are told settings, epochs and scores, go on with a resumed run, and stop none."""

import contextlib
import logging
import types
from typing import ClassVar

import pytest

import kit
from kit.errors import SettingError
from kit.files import read_json
from kit.training import tracking
from tests import moments
from tests.conftest import TINY


class Recorder:
    """A tracker that keeps what it was told."""

    made: ClassVar = []

    def __init__(self, folder, settings, known):
        self.folder, self.settings, self.known = folder, settings, known
        self.id, self.epochs, self.ended = known or f"id-{len(self.made)}", [], None
        self.made.append(self)

    def log(self, values, step):
        self.epochs.append((step, values))

    def end(self, values, step):
        self.ended = step, values

    def stop(self, status):
        self.ended = status


@pytest.fixture
def recorder(monkeypatch):
    monkeypatch.setattr(Recorder, "made", [])
    monkeypatch.setattr(tracking, "check_installed", lambda names: None)
    monkeypatch.setitem(tracking.TRACKERS, "wandb", Recorder)
    return Recorder


@pytest.fixture
def run_folder(tmp_path):
    """A run folder whose training begins."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.toml").write_text('recipe = "image_classification"\n')
    return folder


def train(folder, *names, **more):
    return kit.train(
        "image_classification",
        folder=folder,
        verbose=False,
        **TINY | {"train": {**TINY["train"], "track": names, **more}},
    )


def test_is_told_settings_epochs_and_scores(recorder, tmp_path):
    run = train(tmp_path / "run", "wandb")
    (tracker,) = recorder.made
    assert tracker.settings["train.epochs"] == 2 and tracker.settings["recipe"] == "image_classification"
    assert [step for step, _ in tracker.epochs] == [1, 2]
    assert tracker.epochs[1][1]["val_accuracy"] == pytest.approx(run.history["val_accuracy"][1])
    assert tracker.ended == (2, tracker.ended[1])
    assert tracker.ended[1]["test/accuracy"] == run.metrics["test"]["accuracy"]
    assert not tracking._OPEN


def test_a_resumed_run_goes_on_in_the_same_run_of_the_tracker(recorder, tmp_path):
    folder = tmp_path / "run"
    with moments.at(moments.AfterBatch(epoch=2, batch=2), moments.interrupt), pytest.raises(KeyboardInterrupt):
        train(folder, "wandb")
    assert recorder.made[0].ended == "KILLED" and not tracking._OPEN
    kit.train(folder=folder, verbose=False)
    first, second = recorder.made
    assert first.known is None and second.known == first.id == second.id
    assert read_json(folder / "trackers.json") == {"wandb": first.id}
    assert [step for step, _ in first.epochs] == [1] and [step for step, _ in second.epochs] == [2]


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (ArithmeticError, "FAILED"), (KeyboardInterrupt, "KILLED")]
)
def test_is_closed_when_the_training_ends_without_scores(recorder, error, status, run_folder):
    with pytest.raises(error) if error else contextlib.nullcontext(), tracking.closed(run_folder):
        tracking.begin(["wandb"], run_folder)
        if error:
            raise error
    assert recorder.made[0].ended == status and not tracking._OPEN


@pytest.mark.parametrize("raised", [ConnectionError, KeyboardInterrupt])
def test_closing_hides_no_exception(recorder, raised, monkeypatch, run_folder, caplog):
    def fails(*arguments):
        raise raised("no network")

    monkeypatch.setattr(recorder, "stop", fails)
    expected = ArithmeticError if raised is ConnectionError else KeyboardInterrupt  # Ctrl-C while it waits
    with pytest.raises(expected), tracking.closed(run_folder):
        tracking.begin(["wandb"], run_folder)
        raise ArithmeticError("diverged")
    assert not tracking._OPEN
    assert ("wandb is told no more of this run: no network" in caplog.text) == (raised is ConnectionError)


def test_closing_what_has_ended_says_nothing(recorder, tmp_path):
    with tracking.closed(tmp_path / "run"):
        train(tmp_path / "run", "wandb")
    assert recorder.made[0].ended[0] == 2


@pytest.mark.parametrize("where", ["__init__", "log", "end"])
def test_one_that_fails_is_a_warning(recorder, where, monkeypatch, tmp_path):
    def fails(*arguments):
        raise ConnectionError("no network\nat all")

    monkeypatch.setattr(recorder, where, fails)
    run = train(tmp_path / "run", "wandb")
    assert run.metrics["epochs"] == 2
    log = (run.folder / "run.log").read_text()
    assert log.count("wandb is told no more of this run: no network at all") == 1


def test_a_missing_package_is_named_before_the_training(monkeypatch, tmp_path):
    monkeypatch.setattr(tracking.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        SettingError, match=r"^train\.track: mlflow is not installed; expected `pip install mlflow-skinny "
    ):
        train(tmp_path / "run", "mlflow")
    assert not (tmp_path / "run").exists()
    with pytest.raises(SettingError, match=r"^train\.track: expected a list, each one of 'mlflow', 'wandb'"):
        train(tmp_path / "run", "tensorboard")


def test_mlflow_keeps_a_run_in_a_local_store(tmp_path, monkeypatch):
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store.db'}")
    folder = tmp_path / "run"
    with moments.at(moments.AfterBatch(epoch=2, batch=2), moments.interrupt), pytest.raises(KeyboardInterrupt):
        train(folder, "mlflow")
    assert not tracking._OPEN
    run = kit.train(folder=folder, verbose=False)
    client = MlflowClient()
    experiment = client.get_experiment_by_name("image_classification")
    (tracked,) = client.search_runs([experiment.experiment_id])
    assert tracked.info.status == "FINISHED" and tracked.info.run_id == read_json(folder / "trackers.json")["mlflow"]
    assert tracked.data.params["train.epochs"] == "2"
    assert tracked.data.metrics["test/accuracy"] == pytest.approx(run.metrics["test"]["accuracy"])
    history = client.get_metric_history(tracked.info.run_id, "val_accuracy")
    assert [each.step for each in history] == [1, 2]


@pytest.mark.parametrize(("error", "status"), [(ArithmeticError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_mlflow_is_told_how_a_run_ended_and_that_it_goes_on(error, status, run_folder, tmp_path, monkeypatch):
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store.db'}")
    with pytest.raises(error), tracking.closed(run_folder):
        tracking.begin(["mlflow"], run_folder)
        raise error
    client, number = MlflowClient(), read_json(run_folder / "trackers.json")["mlflow"]
    assert client.get_run(number).info.status == status
    with tracking.closed(run_folder):
        tracking.begin(["mlflow"], run_folder)
        assert client.get_run(number).info.status == "RUNNING"
        tracking.end(["mlflow"], run_folder, {"test": {"accuracy": 0.5}}, 1)
    assert client.get_run(number).info.status == "FINISHED"


def test_wandb_begins_a_run_beside_one_that_is_open(run_folder, monkeypatch):
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    other = wandb.init(project="other", dir=str(run_folder))  # of the user's own, or left open by whatever failed
    try:
        with pytest.raises(ArithmeticError), tracking.closed(run_folder):
            tracking.begin(["wandb"], run_folder)
            (own,) = tracking._OPEN[run_folder].values()
            assert own.id != other.id and own.run.project == "image_classification"
            raise ArithmeticError
        with pytest.raises(wandb.errors.UsageError, match="finished"):
            own.log({"loss": 1.0}, 2)
        other.log({"loss": 1.0})
    finally:
        other.finish()


def test_an_older_wandb_is_not_given_what_it_does_not_know(run_folder, monkeypatch):
    import wandb

    given = {}

    def init(project=None, reinit: bool | None = None, **settings):
        given.update(settings, reinit=reinit)
        return types.SimpleNamespace(id="a")

    monkeypatch.setattr(wandb, "init", init)
    tracking.WandB(run_folder, {}, None)
    assert given["reinit"] is None and given["name"] == "run"


def test_wandb_keeps_a_run_offline(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with caplog.at_level(logging.WARNING, "kit"):
        run = train(tmp_path / "run", "wandb")
    assert "told no more" not in (run.folder / "run.log").read_text()
    assert list((run.folder / "wandb").glob("offline-run-*/run-*.wandb"))
