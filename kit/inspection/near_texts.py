"""Nearly equal texts: MinHash over shingles of characters, then the share of shingles in common.

Broder, "On the Resemblance and Containment of Documents", 1997.
"""

import re
import unicodedata
from collections import defaultdict

import numpy as np

# Characters of a shingle; least share of shingles that nearly equal texts have in common; least characters of a text.
_SHINGLE, LEAST, _LEAST_LENGTH = 5, 0.8, 25
# Hashes of a band that have to agree, and bands: texts at the least share are missed in 1 of 1000 cases.
_ROWS, _BANDS = 5, 16
_MOST_IN_A_BUCKET = 200


def normalized(text):
    """Returns a text in small letters, without punctuation, with one space between words."""
    return re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", text).casefold()).strip()


def near_pairs(texts, seed=0):
    """Returns pairs of texts that are nearly equal, equal ones but for case and punctuation among them.

    Args:
        texts: The texts; of those that are wholly equal one.
        seed: Seed of the hashes.

    Returns:
        List of (first row, second row, share of the shingles in common), the first the lower.
    """
    random = np.random.default_rng(seed)
    factors = random.integers(1, 2**63, _ROWS * _BANDS, dtype="uint64") | np.uint64(1)
    offsets = random.integers(0, 2**63, _ROWS * _BANDS, dtype="uint64")
    shingles, buckets = {}, [defaultdict(list) for _ in range(_BANDS)]
    for row, text in enumerate(texts):
        plain = normalized(text)
        if len(plain) < _LEAST_LENGTH:
            continue
        hashes = _shingles(plain)
        mixed = hashes[:, None] * factors + offsets
        lowest = (mixed ^ (mixed >> np.uint64(29))).min(0)  # (hashes,)
        shingles[row] = hashes
        for band, bucket in enumerate(buckets):
            bucket[lowest[band * _ROWS : (band + 1) * _ROWS].tobytes()].append(row)
    candidates = {
        (first, second)
        for bucket in buckets
        for rows in bucket.values()
        if len(rows) > 1
        for place, first in enumerate(rows[:_MOST_IN_A_BUCKET])
        for second in rows[place + 1 : _MOST_IN_A_BUCKET]
    }
    found = []
    for first, second in sorted(candidates):
        a, b = shingles[first], shingles[second]
        if min(len(a), len(b)) < LEAST * max(len(a), len(b)):
            continue
        common = len(np.intersect1d(a, b, assume_unique=True))
        share = common / (len(a) + len(b) - common)
        if share >= LEAST:
            found.append((first, second, share))
    return found


def _shingles(text):
    """Returns the hashes of the different shingles of a text, uint64."""
    codes = np.frombuffer(text.encode("utf-32-le"), "uint32").astype("uint64")
    found = np.zeros(len(codes) - _SHINGLE + 1, "uint64")
    for place in range(_SHINGLE):
        found = found * np.uint64(0x9E3779B97F4A7C15) + codes[place : place + len(found)]
    found ^= found >> np.uint64(31)
    return np.unique(found * np.uint64(0xBF58476D1CE4E5B9))
