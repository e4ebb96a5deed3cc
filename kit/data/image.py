"""Image decoding: files to pixels, one way for training, evaluation and prediction."""

import contextlib
import functools
import io
import logging
import os
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from kit.data.columns import Dense, Files, aligned
from kit.data.image_files import FORMATS, check_regular, is_misnamed
from kit.data.memory import free_memory
from kit.data.sources import EncodedImage
from kit.errors import KitError, SettingError

log = logging.getLogger("kit")

# Decoded images stay in memory up to this share of what is free; splitting holds them up to three times for a moment.
MEMORY_SHARE = 0.3

GREY_MODES = {"1", "L", "LA"}
COLOUR_MODES = {"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}
_BACKGROUNDS = {"white": (255, 255, 255, 255), "black": (0, 0, 0, 255)}
# Sides that photographs of different sizes are brought to without a setting; every architecture takes them.
_SIDES = (32, 48, 64)


def read_image(path, size=None, channels=None, crop_to_aspect_ratio=False, background="white"):
    """Reads one image file as pixels.

    A camera's orientation mark is obeyed; of several frames the first is read.

    Args:
        path: The file, a path or an `EncodedImage`.
        size: (height, width) in pixels to resize to; None keeps the image's own.
        channels: 1 (grey) or 3 (RGB) to convert to; None keeps grey as grey and makes RGB of all else.
        crop_to_aspect_ratio: Cut the image's margins instead of distorting it when its shape is not that of `size`.
        background: "white" or "black", what is seen where the image is transparent.

    Returns:
        uint8 array (height, width, channels).

    Raises:
        KitError: the file is no image of the formats of `kit.data.image_files`, is damaged, or has more than 8 bits a
            channel.
    """
    with opened(path) as image:
        grey = channels == 1 or (channels is None and image.mode in GREY_MODES)
        pixels = np.asarray(_resized(plain(image, grey, background), size, crop_to_aspect_ratio))
    return pixels[..., None] if grey else pixels


def plain(image, grey, background="white"):
    """Returns a picture as it is seen: turned as the camera says, on a background where it is transparent.

    Args:
        image: Opened image of Pillow.
        grey: Make it grey ("L"); else it is coloured ("RGB").
        background: As for `read_image`.
    """
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _BACKGROUNDS[background]), image)
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    return image.convert("L" if grey else "RGB")


@contextlib.contextmanager
def opened(path):
    """Opens an image file of one of the known formats, of 8 bits a channel; what goes wrong becomes a KitError.

    Pillow refuses a small one that would unfold to a huge image.
    """
    try:
        if isinstance(path, EncodedImage):
            file = io.BytesIO(path.data)
        else:
            check_regular(path)
            file = path
        with _pillow().open(file, formats=tuple(FORMATS)) as image:
            _check_bits(path, image)
            yield image
    except KitError:
        raise
    except FileNotFoundError:
        raise KitError(f"{path}: no such file") from None
    except PermissionError as error:
        raise KitError(f"{path}: cannot be read ({error.strerror})") from None
    except Exception as error:  # a damaged file raises whatever its decoder stumbled over
        reason = " ".join(str(error).split()) or type(error).__name__
        if "cannot identify" in reason:
            reason = f"cannot identify it as {', '.join(FORMATS)}"
        raise KitError(f"{path}: not a whole image ({reason}); mend or remove it") from None


@functools.cache
def _pillow():
    from PIL import Image

    # A photograph of 100 million pixels is one; Pillow itself refuses twice of what it warns of.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    return Image


def _check_bits(path, image):
    """Raises KitError for an opened image of more than 8 bits a channel, which Pillow would cut to the upper 8."""
    kinds = {tile[3] if isinstance(tile[3], str) else tile[3] and tile[3][0] for tile in image.tile}
    levels = {tile[3][1] for tile in image.tile if tile[0].startswith("ppm")}
    deep = [kind for kind in kinds if isinstance(kind, str) and re.search(";16[BLN]", kind)]  # 5 bits are ";16"
    if image.mode not in GREY_MODES | COLOUR_MODES or deep or max(levels, default=0) > 255:
        raise KitError(
            f"{path}: pixels of mode {(deep or [image.mode])[0]!r}; expected 8 bits a channel, grey or colour"
        )


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


def read_images(paths, size=None, channels=None, crop_to_aspect_ratio=False, background="white"):
    """Reads image files on all cores; see `read_image`.

    Returns:
        List of uint8 arrays (height, width, channels).
    """

    def read(path):
        return read_image(path, size, channels, crop_to_aspect_ratio, background)

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


def header_sizes(paths):
    """Returns (height, width) of image files, from their headers alone, and whether all are grey.

    Those that cannot be read are passed over, unless there are no others.
    """

    def header(path):
        with contextlib.suppress(KitError):
            return header_of(path)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        headers = [each for each in pool.map(header, paths) if each is not None] or [header_of(paths[0])]
    return [header.size for header in headers], all(header.is_grey for header in headers)


