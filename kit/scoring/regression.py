"""Scores of predicted numbers: RMSE, MAE, R², correlations, with bootstrap intervals; coverage of intervals."""

import numpy as np
import pandas as pd

from kit.reporting.statistics import bootstrap, share_interval

# A residual so many robust standard deviations from the median is likely a mistake of the true number.
_FAR = 6.0
MOST = 50


def scores(true, predicted, samples):
    """Returns R², RMSE, MAE and the correlations of Pearson and Spearman, each with the ends of its 95 % interval.

    Correlations of answers that are all the same, or with numbers that are, count as 0. Ranks are those in the split,
    also in the draws with replacement behind the interval of Spearman's.

    Args:
        true: True numbers, float64 (examples,).
        predicted: Predicted numbers, (examples,).
        samples: Draws behind each interval.

    Returns:
        Name to number: `r2`, `rmse`, `mae`, `pearson`, `spearman`, and of each `_low` and `_high`.
    """
    from scipy.stats import rankdata

    scale = np.abs(np.concatenate([true, predicted])).max() or 1.0  # squares of huge numbers are finite, too
    columns = [np.ones(len(true))]
    error = (predicted - true) / scale
    columns += [error**2, np.abs(error)]
    for pair in ((true / scale, predicted / scale), (rankdata(true), rankdata(predicted))):
        first, second = (each - each.mean() for each in pair)
        columns += [first, second, first**2, second**2, first * second]
    sums = np.stack(columns, 1)  # (examples, 13)
    names = ("r2", "rmse", "mae", "pearson", "spearman")
    units = np.array([1, scale, scale, 1, 1])
    found = _of_sums(sums.sum(0)[None])[0] * units
    ends = np.stack(bootstrap(sums, _of_sums, samples)) * units  # (2, scores)
    found = np.nan_to_num(found)
    metrics = {}
    for name, value, (low, high) in zip(names, found, np.where(np.isnan(ends), found, ends).T, strict=True):
        metrics |= {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}
    return metrics


def _of_sums(sums):
    """Returns the five scores (samples, 5) of sums over examples (samples, 13); NaN where one means nothing."""
    count, squares, absolute = (sums[:, column] for column in range(3))
    spread, pearson = _correlation(count, sums[:, 3:8])
    _, spearman = _correlation(count, sums[:, 8:])
    with np.errstate(invalid="ignore", divide="ignore"):
        r2 = np.where(spread > 0, 1 - squares / spread, np.nan)
    return np.stack([r2, np.sqrt(squares / count), absolute / count, pearson, spearman], 1)


def _correlation(count, sums):
    """Returns the sum of squares of the first of two columns around its mean, and the correlation of both."""
    first, second, first_squares, second_squares, products = sums.T
    spreads = [squares - each**2 / count for each, squares in ((first, first_squares), (second, second_squares))]
    # What rounding leaves of a spread that is none, is none.
    spreads = [np.where(each > 1e-12 * squares, each, 0) for each, squares in zip(spreads, sums.T[2:4], strict=True)]
    size = np.sqrt(spreads[0] * spreads[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return spreads[0], np.where(size > 0, (products - first * second / count) / size, np.nan)


def coverage(true, quantiles, levels):
    """Returns how many true numbers lie between the lowest and the highest quantile, with Wilson's interval.

    Args:
        true: True numbers, (examples,).
        quantiles: Predicted ones, (examples, levels).
        levels: Level of each, rising.

    Returns:
        Name to number: `coverage` with its interval, `coverage_wanted`, `interval_width` (mean) and `quantile_loss`.
    """
    low, high = quantiles[:, 0], quantiles[:, -1]
    inside = int(((true >= low) & (true <= high)).sum())
    ends = share_interval(inside, len(true))
    above = true[:, None] - quantiles
    loss = np.maximum(np.array(levels) * above, (np.array(levels) - 1) * above)
    return {
        "coverage": inside / len(true),
        "coverage_low": ends[0],
        "coverage_high": ends[1],
        "coverage_wanted": round(levels[-1] - levels[0], 6),
        "interval_width": float((high - low).mean()),
        "quantile_loss": float(loss.mean()),
    }


def likely_errors(true, predicted):
    """Returns the examples whose number is far from the predicted one, beside how far others are, the farthest first.

    Args:
        true, predicted: (examples,) each, predicted by a model that has not seen the example.

    Returns:
        Table with columns `row`, `number` and `likely`.
    """
    residual = predicted - true
    middle = np.median(residual)
    deviation = 1.4826 * np.median(np.abs(residual - middle))  # that of a normal distribution
    distance = np.abs(residual - middle)
    rows = np.flatnonzero(distance > _FAR * deviation) if deviation > 0 else np.zeros(0, int)
    rows = rows[np.argsort(-distance[rows], kind="stable")]
    return pd.DataFrame({"row": rows, "number": true[rows], "likely": predicted[rows]})


def hints(history, best_epoch, targets):
    """Returns what tells that nothing was learned of numbers: a sentence each.

    Args:
        history: Table with a row an epoch, with `val_mae`.
        best_epoch: Epoch whose weights were kept, from 1.
        targets: True numbers of the validation split, standardised as those of training are, (examples,).
    """
    trivial = float(np.abs(targets).mean())
    error = float(history["val_mae"].iloc[best_epoch - 1])
    if error < 0.999 * trivial:
        return []
    return [
        f"val_mae, {error:.4f} standard deviations, is no better than to answer always with the mean of training "
        f"({trivial:.4f}): nothing was learned; try another optimizer.learning_rate (kit train --find-learning-rate), "
        "a smaller train.batch_size or more train.epochs"
    ]
