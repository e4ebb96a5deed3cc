"""Columns of a table: numbers, categories, dates, free text, identifiers; what kind each is, and why."""

import dataclasses
import logging
import re

import numpy as np
import pandas as pd

from kit.data import dates
from kit.data.findings import Finding, some
from kit.errors import KitError, SettingError, check, closest, shown

log = logging.getLogger("kit")

KINDS = ("number", "category", "date", "text", "ignore")
_FEW = 20  # texts of so few different values are categories, however few rows there are
_AGAIN = 0.5  # texts of which fewer are different are categories
_UNIQUE = 0.98  # texts of which more are different tell nothing but the row
_WORDS = 3  # words of a free text on average
_ID = re.compile(r"(^|_|\s)(id|uuid|guid|key|index|rownum(ber)?|nr|no)$|^unnamed", re.IGNORECASE)
_SAMPLE = 2000  # values that are looked at
_TRIED = 200  # texts that tell whether any format of dates is worth trying on all
_LEAK = 0.999  # a column that alone is right so often tells the answer
_LEAK_ROWS = 5000


@dataclasses.dataclass(frozen=True)
class ColumnKind:
    """Kind of a column: number, category, date, free text, or one that is ignored; with the reason.

    Args:
        name: Its name.
        kind: One of `KINDS`.
        why: The reason, in a few words.
        date_format: How its dates are written, see `kit.data.dates`; None of others, and where they are no texts.
    """

    name: str
    kind: str
    why: str
    date_format: str | None = None


def stated_kinds(stated, names):
    """Returns the kinds that settings state, by column, each with the format of its dates or None.

    Args:
        stated: Texts such as `zip=category` and `sold=date %d/%m/%Y`.
        names: Names of all columns.

    Raises:
        SettingError: no such column or kind.
    """
    found = {}
    for each in stated:
        name, _, kind = each.rpartition("=")
        kind, _, date_format = kind.partition(" ")
        fits = kind in KINDS and (not date_format or (kind == "date" and "%" in date_format))
        check(fits, "kinds", each, f"COLUMN=KIND with one of {', '.join(KINDS)}, or COLUMN=date %d/%m/%Y")
        if name not in names:
            raise SettingError("kinds", f"no column {name!r}{closest(name, names)}")
        found[name] = kind, date_format or None
    return found


def kinds_of(frame, stated):
    """Returns the `ColumnKind` of each column of training rows, sorted by name.

    Args:
        frame: Training rows, without what is to be answered.
        stated: Name of a column to its kind and date format, where settings state it.

    Raises:
        SettingError: dates that may be read in two ways.
    """
    first = {}  # columns by their values, to find copies
    found = []
    for name in sorted(frame.columns):
        values = frame[name]
        if name in stated:
            kind, date_format = stated[name]
            why = "data.kinds states it"
            if kind == "date" and date_format is None:
                date_format = _date_format(name, values)
        else:
            kind, why, date_format = _kind_of(name, values)
        if kind != "ignore" and name not in stated:
            print_of = (values.notna().sum(), int(pd.util.hash_pandas_object(values, index=False).sum()))
            other = first.setdefault(print_of, name)
            if other != name and _are_equal(frame[other], values):
                kind, why = "ignore", f"equal to {other}"
        found.append(ColumnKind(name, kind, why, date_format if kind == "date" else None))
    return found


def _are_equal(one, other):
    missing = one.isna() & other.isna()
    return bool(((one.astype(object) == other.astype(object)) | missing).all())


def _kind_of(name, values):
    """Returns the kind of a column, why, and how its dates are written or None."""
    known = values.dropna()
    if not len(known):
        return "ignore", "no value in training", None
    different = known.nunique()
    if different == 1 and len(known) == len(values):
        return "ignore", "one value alone", None
    if pd.api.types.is_bool_dtype(values):
        return "category", "yes or no", None
    if pd.api.types.is_datetime64_any_dtype(values):
        return "date", "dates", None
    if pd.api.types.is_numeric_dtype(values):
        if different == len(values) and _counts_rows(name, known):
            return "ignore", "numbers the rows", None
        return "number", f"numbers from {known.min():.4g} to {known.max():.4g}", None
    date_format = _date_format(name, values)
    if date_format is not None:
        return "date", f"dates such as {known.iloc[0]}", date_format
    words = float(known.iloc[:_SAMPLE].astype(str).str.split().str.len().mean())
    if different <= _FEW or different < _AGAIN * len(known):
        return "category", f"{different:,} different values", None
    if words >= _WORDS:
        return "text", f"{words:.0f} words on average", None
    if different > _UNIQUE * len(known) or _ID.search(name):
        return "ignore", f"an identifier: {different:,} different values in {len(known):,} rows", None
    return "category", f"{different:,} different values", None