def common_shape(paths, image_size, color_mode, crop_to_aspect_ratio=False, background="white"):
    """Finds the shape that all images of a data set have, from their headers alone.

    Images of different sizes get a side by a rule: the largest of 32, 48 and 64 not above the median of their shorter
    sides, or 32. A line of the log tells of it, of transparency, and of files of several images.

    Args:
        paths: The files.
        image_size: (height, width) that images are resized to, or None.
        color_mode: "grayscale", "rgb" or "auto".
        crop_to_aspect_ratio, background: As for `read_image`, for that line.

    Returns:
        (height, width, channels).

    Raises:
        KitError: a file is no image.
        SettingError: modes differ and `color_mode` is "auto".
    """
    headers = headers_of(paths)
    is_other = headers.is_grey != headers.is_grey[0]
    if color_mode == "auto" and is_other.any():
        path, is_grey = paths[int(is_other.argmax())], headers.is_grey[0]
        raise SettingError(
            "color_mode",
            f"images differ in mode: {paths[0]} is {'grey' if is_grey else 'colour'}, {path} is "
            f"{'colour' if is_grey else 'grey'}; set it to 'rgb' or 'grayscale'",
        )
    first = tuple(headers.size[0].tolist())
    is_other = (headers.size != headers.size[0]).any(1)
    if image_size is None and is_other.any():
        other = int(is_other.argmax())
        side = int(np.median(headers.size.min(1)))
        image_size = (max((each for each in _SIDES if each <= side), default=_SIDES[0]),) * 2
        how = "their margins cut" if crop_to_aspect_ratio else "squeezed where they are not square"
        log.info(
            "images: of different sizes (%s is %s, %s is %s), so all are resized to %s, %s; data.image_size chooses "
            "another size%s",
            *(paths[0], _times(first), paths[other], _times(headers.size[other]), _times(image_size), how),
            "" if crop_to_aspect_ratio else ", data.crop_to_aspect_ratio cuts margins instead",
        )
    for is_so, what in (
        (headers.is_transparent, f"have transparency: what is seen through them is {background} (data.background)"),
        (headers.is_several, "hold several images or frames, of which the first is read"),
        (headers.is_misnamed, "have the ending of another format, which does not matter here"),
    ):
        if is_so.any():
            count, shown = f"{is_so.sum():,}", paths[int(is_so.argmax())]
            log.info("images: %s of %s %s; the first: %s", count, f"{len(paths):,}", what, shown)
    grey = headers.is_grey[0] if color_mode == "auto" else color_mode == "grayscale"
    return (*(image_size or first), 1 if grey else 3)


def _times(size):
    return f"{size[0]}x{size[1]}"


class Headers(NamedTuple):
    """Headers of image files, read without decoding, or of one: size (height, width), colour, transparency and so on.

    Args:
        size: Height and width in pixels, (images, 2).
        is_grey: Whether each is grey, (images,), and so on.
        is_transparent: Something is seen through it.
        is_several: It holds several images or frames.
        is_misnamed: The ending of its name is another format's.
    """

    size: tuple
    is_grey: bool
    is_transparent: bool
    is_several: bool
    is_misnamed: bool


def headers_of(paths):
    """Returns the `Headers` of image files; those of a pack are known.

    Raises:
        KitError: a file is no image.
    """
    if hasattr(paths, "headers"):
        return paths.headers
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return Headers(*map(np.array, zip(*pool.map(header_of, paths), strict=True)))


def header_of(path):
    """Returns the `Headers` of one image file."""
    with opened(path) as image:
        return header_in(image, path)


def header_in(image, path):
    """Returns the `Headers` of an opened image file."""
    turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return Headers(
        image.size if turned else image.size[::-1],
        image.mode in GREY_MODES,
        image.has_transparency_data,
        # what follows the first image of a camera's file is the same one, smaller
        image.format != "MPO" and getattr(image, "is_animated", False),
        not isinstance(path, EncodedImage) and is_misnamed(path, image.format),
    )


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
    return images.take(kept), messages


def decoded(
    paths, shape, crop_to_aspect_ratio, in_memory, background="white", checks=None, is_known=False, filters=None
):
    """Decodes image files: keeps the pixels if they fit in memory, else only validates that each can be read.

    Args:
        paths: The files, paths or `EncodedImage`.
        shape: (height, width, channels) that they are brought to.
        crop_to_aspect_ratio, background: As for `read_image`.
        in_memory: True, False, or "auto".
        checks: `PixelChecks` that get all of the images, or None.
        is_known: They were validated before.
        filters: `kit.data.filters.Filters` that all of them pass, or None.

    Returns:
        Column of the images, `Dense` or `Files`.
    """
    height, width, channels = shape
    if isinstance(paths, list) and isinstance(paths[0], EncodedImage):
        in_memory = True
    need, free = len(paths) * height * width * channels, free_memory()
    if in_memory == "auto":
        in_memory = need < MEMORY_SHARE * free
    elif in_memory and need > free:
        raise KitError(
            f"images: {len(paths):,} of {height}x{width} need {need / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are "
            "free; expected a smaller data.image_size"
        )

    def decode(batch):
        images = np.stack(read_images(batch, (height, width), channels, crop_to_aspect_ratio, background))
        return images if filters is None else filters(images)

    pixels = aligned((len(paths), *shape), "uint8") if in_memory else None
    if in_memory:
        log.info("images: %s decoded into memory, %.1f MB", f"{len(paths):,}", pixels.nbytes / 1e6)
    else:
        log.info("images: %s stay on disk and are decoded in every epoch", f"{len(paths):,}")
        if is_known:
            return Files(paths, decode, shape)
    for start in range(0, len(paths), 1024):
        block = decode(paths[start : start + 1024])
        if checks is not None:
            checks.update(block)
        if in_memory:
            pixels[start : start + len(block)] = block
    return Dense(pixels) if in_memory else Files(paths, decode, shape)
