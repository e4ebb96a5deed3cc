"""Near copies among images: resized, compressed once more, brighter or darker; told from images that are only alike.

Thumbnails, brought to mean 0 and length 1, are compared by correlation, which brightness and contrast leave alone.
Who is compared with whom is told by hashes of random projections (Charikar, "Similarity Estimation Techniques from
Rounding Algorithms", 2002), so that the time grows with the number of images, not with its square.
"""

import math

import numpy as np

# Least correlation of the thumbnails of two copies.
LEAST = 0.985
# Tables of hashes; a pair at the least correlation is missed by all of them in about one case of 100.
_TABLES, _COMPONENTS, _MOST_IN_A_BUCKET = 8, 48, 1024
# An image has a copy only where that is so much nearer than its other neighbours are, among so many that are looked at.
_NEARER, _OTHERS, _RANK = 0.06, 4000, 2
# Most difference of the mean colours of two copies, beside brightness.
_COLOUR = 12.0


def normalized(greys):
    """Returns thumbnails (images, pixels) of mean 0 and length 1, float32; those of one colour are all 0."""
    found = greys - greys.mean(1, keepdims=True)
    lengths = np.sqrt(np.einsum("ij,ij->i", found, found))
    flat = lengths < 0.5 * math.sqrt(greys.shape[1])  # less than half a level of grey: noise
    found /= np.maximum(lengths, 1e-6)[:, None]  # in place: there may be many
    found[flat] = 0
    return found


def near_pairs(vectors, thumbnails, seed=0):
    """Returns pairs of images that are copies of each other, though not equal.

    Args:
        vectors: Thumbnails as `normalized` returns them; of equal images one.
        thumbnails: The same in colour, (images, side, side, 3).
        seed: Seed of the projections and of the images that pairs are measured by.

    Returns:
        Two arrays of row numbers, the first of a pair the lower, and the correlation of each.
    """
    first, second, correlation = candidates(vectors, seed)
    if not len(first):
        return first, second, correlation
    same = _same_colours(thumbnails, first, second)
    first, second, correlation = first[same], second[same], correlation[same]
    kept = (1 - correlation) < _NEARER * np.minimum(*_usual(vectors, first, second, seed))
    return first[kept], second[kept], correlation[kept]


def candidates(vectors, seed=0):
    """Returns pairs of rows of at least the least correlation that some table has in one bucket."""
    random = np.random.default_rng(seed)
    count = len(vectors)
    some = vectors[random.permutation(count)[:5000]]
    centre = some.mean(0)
    _, scales, axes = np.linalg.svd(some - centre, full_matrices=False)
    axes = (
        axes[: min(_COMPONENTS, len(axes))] / np.sqrt(np.maximum(scales, scales[0] * 1e-3 + 1e-9))[:_COMPONENTS, None]
    )
    codes = (vectors - centre) @ axes.T.astype("float32")  # (images, components)
    bits = max(1, math.ceil(math.log2(max(count / 48, 2))))
    real = np.flatnonzero(np.any(vectors != 0, axis=1))
    pairs = []
    for _ in range(_TABLES):
        projected = codes @ random.normal(size=(codes.shape[1], bits + 12)).astype("float32")
        signs = projected > np.median(projected, axis=0)
        keys = signs[:, :bits] @ (1 << np.arange(bits, dtype="int64"))
        order = real[np.argsort(keys[real], kind="stable")]
        edges = np.flatnonzero(np.diff(keys[order])) + 1
        for bucket in np.split(order, edges):
            if len(bucket) > 1:
                pairs += _in_bucket(vectors, bucket, signs, bits)
    if not pairs:
        return np.zeros(0, int), np.zeros(0, int), np.zeros(0, "float32")
    whole = np.unique(np.concatenate(pairs))
    first, second = whole // count, whole % count
    return first, second, np.einsum("ij,ij->i", vectors[first], vectors[second])


def _in_bucket(vectors, rows, signs, bit):
    """Returns the pairs in a bucket, as numbers; one that is too large is divided by more bits."""
    if len(rows) > _MOST_IN_A_BUCKET and bit < signs.shape[1]:
        side = signs[rows, bit]
        return [
            pair
            for part in (rows[side], rows[~side])
            if len(part) > 1
            for pair in _in_bucket(vectors, part, signs, bit + 1)
        ]
    rows = np.sort(rows[: 4 * _MOST_IN_A_BUCKET])
    block = vectors[rows]
    near = np.triu(block @ block.T >= LEAST, 1)
    if not near.any():
        return []
    first, second = np.nonzero(near)
    return [rows[first].astype("int64") * len(vectors) + rows[second]]


def to_nearest(vectors, others=1500, seed=2):
    """Returns how far each image is from the nearest of some random others, as 1 - correlation, (images,)."""
    chosen = np.random.default_rng(seed).permutation(len(vectors))[:others]
    found = np.empty(len(vectors), "float32")
    for start in range(0, len(vectors), 1024):
        rows = np.arange(start, min(start + 1024, len(vectors)))
        near = vectors[rows] @ vectors[chosen].T
        near[rows[:, None] == chosen[None]] = -1
        found[rows] = 1 - near.max(1)
    return found


def _same_colours(thumbnails, first, second):
    """Tells of pairs whether their colours differ by no more than brightness."""
    kept = np.empty(len(first), bool)
    for start in range(0, len(first), 4096):
        rows = slice(start, start + 4096)
        a, b = (thumbnails[part[rows]].astype("float32").mean((1, 2)) for part in (first, second))
        a, b = (each - each.mean(1, keepdims=True) for each in (a, b))
        kept[rows] = np.abs(a - b).max(1) <= _COLOUR
    return kept


def _usual(vectors, first, second, seed):
    """Returns how far from each image of pairs its usual neighbours are, as 1 - correlation.

    The neighbour is one of a rank that few copies of it could take, among random others.
    """
    others = np.random.default_rng(seed + 1).permutation(len(vectors))[:_OTHERS]
    involved, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    distances = np.empty(len(involved), "float32")
    for start in range(0, len(involved), 512):
        rows = involved[start : start + 512]
        found = 1 - vectors[rows] @ vectors[others].T
        found[found < 1 - LEAST] = np.where(_is_own(rows, others, found < 1 - LEAST), 2, found)[found < 1 - LEAST]
        rank = min(_RANK, found.shape[1] - 1)
        distances[start : start + len(rows)] = np.partition(found, rank, axis=1)[:, rank]
    return distances[place[: len(first)]], distances[place[len(first) :]]


def _is_own(rows, others, near):
    """Tells which of the others an image is itself."""
    return near & (rows[:, None] == others[None])
