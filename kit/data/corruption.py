"""Corrupted images: noise and masking, for denoising autoencoders.

Vincent, Larochelle, Bengio and Manzagol, "Extracting and Composing Robust Features with Denoising Autoencoders", 2008.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kit.data.columns import Dense
from kit.data.examples import Examples
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


def corrupt_once(pixels, corrupt, turn):
    """Returns images corrupted once and for all, in steps that no training comes to.

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
class Denoising(Examples):
    """Examples of denoising: images as a network is given them (input), as they should be (target), and labels (extra).

    Args:
        corrupt: Corrupts the inputs anew in each step, `(step, images) -> images`; or None.
    """

    corrupt: Callable | None = None

    def __post_init__(self):
        if self.corrupt:
            self.transform = lambda step, given, pixels: (self.corrupt(step, given), pixels)

    def join(self, others):
        """Returns these images and then those of another split, the latter clean where these are corrupted anew."""
        if self.corrupt:
            others = dataclasses.replace(others, inputs=others.targets)
        return super().join(others)

    def given(self):
        """Returns the images as a model is given them to be scored: corrupted, if at all, once and for all."""
        return corrupt_once(self.target("image"), self.corrupt, 0) if self.corrupt else self.input("image")


def denoising(images, corrupt, turn, reference=None):
    """Returns labelled images as `Denoising` examples: those of training are corrupted anew in each step.

    Args:
        images: `Examples` with the input `image` and the target `label`.
        corrupt: What `corruption` returned; None leaves the images as they are.
        turn: Number of the split; 0 is training.
        reference: What made images are compared by.
    """
    (column,), (label,) = images.inputs.values(), images.targets.values()
    wanted = {"image": column}
    if corrupt is None or turn == 0:
        return Denoising(
            wanted, wanted, extras={"label": label}, rows=images.rows, reference=reference, corrupt=corrupt
        )
    pixels = images.input("image")
    given, clean = Dense(corrupt_once(pixels, corrupt, turn)), Dense(pixels)
    return Denoising(
        {"image": given}, {"image": clean}, extras={"label": Dense(images.target("label"))}, reference=reference
    )
