"""Rows of a table as examples: what is learned of the training rows, once, and the inputs of a network."""

import dataclasses

import numpy as np

from kit.data import table_columns, table_inputs, table_selection
from kit.data.columns import Dense
from kit.data.examples import Examples
from kit.errors import check

_SHOWN_COLUMNS, _SHOWN_ROWS = 6, 200_000  # columns in tables of mistakes, of tables of up to so many rows
_LEAK_ROWS = 20_000


@dataclasses.dataclass
class LearnedTable:
    """Statistics of the training rows of a table: encodings of columns, bins, a typical row, worth of columns.

    Args:
        table: What turns columns into features, see `kit.data.table_inputs.learn`.
        number_edges: Bounds of the bins of each column of numbers.
        typical: Input to the features of a typical row: medians, and the commonest ids.
        worth: Of columns that were selected, `columns` with what each is worth, `kept` and `by`; or None.
        findings: What was found on the way.
    """

    table: dict
    number_edges: list
    typical: dict
    worth: dict | None = None
    findings: list = dataclasses.field(default_factory=list)

    @classmethod
    def of_assets(cls, assets):
        """Returns what an earlier run has learned."""
        return cls(assets["table"], assets["number_edges"], assets["typical"], assets.get("worth"))

    def assets(self):
        """Returns what a finished run needs of it, plain JSON."""
        found = {"table": self.table, "number_edges": self.number_edges, "typical": self.typical}
        return found | ({"worth": self.worth} if self.worth else {})


def learn_table(table, split, answers, stated, features, selection, source):
    """Returns the `LearnedTable` of training rows.

    Args:
        table: `kit.data.sources.tables.Table`.
        split: Name of the split of each row, (rows,).
        answers: `kit.data.text_answers.Answers` of all rows.
        stated: Kinds of columns that settings state, see `kit.data.table_columns.stated_kinds`.
        features: `kit.data.table_features.FeatureOptions`.
        selection: `kit.data.table_selection.SelectionOptions`.
        source: Where the table comes from, for messages.

    Raises:
        KitError: a column that cannot be used; the message names the row.
        SettingError: nothing to learn from, or a value out of range.
    """
    is_training = split == "train"
    rows = np.flatnonzero(is_training)
    frame, target = table.frame.iloc[rows], answers.values[rows]
    places = [table.places[row] for row in rows]
    kinds = table_columns.kinds_of(frame, table_columns.stated_kinds(stated, list(table.frame.columns)))
    table_columns.tell(kinds)
    findings, worth = table_columns.left_out(kinds), None
    used = [each for each in kinds if each.kind != "ignore"]
    check(used, "source", str(source), "a table with a column to learn from")
    if selection.select != "none":
        plain = dataclasses.replace(features, crosses=(), pca=0)
        every = table_inputs.learn(frame, used, plain, places)
        both = np.flatnonzero((split == "train") | (split == "validation"))
        columns = table_inputs.transformed(table.frame.iloc[both], every, [table.places[row] for row in both])
        alone = alone_of(columns, every)
        found, kept = table_selection.selected(
            alone, answers.values[both], answers.kind, selection, split[both] == "validation"
        )
        findings += table_selection.finding(found, kept, selection)
        worth = {"columns": found, "kept": kept, "by": selection.select.replace("_", " ")}
        used = [each for each in used if each.name in kept]
    learned = table_inputs.learn(frame, used, features, places, target)
    columns = table_inputs.transformed(frame, learned, places)
    numbers = columns.get("numbers", np.zeros((len(rows), 0), "float32"))
    some = np.random.default_rng(0).permutation(len(rows))[:_LEAK_ROWS]
    alone = alone_of({name: values[some] for name, values in columns.items()}, learned)
    findings += table_columns.leaks(alone, target[some], answers.kind)
    typical = {name: _typical(name, values) for name, values in columns.items()}
    return LearnedTable(learned, table_inputs.edges_of(numbers), typical, worth, findings)


def _typical(name, values):
    """Returns the features of a typical row: medians of numbers, the commonest ids, and no words."""
    if name == "numbers":
        return np.median(values, axis=0).tolist()
    if name == "words":
        return [0] * values.shape[1]
    return [int(np.bincount(column).argmax()) for column in values.T]


def alone_of(columns, learned):
    """Returns the features of each column by itself, (rows, values), by its name; words as their number."""
    found = {}
    for name, spots in table_inputs.positions(learned).items():
        ((kind, places),) = spots.items()
        values = columns[kind][:, places].astype("float32")
        found[name] = (values > 0).sum(1, keepdims=True).astype("float32") if kind == "words" else values
    return found


def table_examples(table, learned, targets, extras):
    """Returns the `Examples` of a table's rows.

    Args:
        table: `kit.data.sources.tables.Table`.
        learned: `LearnedTable`.
        targets: Name to values of what is to be answered, (rows, ...).
        extras: Name to values of what only the evaluation looks at, (rows, ...); some columns as they stand join them.
    """
    columns = table_inputs.transformed(table.frame, learned.table, table.places)
    return Examples(
        {name: Dense(values) for name, values in columns.items()},
        {name: Dense(values) for name, values in targets.items()},
        extras={name: Dense(values) for name, values in (extras | _shown(table, learned.table)).items()},
        is_named=True,
    )


def _shown(table, learned):
    """Returns where rows stand, and a few of their columns as they stand, to be shown in tables of mistakes."""
    if len(table.places) > _SHOWN_ROWS:
        return {}
    found = {"row": np.array(table.places, dtype=object)}
    for column in learned["columns"][:_SHOWN_COLUMNS]:
        values = table.frame[column["name"]]
        name = column["name"] if column["name"] not in ("row", "number", "label") else f"{column['name']} "
        found[name] = values.astype(object).where(values.notna(), None).to_numpy(object)
    return found
