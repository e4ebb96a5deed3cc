"""Scores of reconstructed images: squared error, peak signal-to-noise ratio, and PCA as a baseline."""

import numpy as np

from kit.scoring.baselines import fitted_pca


def squared_errors(made, images, block=500):
    """Returns the mean squared error of each image, (examples,), pixels being from 0 to 1.

    Args:
        made, images: uint8 arrays (examples, height, width, channels).
        block: Images that are unfolded to numbers at once.
    """
    rows = range(0, len(images), block)
    pairs = ((made[row : row + block].astype("float32"), images[row : row + block]) for row in rows)
    return np.concatenate([np.square((first - second) / 255).mean((1, 2, 3)) for first, second in pairs])


def decibels(errors):
    """Returns the peak signal-to-noise ratio, the mean over the images, given the squared error of each."""
    return float(-10 * np.log10(np.maximum(errors, 1e-10)).mean())


def by_pca(reference, images, components):
    """Returns what as many principal components leave of images: the best that a linear autoencoder can do.

    Args:
        reference: `Reference` of the training images.
        images: uint8 array (examples, height, width, channels).
        components: Number of principal components.
    """
    pca = fitted_pca(reference.some(20000), components)
    blocks = np.array_split(images.reshape(len(images), -1), -(-len(images) // 500))
    back = [pca.inverse_transform(pca.transform(block.astype("float32"))) for block in blocks]
    return np.concatenate([np.clip(np.round(block), 0, 255).astype("uint8") for block in back]).reshape(images.shape)
