"""Image decoding: files to pixels, one way for training, evaluation and prediction."""

import dataclasses
import io
import logging
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil

from kit.data.columns import Dense, Files, aligned
from kit.data.sources import EncodedImage
from kit.errors import KitError, SettingError

log = logging.getLogger("kit")

# Decoded images stay in memory up to this share of what is free; splitting holds them up to three times for a moment.
_MEMORY_SHARE = 0.3

GREY_MODES = {"1", "L", "LA"}
COLOUR_MODES = {"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}


def read_image(path, size=None, channels=None, crop_to_aspect_ratio=False):
    """Reads one image file as pixels.

    A camera's orientation mark is obeyed; transparency is dropped.

    Args:
        path: The file, a path or an `EncodedImage`.
        size: (height, width) in pixels to resize to; None keeps the image's own.
        channels: 1 (grey) or 3 (RGB) to convert to; None keeps grey as grey and makes RGB of all else.
        crop_to_aspect_ratio: Cut the image's margins instead of distorting it when its shape is not that of `size`.

    Returns:
        uint8 array (height, width, channels).

    Raises:
        KitError: the file is no image, is damaged, or has more than 8 bits a channel.
    """
    from PIL import ImageOps

    try:
        with _open(path) as image:
            if image.mode not in GREY_MODES | COLOUR_MODES:
                raise KitError(f"{path}: pixels of mode {image.mode!r}; expected 8 bits a channel, grey or colour")
            grey = channels == 1 or (channels is None and image.mode in GREY_MODES)
            image = ImageOps.exif_transpose(image)
            if image.mode in ("P", "PA", "LA"):
                image = image.convert("RGBA")
            image = image.convert("L" if grey else "RGB")
            pixels = np.asarray(_resized(image, size, crop_to_aspect_ratio))
    except KitError:
        raise
    except FileNotFoundError:
        raise KitError(f"{path}: no such file") from None
    except Exception as error:  # a damaged file raises whatever its decoder stumbled over
        reason = " ".join(str(error).split()) or type(error).__name__
        raise KitError(f"{path}: not a whole image ({reason}); mend or remove it") from None
    return pixels[..., None] if grey else pixels


def _open(path):
    """Opens an image file; Pillow refuses a small one that would unfold to a huge image."""
    from PIL import Image

    return Image.open(io.BytesIO(path.data) if isinstance(path, EncodedImage) else path)


def _resized(image, size, crop_to_aspect_ratio):
    from PIL import Image, ImageOps

    if size is None or image.size == (size[1], size[0]):
        return image
    resize = ImageOps.fit if crop_to_aspect_ratio else Image.Image.resize
    return resize(image, (size[1], size[0]), Image.Resampling.BILINEAR)


def resize(pixels, size, crop_to_aspect_ratio=False):
    """Returns images in memory at another size, as `read_image` would read them.

    Args:
        pixels: uint8 array (examples, height, width, 1 or 3).
        size: (height, width) in pixels.
        crop_to_aspect_ratio: As for `read_image`.
    """
    from PIL import Image

    shape = (*size, pixels.shape[3])
    images = (Image.fromarray(image[..., 0] if shape[2] == 1 else image) for image in pixels)
    return np.stack([np.asarray(_resized(image, size, crop_to_aspect_ratio)).reshape(shape) for image in images])


def luminance(pixels):
    """Returns grey images of coloured ones in memory, as `read_image` would make them (ITU-R 601)."""
    return np.round(pixels @ np.array([0.299, 0.587, 0.114])).astype("uint8")[..., None]


def read_images(paths, size=None, channels=None, crop_to_aspect_ratio=False):
    """Reads image files on all cores; see `read_image`.

    Returns:
        List of uint8 arrays (height, width, channels).
    """

    def read(path):
        return read_image(path, size, channels, crop_to_aspect_ratio)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(read, paths))


def unreadable(paths):
    """Returns which image files cannot be read, and why.

    Returns:
        Dictionary from index to a message that names the file.
    """

    def problem(path):
        try:
            read_image(path)
        except KitError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(problem, paths)
        return {index: message for index, message in enumerate(found) if message}


