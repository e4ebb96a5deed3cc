"""Studies with real trials, in processes of their own, on the digits."""

import dataclasses
import json
import os
import signal
from types import SimpleNamespace

import pandas as pd
import pytest

import kit
from kit.errors import KitError, SettingError
from kit.files import read_json
from kit.runs import assembly, run, schema
from kit.tuning import study
from kit.tuning.running import Running
from tests import processes
from tests.moments import AtCall, AtWrite

SMALL = {
    "model": {"backbone": "mlp"},
    "backbone": {"units": [8]},
    "train": {"epochs": 3, "steps_per_epoch": 3, "steps_per_execution": 1},
}
FLAGS = [f"--{table}.{key}={value}" for table, keys in SMALL.items() for key, value in keys.items()]
SPACE = {"optimizer.learning_rate": {"min": 1e-3, "max": 3e-2, "sampling": "log"}, "train.batch_size": [16, 32]}


def settings_of(trials):
    """Returns what was tried, without what depends on the machine."""
    return trials[["trial", "optimizer.learning_rate", "train.batch_size", "score"]].to_dict("records")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "small"
    return kit.tune(
        "image_classification",
        trials=4,
        folder=folder,
        space=SPACE,
        tune={"workers": 2, "threads": 1, "median_stop": False},
        verbose=False,
        **SMALL,
    )


def test_a_study_leaves_its_table_its_page_and_the_best_settings(done):
    assert list(done.trials["trial"]) == [0, 1, 2, 3] and set(done.trials["state"]) == {"completed"}
    assert done.score == done.trials["score"].max() and done.monitor == "val_accuracy" and done.mode == "max"
    row = done.trials.loc[done.trials["score"].idxmax()]
    assert {key: row[key] for key in SPACE} == done.best
    assert "<img" in (done.folder / "report.html").read_text(encoding="utf-8")
    kept = [path.parent.name for path in done.folder.glob("trials/*/checkpoint")]
    assert kept == [row["folder"]]
    read = study.load(done.folder)
    assert read.best == done.best and settings_of(read.trials) == settings_of(done.trials)


def test_a_trial_is_the_run_that_its_settings_make(done, empty_folder):
    trained = kit.train("image_classification", config=done.folder / "best.toml", folder="again", verbose=False)
    assert trained.history["val_accuracy"].max() == pytest.approx(done.score, abs=0)
    assert "tune" not in (empty_folder / "again" / "config.toml").read_text(encoding="utf-8")


def test_the_best_settings_with_other_seeds_keep_the_test_split(done, empty_folder):
    trained = kit.train(
        "image_classification",
        config=done.folder / "best.toml",
        folder="more",
        seed=1,
        verbose=False,
        train={"seeds": 2},
    )
    of_study = pd.read_csv(next(done.folder.glob("trials/*/assets/splits.csv")))
    for folder in trained.folders:
        assert pd.read_csv(folder / "assets" / "splits.csv").equals(of_study)


def test_the_best_trial_is_ended_without_training_again(done, empty_folder):
    import shutil

    best = done.trials.loc[done.trials["score"].idxmax(), "folder"]
    shutil.copytree(done.folder / "trials" / best, "copy")
    ended = kit.train(folder="copy", verbose=False)
    assert ended.metrics["test"]["accuracy"] > 0.1 and len(ended.history) == 3


def test_a_trial_does_not_open_the_test_split(monkeypatch, empty_folder):
    class Sealed:
        def __len__(self):
            return 1

        def __getattr__(self, name):
            raise AssertionError("the test split was opened")

    read = assembly._splits

    def sealed(*arguments):
        return dataclasses.replace(read(*arguments), test=Sealed())

    flat = {f"{table}.{key}": value for table, each in SMALL.items() for key, value in each.items()}
    seen, arguments = [], {"config": None, "folder": empty_folder / "trial", "seed": 0}
    with monkeypatch.context() as patch:
        patch.setattr(assembly, "_splits", sealed)
        trained, monitor, mode = run.train_trial(
            "image_classification", flat, watch=lambda epoch, value: seen.append(epoch) or epoch == 2, **arguments
        )
    assert (monitor, mode, seen, len(trained.history)) == ("val_accuracy", "max", [1, 2], 2)
    # Carried on, it is the run that was never stopped.
    trained, _, _ = run.train_trial(
        "image_classification", flat, watch=lambda epoch, value: seen.append(epoch), **arguments
    )
    assert seen == [1, 2, 1, 2, 3]
    whole = kit.train("image_classification", folder="whole", verbose=False, **SMALL)
    assert [row["val_accuracy"] for row in trained.history] == list(whole.history["val_accuracy"])


