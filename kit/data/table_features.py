"""Columns of a table as features: standardised numbers, ids of categories, parts of dates, hashed words.

What is learned of the training rows is plain JSON, so that a finished run takes the same raw file.
"""

import dataclasses
import logging
import re
import zlib
from typing import Literal

import numpy as np
import pandas as pd

from kit.data.table_columns import as_dates
from kit.errors import KitError, check

log = logging.getLogger("kit")

_QUANTILES = 256  # points of a number's distribution that are kept
_HEAVY = 6.0  # excess kurtosis above which a number has heavy tails
_WORD = re.compile(r"\w+")
_SECONDS_OF_DAY = 86_400
_FARTHEST = 8.0  # standard deviations beyond which a number is cut


@dataclasses.dataclass(frozen=True)
class FeatureOptions:
    """How the columns of a table become features.

    Args:
        scaling: How numbers are brought to one scale: "standard" (mean 0, variance 1), "log" (logarithm of the
            distance from the median first), "quantile" (a normal distribution by their ranks); "auto" takes quantiles
            of columns with heavy tails. All are learned of the training rows.
        min_count: Categories that fewer training rows have are one, "rare", together with those never seen.
        word_buckets: Numbers that words of free text are hashed to (Weinberger et al., 2009).
        max_words: Words of a free text that are read.
        crosses: Pairs of columns, as `education*occupation`, whose values together are a category of their own;
            `auto` finds `num_crosses` of them on the training rows. `wide_and_deep` uses them.
        num_crosses: Number of crossed columns that `auto` finds.
        pca: Number of principal components that stand in for the numbers; 0 leaves the numbers as they are.

    Raises:
        SettingError: a value out of range.
    """

    scaling: Literal["auto", "standard", "log", "quantile"] = "auto"
    min_count: int = 3
    word_buckets: int = 4096
    max_words: int = 64
    crosses: tuple[str, ...] = ()
    num_crosses: int = 8
    pca: int = 0

    def __post_init__(self):
        for key in ("min_count", "word_buckets", "max_words", "num_crosses"):
            check(1 <= getattr(self, key) <= 1_000_000, key, getattr(self, key), "1 to 1000000")
        check(self.pca >= 0, "pca", self.pca, "at least 0")
        for each in self.crosses:
            check(each == "auto" or each.count("*") >= 1, "crosses", each, "auto, or two columns as `a*b`")
        check("auto" not in self.crosses or len(self.crosses) == 1, "crosses", list(self.crosses), "auto alone")


def learned_column(values, kind, options, places):
    """Returns what turns a column into features, plain JSON, learned of training rows.

    Args:
        values: The column's training rows.
        kind: `kit.data.table_columns.ColumnKind`.
        options: `FeatureOptions`.
        places: Where each row stands, for messages.
    """
    if kind.kind == "date":
        return _date(values, kind.date_format, places)
    return {"number": _number, "category": _category, "text": _text}[kind.kind](values, options)


def _number(values, options):
    numbers = values.astype("float64").to_numpy()
    known = numbers[~np.isnan(numbers)]
    fill = float(np.median(known))
    found = {"name": values.name, "kind": "number", "fill": fill, "has_missing": len(known) < len(numbers)}
    scaling = options.scaling
    if scaling == "auto":
        spread = known.std()
        kurtosis = float(np.mean(((known - known.mean()) / spread) ** 4) - 3) if spread > 0 else 0.0
        scaling = "quantile" if kurtosis > _HEAVY and len(np.unique(known)) > 10 else "standard"
    found["scaling"] = scaling
    if scaling == "quantile":
        found["quantiles"] = np.unique(np.quantile(known, np.linspace(0, 1, _QUANTILES))).tolist()
    if scaling == "log":
        found["unit"] = float(np.median(np.abs(known - fill)) or known.std() or 1.0)
    return found | _standard(_scaled(np.where(np.isnan(numbers), fill, numbers), found))


def _scaled(numbers, column):
    """Returns numbers in the shape of their distribution, not yet standardised."""
    if column["scaling"] == "quantile":
        from scipy.special import ndtri

        points = np.asarray(column["quantiles"])
        if len(points) < 2:
            return numbers
        shares = np.interp(numbers, points, np.linspace(0, 1, len(points)))
        return ndtri(np.clip(shares, 1e-3, 1 - 1e-3))
    if column["scaling"] == "log":
        away = (numbers - column["fill"]) / column["unit"]
        return np.sign(away) * np.log1p(np.abs(away))
    return numbers


def _standard(numbers):
    deviation = float(numbers.std())
    return {"mean": float(numbers.mean()), "deviation": deviation if deviation > 0 else 1.0}


