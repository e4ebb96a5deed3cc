"""Dates as texts: ISO 8601 and the usual other ways to write them, found out for all texts of a column at once."""

import pandas as pd

ISO = "ISO8601"
# How dates are written, beside ISO 8601.
_FORMATS = (
    *("%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %Y", "%B %Y", "%b-%y", "%m/%Y", "%m.%Y", "%Y/%m/%d"),
    *("%d-%b-%Y", "%Y-%m-%d"),
)
_CLOCKS = ("", " %H:%M", " %H:%M:%S")


def parsed(texts, date_format):
    """Returns dates, NaT where one is none, or None where pandas takes no such texts together.

    Args:
        texts: `pandas.Series` of texts.
        date_format: As `strptime` takes it, or `ISO`.
    """
    try:
        found = pd.to_datetime(texts, format=date_format, errors="coerce", utc=date_format == ISO)
    except (ValueError, TypeError, OverflowError):
        return None
    if date_format == ISO and not texts.str.contains(r":\d\d.*(?:Z|[+-]\d\d:?\d\d)$", na=False).any():
        return found.dt.tz_localize(None)
    return found


def readings(texts):
    """Returns the formats that read all of some texts, each with the dates; ISO 8601 alone where it does.

    Args:
        texts: `pandas.Series` of texts, none missing.

    Returns:
        Dictionary from format to dates, empty where none reads all; and those of the format that reads most, or None.
    """
    best = parsed(texts, ISO)
    if best is not None and best.notna().all():
        return {ISO: best}, best
    most, whole = 0 if best is None else int(best.notna().sum()), {}
    for date in _FORMATS:
        for clock in _CLOCKS:
            tried = parsed(texts, date + clock)
            count = 0 if tried is None else int(tried.notna().sum())
            if count == len(texts):
                whole[date + clock] = tried
            elif count > most:
                best, most = tried, count
    return whole, best


def ambiguous(found):
    """Returns where two formats read a text as different dates: row, both formats and dates; None where none do.

    Args:
        found: Dictionary from format to dates, as `readings` returns it.
    """
    (first, dates), *others = found.items()
    for other, read in others:
        if not dates.equals(read):
            row = int((dates != read).to_numpy().argmax())
            return row, (first, dates.iloc[row].date()), (other, read.iloc[row].date())
    return None
