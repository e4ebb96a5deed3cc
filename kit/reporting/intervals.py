"""How sure a score is: bootstrap intervals."""

import numpy as np


def bootstrap(counts, score, samples, seed=0):
    """Returns the 95 % interval of a score over examples drawn with replacement.

    Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979.

    Args:
        counts: What each example adds, (examples, ...).
        score: Function from sums over examples (samples, ...) to scores (samples, ...).
        samples: Number of draws.
        seed: Seed of the draws.

    Returns:
        Lower and upper end, shaped as the score of one sample.
    """
    random, total = np.random.default_rng(seed), len(counts)
    flat = counts.reshape(total, -1).astype("float64")
    size, scores = max(1, 10_000_000 // total), []  # few at a time, for memory
    for start in range(0, samples, size):
        number = min(size, samples - start)
        drawn = random.integers(0, total, (number, total))
        times = np.stack([np.bincount(each, minlength=total) for each in drawn])  # (samples, examples)
        scores.append(score((times @ flat).reshape(number, *counts.shape[1:])))
    return tuple(np.quantile(np.concatenate(scores), (0.025, 0.975), axis=0))
