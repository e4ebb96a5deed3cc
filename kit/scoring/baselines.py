"""Simple generators that made images are compared with: a Gaussian of principal components, and noise."""

import numpy as np

# Numbers that the principal components are fitted to, at most: about 200 MB.
_MOST_VALUES = 50_000_000


def fitted_pca(images, components, seed=0):
    """Returns scikit-learn's `PCA` of images, uint8 (examples, height, width, channels): of the first ones, if large.

    Args:
        images: The images.
        components: Number of principal components, at most as many as there are images and pixels.
        seed: Seed of the randomised solver.
    """
    from sklearn.decomposition import PCA

    most = max(components, _MOST_VALUES // int(np.prod(images.shape[1:])))
    flat = np.asarray(images[:most], "float32").reshape(min(len(images), most), -1)
    return PCA(min(components, *flat.shape), svd_solver="randomized", random_state=seed).fit(flat)


def pca_gaussian(images, count, components=64, seed=0):
    """Returns images drawn from a Gaussian fitted to the principal components of given ones: a simple generator.

    Args:
        images: uint8 array, (examples, height, width, channels).
        count: Number of images to draw.
        components: Number of principal components.
        seed: Seed of the draw.
    """
    pca = fitted_pca(images, components, seed)
    drawn = np.random.default_rng(seed).normal(size=(count, pca.n_components_)) * np.sqrt(pca.explained_variance_)
    made = [
        np.clip(np.round(pca.inverse_transform(part)), 0, 255).astype("uint8")
        for part in np.array_split(drawn.astype("float32"), -(-count // 500))
    ]
    return np.concatenate(made).reshape(count, *images.shape[1:])


def noise(shape, count, seed=0):
    """Returns images of a shape whose pixels are independent, each value as probable as the others."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype="uint8")
