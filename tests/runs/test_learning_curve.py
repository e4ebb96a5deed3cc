"""The learning curve over the number of training examples, and the share of them that it trains on."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

import kit
from kit.cli import main
from kit.config import read_toml
from kit.data.columns import Dense
from kit.data.examples import Examples
from kit.data.splits import share_of
from kit.errors import KitError, SettingError
from kit.files import read_json, write_json
from tests.conftest import TINY, draw


def test_a_share_has_all_classes_and_is_part_of_a_larger_one():
    labels = np.repeat([0, 1, 2], [80, 16, 1])
    examples = Examples({"value": Dense(np.arange(97))}, {"label": Dense(labels)})
    half, quarter = share_of(examples, 0.5, 0), share_of(examples, 0.25, 0)
    assert list(np.bincount(half.target("label"))) == [40, 8, 1]
    assert list(np.bincount(quarter.target("label"))) == [20, 4, 1]
    assert set(quarter.input("value")) < set(half.input("value"))
    assert list(half.input("value")) == sorted(half.input("value"))
    assert set(share_of(examples, 0.5, 1).input("value")) != set(half.input("value"))
    plain = Examples({"value": Dense(np.arange(10))})
    assert len(share_of(plain, 0.3, 0)) == 3


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_no_such_share(tmp_path, share):
    with pytest.raises(SettingError, match=r"^train\.share: expected above 0, at most 1"):
        kit.train("image_classification", folder=tmp_path / "run", verbose=False, train={"share": share})


@pytest.fixture(scope="module")
def run_folder(small_run, tmp_path_factory):
    return shutil.copytree(small_run.folder, tmp_path_factory.mktemp("curve") / "run")


def test_estimates_what_twice_the_examples_would_give(run_folder, capsys):
    assert main(["learning-curve", str(run_folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["score"] == "accuracy" and found["doubled"] == 2 * found["examples"][-1]
    assert found["low"] <= found["value"] <= found["high"]
    assert found["scores"][-1] == read_json(run_folder / "metrics.json")["test"]["accuracy"]
    for part, share in (("quarter", 0.25), ("half", 0.5)):
        settings = read_toml(run_folder / "learning_curve" / part / "config.toml")
        assert settings["train.share"] == share and settings["train.steps_per_epoch"] == 4
    logs = [run_folder / name / "run.log" for name in ("learning_curve/quarter", "learning_curve/half", ".")]
    trained = [re.search(r"([\d,]+) training", log.read_text())[1] for log in logs]
    assert [f"{count:,}" for count in found["examples"]] == trained  # of each class as near as possible
    page = (run_folder / "report.html").read_text()
    assert "Twice as many training examples" in page and "More training examples" in page


def test_what_was_trained_is_kept(run_folder):
    if not (run_folder / "learning_curve.json").exists():
        kit.learning_curve(run_folder, verbose=False)
    before = [path.stat().st_mtime_ns for path in sorted(run_folder.glob("learning_curve/*/best.keras"))]
    kit.learning_curve(run_folder, verbose=False)
    assert [path.stat().st_mtime_ns for path in sorted(run_folder.glob("learning_curve/*/best.keras"))] == before


def test_a_damaged_curve_is_named(small_run, tmp_path):
    folder = shutil.copytree(small_run.folder, tmp_path / "run")
    write_json(folder / "learning_curve.json", {"score": "accuracy"})
    with pytest.raises(KitError, match=r"learning_curve\.json: missing or damaged"):
        kit.report(folder)


def test_refuses(small_run, tmp_path, photos, capsys):
    folder = shutil.copytree(small_run.folder, tmp_path / "run")
    metrics = read_json(folder / "metrics.json")
    write_json(folder / "metrics.json", metrics | {"test": {"psnr": 20.0}})
    assert main(["learning-curve", str(folder)]) == 2
    assert "no score of image_classification has an interval" in capsys.readouterr().err
    few = kit.train("image_classification", data=photos, folder=tmp_path / "few", verbose=False, **_batch_of_8())
    assert main(["learning-curve", str(few.folder)]) == 2
    assert "a quarter of the 17 training examples is less than a batch of 8" in capsys.readouterr().err
    assert not (few.folder / "learning_curve").exists()
    assert main(["learning-curve", str(tmp_path)]) == 2
    assert "no run folder" in capsys.readouterr().err


def test_refuses_runs_that_were_trained_on_the_validation_split_too(small_run, tmp_path, capsys):
    folder = shutil.copytree(small_run.folder, tmp_path / "run")
    path = folder / "config.toml"
    path.write_text(path.read_text().replace("use_validation = false", "use_validation = true"))
    assert main(["learning-curve", str(folder)]) == 2
    said = capsys.readouterr().err
    assert "train.use_validation: expected false" in said and said.count("\n") == 1
    assert not (folder / "learning_curve").exists()


def test_refuses_parts_of_as_many_examples(tmp_path, capsys):
    for label in ("cat", "dog"):
        for index in range(4):
            draw(tmp_path / "photos" / label / f"{index}.png", value=index)
    settings = TINY | {"train": {"epochs": 1, "batch_size": 2, "steps_per_epoch": 2, "steps_per_execution": 1}}
    data = {"source": str(tmp_path / "photos"), "test_fraction": 0.3}
    run = kit.train("image_classification", data=data, folder=tmp_path / "run", verbose=False, **settings)
    assert main(["learning-curve", str(run.folder)]) == 2
    said = capsys.readouterr().err
    assert "a quarter and a half of the 4 training examples are 2 each" in said and said.count("\n") == 1
    assert not (run.folder / "learning_curve").exists()


def _batch_of_8():
    return TINY | {"train": {"epochs": 1, "batch_size": 8, "steps_per_epoch": 2, "steps_per_execution": 1}}


def test_a_share_is_trained_on(tmp_path):
    settings = TINY | {"train": {**TINY["train"], "share": 0.1, "steps_per_epoch": None}}
    run = kit.train("image_classification", folder=tmp_path / "run", verbose=False, **settings)
    assert isinstance(run.history, pd.DataFrame)
    assert "129 training" in (run.folder / "run.log").read_text()
