"""Means and 95 % intervals over examples, episodes and runs: bootstrap, Wilson, interquartile mean."""

import dataclasses

import numpy as np
from jsonargparse.typing import PositiveInt


@dataclasses.dataclass(frozen=True)
class Bootstrap:
    """Bootstrap intervals of an evaluation.

    Args:
        bootstrap_samples: Draws of examples with replacement behind each 95 % interval.
    """

    bootstrap_samples: PositiveInt = 1000


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


def interquartile_mean(values, axis=-1):
    """Returns the mean of the middle half; a value at the border counts in part.

    Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", 2021.

    Args:
        values: Numbers; of an array of several axes those along one of them.
        axis: That axis.
    """
    values = np.sort(np.moveaxis(np.asarray(values, "float64"), axis, -1))
    ends = np.arange(values.shape[-1] + 1) / values.shape[-1]
    shares = np.clip(np.minimum(ends[1:], 0.75) - np.maximum(ends[:-1], 0.25), 0, None)
    found = (values * shares).sum(-1) / shares.sum()
    return float(found) if found.ndim == 0 else found


def share_interval(right, total):
    """Returns the 95 % interval of a share; that of 20 out of 20 reaches down to 0.84.

    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927. Drawing with replacement would
    find no doubt where nothing is wrong.

    Args:
        right: How many are counted.
        total: Out of how many, at least 1.
    """
    from scipy.stats import binomtest

    return tuple(map(float, binomtest(int(right), int(total)).proportion_ci(0.95, "wilson")))
