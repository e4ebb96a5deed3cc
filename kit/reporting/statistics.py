"""Means and 95 % intervals over examples, episodes and runs: bootstrap, Wilson, interquartile mean."""

import dataclasses
import warnings

import numpy as np
from jsonargparse.typing import PositiveInt

from kit.errors import check


@dataclasses.dataclass(frozen=True)
class Bootstrap:
    """Bootstrap intervals of an evaluation.

    Args:
        bootstrap_samples: Draws of examples with replacement behind each 95 % interval, at most 100,000.

    Raises:
        SettingError: a value is out of range.
    """

    bootstrap_samples: PositiveInt = 1000

    def __post_init__(self):
        check(self.bootstrap_samples <= 100_000, "bootstrap_samples", self.bootstrap_samples, "at most 100000")


def bootstrap(counts, score, samples, seed=0):
    """Returns the 95 % interval of a score over examples drawn with replacement.

    Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979. Where nothing, or everything, was wrong all draws
    are equal, and the interval has no width: see `f1_interval` and `share_interval`.

    Args:
        counts: What each example adds, (examples, ...).
        score: Function from sums over examples (samples, ...) to scores (samples, ...); what a draw says nothing of,
            such as the F1 of a class that is not in it, is NaN and left out.
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
    return percentiles(np.concatenate(scores))


def block_bootstrap(counts, score, samples, block, seed=0):
    """Returns the 95 % interval of a score over steps of time, drawn in blocks of neighbours, which are alike.

    Politis and Romano, "A Circular Block-Resampling Procedure for Stationary Data", 1992: the last step is followed by
    the first. With blocks of one step it is `bootstrap`.

    Args:
        counts: What each step adds, in order, (steps, ...).
        score: As for `bootstrap`.
        samples: Number of draws.
        block: Steps of a block; at most half of all.
        seed: Seed of the draws.

    Returns:
        Lower and upper end, shaped as the score of one sample.
    """
    random, total = np.random.default_rng(seed), len(counts)
    block = max(min(block, total // 2), 1)
    flat = counts.reshape(total, -1).astype("float64")
    number, size, scores = -(-total // block), max(1, 10_000_000 // total), []
    for start in range(0, samples, size):
        count = min(size, samples - start)
        begin = random.integers(0, total, (count, number))
        drawn = (begin[..., None] + np.arange(block)).reshape(count, -1)[:, :total] % total
        times = np.stack([np.bincount(each, minlength=total) for each in drawn])  # (samples, steps)
        scores.append(score((times @ flat).reshape(count, *counts.shape[1:])))
    return percentiles(np.concatenate(scores))


def percentiles(draws):
    """Returns the ends of the middle 95 % of draws (samples, ...), NaN left out; NaN where there is nothing else."""
    if not np.isnan(draws).any():
        return tuple(np.quantile(draws, (0.025, 0.975), axis=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of what no draw says anything of
        return tuple(np.nanquantile(draws, (0.025, 0.975), axis=0))


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
        right: How many are counted, a whole number; or an array of such numbers.
        total: Out of how many, as many of these; of none the interval is 0 to 1.

    Returns:
        Lower and upper end, arrays where arrays were given.
    """
    from scipy.stats import binomtest

    def ends(right, total):
        return tuple(binomtest(int(right), int(total)).proportion_ci(0.95, "wilson")) if total else (0.0, 1.0)

    low, high = np.vectorize(ends, otypes=("float64", "float64"))(right, total)
    return (low, high) if low.ndim else (float(low), float(high))


def f1_interval(right, wrong):
    """Returns the 95 % interval of F1 that Wilson's interval gives, which has a width where nothing is wrong, too.

    Of what was predicted or is true, the share J that is both is a share like others (Jaccard, 1912), and F1 is
    2 J / (1 + J), which rises with J: the ends of J's interval (`share_interval`) are those of F1's. Of 20 without a
    mistake it reaches down to 0.91. What belongs together, such as words of a sentence, counts as independent.

    Args:
        right: What was predicted and is true; a number or an array.
        wrong: What was predicted or is true, but not both, as many of these.
    """
    return tuple(2 * end / (1 + end) for end in share_interval(right, right + wrong))


def wider(first, second):
    """Returns the lower of two lower ends and the higher of two upper ends; one that is NaN does not count.

    The percentiles of draws with replacement know how much examples differ, Wilson's interval how little few mistakes,
    or none, say ("If Nothing Goes Wrong, Is Everything All Right?", Hanley and Lippman-Hand, 1983).
    """
    return np.fmin(first[0], second[0]), np.fmax(first[1], second[1])
