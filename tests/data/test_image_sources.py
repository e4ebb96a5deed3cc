"""Sources of images beside folders and idx files: CSV, NumPy archives, tensorflow-datasets."""

import io
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kit
from kit import config
from kit.data import image, sources
from kit.data.image import read_image
from kit.data.sources import image_csv, image_npz, image_tfds
from kit.data.splits import Kept
from kit.errors import KitError, SettingError
from kit.recipes.image_classification import labelled_images
from tests.conftest import draw


def write_csv(folder, text, images=("a.png", "b.png", "c d é.png"), encoding="utf-8"):
    for index, name in enumerate(images):
        draw(folder / name, value=index)
    path = folder / "photos.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_csv(tmp_path):
    path = write_csv(tmp_path, "path,label,more\na.png,cat,1\nb.png,dog,2\nc d é.png,cat,3\n")
    module, place = sources.find(str(path), "images")
    assert module is image_csv
    images = module.read(place)
    assert images.class_names == ["cat", "dog"]
    assert list(images.labels) == [0, 1, 0]
    assert images.split is None
    assert images.names == ["a.png", "b.png", "c d é.png"]


def test_csv_from_windows_with_splits_and_numbers(tmp_path):
    text = "path,label,split\r\na.png,10,train\r\nb.png,9,train\r\nc d é.png,9,val\r\n"
    images = image_csv.read(write_csv(tmp_path, text, encoding="utf-8-sig"))
    assert images.class_names == ["9", "10"]
    assert list(images.split) == ["train", "train", "validation"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.png,cat\nnone.png,dog\n", r"photos.csv:3: no such file: none.png"),
        ("path,class\na.png,cat\n", r"photos.csv: no column 'label'"),
        ("path,label\na.png,\n", r"photos.csv:2: an empty label"),
        ("path,label,split\na.png,cat,\n", r"photos.csv:2: an empty split"),
        ("path,label,split\na.png,cat,trian\n", r"photos.csv:2: split 'trian'"),
        ("path,label\na.png,cat\na.png,dog\n", r"photos.csv:3: a.png is in line 2 already"),
        ("path,label\na.png,cat\nb.png,cat\n", r"photos.csv: only one class, 'cat'"),
        ("path,label,split\na.png,cat,train\nb.png,dog,test\n", r"photos.csv:3: class 'dog' of the test split is not"),
        ("path,label\na.png,cat\na.png,dog\n./a.png,dog\n", r"photos.csv:3: a.png is in line 2 already; expected"),
        ("path,label\na.png,cat\n./a.png,dog\n", r"photos.csv:3: ./a.png is in line 2 already as a.png; expected"),
        ("path,label\na.png,cat, dark\nb.png,dog\n", r"photos.csv:2: 3 fields, but 2 columns; expected quotes"),
        ("path,label\na.png,cat\nb.png,dog,x\n", r"photos.csv:3: 3 fields, but 2 columns"),
        ('path,label\n"a.png,cat\nb.png,dog\n', r"photos.csv:3: not a CSV file \(unexpected end of data\)"),
        ("path,label,label\na.png,cat,dog\n", r"photos.csv: 2 columns 'label'; expected one"),
        ("path,label,split\na.png,cat,eval\n", r"split 'eval'; expected train, validation \(or val"),
        ("path,label\n", r"photos.csv: no rows"),
        ("", r"photos.csv: no column 'path'"),
    ],
)
def test_csv_names_the_row(tmp_path, text, message):
    with pytest.raises(KitError, match=message):
        image_csv.read(write_csv(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        "path;label;split\r\na.png;cat;Train\r\nb.png;dog;training\r\nc d é.png;cat;VAL\r\n",
        "path\tlabel\tsplit\na.png\tcat\tTrain\nb.png\tdog\ttrain\nc d é.png\tcat\tdev\n",
        "path,label,split,\na.png,cat,train,,\n\nb.png,dog,train\nc d é.png,cat,val,,\n,,\n",
        'path,label,split\n"a.png","cat",train\n./b.png,dog,train\nsub\\..\\c d é.png,cat,val\n',
    ],
)
def test_csv_of_spreadsheets(tmp_path, text):
    (tmp_path / "sub").mkdir()
    images = image_csv.read(write_csv(tmp_path, text))
    assert [path.rpartition("/")[2] for path in images.paths] == ["a.png", "b.png", "c d é.png"]
    assert images.class_names == ["cat", "dog"]
    assert list(images.split) == ["train", "train", "validation"]


