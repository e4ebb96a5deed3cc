"""A page that sets runs side by side."""

import json

import pytest

import kit
from kit.cli import main
from kit.errors import KitError
from kit.files import read_json
from kit.reporting import comparison
from kit.reporting.comparison import differing
from tests.conftest import TINY


@pytest.fixture(scope="module")
def other_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("other") / "wider"
    settings = {**TINY, "data": {"cutmix": 0.5}, "backbone": {**TINY["backbone"], "widths": (12,)}}
    return kit.train("image_classification", folder=folder, verbose=False, **settings)


def test_compares(small_run, other_run, tmp_path, capsys):
    page = tmp_path / "page.html"
    folders = [str(small_run.folder), str(other_run.folder)]
    assert main(["report", *folders, "--output", str(page), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["run"] for row in result["runs"]] == ["small", "wider"]
    assert result["runs"][1]["backbone.widths"] == "[12]"
    assert result["runs"][0]["data.cutmix"] == "0.0"
    assert "train.epochs" not in result["runs"][0]
    text = page.read_text()
    assert "2 runs" in text
    assert "backbone.widths" in text
    assert "http" not in text


def test_training_images_are_drawn(other_run, small_run):
    assert (other_run.folder / "plots" / "5_training_images.png").exists()
    assert (small_run.folder / "plots" / "4_confidence_and_accuracy.png").exists()


def test_refuses(small_run, tmp_path, capsys):
    folder = str(small_run.folder)
    assert main(["report", folder, folder]) == 2
    assert "given more than once" in capsys.readouterr().err
    assert main(["report", folder, "--output", "x.html"]) == 2
    assert "expected several runs" in capsys.readouterr().err
    assert main(["report", folder, str(tmp_path)]) == 2
    assert "no run folder" in capsys.readouterr().err


def test_distances_of_other_networks_are_not_compared(tmp_path):
    folders = [tmp_path / name for name in ("first", "second", "early", "earlier", "other")]
    for folder, scorer in zip(folders, ("kit-1", "kit-2", None, None, None), strict=True):
        (folder / "assets").mkdir(parents=True)
        (folder / "assets" / "splits.csv").write_text("other" if folder.name == "other" else "example,split\n")
        scores = {"a_to_b_frechet_distance": 1.0} | ({"a_to_b_scorer": scorer} if scorer else {})
        (folder / "scores.json").write_text(json.dumps(scores))

    def check(*names):
        chosen = [tmp_path / name for name in names]
        comparison._check_scorers(chosen, [read_json(folder / "scores.json") for folder in chosen])

    check("first", "first")
    check("early", "earlier")  # they were measured by one network, which learned from the same images
    for names in (("first", "second"), ("first", "early"), ("early", "other")):
        with pytest.raises(KitError, match="measured by other networks.*expected runs on the same data"):
            check(*names)


def test_differing():
    assert differing([{"a": 1, "b": [1]}, {"a": 1, "b": [2], "c": 0}]) == ["b", "c"]
