"""What becomes of the pixels: transparency, bits, frames, sizes, and images that show nothing or the same."""

import io
import logging
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kit import config
from kit.data.image import _pillow, common_shape, decoded, read_image
from kit.data.image_inputs import image_inputs
from kit.errors import KitError
from kit.recipes.image_classification import labelled_images
from tests.conftest import draw


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO, "kit")
    return caplog


def icon(mode, path):
    """Writes an image whose left half is grey 100 and opaque, and whose right half is transparent."""
    alpha = np.zeros((4, 6), np.uint8)
    alpha[:, :3] = 255
    grey = np.full((4, 6), 100, np.uint8)
    if mode == "RGBA":
        Image.fromarray(np.stack([grey, grey, grey, alpha], -1)).save(path)
    elif mode == "LA":
        Image.fromarray(np.stack([grey, alpha], -1), "LA").save(path)
    elif mode == "L":  # one grey is named as the transparent one
        Image.fromarray(np.where(alpha > 0, grey, 7)).save(path, transparency=7)
    elif mode == "RGB":
        Image.fromarray(np.stack([np.where(alpha > 0, grey, 7)] * 3, -1)).save(path, transparency=(7, 7, 7))
    else:
        image = Image.fromarray((alpha > 0).astype(np.uint8), "P")
        image.putpalette([0, 0, 0, 100, 100, 100])
        image.save(path, transparency=0)
    return path


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB"])
def test_transparency_is_put_on_a_background(tmp_path, told, mode):
    path = icon(mode, tmp_path / "x.png")
    channels = 1 if mode in ("L", "LA") else 3
    for background, value in (("white", 255), ("black", 0)):
        pixels = read_image(path, background=background)
        assert pixels.shape == (4, 6, channels)
        assert (pixels[:, :3] == 100).all()
        assert (pixels[:, 3:] == value).all()
    assert common_shape([path], None, "auto", background="black") == (4, 6, channels)
    assert "1 of 1 have transparency: what is seen through them is black (data.background); the first: " in told.text


def test_the_half_transparent_is_mixed(tmp_path):
    Image.new("RGBA", (2, 2), (0, 0, 0, 128)).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png").max() in (126, 127, 128)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_opaque_images_stay_what_they_are(tmp_path, mode):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, len(mode)), dtype=np.uint8)
    pixels[..., -1] = 255
    Image.fromarray(pixels, mode).save(tmp_path / "x.png")
    for background in ("white", "black"):
        np.testing.assert_array_equal(read_image(tmp_path / "x.png", background=background), pixels[..., :-1])


def test_prediction_puts_images_on_the_background_of_the_training(tmp_path):
    path = icon("RGBA", tmp_path / "x.png")
    for assets, value in (({}, 255), ({"background": "black"}, 0)):
        _, batches = image_inputs(path, (4, 6, 3), {"crop_to_aspect_ratio": False, **assets}, 8)
        assert next(batches())[0, 0, 5, 0] == value


def deep_png(path, color, channels):
    """Writes a PNG of 16 bits a channel, which Pillow reads but does not write."""
    rows = b"".join(b"\0" + bytes(range(2 * 4 * channels)) for _ in range(3))

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 4, 3, 16, color, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


def deep_images(folder):
    for name, color, channels in (("grey", 0, 1), ("colour", 2, 3), ("grey_alpha", 4, 2), ("alpha", 6, 4)):
        yield deep_png(folder / f"{name}.png", color, channels)
    for name, kind, bytes_ in (("colour", b"P6", 12), ("grey", b"P5", 4)):
        (folder / f"{name}.ppm").write_bytes(kind + b" 2 1 65535\n" + bytes(bytes_))
        yield folder / f"{name}.ppm"


def test_more_than_8_bits_are_refused_in_every_mode(tmp_path):
    paths = list(deep_images(tmp_path))
    assert len(paths) == 6
    for path in paths:
        for read in (read_image, lambda path: common_shape([path], None, "auto")):
            with pytest.raises(KitError, match=f"{path.name}: pixels of mode .*; expected 8 bits a channel"):
                read(path)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "webp", "tif", "ppm"])
def test_every_format_is_read_whatever_its_ending(tmp_path, ending):
    path = draw(tmp_path / f"x.{ending}", (6, 9))
    assert read_image(path).shape == (6, 9, 3)
    os.rename(path, tmp_path / "x.jfif")
    assert read_image(tmp_path / "x.jfif").shape == (6, 9, 3)


