"""Findings on the columns of tables: missing values, rare and unknown categories, numbers far off, dates."""

import numpy as np
import pandas as pd

from kit.data import label_checks
from kit.data.findings import Finding, of_total, some
from kit.data.table_features import as_texts

_MANY_MISSING = 0.3  # share of rows without a value from which it is a warning
_FAR = 10  # distances between the quartiles from which a number is far off
_FEW_FAR = 0.01  # share of rows of which more that are far off are a tail, which scaling by ranks takes care of
_MARKS = (-1, -9, -99, -999, -9999, -99999, 999, 9999, 99999)  # numbers that often stand for nothing
_MANY_VALUES = 100
_SHOWN = 20


def missing(frame, split):
    """Returns findings on values that are missing, and on columns that only held-out rows lack.

    Args:
        frame: Rows of the table, without what is answered.
        split: Name of the split of each row, (rows,).
    """
    training = split == "train"
    shares = frame[training].isna().mean()
    lacking = shares[(shares > 0) & (shares < 1)].sort_values(ascending=False)
    found = []
    if len(lacking):
        listed = ", ".join(f"{name} {share:.1%}" for name, share in lacking[:5].items())
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        level = "warning" if lacking.iloc[0] >= _MANY_MISSING else "note"
        advice = "the median, and a column that says so, take their place; data.kinds=NAME=ignore leaves a column out"
        shown = [{"column": name, "missing": f"{share:.1%}"} for name, share in lacking[:_SHOWN].items()]
        message = f"training rows without a value, by column: {listed}{more}"
        found.append(Finding("missing_values", level, message, advice, len(lacking), shown))
    held_out = frame[~training].isna().mean() if (~training).any() else shares
    new = [name for name in frame.columns if shares[name] == 0 and held_out[name] > 0]
    if new:
        message = f"{some(new)} always has a value in training, and not in held-out rows"
        advice = "networks learn nothing of a missing value that training does not have; look at how they were made"
        found.append(Finding("missing_in_held_out_rows", "warning", message, advice, len(new), _columns(new)))
    return found


def categories(frame, kinds, split, min_count):
    """Returns findings on values of categories that are rare, unknown to training, many, or spelt in two ways.

    Args:
        frame: Rows of the table.
        kinds: `kit.data.table_columns.ColumnKind` of each column.
        split: Name of the split of each row, (rows,).
        min_count: Training rows from which a value is known, `data.min_count`.
    """
    training, rare, unknown, many, found = split == "train", {}, {}, {}, []
    for name in (each.name for each in kinds if each.kind == "category"):
        texts = as_texts(frame[name].dropna())
        of_training = texts[training[texts.index]]
        counts = of_training.value_counts()
        few = counts[counts < min_count]
        if len(few):
            rare[name] = len(few), len(counts)
        new = ~texts[~training[texts.index]].isin(set(counts.index))
        if new.any():
            unknown[name] = int(new.sum()), len(new)
        if len(counts) > _MANY_VALUES:
            many[name] = len(counts)
        names = counts.index.tolist()
        spelt = label_checks.alike_names(names, counts.tolist(), f"values of {name}")
        found += spelt
    if rare:
        message = f"values of categories that fewer than {min_count} training rows have: " + _shares(rare, "values")
        advice = "they are one value together; data.min_count=1 tells them apart"
        found.append(Finding("rare_categories", "note", message, advice, sum(few for few, _ in rare.values())))
    if unknown:
        message = f"held-out rows have values of categories that no training row has: {_shares(unknown, 'rows')}"
        advice = "they are taken for rare ones; a column of names or numbers of things is better left out"
        shares = [count / total for count, total in unknown.values()]
        level = "warning" if max(shares) > 0.05 else "note"
        found.append(Finding("unknown_categories", level, message, advice, sum(new for new, _ in unknown.values())))
    if many:
        listed = ", ".join(f"{name} {count:,}" for name, count in list(many.items())[:5])
        message = f"categories of more than {_MANY_VALUES} values: {listed}"
        advice = "one that names things, such as a customer, is better left out (data.kinds=NAME=ignore) or grouped"
        found.append(Finding("many_categories", "note", message, advice, len(many), _columns(many)))
    return found