def _standardised(numbers, learned):
    return np.clip((numbers - learned["mean"]) / learned["deviation"], -_FARTHEST, _FARTHEST)


def as_texts(values):
    """Returns the values of a category as texts, each by itself: 3.0 is "3"; missing ones are None."""
    names = {value: _as_text(value) for value in values.dropna().unique()}
    return values.astype(object).map(names).astype(object).where(values.notna(), None)


def _as_text(value):
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)
    if is_number and value == np.round(value):
        return str(int(value))
    return str(value.item() if hasattr(value, "item") else value).strip()


def _category(values, options):
    texts = as_texts(values)
    counts = texts.value_counts()
    kept = sorted(str(name) for name in counts.index[counts >= options.min_count])
    if not kept:
        kept = sorted(map(str, counts.index))
    return {"name": values.name, "kind": "category", "values": kept, "has_missing": bool(texts.isna().any())}


_PARTS = {
    "year": lambda dates: dates.dt.year,
    "month": lambda dates: dates.dt.month,
    "day": lambda dates: dates.dt.day,
    "weekday": lambda dates: dates.dt.weekday,
    "hour": lambda dates: dates.dt.hour + dates.dt.minute / 60,
    "days": lambda dates: (dates - pd.Timestamp(0)).dt.total_seconds() / _SECONDS_OF_DAY,
}


def _date(values, date_format, places):
    dates = as_dates(values, date_format, places)
    known = dates.dropna()
    parts = {}
    for name, part in _PARTS.items():
        numbers = part(known).to_numpy("float64")
        if len(np.unique(numbers)) > 1:
            parts[name] = _standard(numbers)
    found = {"name": values.name, "kind": "date", "format": date_format, "parts": parts}
    return found | {
        "fill": known.sort_values().iloc[len(known) // 2].isoformat(),
        "has_missing": bool(dates.isna().any()),
    }


def _text(values, options):
    return {"name": values.name, "kind": "text", "buckets": options.word_buckets, "max_words": options.max_words}


def numbers_of(values, column, places):
    """Returns the features of a column of numbers, (rows,) each: the number, and whether it is missing."""
    if not pd.api.types.is_numeric_dtype(values):
        found = pd.to_numeric(values, errors="coerce")
        wrong = (found.isna() & values.notna()).to_numpy()
        if wrong.any():
            row = int(np.argmax(wrong))
            raise KitError(
                f"{places[row]}: {values.name} is {str(values.iloc[row])[:60]!a}; expected a number, or nothing"
            )
        values = found
    numbers = values.astype("float64").to_numpy()
    missing = np.isnan(numbers)
    found = [_standardised(_scaled(np.where(missing, column["fill"], numbers), column), column)]
    return [*found, missing.astype("float64")] if column["has_missing"] else found


def date_numbers_of(values, column, places):
    """Returns the parts of a column of dates, (rows,) each, standardised, and whether it is missing."""
    dates = as_dates(values, column["format"], places)
    missing = dates.isna().to_numpy()
    dates = dates.fillna(pd.Timestamp(column["fill"]))
    found = [
        _standardised(_PARTS[name](dates).to_numpy("float64"), learned) for name, learned in column["parts"].items()
    ]
    return [*found, missing.astype("float64")] if column["has_missing"] else found


def category_of(values, column):
    """Returns ids: 0 is rare or never seen, then each value, then what is missing."""
    ids = {value: number for number, value in enumerate(column["values"], 1)}
    texts = as_texts(values)
    found = texts.map(ids).fillna(0).to_numpy("int32")
    if column["has_missing"]:
        found[texts.isna().to_numpy()] = len(ids) + 1
    return found


def words_of(values, column):
    """Returns hashed words (rows, max_words), 0 behind the last one."""
    found = np.zeros((len(values), column["max_words"]), "int32")
    for row, text in enumerate(values.where(values.notna(), "")):
        words = _WORD.findall(str(text).lower())[: column["max_words"]]
        found[row, : len(words)] = [
            1 + zlib.crc32(f"{column['name']}={word}".encode()) % column["buckets"] for word in words
        ]
    return found


def in_units(value, column):
    """Returns a standardised number of a column in the unit of the data, the inverse of what `numbers_of` does."""
    value = value * column["deviation"] + column["mean"]
    if column["scaling"] == "quantile":
        from scipy.special import ndtr

        points = np.asarray(column["quantiles"])
        return float(np.interp(ndtr(value), np.linspace(0, 1, len(points)), points)) if len(points) > 1 else value
    if column["scaling"] == "log":
        return float(np.sign(value) * np.expm1(np.abs(value)) * column["unit"] + column["fill"])
    return float(value)
