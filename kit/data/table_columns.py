"""Columns of a table: numbers, categories, dates, free text, identifiers; what kind each is, and why."""

import dataclasses
import logging
import re

import numpy as np
import pandas as pd

from kit.data.findings import Finding, some
from kit.errors import KitError, SettingError, check, closest

log = logging.getLogger("kit")

KINDS = ("number", "category", "date", "text", "ignore")
_FEW = 20  # texts of so few different values are categories, however few rows there are
_AGAIN = 0.5  # texts of which fewer are different are categories
_UNIQUE = 0.98  # texts of which more are different tell nothing but the row
_WORDS = 3  # words of a free text on average
_ID = re.compile(r"(^|_|\s)(id|uuid|guid|key|index|rownum(ber)?|nr|no)$|^unnamed", re.IGNORECASE)
_ISO = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?")
_DOTTED = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})( \d{1,2}:\d{2}(:\d{2})?)?")
_SAMPLE = 2000  # values that are looked at
_LEAK = 0.999  # a column that alone is right so often tells the answer
_LEAK_ROWS = 5000


@dataclasses.dataclass(frozen=True)
class ColumnKind:
    """What kind of column one is, and why.

    Args:
        name: Its name.
        kind: One of `KINDS`.
        why: The reason, in a few words.
    """

    name: str
    kind: str
    why: str


def stated_kinds(stated, names):
    """Returns the kinds that settings state, by column.

    Args:
        stated: Texts such as `zip=category`.
        names: Names of all columns.

    Raises:
        SettingError: no such column or kind.
    """
    found = {}
    for each in stated:
        name, _, kind = each.rpartition("=")
        check(kind in KINDS, "kinds", each, f"COLUMN=KIND with one of {', '.join(KINDS)}")
        if name not in names:
            raise SettingError("kinds", f"no column {name!r}{closest(name, names)}")
        found[name] = kind
    return found


def kinds_of(frame, stated):
    """Returns the `ColumnKind` of each column of training rows, sorted by name.

    Args:
        frame: Training rows, without what is to be answered.
        stated: Name of a column to its kind, where settings state it.
    """
    first = {}  # columns by their values, to find copies
    found = []
    for name in sorted(frame.columns):
        values = frame[name]
        if name in stated:
            kind, why = stated[name], "data.kinds states it"
        else:
            kind, why = _kind_of(name, values)
        if kind != "ignore" and name not in stated:
            print_of = (values.notna().sum(), int(pd.util.hash_pandas_object(values, index=False).sum()))
            other = first.setdefault(print_of, name)
            if other != name and _are_equal(frame[other], values):
                kind, why = "ignore", f"equal to {other}"
        found.append(ColumnKind(name, kind, why))
    return found


def _are_equal(one, other):
    missing = one.isna() & other.isna()
    return bool(((one.astype(object) == other.astype(object)) | missing).all())


def _kind_of(name, values):
    """Returns the kind of a column, and why."""
    known = values.dropna()
    if not len(known):
        return "ignore", "no value in training"
    different = known.nunique()
    if different == 1 and len(known) == len(values):
        return "ignore", "one value alone"
    if pd.api.types.is_bool_dtype(values):
        return "category", "yes or no"
    if pd.api.types.is_datetime64_any_dtype(values):
        return "date", "dates"
    if pd.api.types.is_numeric_dtype(values):
        if different == len(values) and _counts_rows(name, known):
            return "ignore", "numbers the rows"
        return "number", f"numbers from {known.min():.4g} to {known.max():.4g}"
    texts = known.astype(str)
    sample = texts.iloc[:_SAMPLE]
    if date_format(sample) is not None:
        return "date", f"dates such as {sample.iloc[0]}"
    words = float(sample.str.split().str.len().mean())
    if different <= _FEW or different < _AGAIN * len(known):
        return "category", f"{different:,} different values"
    if words >= _WORDS:
        return "text", f"{words:.0f} words on average"
    if different > _UNIQUE * len(known) or _ID.search(name):
        return "ignore", f"an identifier: {different:,} different values in {len(known):,} rows"
    return "category", f"{different:,} different values"


def _counts_rows(name, values):
    """Tells whether whole numbers, all different, do nothing but number the rows."""
    if (values != np.round(values)).any():
        return False
    steps = np.diff(np.sort(values.to_numpy("float64")))
    return bool(_ID.search(name) or (len(steps) > _FEW and (steps == 1).all()))


def date_format(texts):
    """Returns how texts are written as dates: "iso", "day first" or "month first"; None where they are none."""
    if texts.str.fullmatch(_ISO.pattern).all():
        return "iso"
    parts = texts.str.extract(f"^{_DOTTED.pattern}$")
    if parts[0].isna().any():
        return None
    first, second = parts[0].astype(int), parts[2].astype(int)
    if first.max() > 12 or ((parts[1] == ".").all() and second.max() <= 12):
        return "day first"
    return "month first"


def as_dates(values, style, places):
    """Returns a column as dates of pandas, without a time zone.

    Args:
        values: The column.
        style: What `date_format` returned of training values.
        places: Where each row stands, for messages.

    Raises:
        KitError: a value is no date; the message names the row.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.dt.tz_localize(None) if values.dt.tz is not None else values
    texts = values.where(values.isna(), values.astype(str).str.strip())
    options = {"format": "ISO8601", "utc": True} if style == "iso" else {"dayfirst": style == "day first"}
    found = pd.to_datetime(texts, errors="coerce", **options)
    wrong = found.isna() & values.notna()
    if wrong.any():
        row = int(np.argmax(wrong))
        expected = {"iso": "2026-01-31", "day first": "31.1.2026"}.get(style, "1/31/2026")
        raise KitError(
            f"{places[row]}: {values.name} is {str(values.iloc[row])[:60]!a}; expected a date such as {expected} "
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
    shown = "; ".join(f"{each.name} ({each.why})" for each in named[:5])
    more = f" and {len(named) - 5} more" if len(named) > 5 else ""
    return [
        Finding(
            "columns_left_out",
            "note",
            f"{len(named)} columns are left out: {shown}{more}",
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
