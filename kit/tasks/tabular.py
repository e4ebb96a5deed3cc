"""Answers to rows of tables: one label, several, or a number, with classical models on the same division beside."""

import dataclasses
import logging

from kit.data.labelled_tables import read_rows
from kit.data.table_inputs import transformed
from kit.reporting import table_plots
from kit.tasks import classification, multi_label, regression, table_baselines, table_explanation
from kit.tasks.by_answer import by_answer

log = logging.getLogger("kit")


@dataclasses.dataclass(frozen=True)
class Beside(classification.AsItIs):
    """A row as it is, and classical models beside the network.

    Args:
        baseline: Fit histogram gradient boosting, and logistic or ridge regression, to the same training rows, and
            score them beside the network.
    """

    baseline: bool = True


def column_names(assets):
    """Returns the names of the columns that a network takes, sorted."""
    return tuple(column["name"] for column in assets["table"]["columns"])


def _read(inputs, assets, batch_size):
    """Returns where the rows that a user gave stand, and a function that returns batches of their features."""
    names = column_names(assets)
    table = read_rows(inputs, names, assets["missing"])
    others = [name for name in table.frame.columns if name not in names and name not in assets["known_columns"]]
    if others:
        log.warning("columns that the network does not know are passed over: %s", ", ".join(others)[:300])
    features = transformed(table.frame, assets["table"], table.places)

    def batches():
        for start in range(0, len(table.places), batch_size):
            yield {name: values[start : start + batch_size] for name, values in features.items()}

    return table.places, batches


def _described(examples, rows):
    """Returns where rows stand, and what some of their columns hold, as columns of a table."""
    return {
        name: list(column.values(examples.rows)[rows]) for name, column in examples.extras.items() if name != "number"
    }


def _illustrate(splits, seed):
    """Returns a figure of what each column is worth, where some were selected."""
    worth = splits.assets.get("worth")
    if not worth:
        return {}
    return {"5_columns": lambda: table_plots.worth(worth["columns"], worth["kept"], worth["by"])}


_OF_ROWS = {"views": Beside(), "inputs": "text", "describe": _described}
# What may be answered, each with its task.
TASKS = {
    "label": classification.task(
        _read, "rows", baseline=table_baselines.of_label, explain=table_explanation.explain, **_OF_ROWS
    ),
    "labels": dataclasses.replace(
        multi_label.task(_read, "rows", baseline=table_baselines.of_labels, **_OF_ROWS),
        explain=table_explanation.explain,
    ),
    "number": dataclasses.replace(
        regression.task(_read, "rows", baseline=table_baselines.of_number, **_OF_ROWS),
        explain=table_explanation.explain,
    ),
}


def task():
    """Returns the `Task` of rows: that of `TASKS` which the data ask for."""
    made = by_answer(TASKS)
    return dataclasses.replace(made, illustrate=_illustrate, parts=column_names, usage="ROWS.csv", explains_splits=True)
