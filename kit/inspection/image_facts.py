"""Facts of images: size, mode, format, range of the pixels, a check sum and a thumbnail of each; each is read once."""

import dataclasses
import functools
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kit.data.image import GREY_MODES, opened, plain
from kit.data.image_files import is_misnamed
from kit.data.sources import EncodedImage
from kit.errors import KitError

# Side of a thumbnail, in pixels: enough to tell copies from images that are only alike, little for a hundred thousand.
SIDE = 16
_CHUNK = 128


@dataclasses.dataclass
class ImageFacts:
    """Facts of images: sizes, modes, formats, check sums, thumbnails; arrays are (images, ...).

    Args:
        rows: Number of each among the images of the source.
        heights, widths: Size in pixels, as it is seen.
        modes: Mode of the file, as Pillow names it.
        formats: Format of the file, as Pillow names it; empty for pixels in memory.
        wrong_endings: Whether the ending of the file says another format.
        transparent: Whether some of it may be transparent.
        several: Whether the file holds several images or frames.
        spans: Greatest difference between two pixels of one channel.
        digests: Check sum of the pixels.
        thumbnails: uint8 (images, SIDE, SIDE, 3).
        damaged: Number of each image that cannot be read, with a message that names it.
    """

    rows: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    modes: np.ndarray
    formats: np.ndarray
    wrong_endings: np.ndarray
    transparent: np.ndarray
    several: np.ndarray
    spans: np.ndarray
    digests: np.ndarray
    thumbnails: np.ndarray
    damaged: dict

    def __len__(self):
        return len(self.rows)

    @functools.cached_property
    def greys(self):
        """Thumbnails in grey, float32 (images, SIDE * SIDE)."""
        weights = np.array([0.299, 0.587, 0.114], "float32")
        found = np.empty((len(self), SIDE * SIDE), "float32")
        for start in range(0, len(self), 4096):
            block = self.thumbnails[start : start + 4096]
            found[start : start + len(block)] = (block @ weights).reshape(len(block), -1)
        return found


def of_files(paths, background="white"):
    """Returns the `ImageFacts` of image files, which are decoded on all cores; a damaged one is no error.

    Args:
        paths: The files, paths or `EncodedImage`.
        background: What is seen where an image is transparent.
    """

    def look(start):
        found = []
        for path in paths[start : start + _CHUNK]:
            try:
                found.append(_look(path, background))
            except KitError as error:
                found.append(str(error))
        return found

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return _facts((each for part in pool.map(look, range(0, len(paths), _CHUNK)) for each in part), len(paths))


def _look(path, background):
    """Returns what is known of an image file, in the order of the fields of `ImageFacts`."""
    with opened(path) as image:
        mode, kind = image.mode, image.format
        is_transparent = image.has_transparency_data
        is_several = kind not in ("MPO", "JPEG") and getattr(image, "is_animated", False)
        seen = plain(image, mode in GREY_MODES, background)
        size = seen.size
        bands = seen.getextrema()
        span = bands[1] - bands[0] if seen.mode == "L" else max(high - low for low, high in bands)
        digest = _digest(seen.tobytes(), size)
        thumbnail = _thumbnail(seen)
    return size[1], size[0], mode, kind, _is_misnamed(path, kind), is_transparent, is_several, span, digest, thumbnail


def _is_misnamed(path, kind):
    return not isinstance(path, EncodedImage) and is_misnamed(path, kind)


def _digest(pixels, size):
    return hashlib.blake2b(pixels, digest_size=16, salt=np.array(size, ">u4").tobytes()).digest()


def _thumbnail(image):
    from PIL import Image

    return image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0)


def of_pixels(pixels):
    """Returns the `ImageFacts` of images in memory, uint8 (images, height, width, 1 or 3)."""
    from PIL import Image

    mode = "L" if pixels.shape[-1] == 1 else "RGB"
    size = pixels.shape[2], pixels.shape[1]

    def look(image):
        span = int((image.max((0, 1)).astype(int) - image.min((0, 1))).max())
        seen = Image.fromarray(image[..., 0] if mode == "L" else image)
        return size[1], size[0], mode, "", False, False, False, span, _digest(image.tobytes(), size), _thumbnail(seen)

    return _facts(map(look, pixels), len(pixels))


def _facts(looks, count):
    """Returns `ImageFacts`, given for each image what `_look` returned, or a message."""
    thumbnails = np.empty((count, SIDE, SIDE, 3), "uint8")
    rows, fields, damaged = [], [], {}
    for row, look in enumerate(looks):
        if isinstance(look, str):
            damaged[row] = look
            continue
        thumbnail = np.asarray(look[-1])
        thumbnails[len(rows)] = thumbnail if thumbnail.ndim == 3 else thumbnail[..., None]
        rows.append(row)
        fields.append(look[:-1])
    heights, widths, modes, formats, wrong, transparent, several, spans, digests = (
        zip(*fields, strict=True) if fields else [()] * 9
    )
    return ImageFacts(
        rows=np.array(rows, int),
        heights=np.array(heights, int),
        widths=np.array(widths, int),
        modes=np.array(modes, object),
        formats=np.array(formats, object),
        wrong_endings=np.array(wrong, bool),
        transparent=np.array(transparent, bool),
        several=np.array(several, bool),
        spans=np.array(spans, int),
        digests=np.array(digests, object),
        thumbnails=thumbnails[: len(rows)],
        damaged=damaged,
    )
