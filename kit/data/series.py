"""Time series of a table, long or wide: regular steps, gaps and missing values."""

import dataclasses
import logging

import numpy as np
import pandas as pd

from kit.data.time_steps import Grid, find_grid, said
from kit.errors import KitError

log = logging.getLogger("kit")

_LARGEST = 1e18


@dataclasses.dataclass
class SeriesSet:
    """Series with regular steps, one after the other.

    Args:
        names: Name of each series.
        grid: `Grid` of their times.
        first: Step, on the grid, at which each begins, (series,).
        lengths: Steps of each, (series,).
        target: Values that are forecast, (rows,); those that are missing have the last one before.
        observed: Whether they were there, (rows,).
        known: Covariates that are known in advance, (rows, known).
        past: Covariates that are known for the past alone, (rows, past).
    """

    names: list
    grid: Grid
    first: np.ndarray
    lengths: np.ndarray
    target: np.ndarray
    observed: np.ndarray
    known: np.ndarray
    past: np.ndarray

    @property
    def offsets(self):
        """Row at which each series begins, and the one behind the last, (series + 1,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)]).astype("int64")

    @property
    def steps(self):
        """Step of each row on the grid, (rows,)."""
        return np.concatenate([np.arange(a, a + n) for a, n in zip(self.first, self.lengths, strict=True)])

    @property
    def owners(self):
        """Number of the series of each row, (rows,)."""
        return np.repeat(np.arange(len(self.names)), self.lengths)

    def take(self, numbers):
        """Returns the series of some numbers."""
        rows = np.isin(self.owners, numbers)
        return SeriesSet(
            [self.names[number] for number in numbers],
            self.grid,
            self.first[numbers],
            self.lengths[numbers],
            *(each[rows] for each in (self.target, self.observed, self.known, self.past)),
        )


def regular(frame, places, roles, columns, times, grid=None, keeps_future=False):
    """Returns the `SeriesSet` of a table.

    Args:
        frame: The table.
        places: Where each row stands, for messages.
        roles: `Roles` of its columns.
        columns: `SeriesColumns`: what is done about gaps and missing values.
        times: Time of each row, see `kit.data.time_steps.read_times`.
        grid: `Grid` that its times must be on; None finds it out.
        keeps_future: Rows without a target at the end of a series stay: they tell covariates that are known in advance.

    Raises:
        KitError: values that cannot be used; the message names the row.
    """
    target, names, owners, rows = _long(frame, places, roles)
    if grid is not None and grid.is_dates != (times.dtype.kind == "M"):
        expected, got = ("dates", "numbers") if grid.is_dates else ("numbers", "dates")
        raise KitError(f"{places[0]}: {roles.time} is {frame[roles.time].iloc[0]}; expected {expected}, not {got}")
    order = np.lexsort((rows, times[rows], owners))
    target, owners, rows = target[order], owners[order], rows[order]
    found, steps = _steps(times[rows], owners, _Picked(places, rows), names, grid)
    known, past = (_covariates(frame, places, group)[rows] for group in (roles.known, roles.past))
    kept = _inside(target, owners, keeps_future)
    steps, owners, target, known, past, rows = (each[kept] for each in (steps, owners, target, known, past, rows))
    present, owners = np.unique(owners, return_inverse=True)  # those that have any value
    names, where = [names[number] for number in present], _Picked(places, rows)
    _check_gaps(steps, owners, where, names, found, columns.gaps)
    if keeps_future:
        _check_missing(*_without_future(target, owners, known, past), owners, names, where, roles, columns)
    else:
        _check_missing(target, known, past, owners, names, where, roles, columns)
    first, lengths, (target, known, past) = _whole(steps, owners, target, known, past)
    observed = ~np.isnan(target)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype("int64")
    filled = _last(target[:, None], starts)[:, 0]
    if keeps_future:
        filled = np.where(_behind(target, np.repeat(np.arange(len(names)), lengths)), np.nan, filled)
    return SeriesSet(names, found, first, lengths, filled, observed, _last(known, starts), _last(past, starts))


def _steps(times, owners, places, names, grid):
    """Returns the `Grid` of sorted times, and the step of each on it.

    Raises:
        KitError: a time that is not on it, or one that a series has twice; the message names the row.
    """
    found = find_grid(times, owners, places, names) if grid is None else grid
    steps = found.indices(times)
    if not (steps == np.round(steps)).all():
        row = int(np.argmax(steps != np.round(steps)))
        raise KitError(
            f"{places[row]}: {said(times[row])} is not a whole number of steps of {found.words} as in training"
        )
    twice = np.flatnonzero((np.diff(steps) == 0) & (owners[1:] == owners[:-1]))
    if len(twice):
        row = int(twice[0]) + 1
        raise KitError(
            f"{places[row]}: a second row of the time {said(times[row])}{_of(names, owners[row])}; expected one"
        )
    return found, steps.astype("int64")


def _covariates(frame, places, names):
    if not names:
        return np.zeros((len(frame), 0))
    return np.stack([_numbers(frame[name], places, name) for name in names], 1)


def _check_gaps(steps, owners, places, names, grid, wanted):
    """Raises KitError where times are missing and that is an error; says it where they are filled in."""
    gaps = np.flatnonzero((np.diff(steps) > 1) & (owners[1:] == owners[:-1])) + 1
    if not len(gaps):
        return
    row, count = int(gaps[0]), int((np.diff(steps)[gaps - 1] - 1).sum())
    missing = f"{count:,} time{'s are' if count > 1 else ' is'} missing"
    if wanted == "error":
        first = grid.texts([steps[row - 1] + 1])[0]
        raise KitError(
            f"{places[row]}: {first} is missing before it{_of(names, owners[row])}, and {missing} in all with steps of "
            f"{grid.words}; expected regular steps, or data.gaps=fill"
        )
    log.info("%s, with steps of %s; filled in (data.gaps)", missing, grid.words)


def _without_future(target, owners, known, past):
    """Returns columns in which nothing but what is known in advance is missing behind the last value of a series."""
    tail = _behind(target, owners)
    return np.where(tail, 0.0, target), known, np.where(tail[:, None], 0.0, past)


class _Picked:
    """Places of some rows, looked up when one is named."""

    def __init__(self, places, rows):
        self.places, self.rows = places, rows

    def __getitem__(self, row):
        return self.places[self.rows[row]]


def _of(names, number):
    return f" in {names[number]!r}" if len(names) > 1 else ""


def _long(frame, places, roles):
    """Returns targets, names of series, their numbers, and rows of the table: one row a series and time."""
    keys, labels = np.zeros(len(frame), "int64"), None
    if roles.series is not None:
        column = frame[roles.series]
        if column.isna().any():
            row = int(np.argmax(column.isna()))
            raise KitError(f"{places[row]}: no {roles.series}; expected the name of a series")
        is_whole = pd.api.types.is_float_dtype(column) and (column == column.round()).all()
        keys, labels = pd.factorize((column.astype("int64") if is_whole else column).astype(str))
    values = [
        _numbers(frame[name], places, name) if name in frame else np.full(len(frame), np.nan) for name in roles.targets
    ]
    count, wide = (1 if labels is None else len(labels)), len(roles.targets) > 1
    names = [
        (f"{label} / {name}" if wide else str(label)) if labels is not None else name
        for name in roles.targets
        for label in (labels if labels is not None else [""])
    ]
    owners = np.concatenate([keys + number * count for number in range(len(values))])
    return np.concatenate(values), names, owners, np.tile(np.arange(len(frame)), len(values))


def _numbers(values, places, name):
    """Returns a column as float64.

    Raises:
        KitError: it holds texts, or a number that is too large.
    """
    if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)):
        if values.isna().all():
            return np.full(len(values), np.nan)
        row = int(np.argmax(values.notna()))
        raise KitError(f"{places[row]}: {name} is {values.iloc[row]!r}; expected a number")
    found = values.to_numpy("float64", na_value=np.nan)
    large = np.abs(np.nan_to_num(found, posinf=np.inf, neginf=-np.inf)) > _LARGEST
    if large.any():
        row = int(np.argmax(large))
        raise KitError(f"{places[row]}: {name} is {found[row]}; expected a finite number of at most {_LARGEST:g}")
    return found


def _inside(target, owners, keeps_future):
    """Returns which rows are between the first and the last value of their series; others are said and left out."""
    is_there = ~np.isnan(target)
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    kept = np.ones(len(target), bool)
    for start, end in zip(starts, np.r_[starts[1:], len(target)], strict=True):
        inside = np.flatnonzero(is_there[start:end])
        if keeps_future:
            kept[start : start + (inside[0] if len(inside) else 0)] = False
        elif len(inside):
            kept[start : start + inside[0]] = kept[start + inside[-1] + 1 : end] = False
        else:
            kept[start:end] = False
    if not kept.any():
        raise KitError("no value of the target in the whole table; expected numbers")
    if not kept.all():
        log.info(
            "%s rows without a value before the first or after the last one of their series are left out",
            f"{(~kept).sum():,}",
        )
    return kept


def _whole(steps, owners, *columns):
    """Returns first step and length of each series, and columns with NaN where a step was missing."""
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    ends = np.r_[starts[1:], len(owners)] - 1
    first, lengths = steps[starts], steps[ends] - steps[starts] + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    rows = steps - first[owners] + offsets[owners]
    whole = []
    for column in columns:
        made = np.full((int(lengths.sum()), *column.shape[1:]), np.nan)
        made[rows] = column
        whole.append(made)
    return first, lengths, whole


def _behind(target, owners):
    """Returns which rows stand behind the last value of their series."""
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    found = np.zeros(len(target), bool)
    for start, end in zip(starts, np.r_[starts[1:], len(target)], strict=True):
        inside = np.flatnonzero(~np.isnan(target[start:end]))
        found[start + (inside[-1] + 1 if len(inside) else 0) : end] = True
    return found


def _check_missing(target, known, past, owners, names, places, roles, columns):
    """Raises KitError where a value is missing and that is an error; says it where the last one takes its place."""
    values = np.concatenate([target[:, None], known, past], 1)
    titles = ["the target" if len(roles.targets) > 1 else roles.targets[0], *roles.known, *roles.past]
    for title, column in zip(titles, values.T, strict=True):
        missing = np.isnan(column)
        if not missing.any():
            continue
        row, count = int(np.argmax(missing)), f"{missing.sum():,} time{'s' if missing.sum() > 1 else ''}"
        if columns.missing == "error":
            raise KitError(
                f"{places[row]}: no {title}{_of(names, owners[row])}, {count} in all; expected numbers, or "
                "data.missing=last, which takes the last value before"
            )
        log.info("%s is missing %s, first in %s: the last value before is taken", title, count, places[row])


def _last(values, starts):
    """Returns columns (rows, columns) whose missing values are the last ones before in their series, else the first."""
    if not np.isnan(values).any():
        return values
    frame = pd.DataFrame(values)
    groups = np.zeros(len(values), int)
    groups[starts[1:]] = 1
    filled = frame.groupby(np.cumsum(groups)).ffill()
    # A covariate that begins later than its series: 0 says nothing of what comes.
    return filled.fillna(0.0).to_numpy()
