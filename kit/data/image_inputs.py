"""Images that a finished run is applied to: files, folders of them, or an array."""

from pathlib import Path

import numpy as np

from kit.data.image import read_images
from kit.data.sources.image_folder import images_in
from kit.data.sources.image_npz import as_pixels
from kit.errors import KitError


def image_inputs(inputs, shape, crop_to_aspect_ratio, batch_size):
    """Names the images that were given, and reads them batch by batch.

    Args:
        inputs: Image files and folders of them, or an array (images, height, width, channels) of pixels from 0 to 255
            or, as fractions, from 0 to 1.
        shape: Height, width and channels that they are brought to; an array has to have them.
        crop_to_aspect_ratio: As for `kit.data.image.read_image`.
        batch_size: Images in a batch.

    Returns:
        Names of the images, paths or numbers, and an iterator of batches, uint8 (batch, height, width, channels).

    Raises:
        KitError: no images, or one that cannot be read.
    """
    shape = tuple(shape)
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    if isinstance(inputs, list | tuple) and all(isinstance(item, str | Path) for item in inputs):
        names = []
        for item in inputs:
            names += images_in(item) if Path(item).is_dir() else [Path(item)]
        if not names:
            raise KitError(f"no images in {', '.join(map(str, inputs)) or 'nothing'}")

        def read(rows):
            return np.stack(read_images(names[rows], shape[:2], shape[2], crop_to_aspect_ratio))

    else:
        pixels = np.asarray(inputs)
        if shape[2] == 1 and pixels.shape[-2:] == shape[:2] and pixels.ndim <= 3:
            pixels = pixels[..., None]  # grey images without an axis of channels
        if pixels.shape == shape:
            pixels = pixels[None]
        if pixels.shape[1:] != shape:
            raise KitError(f"inputs: expected images of shape {shape}, got an array {pixels.shape}")
        if not len(pixels):
            raise KitError("inputs: an array of no images; expected at least one")
        pixels = as_pixels(pixels, "inputs")
        names = range(len(pixels))

        def read(rows):
            return pixels[rows]

    return names, (read(slice(start, start + batch_size)) for start in range(0, len(names), batch_size))
