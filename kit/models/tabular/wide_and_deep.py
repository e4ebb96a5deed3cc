"""Wide & Deep: a linear model of categories and crossed columns beside a deep network, trained together.

Cheng et al., "Wide & Deep Learning for Recommender Systems", 2016.
"""

from typing import Literal

import keras
from keras import layers, ops

from kit.blocks.table_columns import embedded_ids, flat_columns
from kit.errors import check

VARIANTS = {"wide_and_deep": {}}


def wide_and_deep(
    columns,
    *,
    units: tuple[int, ...] = (256, 128),
    number_embedding: Literal["none", "linear", "piecewise_linear"] = "piecewise_linear",
    number_dim: int = 12,
    embedding_dim: int = 8,
    dropout: float = 0.2,
    name: str = "wide_and_deep",
):
    """Passes columns through dense layers, and puts the sums of the weights of all categories beside their answer.

    The last layer of the recipe makes one linear model of both: the sums have as many values as there are answers.

    Args:
        columns: `kit.blocks.table_columns.TableShape`; its crossed columns are wide alone.
        units: Width of each deep layer.
        number_embedding, number_dim, embedding_dim: As for `table_mlp`: how numbers come in ("none" as they are,
            standardised), the width of the embedding of a number, and of a category.
        dropout: Share of each deep layer that is dropped while training.
        name: Name of the model.

    Shape:
        in: `numbers` (batch, numbers), `categories` (batch, categories), `crosses` (batch, crosses), `words` (batch,
            words), those that there are
        out: (batch, units[-1] + num_outputs)

    Raises:
        SettingError: a value out of range.
    """
    check(len(units) and min(units) >= 1, "units", units, "widths of at least 1")
    for key, value in (("number_dim", number_dim), ("embedding_dim", embedding_dim)):
        check(value >= 1, key, value, "at least 1")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    inputs = columns.inputs(has_crosses=True)
    x, _ = flat_columns(
        inputs, columns, embedding_dim=embedding_dim, number_embedding=number_embedding, number_dim=number_dim
    )
    for index, width in enumerate(units, 1):
        x = layers.Dense(width, activation="relu", name=f"stage{index}_dense")(x)
        x = layers.Dropout(dropout, name=f"stage{index}")(x)
    wide = [
        ops.sum(
            embedded_ids(inputs[kind], sizes, columns.num_outputs, initializer="zeros", name=f"wide_{kind}"), axis=1
        )
        for kind, sizes in (("categories", columns.category_sizes), ("crosses", columns.cross_sizes))
        if kind in inputs
    ]
    if wide:
        x = layers.Concatenate(name="wide_and_deep")([x, sum(wide)])
    return keras.Model(inputs, x, name=name)