def test_a_trial_that_fails_says_why_and_stops_no_other(empty_folder):
    found = kit.tune(
        "image_classification",
        trials=3,
        space={"optimizer.learning_rate": [0.01, 1e30, 0.02]},
        tune={"algorithm": "grid", "workers": 1},
        verbose=False,
        **SMALL,
    )
    assert list(found.trials["state"]) == ["completed", "failed", "completed"]
    assert "became nan" in found.trials["message"][1] and found.trials["message"].isna().sum() == 2


def test_a_study_whose_every_trial_fails_ends_soon(empty_folder):
    with pytest.raises(KitError, match="5 trials failed one after the other.*became nan"):
        kit.tune(
            "image_classification",
            trials=30,
            space={"optimizer.learning_rate": {"min": 1e30, "max": 1e31}},
            verbose=False,
            **SMALL,
        )


@pytest.mark.parametrize(("retries", "state"), [(1, "completed"), (0, "failed")])
def test_a_worker_that_is_killed_is_tried_again_or_reported(retries, state, monkeypatch, empty_folder):
    hear, killed = Running._hear, []

    def hear_and_kill(self, connection):
        attempt = self.busy[connection]
        hear(self, connection)
        if not killed and attempt.number == 1 and len(self.curves[attempt.name]) == 1:
            killed.append(attempt.number)
            os.kill(attempt.worker.process.pid, signal.SIGKILL)

    monkeypatch.setattr(Running, "_hear", hear_and_kill)
    found = kit.tune(
        "image_classification",
        trials=2,
        space=SPACE,
        tune={"retries": retries, "median_stop": False},
        verbose=False,
        **SMALL,
    )
    assert killed and found.trials["state"][1] == state
    if state == "failed":
        assert "killed by SIGKILL" in found.trials["message"][1]


@pytest.mark.parametrize(
    "algorithm", [pytest.param("random", marks=pytest.mark.slow), pytest.param("grid", marks=pytest.mark.large)]
)
def test_a_study_killed_five_times_is_the_study_that_was_not(algorithm, empty_folder):
    words = [*FLAGS, "--tune.trials=6", "--tune.workers=2", "--tune.threads=1", "--tune.median_stop=false"]
    words += [f"--tune.algorithm={algorithm}", "--tune.space.optimizer.learning_rate=[0.001, 0.003, 0.01]"]
    for key in ("model.backbone", "model.label_smoothing", "optimizer.name", "optimizer.weight_decay"):
        words.append(f"--tune.space.{key}=false")
    for key in ("optimizer.momentum", "data.translation"):
        words.append(f"--tune.space.{key}=false")

    def tune(folder, dies=None):
        return processes.kit("tune", "image_classification", "--folder", folder, *words, dies=dies)

    assert "best  trial" in tune("whole").output
    hears = "kit.tuning.running.Running._hear"
    for moment, ended in (
        (AtWrite("study.toml", is_written=True), 0),
        (AtCall(hears, count=2), 0),
        (AtWrite("trials.csv"), 1),
        (AtCall(hears, count=5), None),
        (AtWrite("trials.csv", count=2, is_written=True), None),
    ):
        process = tune("killed", moment)
        assert process.status == -signal.SIGKILL, process.output
        journal = empty_folder / "killed" / "journal.jsonl"
        lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
        assert ended in (None, sum("end" in json.loads(line) for line in lines)), moment
    assert len(lines) < 12
    output = tune("killed").output
    assert "best  trial" in output, output
    whole, killed = study.load("whole"), study.load("killed")
    assert settings_of(whole.trials) == settings_of(killed.trials)
    assert whole.best == killed.best and whole.score == killed.score


def test_an_interrupted_study_is_carried_on(monkeypatch, empty_folder):
    arguments = {"trials": 3, "folder": "study", "space": SPACE, "verbose": False, **SMALL}
    end = Running._end

    def end_and_interrupt(self, attempt, result):
        end(self, attempt, result)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Running, "_end", end_and_interrupt)
        with pytest.raises(KeyboardInterrupt):
            kit.tune("image_classification", tune={"median_stop": False, "workers": 2}, **arguments)
    with pytest.raises(SettingError, match="tune.space: the study in study was started with another space"):
        kit.tune(folder="study", space={"train.batch_size": [16]}, verbose=False)
    with pytest.raises(SettingError, match="tune.algorithm: .*started with 'random', not 'grid'"):
        kit.tune(folder="study", tune={"algorithm": "grid"}, verbose=False)
    with pytest.raises(SettingError, match="train.patience: .*started with 0, not 3"):
        kit.tune(folder="study", train={"patience": 3}, verbose=False)
    with pytest.raises(SettingError, match="tune.trials: expected at least 2, which were begun already"):
        kit.tune(folder="study", trials=1, verbose=False)
    found = kit.tune(folder="study", trials=4, train={"min_delta": 0.0}, verbose=False)
    assert list(found.trials["trial"]) == [0, 1, 2, 3]
    journal = (empty_folder / "study" / "journal.jsonl").read_text(encoding="utf-8")
    assert sum("end" in json.loads(line) for line in journal.splitlines()) == 4


