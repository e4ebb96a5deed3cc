"""Filters of images, and training images that are left out."""

import numpy as np
import pytest
from PIL import Image, ImageOps

import kit
from kit.data.filters import Filters
from kit.data.image_splits import image_splits
from kit.data.options import Division, ImageOptions
from kit.errors import KitError
from tests.conftest import TINY, draw

RANDOM = np.random.default_rng(0)


def test_no_filter_changes_nothing():
    pixels = RANDOM.integers(0, 256, (3, 8, 9, 3), dtype=np.uint8)
    assert not Filters().is_any and Filters.of(None) == Filters()
    assert Filters()(pixels) is pixels


def test_a_median_takes_single_wrong_pixels_away_and_keeps_edges():
    image = np.zeros((1, 12, 12, 1), np.uint8)
    image[:, :, 6:] = 200
    noisy = image.copy()
    noisy[0, 2, 2] = noisy[0, 9, 9] = 255
    assert (Filters("median")(noisy) == image).all()


def test_a_gaussian_blurs_each_channel_and_keeps_the_mean():
    pixels = RANDOM.integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    blurred = Filters("gaussian", 2)(pixels)
    assert blurred.dtype == np.uint8 and blurred.std() < 0.3 * pixels.std()
    assert np.allclose(blurred.mean((1, 2)), pixels.mean((1, 2)), atol=4)
    one = np.zeros((1, 9, 9, 3), np.uint8)
    one[..., 0] = 90
    assert (Filters("gaussian", 3)(one) == one).all()


def test_equalisation_spreads_grey_levels_and_keeps_colours():
    grey = RANDOM.integers(100, 120, (1, 32, 32, 1), dtype=np.uint8)
    spread = Filters(equalize=True)(grey)
    assert np.array_equal(spread[0, ..., 0], np.asarray(ImageOps.equalize(Image.fromarray(grey[0, ..., 0]))))
    assert np.ptp(spread.astype(int)) > 240
    coloured = np.concatenate([grey, grey // 2, grey // 4], -1)
    found = Filters(equalize=True)(coloured).astype(int)
    assert np.ptp(found) > 150
    assert (found[..., 0] >= found[..., 2]).all()  # what was reddish is reddish


def test_filters_are_the_same_in_training_and_prediction(photos):
    settings = {"source": str(photos), "image_size": 16, "denoise": "median", "equalize": True}
    tiny = TINY | {"train": TINY["train"] | {"batch_size": 8}}
    run = kit.train("image_classification", data=settings, **tiny, verbose=False)
    assert run.assets["filters"] == {"denoise": "median", "denoise_radius": 1, "equalize": True}
    read = image_splits(None, ImageOptions(**settings), Division())
    row = int(np.flatnonzero(read.assignment["split"] == "test")[0])
    seen = read.parts[2].input("image")[:1]
    loaded = kit.load(run.folder)
    by_file = loaded.predict(str(photos / read.assignment["example"][row]))
    logits = loaded.model.predict_on_batch(seen)
    temperature = loaded.assets.get("temperature", 1.0)
    powers = np.exp(logits / temperature - (logits / temperature).max())
    assert by_file["probability"][0] == pytest.approx((powers / powers.sum()).max(), abs=1e-5)


@pytest.fixture
def with_copies(tmp_path):
    """A folder with splits: copies inside of training and across, images of one colour in both."""
    folder = tmp_path / "photos"
    for split, count in (("train", 8), ("test", 4), ("val", 4)):
        for label in "ab":
            for index in range(count):
                draw(folder / split / label / f"{index}.png", value=sum(map(ord, split + label)) + 10 * index)
    for name in ("train/a/copy.png", "test/a/copy.png", "train/b/inside.png", "test/b/inside.png", "val/b/inside.png"):
        source = {"copy": "train/a/0.png", "inside": f"{name.split('/')[0]}/b/0.png"}[name.split("/")[-1][:-4]]
        (folder / name).write_bytes((folder / source).read_bytes())
    for name in ("train/b/flat.png", "test/b/flat.png"):
        Image.new("RGB", (12, 10), (9, 9, 200 if "train" in name else 100)).save(folder / name)
    return folder


def test_copies_and_constant_images_are_left_out_of_training_alone(with_copies, caplog):
    caplog.set_level("INFO", "kit")
    plain = image_splits(None, ImageOptions(str(with_copies)), Division())
    found = image_splits(None, ImageOptions(str(with_copies), drop_duplicates=True, drop_constant=True), Division())
    split = dict(zip(found.assignment["example"], found.assignment["split"], strict=True))
    out = sorted(name for name, part in split.items() if part == "left out")
    # Both images that the test split holds, too; the later one of a pair; and the one of one colour.
    assert out == ["train/a/0.png", "train/a/copy.png", "train/b/flat.png", "train/b/inside.png"]
    assert [len(part) for part in found.parts] == [len(plain.parts[0]) - 4, len(plain.parts[1]), len(plain.parts[2])]
    assert "4 of 19 left out of training" in caplog.text
    assert "images of the test split that are also in training" not in found.overlap


def test_an_unfinished_run_keeps_what_it_left_out(with_copies):
    from kit.data.splits import Kept

    options = ImageOptions(str(with_copies), drop_duplicates=True)
    first = image_splits(None, options, Division())
    again = image_splits(Kept(first.assignment, first.assets), options, Division())
    assert again.assignment.equals(first.assignment) and len(again.parts[0]) == len(first.parts[0])


def test_values_out_of_range_are_named():
    with pytest.raises(KitError, match="denoise_radius: expected 1 to 50 pixels, got 0"):
        ImageOptions(denoise_radius=0)
