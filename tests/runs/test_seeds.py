"""One command, several seeds: each run is the one that its seed alone gives, and together they are a folder to read."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

import kit
from kit import cli, config
from kit.commands.export import export
from kit.errors import KitError, SettingError
from kit.files import read_json
from kit.reporting import several as statistics
from kit.runs import finished, run
from tests.agents.test_dqn import Tiny  # noqa: F401 - registers environments that are solved in seconds
from tests.conformance import assert_same
from tests.conftest import TINY
from tests.moments import AtWrite, interrupted
from tests.recipes.test_dqn import SMALL
from tests.runs.test_resume import end, epochs, kill

DIGITS = {**TINY, "train": TINY["train"] | {"steps_per_epoch": 3}}


def changed(settings, **more):
    return {**settings, "train": settings["train"] | more}


@pytest.fixture(scope="module")
def agents(tmp_path_factory):
    """Three agents, from seed 1 on."""
    folder = tmp_path_factory.mktemp("runs") / "agents"
    return kit.train("dqn", folder=folder, seed=1, verbose=False, **changed(SMALL, seeds=3))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Two classifiers of images."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    return kit.train("image_classification", folder=folder, verbose=False, **changed(DIGITS, seeds=2))


def same(one, other):
    """Whether two run folders hold the same run, bit for bit."""
    for name in ("history.csv", "config.toml"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    models = [keras.models.load_model(folder / "best.keras", compile=False) for folder in (one, other)]
    assert [layer.name for layer in models[0].layers] == [layer.name for layer in models[1].layers]
    for first, second in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(first, second)
    assert read_json(one / "metrics.json")["test"] == read_json(other / "metrics.json")["test"]


def test_each_is_the_run_that_its_seed_alone_gives(agents, digits, tmp_path):
    for several, settings, wanted in ((agents, SMALL, (1, 2)), (digits, DIGITS, (0, 1))):
        for seed in wanted:
            keras.utils.clear_session()  # names are counted as in a new process
            folder = tmp_path / f"{several.recipe.name}-{seed}"
            kit.train(several.recipe.name, folder=folder, seed=seed, verbose=False, **settings)
            same(several.folder / f"seed-{seed}", folder)


def test_all_seeds_are_scored_on_one_test_split(digits):
    first, second = (pd.read_csv(digits.folder / f"seed-{seed}" / "assets" / "splits.csv") for seed in (0, 1))
    assert first.equals(second) and set(first["split"]) == {"train", "validation", "test"}


def test_a_run_of_the_time_when_its_seed_divided_the_data_keeps_its_division(digits, tmp_path):
    folder = tmp_path / "earlier"
    shutil.copytree(digits.folder / "seed-1", folder)
    text = (folder / "config.toml").read_text(encoding="utf-8")
    assert "split_seed = 0\n" in text
    (folder / "config.toml").write_text(text.replace("split_seed = 0\n", ""), encoding="utf-8")
    assert kit.load(folder).settings["data"]["split_seed"] == 1
    assert kit.evaluate(folder).metrics == read_json(folder / "metrics.json")["test"]


def test_the_folder_explains_itself(agents):
    folder = agents.folder
    assert {path.name for path in folder.iterdir()} >= {"config.toml", "metrics.json", "report.html", "run.log"}
    assert config.read_toml(folder / "config.toml")["train.seeds"] == 3
    for seed in (1, 2, 3):
        own = config.read_toml(folder / f"seed-{seed}" / "config.toml")
        assert own["seed"] == seed and own["train.seeds"] == 1
    metrics = read_json(folder / "metrics.json")
    assert metrics == agents.metrics
    found = [read_json(folder / f"seed-{seed}" / "metrics.json") for seed in (1, 2, 3)]
    for part in ("test", "validation", "test_of_last_epoch"):
        for name, score in metrics[part].items():
            values = [each[part][name] for each in found]
            assert score["seeds"] == values
            assert score["mean"] == pytest.approx(np.mean(values))
            assert score["std"] == pytest.approx(np.std(values, ddof=1))
            assert score["iqm_low"] <= score["iqm"] <= score["iqm_high"]
    page = (folder / "report.html").read_text()
    assert all(f'<a href="seed-{seed}/report.html">' in page for seed in (1, 2, 3))
    assert "kit train dqn --config" in page and "http" not in page
    assert "Test split, the weights of the last epoch" in page


def test_what_python_gets(agents, digits):
    assert [each.settings["seed"] for each in agents.runs] == [1, 2, 3]
    assert agents.table["run"].tolist() == ["seed-1", "seed-2", "seed-3"]
    values = [each.history["val_accuracy"].max() for each in digits.runs]
    assert digits.best.settings["seed"] == int(np.argmax(values))
    assert digits.metrics["monitor"] == "val_accuracy"
    assert digits.metrics["monitored"]["seeds"] == values
    again = kit.load(digits.folder)
    assert again.metrics == digits.metrics and again.best.folder == digits.best.folder
    images = np.zeros((2, 8, 8, 1), np.uint8)
    pd.testing.assert_frame_equal(again.predict(images), digits.best.predict(images))
    assert not {name for name in digits.metrics["test"] if name.endswith(("_low", "_high"))}


def test_what_is_done_with_the_folder(digits, capsys):
    folder = digits.folder
    page = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    assert kit.report(folder) == folder / "report.html"
    assert (folder / "report.html").read_text() == page
    assert finished.evaluate(folder).metrics == digits.metrics["test"]
    assert cli.main(["evaluate", str(folder), "--split", "validation", "--json"]) == 0
    out = capsys.readouterr().out
    assert " ± " in out
    assert json.loads(out.splitlines()[-1])["metrics"] == digits.metrics["validation"]
    with pytest.raises(KitError, match="holds several runs; expected single runs, such as .*seed-"):
        finished.compare([folder, digits.best.folder])
    _, table = finished.compare([folder / "seed-0", folder / "seed-1"], "page.html")
    assert table["run"].tolist() == ["seed-0", "seed-1"]
    assert export(folder, "saved_model", "exported").difference < 1e-3
    more = {"train": DIGITS["train"] | {"start_from": str(folder), "epochs": 1}}
    kit.train("image_classification", folder="next", verbose=False, **{**DIGITS, **more})


def test_predict_names_the_run_that_it_applies(agents, capsys):
    assert cli.main(["predict", str(agents.folder), "--episodes", "2", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == f"{agents.best.folder} is applied, the best of its seeds by validation\n"
    assert json.loads(captured.out.splitlines()[-1])["folder"] == str(agents.best.folder)


@pytest.mark.slow
def test_the_terminal_says_which_seed_and_what_came_out(capsys):
    flags = [f"--{name}.{key}={value}" for name in ("train", "evaluate") for key, value in DIGITS[name].items()]
    flags.append("--model.backbone=mlp")
    assert cli.main(["train", "image_classification", "--folder", "runs/a", "--train.seeds=2", "--seed=7", *flags]) == 0
    out = capsys.readouterr().out
    assert "seed 7, 1 of 2\n" in out and "seed 8, 2 of 2\n" in out
    last = out.splitlines()[-3:]
    assert last[0].startswith("test  accuracy 0.") and " ± " in last[0]
    assert last[1] == "page  runs/a/report.html"
    assert last[2].startswith("use   kit predict runs/a/seed-") and last[2].endswith("# the best of 2 by validation")
    assert cli.main(["train", "image_classification", "--folder", "runs/a"]) == 0
    out = capsys.readouterr().out
    assert "this run is finished" in out and out.splitlines()[-3:] == last
    shown = kit.load("runs/a")
    assert (
        repr(shown).startswith("Runs(image_classification, 'runs/a', 2 seeds, accuracy 0.") and len(repr(shown)) < 200
    )
    assert "2 seeds" in shown._repr_html_() and "standard deviation" in shown._repr_html_()


@pytest.mark.parametrize("when", [(1, 1), *(pytest.param(each, marks=pytest.mark.slow) for each in ((2, 0), (2, 1)))])
def test_what_was_interrupted_ends_like_what_was_not(digits, when, monkeypatch, capsys):
    with interrupted(monkeypatch, *when):
        kit.train("image_classification", folder="run", **changed(DIGITS, seeds=2))
    out = capsys.readouterr().out
    assert out.count("--folder run carries on") == 1 and "--folder run/seed" not in out
    with pytest.raises(KitError, match=r"run: this run is not finished; .* --folder run`"):
        kit.load("run")
    with pytest.raises(SettingError, match=r"train\.seeds: the run in run was started with 2, not 3"):
        kit.train("image_classification", folder="run", train={"seeds": 3})
    with pytest.raises(SettingError, match=r"train\.epochs: the run in run was started with 2, not 5"):
        kit.train("image_classification", folder="run", train={"epochs": 5})
    with pytest.raises(SettingError, match="seed: the run in run has 0, not 1"):
        kit.train("image_classification", folder="run", seed=1)
    kept = {path: path.stat().st_mtime_ns for path in Path("run").glob("seed-0/metrics.json")}
    done = kit.train("image_classification", folder="run", verbose=False)
    assert all(path.stat().st_mtime_ns == moment for path, moment in kept.items())
    for seed in (0, 1):
        same(done.folder / f"seed-{seed}", digits.folder / f"seed-{seed}")
    assert done.metrics["test"] == digits.metrics["test"]


@pytest.mark.slow
def test_killed_in_the_second_seed_it_ends_like_that_seed_alone(tmp_path):
    several, alone = tmp_path / "several", tmp_path / "alone"
    kill("dqn", several, AtWrite("state.npz", count=8 + 4), "--train.seeds=2")  # eight are of the first seed
    assert epochs(several / "seed-1") == 3 and (several / "seed-0" / "metrics.json").exists()
    output = end("dqn", several, "--train.seeds=2")
    assert "seed 0, 1 of 2: finished before" in output and "going on after epoch 3" in output
    end("dqn", alone, "--seed=1")
    assert_same(several / "seed-1", alone)
    assert (several / "seed-1" / "config.toml").read_bytes() == (alone / "config.toml").read_bytes()


@pytest.mark.slow
def test_the_newest_unfinished_one_is_resumed_and_finished_seeds_are_kept(digits, capsys):
    folder = "runs/image_classification/2030-01-01-000000"
    shutil.copytree(digits.folder, folder)
    shutil.rmtree(f"{folder}/seed-1")
    for name in ("metrics.json", "report.html"):
        (Path(folder) / name).unlink()
    assert cli.main(["train", "image_classification", "--resume", "last"]) == 0
    out = capsys.readouterr().out
    assert "seed 0, 1 of 2: finished before\n" in out
    same(Path(folder) / "seed-1", digits.folder / "seed-1")


def test_a_run_of_other_settings_in_its_place_is_refused(digits):
    shutil.copytree(digits.folder, "run")
    for name in ("metrics.json", "seed-1/metrics.json"):
        (Path("run") / name).unlink()
    kit.train("image_classification", folder="run/seed-1", verbose=False)  # by hand, with its own settings: the same
    path = Path("run/seed-1/config.toml")
    path.write_text(path.read_text().replace("epochs = 2", "epochs = 3"))
    with pytest.raises(SettingError, match=r"train\.epochs: the run in run/seed-1 was started with 3, not 2"):
        kit.train("image_classification", folder="run", verbose=False)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"train": {"seeds": 0}}, "train.seeds: expected at least 1, got 0"),
        ({"train": {"seeds": -3}}, "train.seeds: expected at least 1, got -3"),
        ({"train": {"seeds": 1.5}}, "train.seeds: expected a whole number, got 1.5"),
        ({"train": {"seeds": 2**40}}, "train.seeds: expected a whole number of at most 2147483647"),
        ({"train": {"seeds": 3}, "seed": 2**31 - 2}, "train.seeds: expected seeds up to 2147483647"),
        ({"train": {"seeds": 2}, "data": {"source": "nowhere"}}, "data.source: no file or folder 'nowhere'"),
        ({"train": {"seeds": 2, "epochs": -1}}, "train.epochs: expected at least 0, got -1"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(settings, said, empty_folder):
    with pytest.raises(KitError, match=said) as caught:
        kit.train("image_classification", verbose=False, **settings)
    assert "\n" not in str(caught.value)
    assert not (empty_folder / "runs").exists()


def test_a_model_of_ones_own_has_one_beginning(empty_folder):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    with pytest.raises(SettingError, match=r"train\.seeds: expected 1 with a model of one's own"):
        kit.train(model=model, train={"seeds": 2}, verbose=False)


@pytest.mark.slow
def test_data_given_in_python_and_the_policy_of_keras(empty_folder):
    random = np.random.default_rng(0)
    data = (random.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8), np.arange(60) % 3)
    settings = {**DIGITS, "train": {"epochs": 1, "batch_size": 10, "seeds": 2}}
    before = keras.config.dtype_policy().name
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        done = kit.train("image_classification", data=data, verbose=False, **settings)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(before)
    assert len(done.table) == 2
    assert finished.evaluate(done.folder, data=data).metrics == done.metrics["test"]


@pytest.mark.slow
def test_where_nothing_is_left_to_judge_the_first_is_taken(empty_folder):
    settings = changed(DIGITS, seeds=2, use_validation=True, patience=0)
    done = kit.train("image_classification", verbose=False, **settings)
    assert done.metrics["best"] == "seed-0" and "validation" not in done.metrics
    assert "weights of the last epoch" in (done.folder / "report.html").read_text()


def test_other_verbs(capsys, empty_folder):
    one, three = (kit.dry_run("dqn", verbose=False, **changed(SMALL, seeds=count)) for count in (1, 3))
    assert three["epochs"] == one["epochs"]
    steps = three["steps_per_epoch"] * three["epochs"] * 3
    assert three["seconds_estimated"] == pytest.approx(three["seconds_per_step"] * steps, abs=0.06)
    assert cli.main(["tune", "image_classification", "--train.seeds=2"]) == 2
    assert "train.seeds: expected 1: all trials have one seed" in capsys.readouterr().err
    assert cli.main(["show", "dqn"]) == 0
    assert "Runs of the same settings" in " ".join(capsys.readouterr().out.split())


def test_statistics_over_runs():
    found = statistics.statistics([3.0, 1.0, 2.0, 100.0])
    assert found["mean"] == 26.5 and found["iqm"] == 2.5
    assert found["std"] == pytest.approx(np.std([1, 2, 3, 100], ddof=1))
    # All 256 ways to draw four runs, in place of some at random: the percentiles of their interquartile means.
    grid = np.stack(np.meshgrid(*[[1, 2, 3, 100]] * 4), -1).reshape(-1, 4)
    middle = np.sort(grid)[:, 1:3].mean(1)
    low, high = np.quantile(middle, (0.025, 0.975))
    assert found["iqm_low"] == pytest.approx(low) and found["iqm_high"] == pytest.approx(high)
    assert statistics.statistics([2, 2])["iqm_high"] == 2
    runs = [{"test": {"a": 1.0, "a_low": 0.5, "kind": "x"}, "n": 2}, {"test": {"a": 2.0, "a_low": 0.5, "b": 3}, "n": 2}]
    summary = statistics.summarize(runs)
    assert set(summary) == {"test", "n"} and set(summary["test"]) == {"a"}


def test_curves_are_drawn_over_steps_of_the_environment_and_as_far_as_all_go():
    long = pd.DataFrame({"epoch": [1, 2, 3], "environment_steps": [10, 20, 30], "val_return": [1.0, 2.0, 3.0]})
    axis = statistics.curves([long, long[:2] + 0.5], "val_return").axes[0]
    assert axis.get_xlabel() == "steps in the environment"
    assert [len(line.get_xdata()) for line in axis.lines] == [3, 2, 2]
    np.testing.assert_allclose(axis.lines[-1].get_ydata(), [1.25, 2.25])
    assert statistics.curves([long[["epoch", "val_return"]]] * 2, "val_return").axes[0].get_xlabel() == "epoch"


def test_a_trial_is_a_single_run(empty_folder):
    with pytest.raises(SettingError, match=r"train\.seeds: expected 1"):
        run.train_trial(
            "image_classification", {"train.seeds": 2}, config=None, folder=empty_folder / "run", seed=0, watch=None
        )