def test_camera_files_of_several_images_are_read(tmp_path, told):
    def save(path, kind=None):
        first, second = (Image.fromarray(np.full((6, 9, 3), value, np.uint8)) for value in (10, 200))
        first.save(path, kind, save_all=True, append_images=[second])

    save(tmp_path / "x.jpg", "MPO")
    assert read_image(tmp_path / "x.jpg").max() < 20
    assert common_shape([tmp_path / "x.jpg"], None, "auto") == (6, 9, 3)
    assert "frames" not in told.text
    for ending in ("gif", "tif"):
        path = tmp_path / f"x.{ending}"
        save(path)
        common_shape([path], None, "auto")
        assert f"1 of 1 hold several images or frames, of which the first is read; the first: {path}" in told.text


def test_postscript_is_no_image(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "EPS")
    path = tmp_path / "x.png"
    path.write_bytes(buffer.getvalue())
    for read in (read_image, lambda path: common_shape([path], None, "auto")):
        with pytest.raises(KitError, match=r"x\.png: not a whole image \(cannot identify it as JPEG, PNG"):
            read(path)


def test_pipes_are_refused_and_not_waited_for(photos):
    os.mkfifo(photos / "cat" / "pipe.png")
    with pytest.raises(KitError, match=r"pipe\.png: not a regular file; expected an image file"):
        config.call(labelled_images, 0, None, source=str(photos))
    splits = config.call(labelled_images, 0, None, source=str(photos), on_bad="skip")
    assert "pipe.png" in splits.assets["skipped"][0]
    os.mkfifo(photos / "pipe.npz")
    with pytest.raises(KitError, match="is neither a file nor a folder"):
        config.call(labelled_images, 0, None, source=str(photos / "pipe.npz"))


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = draw(tmp_path / "x.png")

    def refused(*arguments, **keywords):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refused)
    with pytest.raises(KitError, match=r"x\.png: cannot be read \(Permission denied\)"):
        read_image(path)


@pytest.mark.filterwarnings("error")
def test_large_photographs_bring_no_warning(tmp_path, monkeypatch):
    path = draw(tmp_path / "x.png", (30, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    _pillow.cache_clear()  # its filter of warnings is lost between tests
    assert read_image(path).shape == (30, 30, 3)


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        (((70, 90), (80, 64), (100, 66)), 64),
        (((70, 90), (50, 64), (49, 66)), 48),
        (((47, 90), (50, 64), (46, 66)), 32),
        (((8, 9), (10, 12), (9, 9)), 32),
        (((500, 400), (300, 700), (33, 33)), 64),
    ],
)
def test_different_sizes_get_a_side_by_rule(tmp_path, told, sizes, side):
    paths = [draw(tmp_path / f"{index}.png", size) for index, size in enumerate(sizes)]
    assert common_shape(paths, None, "auto") == (side, side, 3)
    assert f"so all are resized to {side}x{side}, squeezed where they are not square; data.image_size" in told.text
    assert read_image(paths[1], (side, side)).shape == (side, side, 3)
    assert common_shape(paths, (20, 10), "auto") == (20, 10, 3)
    assert common_shape(paths[:1], None, "auto") == (*sizes[0], 3)
    assert told.text.count("resized") == 1
    common_shape(paths, None, "auto", crop_to_aspect_ratio=True)
    assert f"resized to {side}x{side}, their margins cut" in told.text


@pytest.mark.parametrize("in_memory", [True, False])
def test_images_of_one_colour_and_equal_ones_are_told_of(tmp_path, told, in_memory):
    folder = tmp_path / "photos"
    for label in ("cat", "dog"):
        for index in range(8):
            draw(folder / "Train" / label / f"{index}.png", value=index + 10 * (label == "dog"))
        for index in range(3):
            draw(folder / "Test" / label / f"{index}.png", value=index + 5 + 10 * (label == "dog"))
    Image.new("RGB", (12, 10), (9, 8, 7)).save(folder / "Test" / "dog" / "0.png")
    Image.new("RGB", (12, 10), (9, 8, 7)).save(folder / "Train" / "cat" / "7.png")
    splits = config.call(labelled_images, 0, None, source=str(folder), in_memory=in_memory, validation_fraction=0.25)
    assert "images: 2 of 22 are of one colour throughout; the first: " in told.text
    assert sum(splits.overlap.values()) == 7  # of the test images all but cat/2 are copies, and cat/7 is equal to a dog
    assert splits.overlap["images that are equal to one of another class"] == 2
    assert "equal examples: " in told.text
    assert "images of the test split that are also in training" in told.text


def test_pixels_that_a_look_sees_are_those_kept(photos):
    paths = sorted(str(path) for path in photos.rglob("*.png"))
    column = decoded(paths, (10, 12, 3), False, True)
    np.testing.assert_array_equal(column.array[3], read_image(paths[3]))
