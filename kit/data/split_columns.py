"""Groups and times of examples for splitting them, from a column of the source or a regular expression on names."""

import re

import numpy as np

from kit.data.split_names import SPLITS, UNUSED
from kit.errors import SettingError, guess, shown


def values_of(key, asked, names, columns):
    """Returns a text for each example, the value of a column or what a regular expression matches in its name.

    Args:
        key: Name of the setting, for messages.
        asked: Name of a column; anything else is a regular expression that is looked for in names, whose first group,
            or whole match where it has none, is the text.
        names: Name of each example, (examples,).
        columns: Name of each column of the source to its values, (examples,); None where an example has none.

    Raises:
        SettingError: neither a column nor a pattern, or one that does not tell of every example.
    """
    if asked in columns:
        values = [None if value is None else str(value).strip() for value in columns[asked]]
        lost = [row for row, value in enumerate(values) if not value]
        if lost:
            raise SettingError(
                key, f"{names[lost[0]]} (example {lost[0] + 1}) has no {asked!r}; expected one for every example"
            )
        return values
    known = f"a column ({', '.join(map(shown, list(columns)[:20]))}) or " if columns else ""
    expected = f"expected {known}a regular expression that is found in every name"
    try:
        pattern = re.compile(asked)
    except re.error as error:
        raise SettingError(key, f"{asked!r} is none ({error}); {expected}{guess(asked, columns)}") from None
    values = [match and match[1 if pattern.groups else 0] for match in map(pattern.search, names)]
    lost = [row for row, value in enumerate(values) if not value]
    if len(lost) == len(names):
        raise SettingError(key, f"{asked!r} is in no name, such as {names[0]!r}; {expected}{guess(asked, columns)}")
    if lost:
        raise SettingError(
            key,
            f"{asked!r} is in {len(names) - len(lost):,} of {len(names):,} names, not in {names[lost[0]]!r}; "
            f"{expected}",
        )
    return values


def groups_of(asked, names, columns):
    """Returns the group of each example as text; arguments as those of `values_of`.

    Raises:
        SettingError: see `values_of`; or there is one group alone.
    """
    groups = values_of("group", asked, names, columns)
    if len(set(groups)) == 1:
        raise SettingError(
            "group", f"{asked!r} makes one group of all {len(names):,} examples, {shown(groups[0])}; expected several"
        )
    return np.array(groups, dtype=object)


def times_of(asked, names, columns):
    """Returns the time of each example as a number that grows with it, and as the text that it was read from.

    Args:
        asked, names, columns: As for `values_of`; the texts are all numbers, or all ISO dates with or without a time of
            day, which is that of UTC where no zone is told.

    Raises:
        SettingError: see `values_of`; or a text that is no time.
    """
    import pandas as pd

    texts = values_of("time", asked, names, columns)
    numbers = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy("float64")
    is_number = np.isfinite(numbers)
    if is_number.all():
        return numbers, texts
    # A year or a day alone, written as digits, is a number and a date.
    is_digits = pd.Series(texts, dtype=str).str.fullmatch(r"[0-9T:.,+Z\- ]+").to_numpy(bool)
    dates = pd.to_datetime(pd.Series(texts, dtype=object).where(is_digits), format="ISO8601", utc=True, errors="coerce")
    is_date = dates.notna().to_numpy()
    if is_date.all():
        return dates.to_numpy("datetime64[us]").astype("int64"), texts
    bad = int(np.flatnonzero(~(is_number if is_number.sum() > is_date.sum() else is_date))[0])
    raise SettingError(
        "time",
        f"{shown(texts[bad])} of {names[bad]} (example {bad + 1}) is no time; expected numbers throughout, or ISO "
        "dates such as 2031-05-30 or 2031-05-30T12:00",
    )


def check_groups_have_one_time(groups, times, texts):
    """Raises SettingError for a group at two times: a division by time might tear it."""
    first = {}
    for row, (group, time) in enumerate(zip(groups, times, strict=True)):
        before = first.setdefault(group, row)
        if times[before] != time:
            raise SettingError(
                "time",
                f"group {shown(group)} is at {texts[before]} and at {texts[row]}; with data.group expected one time a "
                "group, such as its first: a later test split would tear it",
            )


def check_whole(groups, split):
    """Raises SettingError for a group that the splits of the source itself tear."""
    first = {}
    for group, part in zip(groups, split, strict=True):
        if part == UNUSED:
            continue
        before = first.setdefault(group, part)
        if before != part:
            raise SettingError(
                "group",
                f"the source itself has group {shown(group)} in the {before} and in the {part} split; expected each "
                "group in one, or a source without splits of its own",
            )


def check_later(times, texts, split):
    """Raises SettingError where splits of the source itself do not follow each other: training, validation, test."""
    end = None
    for part in SPLITS:
        rows = np.flatnonzero(split == part)
        if not len(rows):
            continue
        first = rows[np.argmin(times[rows])]
        if end is not None and times[first] <= times[end]:
            raise SettingError(
                "time",
                f"the {part} split of the source itself begins at {texts[first]}, before its {split[end]} split ends "
                f"at {texts[end]}; expected later ones, or a source without splits of its own",
            )
        end = rows[np.argmax(times[rows])]
