"""Where images come from, and every way in which that goes wrong."""

import gzip

import numpy as np
import pytest
from PIL import Image

from kit.data import sources
from kit.data.image import common_shape, read_image, read_images
from kit.data.sources import digits, idx, image_folder
from kit.errors import KitError, SettingError
from tests.conftest import draw, write_idx


def test_digits():
    images = digits.read("digits")
    assert images.pixels.shape == (1797, 8, 8, 1)
    assert images.pixels.dtype == np.uint8
    assert images.pixels.max() == 255
    assert images.class_names == list("0123456789")


def test_folder_of_classes(photos):
    module, place = sources.find(str(photos), "images")
    images = module.read(place)
    assert module is image_folder
    assert images.class_names == ["cat", "dog"]
    assert np.bincount(images.labels).tolist() == [12, 12]
    assert images.names[0] == "cat/0.png"
    assert images.split is None


def test_folder_with_splits(tmp_path):
    for split in ("train", "test"):
        for label in ("a", "b"):
            draw(tmp_path / "data" / split / label / "x.png")
    images = image_folder.read(tmp_path / "data")
    assert images.split.tolist() == ["train", "train", "test", "test"]
    assert images.labels.tolist() == [0, 1, 0, 1]


def test_hidden_and_foreign_files_are_passed_over(photos):
    (photos / "cat" / "notes.txt").write_text("x")
    (photos / "cat" / ".DS_Store.png").write_text("x")
    (photos / ".git").mkdir()
    assert len(image_folder.read(photos).paths) == 24


def test_idx(idx):
    module, place = sources.find(str(idx), "images")
    images = module.read(place)
    assert images.pixels.shape == (80, 12, 12, 1)
    assert (images.split == "test").sum() == 20
    assert images.labels[:5].tolist() == [0, 1, 2, 3, 0]


def test_idx_unpacked_and_named(tmp_path):
    folder = tmp_path / "Fashion-MNIST"
    for prefix in ("train", "t10k"):
        write_idx(folder, prefix, np.zeros((20, 4, 4)), np.arange(20) % 10, packed=False)
    assert idx_read(folder).class_names[0] == "T-shirt/top"


def idx_read(folder):
    return idx.read(folder)


def damage(path, change):
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "t10k-labels-idx1-ubyte.gz").unlink(), "t10k-labels-idx1-ubyte: no such file"),
        (lambda folder: damage(folder / "train-images-idx3-ubyte.gz", lambda data: data[:-5]), "its header says"),
        (lambda folder: damage(folder / "train-images-idx3-ubyte.gz", lambda data: b"x" * 40), "expected an idx file"),
        (
            lambda folder: (folder / "train-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8bxxxx"),
            "cannot be read",
        ),
        (
            lambda folder: write_idx(folder, "t10k", np.zeros((20, 9, 9)), np.zeros(20)),
            "train images are .12, 12., t10k images .9, 9.",
        ),
        (lambda folder: write_idx(folder, "train", np.zeros((5, 12, 12)), np.zeros(5)), "at least two classes"),
        (lambda folder: write_idx(folder, "t10k", np.zeros((0, 12, 12)), np.zeros(0)), "some in t10k"),
        (
            lambda folder: write_idx(folder, "t10k", np.zeros((20, 12, 12)), np.zeros(19)),
            "20 t10k images but 19 labels",
        ),
    ],
)
def test_damaged_idx_names_the_file(idx, change, message):
    change(idx)
    with pytest.raises(KitError, match=message) as error:
        idx_read(idx)
    assert str(idx) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_path_and_nearest_name():
    with pytest.raises(SettingError, match="source: no file or folder 'digit'.*did you mean 'digits'"):
        sources.find("digit", "images")


def test_a_file_is_no_source(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(b"x")
    with pytest.raises(SettingError, match="nothing to read"):
        sources.find(str(path), "images")


@pytest.mark.parametrize(
    "layout", ["empty", "classes without images", "one class", "empty class", "stray", "unknown", "loose", "no train"]
)
def test_unusable_folders_are_named(tmp_path, layout):
    folder = tmp_path / "data"
    folder.mkdir()
    if layout == "empty":
        expected = "no images; expected a folder of images for each class"
    elif layout == "classes without images":
        (folder / "a").mkdir()
        (folder / "b").mkdir()
        expected = "no images"
    elif layout == "one class":
        draw(folder / "a" / "x.png")
        expected = "only one class, 'a'"
    elif layout == "empty class":
        draw(folder / "a" / "x.png")
        (folder / "b").mkdir()
        expected = "data/b: no images"
    elif layout == "loose":
        for label in ("a", "b"):
            draw(folder / "train" / label / "x.png")
        draw(folder / "validation" / "x.png")
        expected = "data/validation: no images; expected a folder of images for each class"
    elif layout == "no train":
        for split in ("validation", "test"):
            draw(folder / split / "x.png")
        expected = "holds validation and test but no train"
    elif layout == "stray":
        for label in ("a", "b"):
            draw(folder / "train" / label / "x.png")
        draw(folder / "tset" / "a" / "x.png")
        expected = "data/tset: unexpected beside train/"
    else:
        for label in ("a", "b"):
            draw(folder / "train" / label / "x.png")
        draw(folder / "test" / "c" / "x.png")
        expected = "class 'c' is not in train/"
    with pytest.raises(KitError, match=expected):
        image_folder.read(folder)


@pytest.mark.parametrize(
    ("mode", "ending", "channels"),
    [("L", "png", 1), ("1", "png", 1), ("RGB", "jpg", 3), ("RGBA", "png", 3), ("P", "gif", 3), ("CMYK", "jpg", 3)],
)
def test_reads_every_mode(tmp_path, mode, ending, channels):
    path = draw(tmp_path / f"x.{ending}", (6, 9), mode)
    assert read_image(path).shape == (6, 9, channels)
    assert read_image(path, (4, 5), 3).shape == (4, 5, 3)
    assert read_image(path, (4, 5), 1).shape == (4, 5, 1)
    assert common_shape([str(path)], None, "auto") == (6, 9, channels)


def test_pixels_are_those_of_the_file(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_images([tmp_path / "x.png"])[0], pixels)


def test_orientation_is_obeyed(tmp_path):
    image = Image.new("RGB", (9, 6))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "x.jpg", exif=exif)
    assert read_image(tmp_path / "x.jpg").shape == (9, 6, 3)
    assert common_shape([str(tmp_path / "x.jpg")], None, "auto") == (9, 6, 3)


def test_damaged_images_are_named(tmp_path):
    whole = draw(tmp_path / "whole.jpg", (40, 40))
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:-200])
    text = tmp_path / "text.png"
    text.write_text("no image")
    deep = tmp_path / "deep.png"
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(deep)
    for path, message in (
        (cut, "truncated"),
        (text, "cannot identify"),
        (deep, "8 bits"),
        (tmp_path / "no", "no such"),
    ):
        with pytest.raises(KitError, match=message) as error:
            read_images([whole, path])
        assert str(path) in str(error.value)


def test_mixed_modes_are_named(tmp_path):
    first = draw(tmp_path / "a.png", (8, 8))
    large = draw(tmp_path / "b.png", (9, 8))
    grey = draw(tmp_path / "c.png", (8, 8), "L")
    with pytest.raises(SettingError, match="color_mode: images differ in mode: .*a.png is colour, .*c.png is grey"):
        common_shape([str(first), str(grey)], None, "auto")
    assert common_shape([str(first), str(large)], (4, 4), "auto") == (4, 4, 3)
    assert common_shape([str(first), str(grey)], None, "grayscale") == (8, 8, 1)
