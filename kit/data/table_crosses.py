"""Crossed columns of a table: the values of two columns together are a category of their own.

Cheng et al., "Wide & Deep Learning for Recommender Systems", 2016, section 3.1; pairs are stated, or those are taken
that tell most of the answers beyond what each column tells alone (mutual information).
"""

import itertools
import logging

import numpy as np

from kit.data.table_features import category_of, date_numbers_of, numbers_of
from kit.errors import SettingError, closest

log = logging.getLogger("kit")


def _bucketed(frame, column, places):
    """Returns a column as few ids, so that it can be crossed: categories, and numbers in ten parts."""
    if column["kind"] == "category":
        return category_of(frame[column["name"]], column)
    values = (numbers_of if column["kind"] == "number" else date_numbers_of)(frame[column["name"]], column, places)[0]
    return np.clip(np.floor(2 * values + 5), 0, 9).astype("int32")


def learned_crosses(frame, columns, options, places, answers):
    """Returns what makes crossed columns, plain JSON, learned of training rows.

    Args:
        frame: Training rows.
        columns: What was learned of each column.
        options: `kit.data.table_features.FeatureOptions`.
        places: Where each row stands, for messages.
        answers: Class or number of each row, by which pairs are found; or None.

    Raises:
        SettingError: no such column.
    """
    by_name = {column["name"]: column for column in columns if column["kind"] != "text"}
    if options.crosses != ("auto",):
        pairs = [tuple(part.strip() for part in each.split("*")) for each in options.crosses]
        for name in itertools.chain(*pairs):
            if name not in by_name:
                raise SettingError("crosses", f"no column {name!r} to cross{closest(name, by_name)}")
    else:
        pairs = _best_pairs(frame, by_name, options.num_crosses, places, answers)
        log.info("crosses  %s", ", ".join("*".join(pair) for pair in pairs) or "none")
    found = []
    for pair in pairs:
        together = _together([_bucketed(frame, by_name[name], places) for name in pair])
        values, counts = np.unique(together, return_counts=True)
        kept = values[counts >= options.min_count].tolist()
        found.append({"name": "*".join(pair), "columns": list(pair), "values": kept or values.tolist()})
    return found


def _together(parts):
    """Returns one number for the ids of several columns."""
    found = np.zeros(len(parts[0]), "int64")
    for part in parts:
        found = found * 100_003 + part
    return found


def cross_of(frame, cross, columns, places):
    """Returns the ids of a crossed column, int32 (rows,): 0 is a pair of values that is rare or was never seen."""
    by_name = {column["name"]: column for column in columns}
    together = _together([_bucketed(frame, by_name[name], places) for name in cross["columns"]])
    known = np.asarray(cross["values"], "int64")  # rising
    spots = np.minimum(np.searchsorted(known, together), len(known) - 1)
    return np.where(known[spots] == together, spots + 1, 0).astype("int32")


def _best_pairs(frame, by_name, count, places, answers):
    """Returns pairs of columns that together tell most of the answers beyond what one tells alone."""
    from sklearn.metrics import mutual_info_score

    if answers is None or answers.ndim > 1:
        return []
    rows = np.random.default_rng(0).permutation(len(frame))[:20_000]
    part, own = frame.iloc[rows], answers[rows]
    if own.dtype.kind == "f":
        own = np.searchsorted(np.quantile(own, np.linspace(0, 1, 11)[1:-1]), own)
    kept = [places[row] for row in rows]
    ids = {name: _bucketed(part, column, kept) for name, column in by_name.items()}
    ids = {name: values for name, values in ids.items() if len(np.unique(values)) <= 200}
    alone = {name: mutual_info_score(own, values) for name, values in ids.items()}
    strongest = sorted(alone, key=lambda name: (-alone[name], name))[:20]
    shuffled = np.random.default_rng(0).permutation(own)  # what so many cells tell by chance alone
    gains = {}
    for pair in itertools.combinations(sorted(strongest), 2):
        both = _together([ids[name] for name in pair])
        gains[pair] = (
            mutual_info_score(own, both) - mutual_info_score(shuffled, both) - max(alone[name] for name in pair)
        )
    return sorted((pair for pair in gains if gains[pair] > 0), key=lambda pair: (-gains[pair], pair))[:count]