def _shares(counts, noun):
    listed = ", ".join(f"{name} ({some:,} of {total:,} {noun})" for name, (some, total) in list(counts.items())[:5])
    return listed + (f" and {len(counts) - 5} columns more" if len(counts) > 5 else "")


def _columns(names):
    return [{"column": name} for name in list(names)[:_SHOWN]]


def numbers(frame, names, split, places, what="column"):
    """Returns findings on numbers far off, and on numbers that seem to stand for nothing.

    Args:
        frame: Rows of the table.
        names: Columns of numbers.
        split: Name of the split of each row, (rows,).
        places: Where each row stands.
        what: "column", or "answer".
    """
    far, marks, shown = {}, {}, []
    for name in names:
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy("float64")
        known = values[(split == "train") & np.isfinite(values)]
        if len(known) < 20:
            continue
        low, high = np.percentile(known, [25, 75])
        marked = _mark(known)
        if marked is not None:
            marks[name] = marked, int((values == marked).sum())
        if high > low:
            is_far = np.isfinite(values) & (
                (values > high + _FAR * (high - low)) | (values < low - _FAR * (high - low))
            )
            is_far &= values != marked
            if 0 < is_far.sum() <= max(_FEW_FAR * len(values), 1):
                far[name] = rows = np.flatnonzero(is_far)
                worst = rows[np.argsort(-np.abs(values[rows] - np.median(known)))][:3]
                shown += [{"example": places[row], "split": split[row], name: float(values[row])} for row in worst]
    found = []
    if far:
        listed = ", ".join(f"{name} ({len(rows):,})" for name, rows in list(far.items())[:5])
        message = f"rows with a number more than {_FAR} times the distance of the quartiles away: {listed}"
        advice = "mend slips; data.scaling=quantile makes true ones harmless"
        if what == "answer":
            advice = "mend slips; with true ones model.loss=huber or mae lets them pull less"
        kind = "outliers" if what == "column" else "outliers_of_the_answer"
        found.append(Finding(kind, "warning", message, advice, sum(map(len, far.values())), shown[:_SHOWN]))
    if marks:
        listed = ", ".join(f"{value:g} of {name} ({count:,} rows)" for name, (value, count) in list(marks.items())[:5])
        message = f"numbers that seem to stand for a missing value: {listed}"
        advice = f"if they do, say so: data.missing=[{next(iter(marks.values()))[0]:g}], as the file writes it"
        found.append(Finding("marks_of_missing_values", "warning", message, advice, len(marks), _columns(marks)))
    return found


def _mark(values):
    """Returns a number that stands for nothing: a usual one, repeated, and apart from all others; or None."""
    different, counts = np.unique(values, return_counts=True)
    if len(different) < 5:
        return None
    gaps = {0: different[1] - different[0], len(different) - 1: different[-1] - different[-2]}
    for place, gap in gaps.items():
        others = np.delete(different, place)
        is_apart = gap > 0.2 * (others[-1] - others[0]) or (different[place] < 0 and others[0] >= 0)
        if different[place] in _MARKS and counts[place] >= 3 and is_apart:
            return float(different[place])
    return None


def dates(frame, kinds, is_by_time):
    """Returns a note on dates, by which rows could be divided.

    Args:
        frame: Rows of the table.
        kinds: `kit.data.table_columns.ColumnKind` of each column.
        is_by_time: Rows are divided by time.
    """
    names = [each.name for each in kinds if each.kind == "date"]
    if not names or is_by_time:
        return []
    message = f"{some(names)} holds dates, and the splits are drawn whatever the date"
    advice = f"where later rows are to be answered, data.time={names[0]} keeps them for the test"
    return [Finding("dates", "note", message, advice, len(names), _columns(names))]


def without_answer(lacks, name, places):
    """Returns a finding on rows without an answer.

    Args:
        lacks: Whether each row lacks one, (rows,).
        name: Column of answers.
        places: Where each row stands.
    """
    rows = np.flatnonzero(lacks)
    if not len(rows):
        return []
    message = f"{of_total(len(rows), len(lacks), 'rows')} have no {name}"
    advice = "training refuses them; data.missing_target=drop leaves them out"
    shown = [{"example": places[row]} for row in rows[:_SHOWN]]
    return [Finding("no_answer", "problem", message, advice, len(rows), shown)]
