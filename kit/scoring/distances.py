"""Distances between feature vectors of real and generated images: Fréchet (FID), kernel (KID), precision and recall."""

import numpy as np


def frechet_distance(real, made):
    """Returns the squared Frechet distance between Gaussians fitted to two clouds.

    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", 2017, section 4:
    the squared distance of the means and the trace of `A + B - 2 (A B)^(1/2)` of the covariances. It is biased: the
    smaller the clouds, the larger it is, so that only values for equal sizes compare.

    Args:
        real, made: Features, (examples, channels).
    """
    real, made = np.asarray(real, "float64"), np.asarray(made, "float64")
    first, second = (np.atleast_2d(np.cov(cloud, rowvar=False)) for cloud in (real, made))
    # The eigenvalues of A B are those of the symmetric A^(1/2) B A^(1/2), for which no root of a matrix is needed.
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    between = np.square(real.mean(0) - made.mean(0)).sum()
    return float(max(between + np.trace(first) + np.trace(second) - 2 * overlap, 0.0))


def kernel_distance(real, made, block=1000):
    """Returns the unbiased squared maximum mean discrepancy under the kernel `(x y / channels + 1)^3`.

    Binkowski et al., "Demystifying MMD GANs", 2018 (the kernel inception distance, KID). The mean over disjoint random
    blocks, always the same ones, which bounds the memory and stays unbiased; it may be a little below 0.

    Args:
        real, made: Features, (examples, channels), at least 2 of each.
        block: Examples in a block.
    """
    real, made = np.asarray(real, "float64"), np.asarray(made, "float64")
    count = -(-min(len(real), len(made)) // block)
    if count > 1:  # real examples often come class by class
        shuffle = np.random.default_rng(0)
        real, made = real[shuffle.permutation(len(real))], made[shuffle.permutation(len(made))]
    blocks = zip(np.array_split(real, count), np.array_split(made, count), strict=True)
    return float(np.mean([_discrepancy(first, second) for first, second in blocks]))


def _discrepancy(real, made):
    def kernel(first, second):
        return (first @ second.T / first.shape[1] + 1) ** 3

    def within(cloud):
        matrix = kernel(cloud, cloud)
        return (matrix.sum() - np.trace(matrix)) / (len(cloud) * (len(cloud) - 1))

    return within(real) + within(made) - 2 * kernel(real, made).mean()


def precision_and_recall(real, made, neighbors=3):
    """Returns which share of the made images lies among the real ones, and of the real ones among the made.

    A point lies in a cloud if it is as near to one of its points as that one's third nearest neighbour in the cloud.
    Kynkaanniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", 2019.

    Args:
        real, made: Features, (examples, channels), more than `neighbors` of each.
        neighbors: Which neighbour's distance is the radius around a point.
    """
    return _inside(made, real, neighbors), _inside(real, made, neighbors)


def _inside(points, cloud, neighbors):
    from sklearn.metrics import pairwise_distances_chunked
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=neighbors + 1).fit(cloud)  # a point is its own first neighbour
    radii = nearest.kneighbors(cloud)[0][:, -1]
    within = pairwise_distances_chunked(points, cloud, reduce_func=lambda rows, start: (rows <= radii).any(1))
    return float(np.concatenate(list(within)).mean())


def inception_score(probabilities):
    """Returns how sure a classifier is of each image, and of how many kinds they are: 1 to the number of classes.

    Salimans et al., "Improved Techniques for Training GANs", 2016, section 4.

    Args:
        probabilities: Of each class, (examples, classes).
    """
    probabilities = np.maximum(np.asarray(probabilities, "float64"), 1e-12)
    mean = probabilities.mean(0)
    return float(np.exp((probabilities * np.log(probabilities / mean)).sum(1).mean()))


def diversity(features, pairs=2000):
    """Returns the mean distance between two vectors of a cloud, over random pairs, always the same ones."""
    drawn = np.random.default_rng(0).integers(0, len(features), (pairs, 2))
    drawn = drawn[drawn[:, 0] != drawn[:, 1]]
    return float(np.linalg.norm(features[drawn[:, 0]] - features[drawn[:, 1]], axis=1).mean())
