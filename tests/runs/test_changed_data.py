"""Several seeds or folds of data that change, or cannot be divided: told before anything is trained on them."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

import kit
from kit import config
from kit.errors import KitError, SettingError
from kit.files import write_json
from kit.runs import out_of_fold, several
from tests.conftest import TINY, draw
from tests.moments import AtCall, at, interrupt

SMALL = {**TINY, "train": {"epochs": 1, "batch_size": 2, "steps_per_epoch": 2, "steps_per_execution": 1, "patience": 0}}
COUNTS = {"folds": {"folds": 2}, "seeds": {"seeds": 2}}


def trained(folder, data, **more):
    settings = {**SMALL, "train": SMALL["train"] | more}
    return kit.train("image_classification", folder=folder, data=data, verbose=False, **settings)


def images(folder, labels, **columns):
    """Writes images and a CSV file of them with a label each; returns its path."""
    rows = {"path": [f"images/{row}.png" for row in range(len(labels))], "label": list(labels), **columns}
    for row in range(len(labels)):
        draw(folder / "images" / f"{row}.png", (8, 8), "L", value=row)
    pd.DataFrame(rows).to_csv(folder / "images.csv", index=False)
    return str(folder / "images.csv")


@pytest.fixture(scope="module", params=sorted(COUNTS))
def killed(request, tmp_path_factory):
    """A run of two folds or seeds, killed between them, with its data beside it."""
    folder = tmp_path_factory.mktemp(request.param)
    source = images(folder, "abcd" * 6)
    with pytest.raises(KeyboardInterrupt), at(AtCall("kit.runs.several.forget"), interrupt):
        trained(folder / "run", source, **COUNTS[request.param])
    return folder, COUNTS[request.param], request.param.removesuffix("s")


def gone(folder):
    path = folder / "images.csv"
    path.write_text(path.read_text().replace("images/9.png,b\n", ""))


def new(folder):
    draw(folder / "images" / "99.png", (8, 8), "L", value=99)
    with open(folder / "images.csv", "a", encoding="utf-8") as file:
        file.write("images/99.png,a\n")


def labelled_otherwise(folder):
    path = folder / "images.csv"
    path.write_text(path.read_text().replace("images/9.png,b\n", "images/9.png,a\n"))


def of_another_content(folder):
    draw(folder / "images" / "9.png", (8, 8), "L", value=100)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (new, "'images/99.png' is new"),
        (labelled_otherwise, "'images/9.png' has label 'a', and had 'b'"),
        (of_another_content, "'images/9.png' has another content"),
    ],
)
def test_what_goes_on_with_other_data_is_refused(killed, change, said, tmp_path):
    begun, count, kind = killed
    folder = shutil.copytree(begun, tmp_path / "begun")
    source = str(folder / "images.csv")
    files = sorted(folder.glob("run/**/*"))
    change(folder)
    with pytest.raises(KitError, match=f"the data changed since {kind}-0 began: {said}; expected ") as caught:
        trained(folder / "run", source, **count)
    assert "\n" not in str(caught.value)
    assert sorted(folder.glob("run/**/*")) == files  # nothing half-written is left


def test_the_same_command_goes_on_once_the_data_are_as_they_were(killed, tmp_path):
    begun, count, kind = killed
    folder = shutil.copytree(begun, tmp_path / "begun")
    text = (folder / "images.csv").read_text()
    gone(folder)
    with pytest.raises(KitError, match=f"the data changed since {kind}-0 began: 'images/9.png' is gone; expected "):
        trained(folder / "run", str(folder / "images.csv"), **count)
    (folder / "images.csv").write_text(text)
    done = trained(folder / "run", str(folder / "images.csv"), **count)
    assert len(done.folders) == 2
    if kind == "fold":
        assert len(done.out_of_fold) == 24


def _member(folder, names="abc", labels=(0, 0, 1), split=("train", "validation", "test"), **columns):
    (folder / "assets").mkdir(parents=True)
    table = pd.DataFrame({"example": list(names), "split": split, "label": labels, **columns})
    table.to_csv(folder / "assets" / "splits.csv", index=False)
    write_json(folder / "assets" / "assets.json", {"class_names": ["x", "y"]})
    config.write_toml(folder / "config.toml", {"recipe": "image_classification", "data": {"split_seed": 0}})
    return folder


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"names": "cba", "labels": (1, 0, 0)}, "its examples are in another order, 'c' in place of 'a'"),
        ({"group": ("1", "2", "2")}, "'b' has group '2', and had '1'"),
        ({"split": ("test", "validation", "train")}, "'a' is in the test split, and was in train"),
    ],
)
def test_a_seed_on_other_data_is_refused(own, said):
    members = (
        _member(Path("seed-0"), group=("1", "1", "2")),
        _member(Path("seed-1"), **{"group": ("1", "1", "2"), **own}),
    )
    with pytest.raises(KitError, match=said):
        several.check_same_data(*members, is_one_division=True)


def test_what_may_differ_between_members():
    first, second = _member(Path("fold-0")), _member(Path("fold-1"), split=("test", "train", "validation"))
    several.check_same_data(first, second, is_one_division=False)
    # What is left out of training may go by what was learned.
    third = _member(Path("seed-1"), split=("left out", "validation", "test"))
    several.check_same_data(first, third, is_one_division=True)


def test_a_fold_that_a_test_split_of_the_source_has_come_to_is_refused():
    first = _member(Path("fold-0"), split=("train", "test", "unused"))
    second = _member(Path("fold-1"), split=("test", "train", "train"))
    with pytest.raises(KitError, match="'c' is used, and was unused"):
        several.check_same_data(first, second, is_one_division=False)


def test_an_example_in_two_folds_is_refused():
    folder = _member(Path("fold-0"))
    table = pd.DataFrame({"example": ["a", "b", "b", "c"], "fold": [0, 1, 1, 2]})
    out_of_fold.check_once(table, folder)  # two words of a sentence
    with pytest.raises(KitError, match="'b' is in fold 0 and in fold 1: the data changed between them; expected "):
        out_of_fold.check_once(pd.concat([table, pd.DataFrame({"example": ["b"], "fold": [0]})]), folder)
    folder = _member(Path("repeated"), names="abb")
    out_of_fold.check_once(pd.concat([table, pd.DataFrame({"example": ["b"], "fold": [0]})]), folder)


def test_all_folds_are_divided_before_the_first_is_trained(tmp_path, empty_folder):
    source = images(tmp_path, "a" * 51 + "b" * 3)
    trained(tmp_path / "alone", {"source": source, "fold": (0, 2)})  # the first could be
    said = "train.folds: fold 1 cannot be divided: class 'b' has 1 examples to divide; expected at least 2"
    with pytest.raises(SettingError, match=said) as caught:
        trained(None, source, folds=2)
    assert "\n" not in str(caught.value)
    with pytest.raises(SettingError, match=said):
        kit.dry_run(
            "image_classification", data=source, verbose=False, **SMALL | {"train": SMALL["train"] | {"folds": 2}}
        )
    assert not (empty_folder / "runs").exists()


def test_a_class_that_begins_in_a_later_fold_by_time_is_told_before_the_first_is_trained(tmp_path, empty_folder):
    source = images(tmp_path, "ab" * 13 + "abc" * 7 + "a", day=range(48))
    with pytest.raises(SettingError, match="train.folds: fold 1 cannot be divided: data.time: class 'c' begins after"):
        trained(None, {"source": source, "time": "day"}, folds=3)
    assert not (empty_folder / "runs").exists()


def test_a_closed_test_split_by_time_is_in_no_fold(tmp_path):
    split = ["train"] * 40 + ["test"] * 8
    source = images(tmp_path, "ab" * 24, day=range(48), split=split)
    assert len(trained(tmp_path / "run", {"source": source, "time": "day"}, folds=3).folders) == 3
