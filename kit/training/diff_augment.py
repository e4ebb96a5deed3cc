"""DiffAugment: differentiable augmentation of real and generated images alike.

A discriminator that sees few real images learns them by heart; changed ones it cannot, and what reaches the generator
are gradients, not the changes. Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020.
"""

import keras
from keras import ops


def diff_augment(images, policies, seed):
    """Changes each image of a batch at random.

    Args:
        images: Images between -1 and 1.
        policies: Some of `POLICIES`, in the order in which they are applied.
        seed: `keras.random.SeedGenerator`.

    Shape:
        in, out: (batch, height, width, channels)
    """
    for policy in policies:
        images = POLICIES[policy](images, seed)
    return images


def _color(images, seed):
    """Brightness by up to a half, saturation by a factor of up to 2, contrast by one from 0.5 to 1.5."""
    shape = (ops.shape(images)[0], 1, 1, 1)
    images = images + keras.random.uniform(shape, -0.5, 0.5, seed=seed)
    if images.shape[-1] > 1:
        mean = ops.mean(images, axis=-1, keepdims=True)
        images = mean + (images - mean) * keras.random.uniform(shape, 0.0, 2.0, seed=seed)
    mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + (images - mean) * keras.random.uniform(shape, 0.5, 1.5, seed=seed)


def _translation(images, seed):
    """Shifts by up to an eighth of the side; what comes in is black."""
    count, height, width, _ = ops.shape(images)
    rows, columns = _shift(count, height, seed), _shift(count, width, seed)
    # A matrix of zeros and ones for each image moves its rows, another its columns.
    shifted = ops.einsum("bij,bjwc->biwc", rows, images + 1.0)
    return ops.einsum("bij,bhjc->bhic", columns, shifted) - 1.0


def _shift(count, side, seed):
    most = max(1, side // 8)
    by = keras.random.randint((count, 1, 1), -most, most + 1, seed=seed)
    positions = ops.arange(side)
    return ops.cast(ops.equal(positions[None, :, None] + by, positions[None, None, :]), "float32")


def _cutout(images, seed):
    """Blanks out a square of half the side."""
    count, height, width, _ = ops.shape(images)
    rows, columns = _inside(count, height, seed), _inside(count, width, seed)
    hidden = ops.cast(ops.logical_and(rows[:, :, None, None], columns[:, None, :, None]), images.dtype)
    return images * (1.0 - hidden)


def _inside(count, side, seed):
    middle = keras.random.uniform((count, 1), 0.0, float(side), seed=seed)
    return ops.abs(ops.cast(ops.arange(side), "float32")[None] + 0.5 - middle) < side / 4


POLICIES = {"color": _color, "translation": _translation, "cutout": _cutout}
