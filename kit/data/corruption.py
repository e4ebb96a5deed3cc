"""Images made worse on purpose, for networks that learn to mend them.

Vincent, Larochelle, Bengio and Manzagol, "Extracting and Composing Robust Features with Denoising Autoencoders", 2008.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kit.data.splits import Examples
from kit.errors import check


def corruption(seed, noise=0.0, masking=0.0):
    """Returns a function that adds noise to images and blanks pixels out, the same in the same step; or None.

    Args:
        seed: Seed of the noise.
        noise: Standard deviation of Gaussian noise, as a share of the range of pixels; what leaves the range is cut.
        masking: Share of the pixels that become 0, in all channels.

    Returns:
        Function `(step, images) -> images`, uint8 (batch, height, width, channels); None where nothing is to be done.

    Raises:
        SettingError: a value out of range.
    """
    check(noise >= 0, "noise", noise, "at least 0")
    check(0 <= masking < 1, "masking", masking, "a share from 0 to below 1")
    if not noise and not masking:
        return None

    def corrupt(step, images):
        step = tf.cast(step, tf.int64)
        shape, pixels = tf.shape(images), tf.cast(images, tf.float32)
        if noise:
            pixels += 255 * noise * tf.random.stateless_normal(shape, tf.stack([tf.cast(seed, tf.int64), 2 * step]))
        if masking:
            drawn = tf.random.stateless_uniform(
                tf.concat([shape[:-1], [1]], 0), tf.stack([tf.cast(seed, tf.int64), 2 * step + 1])
            )
            pixels = tf.where(drawn < masking, 0.0, pixels)
        return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)

    return corrupt


def made_worse(pixels, corrupt, turn):
    """Returns images made worse once and for all, in steps that no training comes to.

    Args:
        pixels: uint8 array (examples, height, width, channels).
        corrupt: What `corruption` returned.
        turn: Number of the split; each has steps of its own.
    """
    starts = range(0, len(pixels), 1000)
    return np.concatenate(
        [corrupt(2**40 * (turn + 1) + start, pixels[start : start + 1000]).numpy() for start in starts]
    )


@dataclasses.dataclass
class Mended(Examples):
    """Images of one split as they are given, as they should be, and their labels.

    Args:
        reference: What made images are compared by.
        corrupt: What makes them worse anew in each step, `(step, images) -> images`; None where they are already.
    """

    reference: object = None
    corrupt: Callable | None = None

    def join(self, others):
        """Returns these images and then those of another split, the latter as they should be where these are."""
        if self.corrupt:
            others = dataclasses.replace(others, columns=(others.columns[1], *others.columns[1:]))
        return super().join(others)

    def as_given(self):
        """Returns the images as a model is given them to be scored: made worse, if at all, once and for all."""
        return made_worse(self.columns[1], self.corrupt, 0) if self.corrupt else self.columns[0]
