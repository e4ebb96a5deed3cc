"""Files of a run folder that are damaged, or that hold something else: one line that names the file."""

import json
import shutil

import numpy as np
import pytest

import kit
from kit import cli
from kit.data.options import Division
from kit.data.splits import Kept, assign
from kit.errors import KitError
from kit.runs import assembly, finished
from kit.training import checkpoint

STATE = {
    "epochs": 2,
    "steps": 0,
    "stopped": False,
    "history": [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}],
    "counters": [{}, {"best": 1.0}],
    "seconds": [1.0, 1.0],
}
ARRAYS = {"variables": [np.zeros(3)], "best": [np.zeros((2, 2))]}


@pytest.fixture
def folder(small_run, tmp_path):
    shutil.copytree(small_run.folder, tmp_path / "run")
    return tmp_path / "run"


def without_sums(folder):
    """Makes a run of before check sums were kept."""
    (folder / "assets" / "sums.json").unlink()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("assets/assets.json", "[]", "assets.json: damaged; expected what prediction needs"),
        ("assets/assets.json", "{}", "assets.json: damaged; expected what prediction needs"),
        ("assets/assets.json", '{"class_names": ["a"]}', "assets.json: changed since the run began"),
        ("assets/calibration.json", '{"temperature": 0}', "calibration.json: damaged; expected numbers, a temperature"),
        ("assets/calibration.json", '{"temperature": "1"}', "calibration.json: damaged; expected numbers"),
        ("assets/calibration.json", "[]", "calibration.json: damaged; expected numbers"),
        ("metrics.json", "[]", "metrics.json: damaged; expected scores of 'test'"),
        ("metrics.json", '{"test": 5}', "metrics.json: damaged; expected scores of 'test'"),
        ("history.csv", "epoch,loss\n", "history.csv: missing or damaged"),
        ("history.csv", "loss\n1.0\n", "history.csv: missing or damaged"),
        ("config.toml", 'recipe = "image_classification"', r"config.toml: damaged; expected the settings of"),
        ("config.toml", 'recipe = "image_classification"\nevaluate = 5\n', r"config.toml: damaged"),
        ("config.toml", 'recipe = "image_classification"\n[train]\nseeds = "3"\n', "config.toml: damaged"),
        ("config.toml", "recipe = []", "config.toml: damaged; it names no recipe"),
    ],
)
def test_a_finished_run_with_another_content(folder, name, content, said):
    if "changed" not in said:
        without_sums(folder)
    (folder / name).write_text(content)
    with pytest.raises(KitError, match=said) as caught:
        kit.load(folder)
        finished.has_several(folder)
    assert "\n" not in str(caught.value)


def test_an_edited_division_is_noticed(folder):
    path = folder / "assets" / "splits.csv"
    whole = path.read_text()
    path.write_text(whole.replace(",train,", ",test,", 50))
    with pytest.raises(KitError, match="splits.csv: changed since the run began"):
        kit.evaluate(folder)
    path.write_bytes(whole.replace("\n", "\r\n").encode())  # as a version control system may write it
    kit.evaluate(folder)


def test_a_split_that_is_none_is_named():
    saved = assign(["a", "b", "c", "d"], None, Division(0.25, 0.25), None)
    saved.loc[2, "split"] = "tset"
    with pytest.raises(KitError, match="splits.csv: c is in 'tset'; expected one of train, validation, test"):
        assign(["a", "b", "c", "d"], None, Division(0.25, 0.25), Kept(saved))


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"steps_per_execution": 0}', '{"steps_per_execution": "4"}', '{"jit_compile": 3}']
)
def test_an_unfinished_run_with_another_environment(folder, content):
    (folder / "metrics.json").unlink()
    (folder / "environment.json").write_text(content)
    with pytest.raises(KitError, match="environment.json: damaged; expected versions"):
        kit.train("image_classification", folder=folder, verbose=False)


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 99},
        {"epochs": -1, "history": []},
        {"epochs": "2"},
        {"epochs": True},
        {"steps": None},
        {"stopped": "no"},
        {"history": []},
        {"history": [5, 5]},
        {"history": [{"epoch": 1}, {"epoch": 2, "loss": "low"}]},
        {"counters": [1]},
        {"counters": None},
        {"seconds": 1},
    ],
)
def test_a_state_that_is_none(tmp_path, change):
    path = tmp_path / "state.npz"
    checkpoint.save(path, ARRAYS, STATE)
    assert checkpoint.load_state(path, 2)[1] == STATE
    checkpoint.save(path, ARRAYS, STATE | change)
    with pytest.raises(KitError, match="state.npz: (missing or )?damaged"):
        checkpoint.load_state(path, 2)
    for values in ({}, [], 5):
        checkpoint.save(path, ARRAYS, values)
        with pytest.raises(KitError, match="state.npz: missing or damaged"):
            checkpoint.load_state(path, 2)
    for name in ARRAYS:
        checkpoint.save(path, {key: value for key, value in ARRAYS.items() if key != name}, STATE)
        with pytest.raises(KitError, match="state.npz: damaged"):
            checkpoint.load_state(path, 2)


def test_a_run_that_is_finished_prints_its_scores(folder, capsys):
    command = ["train", "image_classification", "--folder", str(folder), "--json"]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    assert "this run is finished" in out and "test  accuracy" in out
    assert json.loads(out.splitlines()[-1])["metrics"] == json.loads((folder / "metrics.json").read_text())
    for more, said in (
        (["--train.epochs=7"], "train.epochs: the run in"),
        (["--evaluate.top_k=3"], "evaluate.top_k: the run in"),
        (["--seed=5"], "seed: the run in"),
    ):
        assert cli.main([*command[:-1], *more]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(KitError, match="this run is finished"):  # who knows whether these are the same
        kit.train("image_classification", folder=folder, data=(np.zeros((9, 8, 8, 1), "uint8"), np.arange(9) % 2))


def test_a_run_is_shown_in_a_line(small_run):
    shown = repr(small_run)
    assert len(shown) < 300 and "\n" not in shown
    assert shown.startswith("Run(image_classification, ") and str(small_run.folder) in shown and "accuracy" in shown
    page = small_run._repr_html_()
    assert page.startswith("<b>small</b><table>") and "accuracy" in page and "report.html" in page


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"batch_size": 0}, "predict.batch_size: expected a whole number above 0, got 0"),
        ({"foo": 1}, "predict.foo: unknown setting"),
        ({"flip": "maybe"}, "predict.flip: expected true or false, got 'maybe'"),
        ({"batch_size": np.array([1, 2])}, "predict.batch_size: expected a whole number"),
    ],
)
def test_settings_of_a_prediction_are_checked_in_python_too(small_run, settings, said):
    with pytest.raises(KitError, match=said):
        small_run.predict(np.zeros((1, 8, 8, 1), "uint8"), **settings)
    with pytest.raises(KitError, match="inputs: expected images of shape .*, got such of different shapes"):
        small_run.predict([[1, 2], [3]])
    assert len(small_run.predict(np.zeros((2, 8, 8, 1), "uint8"), batch_size=np.int64(1), flip=True)) == 2


def test_what_a_run_beside_has_learned_of_the_same_data_is_used_again(small_run, tmp_path):
    data = small_run.settings["data"]
    found = assembly._of_equal_data((tmp_path, small_run.folder), data)
    assert found.assets == json.loads((small_run.folder / "assets" / "assets.json").read_text())
    assert assembly._of_equal_data((small_run.folder,), data | {"validation_fraction": 0.3}) is None
