"""Features of users or items as categories: texts such as `Action|Comedy`, and numbers by the tenth they fall into."""

import dataclasses
import logging
import re

import numpy as np
import pandas as pd

from kit.errors import KitError

log = logging.getLogger("kit")

_SEPARATORS = ("|", ";")
_MOST_VALUES, _MOST_OF_ONE, _PARTS = 2000, 24, 10
_TITLES = ("title", "name", "itemname", "movietitle", "booktitle")
_YEAR = re.compile(r"\((1[89]\d\d|20\d\d)\)\s*$")


@dataclasses.dataclass(frozen=True)
class EntityFeatures:
    """Features of users or items.

    Args:
        ids: Numbers of the values that each has, from 1, filled up with 0, (entities + 2, width); the first and the
            last row, which are nobody's, are 0.
        names: Name of each value, such as `genres=Comedy`.
    """

    ids: np.ndarray
    names: list


def titles_of(table, known):
    """Returns the title of each item, its name where it has none; None where there are no titles.

    Args:
        table: Table of features with the column `id`, or None.
        known: Names of the items.
    """
    column = None if table is None else _title_column(table)
    if column is None:
        return None
    of_id = {name: title for name, title in zip(table["id"], table[column], strict=True) if not pd.isna(title)}
    return [str(of_id.get(name, name)) for name in known]


def _title_column(table):
    low = {re.sub(r"[^a-z]", "", name.lower()): name for name in table.columns[1:]}
    return next((low[name] for name in _TITLES if name in low), None)


def features_of(table, known, noun):
    """Returns the `EntityFeatures` of users or items of the training split; None where there are none.

    Args:
        table: Table with the column `id`, one row for each; others than the known ones are passed over.
        known: Names of those of the training split, whose values alone are learned.
        noun: Plural of what they are.

    Raises:
        KitError: a column without any value.
    """
    if table is None:
        return None
    source = table.attrs.get("name", noun)
    found = table.set_index("id").reindex(known)
    lacking = int((~pd.Index(known).isin(table["id"])).sum())
    if lacking == len(known):
        raise KitError(
            f"{source}: none of its {noun} is among the {len(known):,} of the interactions; expected the same names"
        )
    if lacking:
        log.info("%s of %s %s are not in %s; they have no features", f"{lacking:,}", f"{len(known):,}", noun, source)
    title = _title_column(table) if noun == "items" else None
    parts = []
    for name, values in found.items():
        if values.isna().all():
            raise KitError(
                f"{source}: column {name!r} has no value for any of the known {noun}; expected some, or no such column"
            )
        if name == title:
            years = values.map(lambda text: _year(text))
            if years.notna().mean() > 0.5 and not any(str(other).lower() == "year" for other in found):
                parts.append(_of_numbers("year", years.astype("float64")))
            continue
        made = _of_column(str(name), values)
        if made is None:
            log.info("%s: %s has a value of its own for nearly each; it is no feature", source, name)
        else:
            parts.append(made)
    return _joined(parts, len(known)) if parts else None


def _year(text):
    match = _YEAR.search(text) if isinstance(text, str) else None
    return float(match[1]) if match else None


def _of_column(name, values):
    """Returns the values of each row of a column as lists of texts; None of a column that tells nothing."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        if values.nunique() > _PARTS:
            return _of_numbers(name, values.astype("float64"))
        return [[] if pd.isna(value) else [f"{name}={value:g}"] for value in values]
    texts = [None if pd.isna(value) else str(value).strip() for value in values]
    mark = next((each for each in _SEPARATORS if any(each in text for text in texts if text)), None)
    rows = [[] if not text else [part.strip() for part in (text.split(mark) if mark else [text])] for text in texts]
    rows = [[f"{name}={part}" for part in dict.fromkeys(row) if part] for row in rows]
    different = len({part for row in rows for part in row})
    filled = sum(map(bool, rows))
    if different > _MOST_VALUES or (different > 20 and different > 0.5 * filled):
        return None
    return rows


def _of_numbers(name, values):
    """Returns the tenth that each number falls into, as a list of one text."""
    ends = np.unique(np.quantile(values.dropna(), np.linspace(0, 1, _PARTS + 1)[1:-1]))
    places = np.searchsorted(ends, values.to_numpy(), side="right")
    edges = ["", *(f"{end:g}" for end in ends), ""]
    return [
        [] if np.isnan(value) else [f"{name}={edges[place]}..{edges[place + 1]}"]
        for value, place in zip(values, places, strict=True)
    ]


def _joined(parts, count):
    """Returns `EntityFeatures` of lists of texts, one list a row and column."""
    rows = [[text for part in parts for text in part[row]][:_MOST_OF_ONE] for row in range(count)]
    names = sorted({text for row in rows for text in row})
    number = {text: index for index, text in enumerate(names, 1)}
    ids = np.zeros((count + 2, max(map(len, rows), default=0)), "int32")
    for row, texts in enumerate(rows, 1):
        ids[row, : len(texts)] = [number[text] for text in texts]
    return EntityFeatures(ids, names)
