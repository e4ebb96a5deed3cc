"""Data of forecasts: series that are read and divided, and those that a finished run is given, with what it keeps."""

import dataclasses
import logging

import numpy as np
import pandas as pd

from kit import config, terminal
from kit.data import sources
from kit.data.forecast_windows import (
    LONGEST,
    ForecastOptions,
    check_lengths,
    check_precision,
    divided,
    forecast_examples,
    long_enough,
    moments,
    usual_context,
    usual_horizon,
)
from kit.data.seasonality import find_season, scales
from kit.data.series import regular
from kit.data.series_columns import SeriesColumns, find_roles
from kit.data.time_steps import read_times
from kit.errors import KitError, SettingError

log = logging.getLogger("kit")

# Numbers of the last steps of all series that a run keeps in order to go on from there.
_MOST_KEPT = 2_000_000


@dataclasses.dataclass(frozen=True)
class SeriesSource:
    """Where time series come from.

    Args:
        source: `seasons` (generated), or a table of any dialect: .csv, .tsv, .jsonl, .parquet, .xlsx, with a row for
            each time, or for each time and series. In Python also a table or series of pandas, or a dictionary of
            columns.
        num_series: Number of generated series; 4 by default.
        num_steps: Days of each; 730 by default.
    """

    source: str = "seasons"
    num_series: int | None = None
    num_steps: int | None = None


@dataclasses.dataclass
class Prepared:
    """Series of a run, divided by time, with what was found out about them.

    Args:
        examples: `Examples` of training, validation and test split.
        names: Name of each row of a series, with a check sum of it.
        split: Split of each row.
        settings: Settings of `[data]` that were decided.
        facts: What the builder needs to know.
        assets: What prediction and scores need.
    """

    examples: list
    names: list
    split: np.ndarray
    settings: dict
    facts: dict
    assets: dict


