"""Filters of images: noise taken away, grey levels spread; the same for training, evaluation and prediction."""

import dataclasses

import numpy as np

_NAMES = ("denoise", "denoise_radius", "equalize")


@dataclasses.dataclass(frozen=True)
class Filters:
    """Filters that every image passes at the size at which a network sees it.

    Args:
        denoise: "none", "gaussian" or "median".
        denoise_radius: Pixels to each side.
        equalize: Spread the grey levels.
    """

    denoise: str = "none"
    denoise_radius: int = 1
    equalize: bool = False

    @classmethod
    def of(cls, settings):
        """Returns the filters of `ImageOptions`, or of a dictionary of them as `assets` hold it, or of None."""
        if settings is None or isinstance(settings, dict):
            return cls(**(settings or {}))
        return cls(**{name: getattr(settings, name) for name in _NAMES})

    @property
    def is_any(self):
        """Whether an image is changed at all."""
        return self.equalize or self.denoise != "none"

    def __str__(self):
        told = [f"{self.denoise} filter of radius {self.denoise_radius}"] if self.denoise != "none" else []
        return " and ".join(told + (["histogram equalisation"] if self.equalize else []))

    def to_json(self):
        """Returns the settings as JSON has them."""
        return dataclasses.asdict(self)

    def __call__(self, pixels):
        """Returns images filtered.

        Args:
            pixels: uint8 array (images, height, width, 1 or 3).

        Returns:
            uint8 array of the same shape.
        """
        if self.denoise != "none":
            pixels = _denoised(pixels, self.denoise, self.denoise_radius)
        return _equalized(pixels) if self.equalize else pixels


def _denoised(pixels, kind, radius):
    from scipy import ndimage

    if kind == "median":
        return ndimage.median_filter(pixels, size=(1, 2 * radius + 1, 2 * radius + 1, 1), mode="nearest")
    found = np.empty_like(pixels)
    for row, image in enumerate(pixels):  # one by one, for memory
        blurred = ndimage.gaussian_filter(image.astype("float32"), sigma=(radius, radius, 0), mode="nearest")
        found[row] = np.clip(np.round(blurred), 0, 255)
    return found


def _equalized(pixels):
    """Spreads the grey levels of each image evenly, of coloured ones the brightness alone: colours stay."""
    from PIL import Image, ImageOps

    found = np.empty_like(pixels)
    for row, image in enumerate(pixels):
        if image.shape[-1] == 1:
            found[row, ..., 0] = np.asarray(ImageOps.equalize(Image.fromarray(image[..., 0])))
            continue
        brightness, *colours = Image.fromarray(image).convert("YCbCr").split()
        merged = Image.merge("YCbCr", (ImageOps.equalize(brightness), *colours))
        found[row] = np.asarray(merged.convert("RGB"))
    return found