def test_csv_and_folder_may_write_a_name_in_other_characters(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD"))
    text = f"path,label\n{composed},cat\nb.png,dog\n"
    images = image_csv.read(write_csv(tmp_path, text, (decomposed, "b.png")))
    assert images.names == [composed, "b.png"]
    assert [Path(path).name for path in images.paths] == [decomposed, "b.png"]
    with pytest.raises(KitError, match=r"photos.csv:4: .* is in line 2 already as .*; expected it once"):
        image_csv.read(write_csv(tmp_path, f"{text}{decomposed},cat\n", (decomposed, "b.png")))
    labels = [unicodedata.normalize(form, "né") for form in ("NFC", "NFD")]
    with pytest.raises(KitError, match="only one class, 'né'"):
        image_csv.read(write_csv(tmp_path, f"path,label\na.png,{labels[0]}\nb.png,{labels[1]}\n"))


def test_csv_that_is_not_utf8(tmp_path):
    path = tmp_path / "photos.csv"
    path.write_bytes(b"path,label\n\xff.png,cat\n")
    with pytest.raises(KitError, match="photos.csv: not UTF-8"):
        image_csv.read(path)


def pixels(count=20, shape=(6, 5), value=0):
    return np.random.default_rng(value).integers(0, 256, (count, *shape), dtype=np.uint8)


def labels(count=20, classes=3):
    return np.arange(count) % classes


def archive(folder, **arrays):
    np.savez(folder / "images.npz", **arrays)
    return folder / "images.npz"


@pytest.mark.parametrize(
    "splits", [("train", "val", "test"), ("Train", "Valid", "TEST"), ("training", "dev", "testing")]
)
@pytest.mark.parametrize("names", [("X_{}", "y_{}"), ("{}_images", "{}_labels")])
def test_npz_calls_splits_as_the_field_does(tmp_path, caplog, names, splits):
    caplog.set_level("INFO", "kit")
    both = dict(zip(names, (pixels(9), labels(9)), strict=True))
    arrays = {name.format(split): array for split in splits for name, array in both.items()}
    images = image_npz.read(archive(tmp_path, **arrays, notes=np.zeros(3)))
    assert list(images.split) == ["train"] * 9 + ["validation"] * 9 + ["test"] * 9
    assert caplog.messages == ["images: passed over notes in images.npz, of which no image is"]


@pytest.mark.parametrize("names", [("x_{}", "y_{}"), ("{}_images", "{}_labels")])
def test_npz_with_splits(tmp_path, names):
    arrays = {}
    for split, count in (("train", 20), ("test", 6)):
        arrays[names[0].format(split)] = pixels(count)
        arrays[names[1].format(split)] = labels(count)[:, None]
    path = archive(tmp_path, **arrays)
    module, place = sources.find(str(tmp_path), "images")
    assert module is image_npz
    images = module.read(place)
    assert images.pixels.shape == (26, 6, 5, 1)
    assert list(images.split).count("test") == 6
    assert images.class_names == ["0", "1", "2"]
    assert len(set(images.names)) == 26
    assert module.read(path).pixels.shape == (26, 6, 5, 1)


def test_npz_of_numbers_from_0_to_1(tmp_path):
    numbers = np.linspace(0, 1, 240).reshape(20, 2, 2, 3)
    images = image_npz.read(archive(tmp_path, images=numbers, labels=labels(), class_names=np.array(["a", "b", "c"])))
    assert images.pixels.dtype == np.uint8
    assert (images.pixels.min(), images.pixels.max()) == (0, 255)
    assert images.class_names == ["a", "b", "c"]
    assert images.split is None


def test_the_training_images_of_an_npz_decide_for_the_others(tmp_path):
    bright = np.linspace(0, 255, 240).reshape(20, 2, 2, 3)
    arrays = {"x_train": bright, "y_train": labels(), "x_test": np.ones((3, 2, 2, 3)), "y_test": labels(3)}
    assert image_npz.read(archive(tmp_path, **arrays)).pixels[-1].max() == 1  # it was 255, by its own
    with pytest.raises(KitError, match="x_test holds fractional numbers"):
        image_npz.read(archive(tmp_path, **arrays | {"x_train": bright.astype("uint8")}))


def jpegs(count, size=(9, 7)):
    files = []
    for index in range(count):
        buffer = io.BytesIO()
        Image.fromarray(pixels(1, (*size, 3), index)[0]).save(buffer, "JPEG")
        files.append(buffer.getvalue())
    return np.frombuffer(b"".join(files), np.uint8), np.cumsum([0, *map(len, files)])


def test_npz_of_jpeg_bytes(tmp_path):
    arrays = {}
    for split, count in (("train", 12), ("test", 6)):
        arrays[f"{split}_jpeg"], arrays[f"{split}_offsets"] = jpegs(count)
        arrays[f"{split}_labels"] = labels(count).astype("uint8")
    path = archive(tmp_path, **arrays, class_names=np.array(["a", "b", "c"]))
    splits = config.call(labelled_images, 0, None, source=str(path), validation_fraction=0.3)
    assert splits.facts == {"input_shape": (9, 7, 3), "num_classes": 3}
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [8, 4, 6]
    expected = read_image(image_npz.read(path).paths[12])
    np.testing.assert_array_equal(splits.test.input("image")[0], expected)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.array([{}], dtype=object), "labels": labels(1)}, "holds Python objects, which can run code"),
        ({"images": pixels(), "labels": labels() - 1}, "labels go from -1 to 1; expected 0 to"),
        (
            {"images": pixels(), "labels": labels(), "class_names": np.array(["a", "b"])},
            "labels go from 0 to 2; expected 0",
        ),
        ({"images": pixels(), "labels": labels(19)}, "20 images but 19 labels"),
        ({"images": pixels(), "labels": labels() + 0.5}, "expected a whole number an image"),
        ({"images": pixels(), "labels": labels() * 2}, "expected class 1 too among the training images"),
        ({"images": pixels(), "labels": labels() * 0}, "expected at least two classes"),
        ({"images": pixels() / 0.0, "labels": labels()}, "has pixels that are no numbers"),
        ({"images": pixels() * 2.0, "labels": labels()}, "holds values from .* expected pixels from 0 to 255"),
        ({"images": pixels().astype("U3"), "labels": labels()}, "expected pixels from 0 to 255"),
        ({"images": pixels(shape=(6,)), "labels": labels()}, "has shape"),
        ({"images": pixels()}, "images without labels"),
        ({"pictures": pixels()}, "holds pictures; expected an .npz file with"),
        ({"x_test": pixels(), "y_test": labels()}, "but no training images; expected an .npz"),
        ({"x": pixels(), "y": labels(), "x_test": pixels(), "y_test": labels()}, "but no training images"),
        ({"x": pixels(), "y": labels(), "images": pixels(), "labels": labels()}, "holds x and images; expected one"),
        (
            {"x_train": pixels(), "y_train": labels(), "x_val": pixels(), "x_dev": pixels()},
            "x_val and x_dev are both of the validation split",
        ),
        ({"images": pixels(), "labels": labels(), "class_names": np.array("cat")}, r"class_names has shape \(\)"),
        ({"images": pixels(), "labels": labels(), "class_names": np.array([["a", "b"]] * 2)}, "class_names has shape"),
        (
            {"images": pixels(), "labels": labels(), "class_names": np.array(["a", "b", "a"])},
            "class_names: expected different names, got a, b, a",
        ),
        ({"images": pixels(shape=(6, 0)), "labels": labels()}, r"images has shape \(20, 6, 0, 1\); expected"),
        (
            {"x_train": pixels(), "y_train": labels(), "test_jpeg": jpegs(3)[0], "test_offsets": jpegs(3)[1]}
            | {"test_labels": labels(3)},
            "pixels in one split and files in another",
        ),
        ({"train_jpeg": jpegs(3)[0], "train_offsets": [0, 5, 4], "train_labels": labels(2)}, "its offsets do not fit"),
        (
            {"x_train": pixels(), "y_train": labels(), "x_test": pixels(3, (4, 4)), "y_test": labels(3)},
            "different shapes",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_npz_says_what_is_wrong(tmp_path, arrays, message):
    with pytest.raises(KitError, match=message):
        image_npz.read(archive(tmp_path, **arrays))


def test_npz_that_is_none(tmp_path):
    path = tmp_path / "images.npz"
    for content in (b"junk", b"PK\x03\x04junk", b""):
        path.write_bytes(content)
        with pytest.raises(KitError, match=r"images\.npz: "):
            image_npz.read(path)


def test_npz_that_holds_one_array_or_promises_too_much(tmp_path):
    path = tmp_path / "images.npz"
    with open(path, "wb") as file:
        np.save(file, pixels())
    with pytest.raises(KitError, match=r"images\.npz: a single array, as \.npy files are"):
        image_npz.read(path)
    with zipfile.ZipFile(path, "w") as packed, packed.open("images.npy", "w") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (2**40, 64, 1)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(KitError, match=r"images\.npz: (does not fit into memory|damaged|not an)"):
        image_npz.read(path)


@pytest.fixture
def tiny_tfds(tmp_path, monkeypatch):
    """A data set of tensorflow-datasets, built here."""
    import tensorflow_datasets as tfds

    class Tiny(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            image = tfds.features.Image(shape=(None, None, 3))
            label = tfds.features.ClassLabel(names=["cat", "dog"])
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict({"image": image, "label": label}))

        def _split_generators(self, manager):
            return {"train": self._generate_examples(16), "test": self._generate_examples(4)}

        def _generate_examples(self, count=0):
            for row in range(count):
                yield row, {"image": pixels(1, (8, 6, 3), row)[0], "label": row % 2}

    builder = Tiny(data_dir=tmp_path / "tfds")
    builder.download_and_prepare()
    monkeypatch.setattr(tfds, "builder", lambda name: builder)
    return builder


def test_tfds(tiny_tfds):
    module, place = sources.find("tfds:tiny", "images")
    assert module is image_tfds
    splits = config.call(labelled_images, 0, None, source=place, validation_fraction=0.25)
    assert splits.facts == {"input_shape": (8, 6, 3), "num_classes": 2}
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [12, 4, 4]
    assert splits.assets["class_names"] == ["cat", "dog"]
    assert splits.settings["source"] == "tfds:tiny"


def test_tfds_says_what_there_is_not(monkeypatch):
    import socket

    def refused(*arguments, **keywords):
        raise OSError("no route")

    monkeypatch.setattr(socket, "create_connection", refused)
    with pytest.raises(SettingError, match="tensorflow-datasets has no 'minst'; did you mean 'mnist'"):
        image_tfds.read("tfds:minst")
    with pytest.raises(SettingError, match="holds no labelled images"):
        image_tfds.read("tfds:conll2003")
    with pytest.raises(KitError, match="tfds:mnist: not in tensorflow-datasets' folder, and there is no network"):
        image_tfds.read("tfds:mnist")


def test_skipping_what_cannot_be_read(photos, caplog):
    (photos / "cat" / "3.png").write_bytes(b"junk")
    (photos / "dog" / "loop.png").symlink_to(photos / "dog" / "loop.png")
    with pytest.raises(KitError):
        config.call(labelled_images, 0, None, source=str(photos))
    splits = config.call(labelled_images, 0, None, source=str(photos), on_bad="skip")
    assert len(splits.assets["skipped"]) == 2
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 23
    assert any("3.png" in message for message in splits.assets["skipped"])


def test_files_that_have_not_changed_are_not_looked_through_again(photos, tmp_path, monkeypatch):
    (photos / "cat" / "3.png").write_bytes(b"junk")
    (photos / "dog" / "twin.png").write_bytes((photos / "dog" / "0.png").read_bytes())
    settings = {"source": str(photos), "on_bad": "skip", "in_memory": False}
    first = config.call(labelled_images, 0, None, **settings)
    assert first.overlap
    first.files.write(tmp_path / "files.csv")
    kept = Kept(first.assignment, first.assets, tmp_path / "files.csv")
    decoded = []
    monkeypatch.setattr(image, "read_image", lambda path, *more: decoded.append(path) or read_image(path, *more))
    again = config.call(labelled_images, 0, kept, **settings)
    assert not decoded
    assert again.assets == first.assets and again.overlap == first.overlap and again.assignment.equals(first.assignment)
    draw(photos / "cat" / "new.png")  # one more than there were: all is looked through, and refused
    with pytest.raises(KitError, match="the data changed since this run was started"):
        config.call(labelled_images, 0, kept, **settings)
    assert decoded


def test_nothing_left_after_skipping(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "bad" / name).mkdir(parents=True)
        (tmp_path / "bad" / name / "a.png").write_bytes(b"junk")
    with pytest.raises(KitError, match="none of 2 images can be read"):
        config.call(labelled_images, 0, None, source=str(tmp_path / "bad"), on_bad="skip")


def test_a_small_file_that_unfolds_to_a_huge_image(tmp_path):
    path = draw(tmp_path / "bomb.png")
    content = bytearray(path.read_bytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height in the header
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(KitError, match=r"bomb.png: not a whole image .*exceeds limit"):
        read_image(path)


@pytest.mark.slow
def test_mixed_labels_train(tmp_path):
    done = kit.train(
        "image_classification",
        folder=tmp_path / "run",
        verbose=False,
        data={"cutmix": 0.5, "flip": True, "class_weights": "balanced"},
        backbone={"widths": (8, 16), "depths": (1, 1), "stem": "strided"},
        model={"label_smoothing": 0.1},
        train={"epochs": 2, "steps_per_epoch": 8},
        evaluate={"bootstrap_samples": 20},
    )
    best = done.history.loc[done.metrics["best_epoch"] - 1]
    assert done.metrics["validation"]["accuracy"] == pytest.approx(best["val_accuracy"], abs=1e-6)
