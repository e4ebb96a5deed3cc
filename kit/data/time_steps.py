"""Times of a table: dates or numbers, the regular steps between them, and features of the calendar."""

import dataclasses
import logging
import re

import numpy as np
import pandas as pd

from kit.data.dates import ISO, ambiguous, parsed, readings
from kit.errors import KitError, SettingError, shown

log = logging.getLogger("kit")

_EXPECTED = "a date such as 2024-05-31 or 2024-05-31 14:00, or a number (data.time_format says how others are written)"
_QUARTER = r"(\d{4})[- ]?[Qq]([1-4])"
_MICROSECONDS = {"day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000}
_DAY = _MICROSECONDS["day"]


def read_times(values, places, name, time_format=None):
    """Returns the times of a column, datetime64[us], or float64 where they are plain numbers; and how they are written.

    Args:
        values: Column of a table, `pandas.Series`.
        places: Where each row stands, for messages.
        name: Name of the column.
        time_format: How its dates are written, as `strptime` takes it; None finds it out.

    Raises:
        KitError: a row without a time; the message names it.
        SettingError: dates that may be read in two ways.
    """
    _check_each(values.notna().to_numpy(), values, places, name)
    if pd.api.types.is_datetime64_any_dtype(values):
        return _without_zone(values, name), None
    if pd.api.types.is_bool_dtype(values):
        raise KitError(f"{places[0]}: {name} is {values.iloc[0]}; expected {_EXPECTED}")
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy("float64")
        is_whole = (numbers == np.round(numbers)).all()
        if time_format is not None:
            texts = values.astype("int64").astype(str) if is_whole else values.astype(str)
            return _by_format(texts, values, time_format, places, name), time_format
        if is_whole and (numbers >= 17_000_101).all() and (numbers <= 22_001_231).all():  # 20240531
            found = pd.to_datetime(values.astype("int64").astype(str), format="%Y%m%d", errors="coerce")
            if found.notna().all():
                log.info("%s: %d is read as %s", name, numbers[0], found.iloc[0].date())
                return _microseconds(found), "%Y%m%d"
        return numbers, None
    texts = values.astype(str).str.strip()
    if time_format is not None:
        return _by_format(texts, values, time_format, places, name), time_format
    quarters = texts.str.extract(f"^{_QUARTER}$")
    if quarters[0].notna().all():
        months = quarters[0] + "-" + (3 * quarters[1].astype(int) - 2).astype(str).str.zfill(2)
        return _microseconds(pd.to_datetime(months, format="%Y-%m")), None
    return _of_texts(texts, values, places, name)


def _of_texts(texts, values, places, name):
    """Returns dates in ISO 8601, or in the one of the usual ways that reads all of them."""
    whole, best = readings(texts)
    if not whole:
        is_time = np.zeros(len(texts), bool) if best is None else best.notna().to_numpy()
        _check_each(is_time, values, places, name)
    doubt = ambiguous(whole)
    if doubt is not None:
        row, (first, date), (other, read) = doubt
        raise SettingError(
            "time_format",
            f"{places[row]}: {name} is {shown(values.iloc[row])}, which is {date} or {read}; expected {first!r} or "
            f"{other!r}",
        )
    first, times = next(iter(whole.items()))
    if first != ISO:
        log.info("%s: %s is read as %s (data.time_format %s)", name, values.iloc[0], times.iloc[0], first)
    return _without_zone(times, name), first


def _by_format(texts, values, time_format, places, name):
    if not re.search("%[YyGDcxms]|ISO8601", time_format):
        raise SettingError("time_format", f"expected a format of dates such as '%d.%m.%Y', got {shown(time_format)}")
    found = parsed(texts, time_format)
    if found is None:
        raise SettingError("time_format", f"{shown(time_format)} is no format of dates; expected one as '%d.%m.%Y'")
    _check_each(found.notna().to_numpy(), values, places, name, f"a date written as {time_format}")
    return _without_zone(found, name)


def _check_each(is_time, values, places, name, expected=_EXPECTED):
    if not is_time.all():
        row = int(np.argmin(is_time))
        value = values.iloc[row]
        value = value.item() if hasattr(value, "item") else value  # of NumPy
        raise KitError(f"{places[row]}: {name} is {shown(value)}, no time; expected {expected}")


def _without_zone(values, name):
    if getattr(values.dt, "tz", None) is not None:
        log.info("%s: times of a zone are read as those of UTC", name)
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    return _microseconds(values)


def _microseconds(values):
    return values.to_numpy("datetime64[us]")


@dataclasses.dataclass(frozen=True)
class Grid:
    """Regular steps of time: from times to whole numbers of steps, and back.

    Args:
        kind: "numbers", "times" (of one length), "months", "month ends" or "weekdays" (Monday to Friday).
        step: Length of a step: a number, microseconds, months, or 1.
        start: Time of step 0: a number, or a date in ISO 8601.
    """

    kind: str
    step: float
    start: float | str

    @property
    def is_dates(self):
        """Whether times are dates."""
        return self.kind != "numbers"

    @property
    def words(self):
        """The step in words, such as "1 month"."""
        if self.kind == "numbers":
            return f"{self.step:g}"
        if self.kind in ("months", "month ends"):
            count, unit = int(self.step), "month"
            count, unit = (count // 12, "year") if count % 12 == 0 else (count, unit)
        elif self.kind == "weekdays":
            return "1 weekday"
        else:
            length = int(self.step)
            unit = next((unit for unit, size in _MICROSECONDS.items() if length % size == 0), None)
            if unit is None:
                return f"{length / 1e6:g} seconds"
            count = length // _MICROSECONDS[unit]
        return f"{count} {unit}{'s' if count > 1 else ''}"

    def indices(self, times):
        """Returns the number of steps since the start, float64; not whole where a time is between two steps."""
        if self.kind == "numbers":
            found = (times - self.start) / self.step
            return np.where(np.abs(found - np.round(found)) < 1e-3, np.round(found), found)
        start = np.datetime64(self.start, "us")
        if self.kind == "times":
            return (times - start).astype("int64") / self.step
        days, first = times.astype("datetime64[D]"), start.astype("datetime64[D]")
        if self.kind == "weekdays":
            found = np.busday_count(first, days).astype("float64")
            is_off = ~np.is_busday(days) | ((times - days) != (start - first))
            return found + 0.5 * is_off
        months = times.astype("datetime64[M]")
        found = (months - start.astype("datetime64[M]")).astype("int64") / self.step
        return found + 0.5 * (times != self._in_month(months)) * (found == np.round(found))

    def times(self, indices):
        """Returns the times of numbers of steps: datetime64[us], or float64."""
        indices = np.asarray(indices, "int64")
        if self.kind == "numbers":
            return self.start + self.step * indices
        start = np.datetime64(self.start, "us")
        if self.kind == "times":
            return start + (indices * int(self.step)).astype("timedelta64[us]")
        first = start.astype("datetime64[D]")
        if self.kind == "weekdays":
            return np.busday_offset(first, indices).astype("datetime64[us]") + (start - first)
        return self._in_month(start.astype("datetime64[M]") + (indices * int(self.step)).astype("timedelta64[M]"))

    def _in_month(self, months):
        """Returns the time of each month at which the steps are."""
        start = np.datetime64(self.start, "us")
        if self.kind == "month ends":
            day = start - start.astype("datetime64[D]")
            return (months + 1).astype("datetime64[D]").astype("datetime64[us]") - np.timedelta64(1, "D") + day
        inside = start - start.astype("datetime64[M]").astype("datetime64[us]")
        return months.astype("datetime64[us]") + inside

    def texts(self, indices):
        """Returns times as texts: dates in ISO 8601, without the clock where it is midnight; numbers as they are."""
        times = self.times(indices)
        if not self.is_dates:
            is_whole = (times == np.round(times)).all()
            return [str(int(time)) if is_whole else f"{time:.10g}" for time in times]
        are_days = (times == times.astype("datetime64[D]")).all()
        unit = "D" if are_days else "s" if (times == times.astype("datetime64[s]")).all() else "us"
        return [text.replace("T", " ") for text in np.datetime_as_string(times, unit=unit).tolist()]


def find_grid(times, series, places, names):
    """Returns the `Grid` of times, sorted in each series.

    Args:
        times: As `read_times` returns them, (rows,).
        series: Number of the series of each row, rising, (rows,).
        places: Where each row stands, for messages.
        names: Name of each series.

    Raises:
        KitError: two rows of a series have one time, or steps are not regular; the message names the row.
    """
    is_next = series[1:] == series[:-1]
    if not is_next.any():
        raise KitError("one row of each series; expected several times of at least one (data.time, data.series)")
    is_dates = times.dtype.kind == "M"
    steps = np.diff(times)[is_next]
    steps = steps.astype("int64") if is_dates else steps
    rows = np.flatnonzero(is_next) + 1
    twice = np.flatnonzero(steps == 0)
    if len(twice):
        row = rows[twice[0]]
        of = f" of {names[series[row]]!r}" if len(names) > 1 else ""
        other = places[row - 1].rpartition(" ")[2]
        raise KitError(
            f"{places[row]}: the time {said(times[row])}{of} is that of row {other}, too; expected each once in a "
            "series (data.series names the column of several series)"
        )
    usual = _commonest(steps)
    start = times.min()
    grids = _grids(times, usual) if is_dates else [Grid("numbers", float(usual), float(start))]
    for grid in grids:
        indices = grid.indices(times)
        if (indices == np.round(indices)).all():
            return grid
    row = int(np.argmax(indices != np.round(indices)))
    raise KitError(
        f"{places[row]}: {said(times[row])} is not a whole number of steps of {grid.words} from {said(start)}; "
        "expected regular steps (resample the table to such)"
    )


def said(time):
    """Returns a time as a message has it: a date without a clock at midnight, or a number."""
    if not isinstance(time, np.datetime64):
        return f"{time:.10g}"
    return str(time).removesuffix(".000000").replace("T", " ").removesuffix(" 00:00:00")


def _grids(times, usual):
    """Returns the grids that dates may have, the likeliest last."""
    start, months, days = times.min(), times.astype("datetime64[M]"), times.astype("datetime64[D]")
    text = str(start)
    fixed = Grid("times", int(usual), text)
    if usual >= 28 * _DAY and len(times) > 1:
        apart = np.diff(np.unique(months)).astype("int64")
        step = int(_commonest(apart)) if len(apart) else 1
        are_ends = (days + 1 == (months + 1).astype("datetime64[D]")).all()
        return [Grid("month ends" if are_ends else "months", step, text), fixed]
    weekday = (days.astype("int64") + 3) % 7  # Monday is 0
    if usual == _DAY and (weekday < 5).all() and len(times) > 9:
        return [Grid("weekdays", 1, text)]
    return [fixed]


def _commonest(steps):
    """Returns the most frequent of some numbers; of equally frequent ones the smallest."""
    if steps.dtype.kind == "f":
        steps = np.array([float(f"{step:.6g}") for step in steps])
    values, counts = np.unique(steps, return_counts=True)
    return values[np.argmax(counts)]


def seasons(grid):
    """Returns the numbers of steps after which a season may begin anew, by the calendar; none where nothing tells."""
    if grid.kind in ("months", "month ends"):
        return [12 // int(grid.step)] if 12 % grid.step == 0 and grid.step < 12 else []
    if grid.kind == "weekdays":
        return [5, 261]
    if grid.kind == "numbers":
        return []
    step, found = int(grid.step), []
    for length in (_MICROSECONDS["hour"], _DAY, 7 * _DAY, int(365.25 * _DAY)):
        count = length / step
        if count >= 2 and (abs(count - round(count)) < 1e-9 or length > 7 * _DAY) and step * 400 >= length:
            found.append(round(count))
    return found


def calendar(grid, indices):
    """Returns features of the calendar, known in advance of every time: names, and float32 (times, features).

    Hour, time of the year and the like are points on a circle, weekdays a column each.
    """
    if not grid.is_dates:
        return [], np.zeros((len(indices), 0), "float32")
    times = grid.times(indices)
    days, years = times.astype("datetime64[D]"), times.astype("datetime64[Y]")
    length = int(grid.step) if grid.kind == "times" else _DAY if grid.kind == "weekdays" else 28 * int(grid.step) * _DAY
    names, columns = [], []

    def circle(name, share):
        names.extend([f"{name} sine", f"{name} cosine"])
        columns.extend([np.sin(2 * np.pi * share), np.cos(2 * np.pi * share)])

    in_day = (times - days).astype("int64")
    if length < _MICROSECONDS["hour"]:
        circle("minute of the hour", (in_day % _MICROSECONDS["hour"]) / _MICROSECONDS["hour"])
    if length < _DAY:
        circle("hour of the day", in_day / _DAY)
    if length < 7 * _DAY:
        weekday = (days.astype("int64") + 3) % 7
        for number, name in enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")):
            names.append(name)
            columns.append(weekday == number)
    if _DAY <= length < 365 * _DAY // 1.1:
        if grid.kind in ("months", "month ends"):
            month = times.astype("datetime64[M]").astype("int64") % 12
            circle("month of the year", month / 12)
        else:
            circle("day of the year", (days - years.astype("datetime64[D]")).astype("int64") / 365.25)
    if not names:
        return [], np.zeros((len(times), 0), "float32")
    return names, np.stack(columns, 1).astype("float32")


def is_time_column(values):
    """Tells whether a column of texts or dates is one of times, by its first rows."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return True
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return False
    texts = values.dropna().astype(str).str.strip()[:50]
    if not len(texts) or not texts.str.contains(r"\d").all():
        return False
    if texts.str.fullmatch(_QUARTER).all():
        return True
    whole, best = readings(texts)
    return bool(whole) or (best is not None and best.notna().mean() > 0.8)


USUAL = re.compile(
    r"(date|time|ds|timestamp|datetime|date_?time|day|week|month|quarter|year|period|hour)", re.IGNORECASE
)