def prepare(*, where=SeriesSource(), columns=SeriesColumns(), options=ForecastOptions()):
    """Reads and divides series, and decides what the settings leave open; all of it by the training part.

    Args:
        where: `SeriesSource`.
        columns: `SeriesColumns`.
        options: `ForecastOptions`.

    Raises:
        KitError: a table that cannot be used; the message names the row.
        SettingError: a setting that does not fit the table.
    """
    generated = {"num_series": where.num_series, "num_steps": where.num_steps}
    found, origin = sources.read(where.source, "series", {**generated, "seed": options.split_seed})
    if isinstance(origin, str):
        log.info("the series of %s are generated: a trend, a season of a week and one of a year, and noise", origin)
    elif any(each is not None for each in generated.values()):
        key = next(key for key, value in generated.items() if value is not None)
        raise SettingError(key, f"expected none of series that are read from {origin}")
    _check_whole(found, origin)
    roles = find_roles(found.frame, columns)
    times, time_format = read_times(found.frame[roles.time], found.places, roles.time, roles.time_format)
    roles = dataclasses.replace(roles, time_format=time_format)
    series = regular(found.frame, found.places, roles, columns, times)
    most = max(min(LONGEST, (int(series.steps.max()) - int(series.steps.min())) // 5), 1)
    division = divided(series, options.horizon or most, options)  # not later than that of a smaller horizon
    season, horizon = options.season, options.horizon
    if season is None:
        season, why = find_season(series, division.validation)
        log.info("data.season is %d (%s)", season, why)
    if horizon is None:
        horizon = min(usual_horizon(season), most)
        division = divided(series, horizon, options)
        log.info("data.horizon is %d steps of %s", horizon, series.grid.words)
    context = options.context
    if context is None:
        context, why = usual_context(series, season, horizon, division)
        log.info("data.context is %d (%s)", context, why)
    series = long_enough(series, context, horizon, columns.short)
    check_lengths(horizon, context, season, division, series)
    check_precision(series)
    scale = scales(series, season, division.validation)
    if np.isnan(scale).any():
        log.info(
            "%d series repeat themselves in the training part, or have hardly any: MASE leaves them out, such as %r",
            np.isnan(scale).sum(),
            series.names[int(np.argmax(np.isnan(scale)))],
        )
    tells_missing = not series.observed[series.steps < division.validation].all()
    examples = forecast_examples(series, division, context, horizon, options, _usable(scale), tells_missing)
    widths = {name: column.flat.shape[1] for name, column in examples[0].inputs.items()}
    mean, deviation = moments(series, division.validation)
    least_scale = _least(series, division.validation)
    _tell(series, division)
    return Prepared(
        examples,
        _names(series),
        np.select([series.steps < division.validation, series.steps < division.test], ["train", "validation"], "test"),
        {"source": str(origin), "season": season, "horizon": horizon, "context": context},
        {
            "context": context,
            "horizon": horizon,
            "season": season,
            "num_past": widths["past"],
            "num_future": widths.get("future", 0),
            "moments": (mean, deviation),
            "known_covariates": len(roles.known),
            "least_scale": least_scale,
        },
        {
            **dataclasses.asdict(roles),
            "grid": dataclasses.asdict(series.grid),
            "step": series.grid.words,
            "horizon": horizon,
            "context": context,
            "season": season,
            "calendar": options.calendar,
            "tells_missing": bool(tells_missing),
            "gaps": columns.gaps,
            "missing": columns.missing,
            "series_names": series.names,
            "scales": [None if each != each else float(each) for each in scale],
            "moments": [mean, deviation],
            "least_scale": least_scale,
            "last_steps": _kept(series, context),
        },
    )


def facts_of(data, given=None):
    """Returns facts of series as a dictionary: `examples`, the number of training windows.

    Args:
        data: Settings of `[data]`.
        given: Table that was given in Python, or None.

    Raises:
        KitError: a table that cannot be used.
    """
    source = {} if given is None else {"source": given}
    with terminal.log_quiet(logging.WARNING):  # the training says it
        return {"examples": len(config.call(prepare, **data | source).examples[0])}


def _check_whole(found, origin):
    if found.split is not None:
        raise KitError(f"{origin}: says which split each row is of; expected one table, which is divided by time")


def _usable(scale):
    """Returns what the loss divides the errors of each series by: that of MASE, or the median of the others'."""
    known = scale[np.isfinite(scale)]
    return np.where(np.isfinite(scale), scale, np.median(known) if len(known) else 1.0)


def _least(series, end):
    """Returns the smallest divisor of a window: a hundredth of the mean distance from the mean of a usual series."""
    spread = []
    for start, first, length in zip(series.offsets, series.first, series.lengths, strict=False):
        values = series.target[start : start + max(min(length, end - first), 0)]
        if len(values) and np.ptp(values):
            spread.append(np.abs(values - values.mean()).mean())
    return float(max(0.01 * np.min(spread), 1e-12)) if spread else 1.0


def _tell(series, division):
    counts, grid = series.lengths, series.grid
    lengths = f"{counts.min():,}" if counts.min() == counts.max() else f"{counts.min():,} to {counts.max():,}"
    validation, test, last = grid.texts([division.validation, division.test, int((series.first + counts).max()) - 1])
    log.info(
        "%d series of %s steps of %s; validation from %s, test from %s to %s",
        len(series.names),
        lengths,
        grid.words,
        validation,
        test,
        last,
    )


def _names(series):
    """Returns series and time of each row, with a check sum of its values."""
    values = [series.target, series.observed, *series.known.T, *series.past.T]
    sums = pd.util.hash_pandas_object(pd.DataFrame(dict(enumerate(values))), index=False).to_numpy() & 0xFFFFFFFF
    times = series.grid.texts(series.steps)
    return [
        f"{series.names[owner]} {time} {number:08x}"
        for owner, time, number in zip(series.owners, times, sums, strict=True)
    ]


def _kept(series, context):
    """Returns the last steps of each series, as JSON holds them; None where they are too many to be kept."""
    width = 2 + series.known.shape[1] + series.past.shape[1]
    if len(series.names) * context * width > _MOST_KEPT:
        log.info("the last steps of %s series are too many to be kept: kit predict needs a table", len(series.names))
        return None
    rows = [
        np.arange(max(end - context, start), end)
        for start, end in zip(series.offsets, series.offsets[1:], strict=False)
    ]
    return {
        "end": (series.first + series.lengths).tolist(),
        **{
            name: [getattr(series, name)[each].tolist() for each in rows]
            for name in ("target", "observed", "known", "past")
        },
    }
