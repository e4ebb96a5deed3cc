"""Learning curve over the number of training examples, extrapolated: what twice as many would give."""

import dataclasses

import numpy as np

_DRAWS = 4000


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Score at a larger number of training examples, as the present curve goes on.

    Args:
        value: The estimate.
        low, high: Ends of its 95 % interval.
        exponent: Exponent of the power law, of which 0 says that more examples give nothing.
    """

    value: float
    low: float
    high: float
    exponent: float


def power_law(counts, scores, deviations, at, *, top=1.0, least=1e-4, seed=0):
    """Extrapolates a score by a power law of its error: `top - score = a * count ** -b`, with `b` of at least 0.

    Over a wide range errors fall so (Hestness et al., "Deep Learning Scaling is Predictable, Empirically", 2017), until
    they come near to what no example mends: there the estimate is too high. The interval is that of fits to scores
    drawn around the measured ones, and holds the noise of their test split, not that of training.

    Args:
        counts: Numbers of training examples, two or more different ones.
        scores: Score with each number.
        deviations: Standard deviation of each score.
        at: Number of training examples that is asked for.
        top: Highest score that there can be.
        least: Least error that counts as one, such as half an example of the test split.
        seed: Seed of the draws.

    Returns:
        `Estimate`.
    """
    counts, scores, deviations = (np.asarray(each, "float64") for each in (counts, scores, deviations))
    errors = np.maximum(top - scores, least)
    spread = np.maximum(deviations, least)
    noise = np.random.default_rng(seed).normal(size=(_DRAWS, len(counts)))
    drawn = np.maximum(errors + noise * spread, least)
    value, exponent = _fitted(counts, errors[None], spread / errors, at)
    values, _ = _fitted(counts, drawn, spread / errors, at)
    low, high = np.quantile(top - values, (0.025, 0.975))
    return Estimate(float(top - value[0]), float(low), float(high), float(exponent[0]))


def _fitted(counts, errors, spread, at):
    """Returns errors at a number of examples, and exponents, of fits to each row of errors (draws, counts).

    Least squares of the logarithms, each weighted by how sure it is.
    """
    x, y = np.log(counts), np.log(errors)
    weights = 1 / spread**2
    weights = weights / weights.sum()
    x_mean, y_mean = (weights * x).sum(), (weights * y).sum(-1)
    slope = (weights * (x - x_mean) * (y - y_mean[:, None])).sum(-1) / (weights * (x - x_mean) ** 2).sum()
    exponent = np.maximum(-slope, 0)
    return np.exp(y_mean - exponent * (np.log(at) - x_mean)), exponent
