"""Generated images as pictures: mosaics, animations of epochs, PNG and GIF files."""

import os
import tempfile
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from kit.errors import KitError
from kit.files import atomic

# A sample is shown at least so many pixels high; between two of them is a gap of so many.
_LEAST_HEIGHT, _GAP = 48, 2
_MOST_FRAMES = 30
_FILM_WIDTH = 300


def of_all_classes(labels, count):
    """Returns rows of so many images, of as many classes as there are."""
    turns = [np.arange(size) for size in np.unique(labels, return_counts=True)[1]]
    return np.argsort(labels, kind="stable")[np.argsort(np.concatenate(turns), kind="stable")][:count]


def mosaic(images, columns):
    """Puts images side by side, enlarged where they are small.

    Args:
        images: uint8 array (images, height, width, 1 or 3).
        columns: Images in a row.

    Returns:
        uint8 array (height, width, 1 or 3).
    """
    images = np.asarray(images)
    factor = -(-_LEAST_HEIGHT // images.shape[1])
    images = images.repeat(factor, 1).repeat(factor, 2)
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    whole = np.full((rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, channels), 255, "uint8")
    for index, image in enumerate(images):
        top, left = index // columns * (height + _GAP), index % columns * (width + _GAP)
        whole[top : top + height, left : left + width] = image
    return whole


def write_png(path, image):
    """Writes a uint8 image (height, width, 1 or 3), whole or not at all."""
    with atomic(path) as temporary:
        _picture(image).save(temporary, format="PNG")


def write_folder(folder, images):
    """Writes a folder of uint8 images by file name, whole or not at all; it is new or empty."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".writing-") as scratch:
        inside = Path(scratch) / "images"
        inside.mkdir()
        for name, image in images.items():
            _picture(image).save(inside / name, format="PNG")
        os.replace(inside, folder)


def new_folder(path):
    """Returns the path of a folder that is new or empty.

    Raises:
        KitError: there is something in it, or it is a file.
    """
    folder = Path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise KitError(f"{folder}: exists already; expected a new folder, --output")
    return folder


def write_numbered(folder, images, columns):
    """Writes images as numbered PNG files into a folder that is new or empty, and all of them as `grid.png`.

    Returns:
        The files' paths, in order.
    """
    digits = len(str(len(images) - 1))
    named = {f"{index:0{digits}}.png": image for index, image in enumerate(images)}
    write_folder(folder, named | {"grid.png": mosaic(images, columns)})
    return [str(folder / name) for name in named]


def write_animation(path, frames, seconds=0.25):
    """Writes pictures, files in their order, as an animated GIF; the last one stays for a while.

    Args:
        path: File to write.
        frames: Paths of PNG files of equal size.
        seconds: How long each is shown.
    """
    chosen = [frames[index] for index in sorted({*np.linspace(0, len(frames) - 1, _MOST_FRAMES).astype(int)})]
    pictures = []
    for frame in chosen:
        with Image.open(frame) as picture:
            pictures.append(picture.convert("P", palette=Image.Palette.ADAPTIVE))
    times = [round(1000 * seconds)] * (len(pictures) - 1) + [2000]
    with atomic(path) as temporary:
        pictures[0].save(
            temporary, format="GIF", save_all=True, append_images=pictures[1:], duration=times, loop=0, optimize=False
        )


def write_film(path, frames, seconds):
    """Writes frames, uint8 (height, width, 3), as an animated GIF, made smaller where they are large.

    Args:
        path: File to write.
        frames: Frames of equal size.
        seconds: How long each is shown.
    """
    pictures = []
    for frame in frames:
        picture = Image.fromarray(frame)
        picture.thumbnail((_FILM_WIDTH, _FILM_WIDTH))
        pictures.append(picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=64))
    with atomic(path) as temporary:
        pictures[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=max(20, round(1000 * seconds)),
            loop=0,
            optimize=False,
        )


def as_pixels(images):
    """Returns images whose pixels are numbers from 0 to 255 as uint8."""
    return np.clip(np.round(np.asarray(images)), 0, 255).astype("uint8")


def _picture(image):
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def figure(image):
    """Returns a matplotlib figure that shows a picture, (height, width, 1 or 3), and nothing else."""
    from matplotlib.figure import Figure

    height, width, channels = image.shape
    drawn = Figure(figsize=(width / 110, height / 110), dpi=110)
    axis = drawn.add_axes((0, 0, 1, 1))
    axis.axis("off")
    axis.imshow(np.repeat(image, 3, -1) if channels == 1 else image, interpolation="nearest")
    return drawn


class Frames(keras.callbacks.Callback):
    """Writes a picture after each epoch, and at the end an animation of them.

    Args:
        draw: Function that returns the picture, uint8 (height, width, 1 or 3).
        folder: Where they are written.
    """

    def __init__(self, draw, folder):
        super().__init__()
        self.draw, self.folder = draw, folder

    def on_epoch_end(self, epoch, logs=None):
        self.folder.mkdir(exist_ok=True)
        write_png(self.folder / f"epoch-{epoch + 1:04}.png", self.draw())
        if not self.model.stop_training and epoch < self.params["epochs"] - 1:
            return
        frames = [self.folder / f"epoch-{number:04}.png" for number in range(1, epoch + 2)]
        write_animation(self.folder / "training.gif", [frame for frame in frames if frame.exists()])
