"""Inception v3 features of images, by the ImageNet weights of keras.applications."""

import functools

import keras
import numpy as np

from kit.errors import SettingError

# Side of the images that it was trained on, in pixels.
_SIDE = 299


def features(images, batch_size=32):
    """Returns the features of images in front of Inception's last layer, (examples, 2048).

    They are of the weights that `keras.applications` publishes, not of those that published values of the Frechet
    inception distance were computed with: the numbers do not compare with those.

    Args:
        images: uint8 array, (examples, height, width, 1 or 3).
        batch_size: Images in a step.

    Raises:
        SettingError: the weights are neither on this machine nor to be had.
    """
    network = _network()
    blocks = []
    for start in range(0, len(images), batch_size):
        block = np.asarray(images[start : start + batch_size], "float32")
        block = np.repeat(block, 3, -1) if block.shape[-1] == 1 else block
        block = keras.ops.image.resize(block, (_SIDE, _SIDE), interpolation="bilinear", antialias=True)
        blocks.append(keras.ops.convert_to_numpy(network(block / 127.5 - 1.0, training=False)))
    return np.concatenate(blocks)


@functools.cache
def _network():
    try:
        return keras.applications.InceptionV3(include_top=False, weights="imagenet", pooling="avg")
    except Exception as error:  # what a failed download raises depends on how it failed
        reason = " ".join(str(error).split())[:200]
        raise SettingError(
            "features", f"the weights of Inception v3 are not at hand ({reason}); expected 'kit', or a network"
        ) from None
