"""Images that a finished model is given: files, folders of them, or an array."""

from pathlib import Path

import numpy as np

from kit.data.filters import Filters
from kit.data.image import read_images
from kit.data.image_files import PassedOver, images_in
from kit.data.sources.image_npz import as_pixels
from kit.errors import KitError


def image_inputs(inputs, shape, assets, batch_size):
    """Returns the names of images, and a function that returns an iterator of batches of them.

    Args:
        inputs: A file or folder, several of them, or an array (images, height, width, channels) of pixels from 0 to 255
            or, where the training images were such, fractions from 0 to 1.
        shape: Height, width and channels that files are brought to, and arrays have to have.
        assets: Those of the run: `crop_to_aspect_ratio` cuts margins instead of distorting files of another shape,
            `background` is seen through transparent ones, `pixel_kind` says what the numbers of the training images
            were, `filters` are those that they passed.
        batch_size: Images in a batch.

    Raises:
        KitError: no images, or an array of another shape or kind; while batches are read, a file that cannot be read.
    """
    filters = Filters.of(assets.get("filters"))  # an old run has none
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    if isinstance(inputs, list | tuple) and all(isinstance(item, str | Path) for item in inputs):
        names, passed_over = [], PassedOver()
        for item in inputs:
            names += images_in(item, passed_over) if Path(item).is_dir() else [Path(item)]
        passed_over.tell()
        if not names:
            raise KitError(f"no images in {', '.join(map(str, inputs)) or 'nothing'}")

        how = assets["crop_to_aspect_ratio"], assets.get("background", "white")

        def batches():
            for start in range(0, len(names), batch_size):
                block = names[start : start + batch_size]
                yield filters(np.stack(read_images(block, shape[:2], shape[2], *how)))

        return names, batches
    try:
        pixels = np.asarray(inputs)
    except ValueError:  # lists of different lengths
        raise KitError(f"inputs: expected images of shape {shape}, got such of different shapes") from None
    if shape[2] == 1 and pixels.shape[-2:] == shape[:2] and pixels.ndim <= 3:
        pixels = pixels[..., None]  # grey images without an axis of channels
    if pixels.shape == shape:
        pixels = pixels[None]
    if pixels.shape[1:] != shape:
        raise KitError(f"inputs: expected images of shape {shape}, got an array {pixels.shape}")
    if not len(pixels):
        raise KitError("inputs: an array of no images; expected at least one")
    pixels = as_pixels(pixels, "inputs", assets.get("pixel_kind"))  # an old run did not keep it
    return range(len(pixels)), lambda: (
        filters(pixels[start : start + batch_size]) for start in range(0, len(pixels), batch_size)
    )


def shape_of(assets):
    """Returns height, width and channels of the images that a run takes, given its assets; None where it takes none."""
    shape = next((assets[key] for key in ("image_shape", "input_shape") if key in assets), None)
    return list(shape) if shape is not None and "crop_to_aspect_ratio" in assets else None
