"""Duplicate images and images of one colour, found while pixels are read."""

import hashlib
import logging

import numpy as np

log = logging.getLogger("kit")


class PixelChecks:
    """Duplicate images and images of one colour, found while the pixels of a data set are read once.

    Args:
        names: Name of each image, in the order in which they are read.

    Attributes:
        digests: Check sum of the pixels of each image so far, equal for equal images.
        constant: Numbers of the images that are of one colour throughout.
    """

    def __init__(self, names):
        self.names = names
        self.digests = []
        self.constant = []

    def update(self, pixels):
        """Takes in the next images, (images, height, width, channels)."""
        flat = pixels.reshape(len(pixels), -1, pixels.shape[-1])
        few = flat[:, :: max(1, flat.shape[1] // 16)]
        for row in np.flatnonzero((few == few[:, :1]).all((1, 2))):
            if (flat[row] == flat[row, :1]).all():
                self.constant.append(len(self.digests) + row)
        self.digests += [hashlib.blake2b(image, digest_size=16).digest() for image in np.ascontiguousarray(pixels)]

    def report(self):
        """Logs a line on the images that are of one colour throughout, if there are any."""
        if self.constant:
            log.info(
                "images: %s of %s are of one colour throughout; the first: %s",
                f"{len(self.constant):,}",
                f"{len(self.names):,}",
                self.names[self.constant[0]],
            )
