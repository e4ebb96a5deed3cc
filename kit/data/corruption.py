"""Images made worse on purpose, for networks that learn to mend them.

Vincent, Larochelle, Bengio and Manzagol, "Extracting and Composing Robust Features with Denoising Autoencoders", 2008.
"""

import tensorflow as tf

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
