"""Columns of a table of time series: which one holds the times, the series' names, what is forecast, covariates."""

import dataclasses
import logging
from typing import Literal

import pandas as pd

from kit.data.sources import tables
from kit.data.time_steps import USUAL, is_time_column
from kit.errors import SettingError, check

log = logging.getLogger("kit")

_SERIES = (
    "series",
    "unique_id",
    "series_id",
    "item_id",
    "series_name",
    "id",
    "item",
    "store",
    "sku",
    "product",
    "name",
)
_TARGET = ("target", "y", "value", "values", "sales", "demand", "load", "consumption", "quantity")


@dataclasses.dataclass(frozen=True)
class SeriesColumns:
    """Which column of a table of time series is what, and what is done about gaps.

    Args:
        time: Column of the time stamps, dates or numbers; by default a usual name such as date, or the first column of
            dates.
        time_format: How dates are written, as `strptime` takes it (`%d/%m/%Y`); by default it is found out, and refused
            where it may be two.
        series: Column that says of which series a row is; by default a usual name such as id, where times are there
            several times. Without one the table is one series, or one for each column of `data.target`.
        target: Column that is forecast; several, as `a,b,c`, are a series each. By default a usual name such as value,
            or the only other column of numbers.
        known_covariates: Columns of numbers that are known in advance, such as prices or holidays: forecasts need them
            for the time that they are of.
        past_covariates: Columns of numbers that are known for the past alone.
        gaps: Whether times that are missing between two others are an "error", or "fill": as if they stood there with
            missing values.
        missing: Whether missing values are an "error", or the "last" one before takes their place: what comes later
            never does. They are not learned or scored.
        short: Whether series that are shorter than context and horizon together are an "error", or "skip": they are
            said and left out.
    """

    time: str | None = None
    time_format: str | None = None
    series: str | None = None
    target: str | tuple[str, ...] | None = None
    known_covariates: tuple[str, ...] = ()
    past_covariates: tuple[str, ...] = ()
    gaps: Literal["error", "fill"] = "error"
    missing: Literal["error", "last"] = "error"
    short: Literal["error", "skip"] = "error"


@dataclasses.dataclass(frozen=True)
class Roles:
    """Columns of a table that were found.

    Args:
        time: Column of the times.
        series: Column of the series' names, or None.
        targets: Columns that are forecast.
        known, past: Columns of covariates.
        time_format: How dates are written, or None.
    """

    time: str
    series: str | None
    targets: tuple
    known: tuple
    past: tuple
    time_format: str | None


def find_roles(frame, columns):
    """Returns the `Roles` of a table's columns, and says in the log what was found out.

    Args:
        frame: The table, `pandas.DataFrame`.
        columns: `SeriesColumns`.

    Raises:
        SettingError: no such column, or several that may be meant; the message names them.
    """
    known, past = (
        tuple(tables.column(frame, name, key, "a column of numbers") for name in getattr(columns, key))
        for key in ("known_covariates", "past_covariates")
    )
    targets = _stated_targets(frame, columns.target)
    stated = {*known, *past, *targets}
    time, series = _time(frame, columns.time, stated), columns.series
    if series is not None:
        series = tables.column(frame, series, "series", "the column that names the series")
    elif frame[time].duplicated().any():
        series = _series(frame, {time, *stated})
    taken = {"time": (time,), "series": () if series is None else (series,), "target": targets}
    taken |= {"known_covariates": known, "past_covariates": past}
    for key, names in taken.items():
        others = {name for other, values in taken.items() if other != key for name in values}
        check(not set(names) & others, key, ", ".join(names), "a column that is nothing else, too")
        check(len(set(names)) == len(names), key, ", ".join(names), "each column once")
    if not targets:
        targets = (_target(frame, {time, series, *stated}),)
    used = {time, series, *targets, *known, *past}
    left = [name for name in frame if name not in used]
    found = f"time is {time!r}, " + (f"series are named by {series!r}, " if series else "")
    log.info("%s%s forecast: %s", found, "they are" if len(targets) > 1 else "it is", ", ".join(map(repr, targets)))
    if left:
        names = ", ".join(map(repr, left[:10])) + (" ..." if len(left) > 10 else "")
        log.info("not used: %s (data.known_covariates and data.past_covariates name columns that help)", names)
    return Roles(time, series, targets, known, past, columns.time_format)


def _stated_targets(frame, target):
    if target is None:
        return ()
    if isinstance(target, str):
        target = (target,) if target in frame.columns else tuple(name.strip() for name in target.split(","))
    return tuple(tables.column(frame, name, "target", "a column of numbers") for name in target)


def _time(frame, asked, taken):
    if asked is not None:
        return tables.column(frame, asked, "time", "the column of times")
    free = [name for name in frame if name not in taken]
    usual = [name for name in free if USUAL.fullmatch(name.strip())]
    dates = [name for name in free if is_time_column(frame[name])]
    found = [name for name in usual if name in dates] or dates or usual
    if not found:
        names = ", ".join(frame.columns)[:200]
        raise SettingError("time", f"no column of times among {names}; expected the name of one")
    return found[0]


def _series(frame, taken):
    """Returns the column that tells rows of the same time apart, by its usual name or as the only one of texts."""
    free = [name for name in frame if name not in taken]
    low = {name.strip().lower(): name for name in reversed(free)}
    found = next((low[name] for name in _SERIES if name in low), None)
    texts = [name for name in free if not pd.api.types.is_numeric_dtype(frame[name])]
    if found is None and len(texts) == 1:
        found = texts[0]
    if found is None and len(texts) > 1:
        raise SettingError(
            "series", f"times are there several times; expected the column of the series' names, {_listed(texts)}"
        )
    return found


def _target(frame, taken):
    numbers = [name for name in frame if name not in taken and pd.api.types.is_numeric_dtype(frame[name])]
    numbers = [name for name in numbers if not pd.api.types.is_bool_dtype(frame[name])]
    low = {name.strip().lower(): name for name in reversed(numbers)}
    found = next((low[name] for name in _TARGET if name in low), None)
    if found is None and len(numbers) == 1:
        found = numbers[0]
    if found is None:
        what = f"{len(numbers)} columns may be forecast" if numbers else "no column of numbers is left to forecast"
        expected = f"one, or several as a,b: {_listed(numbers)}" if numbers else "a column of numbers"
        raise SettingError("target", f"{what}; expected {expected}")
    return found


def _listed(names):
    return ", ".join(map(repr, names[:10])) + (" ..." if len(names) > 10 else "")
