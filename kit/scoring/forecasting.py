"""Scores of forecasts: MASE, MAE, RMSE, sMAPE, quantile loss, coverage; each over all origins, with its interval."""

import numpy as np
import pandas as pd

from kit.reporting.statistics import block_bootstrap

# What is summed over forecasts: number of values, absolute and squared errors, parts of sMAPE, absolute errors in
# scales, number of values whose series have a scale; of quantiles also their loss, whether inside, and the width.
_POINT, _QUANTILES = 6, 3
NAMES = ("mase", "mae", "rmse", "smape")


def errors_of(true, there, predicted, scale):
    """Returns what each value adds to the scores of a point forecast, (windows, horizon, 6).

    Args:
        true: True values, (windows, horizon).
        there: Whether each is known; others add nothing.
        predicted: Forecasts, (windows, horizon).
        scale: What MASE divides the errors of each window by, (windows,); NaN where its series has none.
    """
    error = np.abs(predicted - true)
    size = np.abs(predicted) + np.abs(true)
    shares = np.divide(200 * error, size, out=np.zeros_like(error), where=size > 0)
    has_scale = np.isfinite(scale)[:, None] & np.ones_like(there)
    scaled = error / np.where(np.isfinite(scale), scale, 1.0)[:, None]
    parts = [np.ones_like(error), error, error**2, shares, scaled * has_scale, has_scale]
    return np.stack(parts, -1) * there[..., None]


def quantile_errors_of(true, there, quantiles, levels):
    """Returns what each value adds to quantile loss, coverage and width of the interval, (windows, horizon, 3)."""
    above = true[..., None] - quantiles
    levels = np.asarray(levels)
    loss = np.maximum(levels * above, (levels - 1) * above).mean(-1)
    low, high = quantiles[..., 0], quantiles[..., -1]
    return np.stack([loss, (true >= low) & (true <= high), high - low], -1) * there[..., None]


def by_origin(errors, origins):
    """Returns errors (windows, ...) summed over the windows of each origin, (origins, ...), in order of time."""
    _, rows = np.unique(origins, return_inverse=True)
    sums = np.zeros((rows.max() + 1, *errors.shape[1:]))
    np.add.at(sums, rows, errors)
    return sums


def point_scores(sums):
    """Returns MASE, MAE, RMSE and sMAPE, (..., 4), of sums (..., 6 or more); NaN where there is no value."""
    count = sums[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack(
            [
                sums[..., 4] / sums[..., 5],
                sums[..., 1] / count,
                np.sqrt(sums[..., 2] / count),
                sums[..., 3] / count,
            ],
            -1,
        )


def quantile_scores(sums):
    """Returns quantile loss, coverage and width, (..., 3), of sums (..., 9)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[..., _POINT:] / sums[..., :1]


def scores(errors, origins, samples, block):
    """Returns the scores of forecasts, each with the ends of its 95 % interval over origins, drawn in blocks.

    Args:
        errors: Of `errors_of`, of quantiles with those of `quantile_errors_of` behind, (windows, horizon, 6 or 9).
        origins: Step at which each forecast begins, (windows,).
        samples: Draws behind each interval.
        block: Origins of a block.

    Returns:
        Name to number: `mase` (unless no series has a scale), `mae`, `rmse`, `smape`, of quantiles `quantile_loss`,
        `coverage` and `interval_width`, each with `_low` and `_high`.
    """
    sums = by_origin(errors.sum(1), origins)
    names = NAMES + (("quantile_loss", "coverage", "interval_width") if errors.shape[-1] > _POINT else ())

    def of_sums(sums):
        parts = [point_scores(sums)] + ([quantile_scores(sums)] if sums.shape[-1] > _POINT else [])
        return np.concatenate(parts, -1)

    values = of_sums(sums.sum(0))
    low, high = block_bootstrap(sums, of_sums, samples, block)
    found = {}
    for name, value, ends in zip(names, values, np.stack([low, high], 1), strict=True):
        if np.isfinite(value):
            ends = np.where(np.isfinite(ends), ends, value)
            found |= {name: float(value), f"{name}_low": float(ends[0]), f"{name}_high": float(ends[1])}
    return found


def by_step(errors, origins, samples, block):
    """Returns a table with a row a step of the horizon: MASE or MAE with its interval, and the other scores.

    Args:
        errors, origins, samples, block: As for `scores`.
    """
    sums = by_origin(errors, origins)  # (origins, horizon, terms)
    values = point_scores(sums.sum(0))
    first = 0 if np.isfinite(values[:, 0]).all() else 1
    low, high = block_bootstrap(sums, lambda sums: point_scores(sums)[..., first], samples, block)
    shown = {"step": np.arange(1, len(values) + 1)}
    shown |= {"MASE": values[:, 0]} if first == 0 else {}
    shown |= {"MAE": values[:, 1]}
    title = "MASE" if first == 0 else "MAE"
    shown |= {f"{title} 95 % low": low, f"{title} 95 % high": high, "RMSE": values[:, 2], "sMAPE (%)": values[:, 3]}
    if errors.shape[-1] > _POINT:
        shown |= {"coverage": quantile_scores(sums.sum(0))[:, 1]}
    return pd.DataFrame(shown)


def repeated(values, rows, offsets, season, horizon):
    """Returns the seasonal naive forecast, (windows, horizon): of each step its value in the last season that is known.

    Where a series does not reach back so far, its last value.

    Args:
        values: Values of all series, one after the other, (rows,).
        rows: Row of the first step that is forecast, (windows,).
        offsets: Row at which the series of each window begins, (windows,).
        season: Steps of a season; 1 repeats the last value.
        horizon: Steps that are forecast.
    """
    back = np.arange(horizon) % season - season
    wanted = rows[:, None] + back
    return values[np.where(wanted >= offsets[:, None], wanted, rows[:, None] - 1)]
