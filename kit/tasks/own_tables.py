"""Own tables: rules that decide the settings which are "auto" in `own.toml` of tables, by their rows and answers.

The numbers go between those of networks that were tuned on tables of 140 to 26,000 training rows.
"""

import math

from kit.data import source_facts
from kit.tasks.own_data import OwnData, Size, batches

_FEW = 2000  # training rows of which fewer fill no wider network
_MANY = 5000  # training rows of which more need no stronger dropout
_BATCH = 256  # at which the rates for thousands of rows were tuned


def epochs(facts):
    """Of classes 40 epochs of up to 1,000 rows, 15 of 3,000 to 30,000, 5 of a million; of numbers 40, 6 of a million.

    What a number depends on is learned more slowly than which class is likelier.
    """
    if facts.answer == "number":
        number = 40 * (20_000 / max(facts.examples, 20_000)) ** 0.5
    else:
        many = (30_000 / max(facts.examples, 30_000)) ** 0.3
        number = max(40 * 1000 / max(facts.examples, 1000), 15) * many
    return max(round(number), 4), f"{facts.examples:,} training rows, of which {_NOUNS[facts.answer]} answered"


_NOUNS = {"label": "a class is", "labels": "labels are", "number": "a number is"}


def loss(facts):
    """Rows with an answer far off pull less at a network of numbers; others' errors become smaller for it."""
    if facts.answer == "number":
        return "huber", "a number is answered, and a few that are far off pull less"
    return None, None


def backbone(facts):
    """A multi-layer perceptron that drops more where there are few rows with classes.

    It is wider, with finer embeddings, where thousands of rows have a number.
    """
    values = {"model.backbone": "table_mlp", "backbone.units": [256, 256]}
    if facts.answer == "number":
        if facts.examples >= _FEW:
            values |= {"backbone.units": [512, 256], "backbone.number_dim": 24}
        return values, f"{facts.examples:,} training rows, of which a number is answered"
    if facts.examples < _MANY:
        values |= {"backbone.dropout": 0.5}
    return values, f"{facts.examples:,} training rows"


def sizes(facts):
    """A quarter of the width, half of it, and the usual one."""
    settings = facts.settings
    if settings["model.backbone"] != "table_mlp":
        return []
    usual = settings["backbone.units"]
    return [
        Size({"backbone.units": [width // part for width in usual]}, times)
        for part, times in ((4, 0.4), (2, 0.6), (1, 1.0))
    ]


def rate(facts):
    """As tuned for few rows, and for large batches by the square root of the batch; twice as much of numbers."""
    size = facts.settings["train.batch_size"]
    tuned = 0.002 if facts.answer == "number" else 0.001
    return max(float(f"{tuned * math.sqrt(size / _BATCH):.2g}"), 0.001), f"batches of {size}"


TABLES = OwnData(
    source_facts.of_tables,
    {
        "train.batch_size": batches(100, 32, "rows", 1024),
        "train.epochs": epochs,
        "model.loss": loss,
        "model.backbone": backbone,
        "optimizer.learning_rate": rate,
    },
    sizes,
)