@pytest.mark.slow
def test_hyperband_trains_on_in_the_same_folder(empty_folder):
    found = kit.tune(
        "image_classification",
        trials=3,
        space=SPACE,
        tune={"algorithm": "hyperband", "workers": 2, "median_stop": False},
        verbose=False,
        **SMALL,
    )
    assert found.trials["epochs"].min() == 1 and found.trials["epochs"].max() == 3
    on = found.trials[found.trials["folder"].duplicated()]
    assert (on["epochs"] == 3).all()
    # Three of one epoch, the best of them for two more, and one whole training; a second one would be too many.
    assert len(on) == 1 and sum(found.trials.drop_duplicates("folder", keep="last")["epochs"]) == 8


@pytest.mark.slow
def test_the_best_settings_are_trained_on_all_but_the_test_split(empty_folder):
    found = kit.tune(
        "image_classification", trials=1, space=SPACE, tune={"retrain": True, "workers": 1}, verbose=False, **SMALL
    )
    metrics = read_json(found.folder / "retrained-0000" / "metrics.json")
    assert found.retrained == metrics["test"] and "validation" not in metrics and metrics["best_epoch"] == 3
    again = kit.tune(folder=found.folder, verbose=False)
    assert again.retrained == found.retrained


def running(curves, *, epochs=8, mode="max", unchosen=None, **settings):
    """Returns what the median rule looks at."""
    fake = SimpleNamespace(curves=curves, epochs=epochs, sign=1 if mode == "max" else -1, unchosen=unchosen or {})
    fake.search = study.Search(**settings)
    fake.best_value = lambda values: Running.best_value(fake, values)
    return lambda name: Running._is_hopeless(fake, name)


def test_the_median_rule():
    curves = {str(index): [0.1 * index] * 3 for index in range(1, 7)}
    curves |= {"bad": [0.0, 0.2], "good": [0.9, 0.0], "early": [0.0]}
    is_hopeless = running(curves)
    assert is_hopeless("bad") and not is_hopeless("good") and not is_hopeless("early")
    assert not running(curves, median_stop=False)("bad")
    assert not running(curves, median_epochs=3)("bad")
    assert running(curves, mode="min")("6") and not running(curves, mode="min")("bad")
    chosen = dict.fromkeys(("1", "2", "3"), 1)
    assert not running(curves, unchosen=chosen)("bad"), "too few were a fair sample"
    few = {name: curves[name] for name in ("1", "2", "3", "4", "bad")}
    assert not running(few)("bad")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"data": [[0.0]]}, "data: trials run in processes of their own"),
        ({"tune": {"trials": 0}}, "tune.trials: expected at least 1"),
        ({"tune": {"algorithm": "grit"}}, "tune.algorithm: .*did you mean 'grid'"),
        ({"tune": {"factor": 1}}, "tune.factor: expected at least 2"),
        ({"tune": {"trails": 2}}, "tune.trails: unknown setting; did you mean 'trials'"),
        ({"tune": {"time_limit_seconds": 0.0}}, "tune.time_limit_seconds"),
        ({"space": [1]}, "space: expected a dictionary"),
        ({"train": {"use_validation": True, "patience": 0}}, "train.use_validation: expected false"),
        ({"train": {"epochs": 0}}, "train.epochs: expected at least 1"),
        ({"train": {"epohs": 1}}, "^train.epohs: unknown setting"),
        ({"space": {"data.source": ["no_such_folder"]}}, "no_such_folder.*in the rehearsal"),
        ({"train": {"monitor": "val_f1"}}, "train.monitor: unknown name 'val_f1'.*in the rehearsal"),
        ({"config": "nothing"}, "config: no TOML file 'nothing'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_trial(arguments, said, empty_folder):
    with pytest.raises(KitError, match=said):
        kit.tune("image_classification", folder="study", verbose=False, **arguments)
    assert not list(empty_folder.glob("study/trials/*"))


def test_paths_are_kept_from_wherever_the_study_is_carried_on(empty_folder):
    (empty_folder / "earlier").mkdir()
    content = study._settings(
        schema.get("image_classification"), empty_folder / "study", {"train.start_from": "earlier"}, None, None, SPACE
    )[1]
    assert content["train"]["start_from"] == str(empty_folder.resolve() / "earlier")


def test_a_folder_with_other_files_is_left_alone(empty_folder):
    (empty_folder / "mine").mkdir()
    (empty_folder / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(KitError, match="holds other files"):
        kit.tune("image_classification", folder="mine", verbose=False)
    assert [path.name for path in (empty_folder / "mine").iterdir()] == ["notes.txt"]


def test_trials_csv_is_a_plain_table(done):
    table = pd.read_csv(done.folder / "trials.csv")
    assert {"trial", "state", "score", "epochs", "seconds", "memory_mb", *SPACE, "message"} <= set(table.columns)
