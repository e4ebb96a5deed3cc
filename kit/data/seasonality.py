"""Season of time series: after how many steps they are most like themselves, by the calendar and autocorrelation."""

import numpy as np

from kit.data.time_steps import seasons

# Autocorrelation below which there is no season; how much better a longer season has to be; and how much less a series
# must be like itself within a season: one that moves slowly is like itself after any few steps.
_LEAST, _BETTER, _LESS = 0.2, 0.05, 0.1
_MOST_SERIES = 200


def find_season(series, end):
    """Returns the season in steps, 1 where there is none, and the reason in words.

    By the calendar a month of 12, a day of 24 hours and the like are tried; where there is no calendar, every lag. The
    autocorrelation is that of the series without their trend, a moving mean of two seasons or of a third of the series.

    Args:
        series: `SeriesSet`.
        end: Step on the grid that is behind the last one that may be looked at.
    """
    parts = []
    for start, first, length in zip(series.offsets, series.first, series.lengths, strict=False):
        count = min(length, end - first)
        if count >= 8:
            parts.append(series.target[start : start + count])
        if len(parts) == _MOST_SERIES:
            break
    if not parts:
        return 1, "too few steps to see one"
    longest = max(map(len, parts))
    tried = [lag for lag in seasons(series.grid) if 2 * lag <= longest]
    if tried:
        strength = {lag: _mean(parts, lag, lag) for lag in tried}
        inside = {lag: min(_mean(parts, lag, max(lag // part, 1)) for part in (2, 3, 4)) for lag in tried}
        found = [lag for lag in tried if strength[lag] >= max(_LEAST, inside[lag] + _LESS)]
        if not found:
            shown = ", ".join(f"{strength[lag]:.2f} after {lag}" for lag in tried)
            return 1, f"none: autocorrelation {shown} steps of {series.grid.words}"
        best = _shortest(found, strength)
        return best, f"by the calendar; autocorrelation {strength[best]:.2f} after {best} steps of {series.grid.words}"
    if seasons(series.grid):
        return 1, "none: the series are shorter than two of the calendar's"
    curve = _curve(parts, longest // 3)
    peaks = [lag for lag in range(2, len(curve) - 1) if curve[lag] > curve[lag - 1] and curve[lag] >= curve[lag + 1]]
    peaks = [lag for lag in peaks if curve[lag] >= max(_LEAST, 2 / np.sqrt(longest))]
    if not peaks:
        return 1, "none: no peak of the autocorrelation"
    best = _shortest(peaks, curve)
    return best, f"the peak of the autocorrelation, {curve[best]:.2f}"


def _shortest(lags, strength):
    """Returns the shortest of some lags whose autocorrelation is about that of the best."""
    best = max(strength[lag] for lag in lags)
    return min(lag for lag in lags if strength[lag] > best - _BETTER)


def _mean(parts, season, lag):
    """Returns the mean autocorrelation at a lag, without the trend over two seasons, of series of that length."""
    found = [_correlation(_without_trend(part, 2 * season), lag) for part in parts if len(part) >= 2 * season]
    found = [value for value in found if value == value]
    return float(np.mean(found)) if found else 0.0


def _curve(parts, most):
    curves = []
    for part in parts:
        flat = _without_trend(part, max(len(part) // 3, 3))
        curve = [_correlation(flat, lag) if lag < len(part) // 2 else np.nan for lag in range(most + 1)]
        curves.append(curve)
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(np.nanmean(np.array(curves), 0)) if curves else np.zeros(0)


def _without_trend(values, width):
    """Returns values without their moving mean over so many steps; at the ends that of what is there."""
    width = max(min(int(width), len(values)), 1)
    ones, kernel = np.ones(len(values)), np.ones(width)
    return values - np.convolve(values, kernel, "same") / np.convolve(ones, kernel, "same")


def _correlation(values, lag):
    values = values - values.mean()
    size = float((values**2).mean())
    if size <= 1e-24 or lag >= len(values):
        return np.nan
    return float((values[lag:] * values[: len(values) - lag]).mean() / size) if lag else 1.0


def scales(series, season, end):
    """Returns the mean absolute error of the seasonal naive forecast in each series' training part, (series,).

    That is what MASE divides by (Hyndman and Koehler, "Another look at measures of forecast accuracy", 2006). Where the
    part is too short for a season, or nothing changes in it, NaN.

    Args:
        series: `SeriesSet`.
        season: Steps of a season.
        end: Step on the grid that is behind the training part.
    """
    found = []
    for start, first, length in zip(series.offsets, series.first, series.lengths, strict=False):
        count = max(min(length, end - first), 0)
        values, there = series.target[start : start + count], series.observed[start : start + count]
        both = there[season:] & there[: max(count - season, 0)]
        errors = np.abs(values[season:] - values[: max(count - season, 0)])[both]
        scale = float(errors.mean()) if len(errors) else 0.0
        found.append(scale if scale > 1e-12 * max(np.abs(values).max(initial=0), 1e-300) else np.nan)
    return np.array(found)