def _counts_rows(name, values):
    """Tells whether whole numbers, all different, do nothing but number the rows."""
    if (values != np.round(values)).any():
        return False
    steps = np.diff(np.sort(values.to_numpy("float64")))
    return bool(_ID.search(name) or (len(steps) > _FEW and (steps == 1).all()))


def _date_format(name, values):
    """Returns how the texts of a column are written as dates; None where they are none, or no texts.

    Raises:
        SettingError: they may be read in two ways.
    """
    if pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.is_numeric_dtype(values):
        return None
    texts = values.dropna().astype(str).str.strip().drop_duplicates()
    if not len(texts) or not texts.iloc[:_SAMPLE].str.contains(r"\d").all():
        return None
    if not dates.readings(texts.iloc[:_TRIED])[0]:
        return None
    found, _ = dates.readings(texts)
    if not found:
        return None
    doubt = dates.ambiguous(found)
    if doubt is not None:
        row, (first, date), (other, read) = doubt
        raise SettingError(
            "kinds",
            f"{name} is {shown(texts.iloc[row])}, which is {date} or {read}; expected '{name}=date {first}' or "
            f"'{name}=date {other}'",
        )
    return next(iter(found))


def as_dates(values, date_format, places):
    """Returns a column as dates of pandas, without a time zone.

    Args:
        values: The column.
        date_format: How its texts are written, see `kit.data.dates`; None is ISO 8601.
        places: Where each row stands, for messages.

    Raises:
        KitError: a value is no date; the message names the row.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.dt.tz_localize(None) if values.dt.tz is not None else values
    texts = values.where(values.isna(), values.astype(str).str.strip())
    found = dates.parsed(texts, date_format or dates.ISO)
    wrong = values.notna() if found is None else found.isna() & values.notna()
    if wrong.any():
        row = int(np.argmax(wrong))
        written = "such as 2026-01-31" if date_format in (None, dates.ISO) else f"written as {date_format}"
        raise KitError(
            f"{places[row]}: {values.name} is {str(values.iloc[row])[:60]!a}; expected a date {written} "
            f"(data.kinds={values.name}=category takes it as it is)"
        )
    return found.dt.tz_localize(None) if found.dt.tz is not None else found


def tell(kinds):
    """Writes a line of the log for each kind of column."""
    for kind in KINDS[:-1]:
        named = [each for each in kinds if each.kind == kind]
        if named:
            listed = [each.name for each in named]
            noun = _PLURALS[kind] if len(named) > 1 else _SINGULARS[kind]
            log.info("columns  %d %s  %s", len(named), noun, some(listed, 12).replace("'", ""))
    for each in kinds:
        if each.kind == "ignore":
            log.info("columns  %s is left out: %s", each.name, each.why)


_PLURALS = {"number": "numbers", "category": "categories", "date": "dates", "text": "free texts"}
_SINGULARS = {"number": "number", "category": "category", "date": "date", "text": "free text"}


def left_out(kinds):
    """Returns findings on columns of which nothing can be learned."""
    named = [each for each in kinds if each.kind == "ignore" and each.why != "data.kinds states it"]
    if not named:
        return []
    listed = "; ".join(f"{each.name} ({each.why})" for each in named[:5])
    more = f" and {len(named) - 5} more" if len(named) > 5 else ""
    return [
        Finding(
            "columns_left_out",
            "note",
            f"{len(named)} columns are left out: {listed}{more}",
            "data.kinds states another kind, such as NAME=number",
            len(named),
            [{"column": each.name, "why": each.why} for each in named],
        )
    ]


def leaks(features, target, kind):
    """Returns a finding on columns of which one alone tells the answer.

    Args:
        features: Name of each column to its values as numbers, (examples, values), of training rows.
        target: Class, (examples,), or number of each; of several labels nothing is looked for.
        kind: "label", "labels" or "number".
    """
    if kind == "labels" or len(target) < 40:
        return []
    from sklearn.model_selection import cross_val_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    rows = np.random.default_rng(0).permutation(len(target))[:_LEAK_ROWS]
    own, found = target[rows], []
    if kind == "label":
        commonest = np.bincount(own).max() / len(own)
        if commonest > _LEAK or np.bincount(own)[np.bincount(own) > 0].min() < 2:
            return []
    make = DecisionTreeClassifier if kind == "label" else DecisionTreeRegressor
    for name, values in features.items():
        score = cross_val_score(make(min_samples_leaf=1, random_state=0), values[rows], own, cv=2).min()
        if score >= _LEAK:
            found.append(name)
    if not found:
        return []
    return [
        Finding(
            "leak",
            "problem",
            f"{some(found)} alone tells the answer of {_LEAK:.1%} of the training rows or more",
            "if it is not known before the answer, leave it out: data.kinds=NAME=ignore",
            len(found),
            [{"column": name} for name in found],
        )
    ]