def common_shape(paths, image_size, color_mode):
    """Finds the shape that all images of a data set have, from their headers alone.

    Args:
        paths: The files.
        image_size: (height, width) that images are resized to, or None.
        color_mode: "grayscale", "rgb" or "auto".

    Returns:
        (height, width, channels).

    Raises:
        KitError: a file is no image.
        SettingError: sizes differ and `image_size` is None, or modes differ and `color_mode` is "auto".
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        headers = list(pool.map(_header, paths))
    first_size, first_grey = headers[0]
    for path, (size, grey) in zip(paths, headers, strict=True):
        if image_size is None and size != first_size:
            raise SettingError(
                "image_size",
                f"images differ in size: {paths[0]} is {first_size[0]}x{first_size[1]}, {path} is "
                f"{size[0]}x{size[1]}; set it, for example to {min(min(first_size), 224)}",
            )
        if color_mode == "auto" and grey != first_grey:
            raise SettingError(
                "color_mode",
                f"images differ in mode: {paths[0]} is {'grey' if first_grey else 'colour'}, {path} is "
                f"{'grey' if grey else 'colour'}; set it to 'rgb' or 'grayscale'",
            )
    grey = first_grey if color_mode == "auto" else color_mode == "grayscale"
    return (*(image_size or first_size), 1 if grey else 3)


def _header(path):
    """Returns ((height, width), whether grey) of an image file without decoding it."""
    try:
        with _open(path) as image:
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            size = image.size if turned else image.size[::-1]
            return size, image.mode in GREY_MODES
    except Exception:
        raise KitError(f"{path}: not an image; mend or remove it") from None


def without_unreadable(images):
    """Returns the images without the files that cannot be read, and a message on each of those."""
    problems = unreadable(images.paths)
    if not problems:
        return images, []
    messages = list(problems.values())
    log.info("images: %d of %s skipped: %s", len(problems), f"{len(images.paths):,}", "; ".join(messages[:5]))
    kept = [row for row in range(len(images.paths)) if row not in problems]
    if not kept:
        raise KitError(f"none of {len(images.paths):,} images can be read; the first: {messages[0]}")
    images = dataclasses.replace(
        images,
        paths=[images.paths[row] for row in kept],
        names=[images.names[row] for row in kept],
        labels=images.labels[kept],
        split=None if images.split is None else images.split[kept],
    )
    return images, messages


def decoded(paths, shape, crop_to_aspect_ratio, in_memory):
    """Decodes image files: keeps the pixels if they fit in memory, else only validates that each can be read.

    Args:
        paths: The files, paths or `EncodedImage`.
        shape: (height, width, channels) that they are brought to.
        crop_to_aspect_ratio: As for `read_image`.
        in_memory: True, False, or "auto".

    Returns:
        Column of the images, `Dense` or `Files`.
    """
    height, width, channels = shape
    if isinstance(paths[0], EncodedImage):
        in_memory = True
    need, free = len(paths) * height * width * channels, psutil.virtual_memory().available
    if in_memory == "auto":
        in_memory = need < _MEMORY_SHARE * free
    elif in_memory and need > free:
        raise KitError(
            f"images: {len(paths):,} of {height}x{width} need {need / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are "
            "free; expected a smaller data.image_size"
        )

    def decode(batch):
        return np.stack(read_images(batch, (height, width), channels, crop_to_aspect_ratio))

    blocks = [paths[start : start + 1024] for start in range(0, len(paths), 1024)]
    if in_memory:
        pixels = aligned((len(paths), *shape), "uint8")
        log.info("images: %s decoded into memory, %.1f MB", f"{len(paths):,}", pixels.nbytes / 1e6)
        for index, block in enumerate(blocks):
            pixels[index * 1024 : index * 1024 + len(block)] = decode(block)
        return Dense(pixels)
    log.info("images: %s stay on disk and are decoded in every epoch", f"{len(paths):,}")
    for block in blocks:
        decode(block)
    return Files(paths, decode, shape)
