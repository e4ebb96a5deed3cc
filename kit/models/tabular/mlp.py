"""Multi-layer perceptron of a table, with piecewise linear embeddings of numbers.

Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", 2022.
"""

from typing import Literal

import keras
from keras import layers

from kit.blocks.table_columns import flat_columns
from kit.errors import check

VARIANTS = {"table_mlp": {}}


def mlp(
    columns,
    *,
    units: tuple[int, ...] = (256, 256),
    number_embedding: Literal["none", "linear", "piecewise_linear"] = "piecewise_linear",
    number_dim: int = 12,
    embedding_dim: int = 8,
    dropout: float = 0.2,
    name: str = "table_mlp",
):
    """Passes all columns beside each other through dense layers.

    Args:
        columns: `kit.blocks.table_columns.TableShape`.
        units: Width of each layer.
        number_embedding: How numbers come in: "none" as they are, standardised; "linear" or "piecewise_linear" embeds
            each by weights of its own.
        number_dim: Width of the embedding of a number.
        embedding_dim: Width of the embedding of a category.
        dropout: Share of each layer that is dropped while training.
        name: Name of the model.

    Shape:
        in: `numbers` (batch, numbers), `categories` (batch, categories), `words` (batch, words), those that there are
        out: (batch, units[-1])

    Raises:
        SettingError: a value out of range.
    """
    check(len(units) and min(units) >= 1, "units", units, "widths of at least 1")
    for key, value in (("number_dim", number_dim), ("embedding_dim", embedding_dim)):
        check(value >= 1, key, value, "at least 1")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    inputs = columns.inputs()
    x, _ = flat_columns(
        inputs, columns, embedding_dim=embedding_dim, number_embedding=number_embedding, number_dim=number_dim
    )
    for index, width in enumerate(units, 1):
        x = layers.Dense(width, activation="relu", name=f"stage{index}_dense")(x)
        x = layers.Dropout(dropout, name=f"stage{index}")(x)
    return keras.Model(inputs, x, name=name)
