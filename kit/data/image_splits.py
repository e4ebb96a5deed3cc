"""Images from any source, divided into splits: what every recipe of images begins with."""

import dataclasses
import inspect

import numpy as np
import pandas as pd

from kit.data import sources
from kit.data.image import common_shape, decoded, luminance, resize, without_unreadable
from kit.data.splits import SPLITS, Examples, assign
from kit.errors import check


@dataclasses.dataclass
class ImageSplits:
    """Images of three splits.

    Args:
        parts: `Examples` of (uint8 images, integer labels): training, validation, test.
        shape: Height, width and channels of the images.
        class_names: Name of each class.
        skipped: Files that were passed over since they cannot be read.
        assignment: Table that says which image went where.
        source: The source, a path made absolute.
    """

    parts: list
    shape: tuple
    class_names: list
    skipped: list
    assignment: pd.DataFrame
    source: str


def image_splits(
    seed,
    saved,
    *,
    source,
    image_size,
    color_mode,
    crop_to_aspect_ratio,
    validation_fraction,
    test_fraction,
    on_bad,
    in_memory,
    needs_classes=True,
):
    """Reads images and divides them into training, validation and test split.

    Args:
        seed: Seed of the division.
        saved: Assignment of an earlier run that is used again, or None.
        source, image_size, color_mode, crop_to_aspect_ratio, validation_fraction, test_fraction, on_bad, in_memory:
            As the image recipes' data functions describe them.
        needs_classes: Refuse images without classes, or of one class.

    Returns:
        `ImageSplits`.

    Raises:
        KitError: a file or folder that cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    if isinstance(image_size, int):
        image_size = (image_size, image_size)
    check(
        image_size is None or (min(image_size) >= 1 and max(image_size) <= 8192),
        "image_size",
        image_size,
        "1 to 8192 pixels",
    )
    module, place = sources.find(source, "images")
    # The other sources have classes by their nature.
    may_lack_them = "needs_classes" in inspect.signature(module.read).parameters
    images = module.read(place, needs_classes) if may_lack_them else module.read(place)
    skipped = []
    if on_bad == "skip" and images.paths is not None:
        images, skipped = without_unreadable(images)
    assignment = assign(
        images.names,
        images.split,
        validation_fraction,
        test_fraction,
        seed,
        saved,
        labels=images.labels,
        class_names=images.class_names,
    )
    load = None
    if images.paths is not None:
        shape = common_shape(images.paths, image_size, color_mode)
        inputs, load = decoded(images.paths, shape, crop_to_aspect_ratio, in_memory)
    else:
        inputs = images.pixels
        shape = (*(image_size or inputs.shape[1:3]), inputs.shape[3])
        if shape[:2] != inputs.shape[1:3]:
            inputs = resize(inputs, shape[:2], crop_to_aspect_ratio)
        if color_mode == "rgb" and shape[2] == 1:
            inputs, shape = np.repeat(inputs, 3, -1), (*shape[:2], 3)
        elif color_mode == "grayscale" and shape[2] == 3:
            inputs, shape = luminance(inputs), (*shape[:2], 1)
    whole = Examples((inputs, images.labels), load)
    parts = [whole.take(np.flatnonzero(assignment["split"] == name)) for name in SPLITS]
    return ImageSplits(parts, shape, images.class_names, skipped, assignment, str(place))
