"""Folders of images: which folders are splits, which files are images, and what is told of all else."""

import logging
import os
import unicodedata

import pytest

from kit.data import sources
from kit.data.image_files import images_in
from kit.data.sources import image_folder
from kit.errors import KitError
from tests.conftest import draw


def layout(folder, *files):
    """Writes images at the given places of a folder, and an empty file for what has no ending of an image."""
    for index, name in enumerate(files):
        if name.lower().endswith((".png", ".jpg")) and "/._" not in name:
            draw(folder / name, (4, 4), value=index)
        else:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"")
    return folder


def classes(*parts):
    return [f"{part}/{label}/{index}.png" for part in parts for label in ("red", "blue") for index in range(2)]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("Train", "Test"), ["train", "test"]),
        (("train", "val", "test"), ["train", "validation", "test"]),
        (("TRAINING", "TESTING", "VALID"), ["train", "validation", "test"]),
        (("training_set", "test_set"), ["train", "test"]),
        (("seg_train", "seg_test"), ["train", "test"]),
        (("train2017", "dev2017"), ["train", "validation"]),
    ],
)
def test_folders_of_splits_have_the_names_of_the_field(tmp_path, names, splits):
    found = image_folder.read(layout(tmp_path / "data", *classes(*names)))
    assert found.class_names == ["blue", "red"]
    assert list(dict.fromkeys(found.split)) == splits
    assert len(found.paths) == 4 * len(names)


def test_images_without_classes_are_divided_too(tmp_path):
    found = image_folder.read(layout(tmp_path / "data", "Train/a.png", "Val/b.png", "Test/c.png"), needs_classes=False)
    assert list(found.split) == ["train", "validation", "test"]
    assert found.class_names == ["image"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (classes("train", "val", "validation"), "val/ and validation/ both look like the validation split"),
        (classes("Train", "train"), "Train/ and train/ both look like the train split"),
        (classes("train", "eval"), "eval: unexpected beside train/; expected only folders named train, validation"),
        (classes("seg_train", "seg_test", "seg_pred"), "seg_pred: unexpected beside seg_train/"),
        (classes("trian", "test"), "holds test but no train"),
        (classes("train", "train_test"), "train_test: looks like the train and like the test split"),
        (["train/1.png", "test/1.png"], "train: no images; expected a folder of images for each class"),
    ],
)
def test_folders_that_are_not_clear_are_refused(tmp_path, files, message):
    with pytest.raises(KitError, match=message) as error:
        image_folder.read(layout(tmp_path / "data", *files))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("files", "class_names"),
    [
        (["train/1.png", "bus/1.png", "car/1.png"], ["bus", "car", "train"]),
        (["train station/1.png", "bus station/1.png"], ["bus station", "train station"]),
        (["test/1.png", "other/1.png"], ["other", "test"]),
        (["cat/sunny/1.png", "dog/rainy/1.png"], ["cat", "dog"]),
        (["test tubes/old/1.png", "bottles/old/1.png"], ["bottles", "test tubes"]),
    ],
)
def test_classes_may_be_called_like_splits(tmp_path, files, class_names):
    found = image_folder.read(layout(tmp_path / "data", *files))
    assert (found.class_names, found.split) == (class_names, None)


def test_classes_that_look_like_splits_are_told_of(tmp_path, caplog):
    caplog.set_level(logging.INFO, "kit")
    assert image_folder.read(layout(tmp_path / "data", *classes("learn", "check"))).class_names == ["check", "learn"]
    assert "check/, learn/ are taken for classes, though all of them hold the folders blue, red" in caplog.text


def test_every_ending_that_is_read_counts_and_others_are_told_of(tmp_path, caplog):
    caplog.set_level(logging.INFO, "kit")
    names = ["1.PNG", "2.JPEG", "3.jfif", "4.jpe", "5.Tif", "6.webp", "7.pgm"]
    others = ["a.txt", "b.heic", "c.heic", "README", ".DS_Store", "._1.png", "Thumbs.db"]
    found = image_folder.read(
        layout(
            tmp_path / "data",
            *(f"{label}/{name}" for label in "xy" for name in names + others),
            "__MACOSX/x/._1.png",
            "z.csv",
        )
    )
    assert found.class_names == ["x", "y"]
    assert len(found.paths) == 14
    told = caplog.text
    assert "passed over 9 files that end in none of .jpg" in told
    assert ": 4 .heic, 2 without an ending, 2 .txt, 1 .csv; 7 hidden or left by a system (" in told
    for name in (".DS_Store", "._1.png", "Thumbs.db", "__MACOSX"):
        assert name in told


def test_images_in_no_class_and_links_to_folders_are_told_of(tmp_path, caplog):
    caplog.set_level(logging.INFO, "kit")
    folder = layout(tmp_path / "photos", "cat/1.png", "dog/1.png", "loose.png")
    more = layout(tmp_path / "more", "2.png")
    (folder / "cat" / "more").symlink_to(more)
    (folder / "dog" / "2.png").symlink_to(more / "2.png")
    (folder / "bird").symlink_to(more)
    found = image_folder.read(folder)
    assert found.names == ["bird/2.png", "cat/1.png", "dog/1.png", "dog/2.png"]
    assert f"1 links to folders ({folder / 'cat' / 'more'})" in caplog.text
    assert f"1 file in no folder of a class ({folder / 'loose.png'})" in caplog.text


def test_nothing_is_told_where_nothing_is_passed_over(photos, caplog):
    caplog.set_level(logging.INFO, "kit")
    image_folder.read(photos)
    assert not caplog.text


def test_a_class_is_one_however_its_name_is_written(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    files = [f"train/{decomposed}/1.png", "train/bar/1.png", f"test/{composed}/1.png", "test/bar/1.png"]
    assert image_folder.read(layout(tmp_path / "a", *files)).class_names == ["bar", composed]
    with pytest.raises(KitError, match="a second folder of this name, written in other characters"):
        image_folder.read(layout(tmp_path / "b", f"{decomposed}/1.png", f"{composed}/1.png"))


def test_a_folder_that_cannot_be_read_is_named(photos, monkeypatch):
    (photos / "cat" / "sub").mkdir()
    scandir = os.scandir

    def refused(path):
        if os.fspath(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    for read in (image_folder.read, images_in):
        with pytest.raises(KitError, match=r"cat/sub: cannot be read \(Permission denied\)"):
            read(photos)


def test_a_folder_whose_name_is_not_utf8_is_named(photos):
    os.mkdir(os.fsencode(photos) + b"/\xff")
    with pytest.raises(KitError, match="a file name that is not UTF-8"):
        image_folder.read(photos)


def test_an_archive_beside_folders_of_images_is_passed_over(photos):
    (photos / "features.npz").write_bytes(b"")
    module, place = sources.find(str(photos), "images")
    assert module is image_folder
    assert len(module.read(place).paths) == 24
