"""Inputs of a network from the rows of a table: numbers, categories, crossed columns and words, in one order.

Columns go by their names, sorted: in which order a file has them changes nothing.
"""

import logging

import numpy as np

from kit.data.table_crosses import cross_of, learned_crosses
from kit.data.table_features import category_of, date_numbers_of, learned_column, numbers_of, words_of
from kit.errors import KitError, check, closest

log = logging.getLogger("kit")


def learn(frame, kinds, options, places, answers=None):
    """Returns what turns rows into features, plain JSON, learned of training rows.

    Args:
        frame: Training rows.
        kinds: `kit.data.table_columns.ColumnKind` of each column.
        options: `FeatureOptions`.
        places: Where each row stands, for messages.
        answers: Class or number of each row, by which crossed columns are found; or None.
    """
    columns = [learned_column(frame[each.name], each, options, places) for each in kinds if each.kind != "ignore"]
    found = {"columns": columns, "crosses": [], "pca": None}
    if options.crosses:
        found["crosses"] = learned_crosses(frame, columns, options, places, answers)
    if options.pca:
        numbers = transformed(frame, found, places)["numbers"]
        found["pca"] = _components(numbers, options.pca)
    return found


def transformed(frame, learned, places, source=None):
    """Returns the features of rows, by the name of the input.

    Args:
        frame: Rows, with at least the columns that were learned; others are passed over.
        learned: What `learn` returned.
        places: Where each row stands, for messages.
        source: What the table is called where a column is missing; by default the place of the first row.

    Returns:
        Those of `numbers` (rows, numbers), standardised, `categories` (rows, categories), ids of which 0 is rare or
        never seen, `crosses` (rows, crosses), and `words` (rows, words), hashed, of which 0 is none, that there are.

    Raises:
        KitError: a column is missing, or a value cannot be used; the message names it.
    """
    check_columns(frame, learned, source or (places[0] if len(places) else "the table"))
    numbers, categories, words = [], [], []
    for column in learned["columns"]:
        values = frame[column["name"]]
        if column["kind"] == "number":
            numbers += numbers_of(values, column, places)
        elif column["kind"] == "date":
            numbers += date_numbers_of(values, column, places)
        elif column["kind"] == "category":
            categories.append(category_of(values, column))
        else:
            words.append(words_of(values, column))
    found = {}
    if numbers:
        found["numbers"] = np.stack(numbers, 1).astype("float32")
        if learned["pca"]:
            found["numbers"] = _projected(found["numbers"], learned["pca"])
    if categories:
        found["categories"] = np.stack(categories, 1)
    if learned["crosses"]:
        found["crosses"] = np.stack(
            [cross_of(frame, each, learned["columns"], places) for each in learned["crosses"]], 1
        )
    if words:
        found["words"] = np.concatenate(words, 1)
    return found


def check_columns(frame, learned, source):
    """Raises KitError for a column that was learned and is not there."""
    names = [column["name"] for column in learned["columns"]]
    for name in names:
        if name not in frame.columns:
            raise KitError(
                f"{source}: no column {name!r}{closest(name, list(frame.columns))}; expected the columns that the "
                f"network was trained with: {', '.join(names)[:300]}"
            )


def feature_names(learned):
    """Returns the name of each number, of each category and of each crossed column."""
    numbers, categories = [], []
    for column in learned["columns"]:
        own = (
            [column["name"]]
            if column["kind"] == "number"
            else [f"{column['name']}.{part}" for part in column.get("parts", ())]
        )
        if column["kind"] == "category":
            categories.append(column["name"])
        elif column["kind"] != "text":
            numbers += own + ([f"{column['name']} is missing"] if column["has_missing"] else [])
    if learned["pca"]:
        numbers = [f"component {number}" for number in range(1, len(learned["pca"]["axes"]) + 1)]
    return {"numbers": numbers, "categories": categories, "crosses": [each["name"] for each in learned["crosses"]]}


def positions(learned):
    """Returns which values of the inputs a column has become, by its name: a dictionary from input to their numbers.

    Principal components are of no one column: nothing is said of the numbers then. Crossed columns are left out.
    """
    found, numbers, categories, words = {}, 0, 0, 0
    for column in learned["columns"]:
        if column["kind"] == "category":
            found[column["name"]] = {"categories": [categories]}
            categories += 1
        elif column["kind"] == "text":
            found[column["name"]] = {"words": list(range(words, words + column["max_words"]))}
            words += column["max_words"]
        else:
            count = len(column.get("parts", "1")) + column["has_missing"]
            if not learned["pca"]:
                found[column["name"]] = {"numbers": list(range(numbers, numbers + count))}
            numbers += count
    return found


def edges_of(numbers, most=64):
    """Returns rising bounds of bins with about as many training rows each, of each column of standardised numbers."""
    found = []
    for values in numbers.T:
        bounds = np.unique(np.quantile(values, np.linspace(0, 1, most + 1)).astype("float32"))
        if len(bounds) < 2:
            bounds = np.array([bounds[0], bounds[0] + 1])
        found.append(bounds.tolist())
    return found


def sizes(learned):
    """Returns the number of ids of each category, of each crossed column, and of words; 0 where there are none."""
    categories = [
        len(column["values"]) + 1 + column["has_missing"]
        for column in learned["columns"]
        if column["kind"] == "category"
    ]
    texts = [column["buckets"] for column in learned["columns"] if column["kind"] == "text"]
    crosses = [len(each["values"]) + 1 for each in learned["crosses"]]
    return {
        "num_numbers": len(feature_names(learned)["numbers"]),
        "category_sizes": tuple(categories),
        "cross_sizes": tuple(crosses),
        "word_buckets": max(texts, default=0),
    }


def _components(numbers, count):
    from sklearn.decomposition import PCA

    most = min(numbers.shape)
    check(count <= most, "pca", count, f"at most {most}, the number of number columns or training rows")
    fitted = PCA(count, svd_solver="full").fit(numbers.astype("float64"))
    log.info("pca  %d components hold %.1f %% of the variance", count, 100 * fitted.explained_variance_ratio_.sum())
    return {
        "axes": fitted.components_.tolist(),
        "mean": fitted.mean_.tolist(),
        "deviations": np.sqrt(fitted.explained_variance_).tolist(),
    }


def _projected(numbers, pca):
    found = (numbers - np.asarray(pca["mean"])) @ np.asarray(pca["axes"]).T
    return (found / np.maximum(np.asarray(pca["deviations"]), 1e-12)).astype("float32")
