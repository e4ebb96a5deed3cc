"""Residual network of dense layers for tables.

Gorishniy, Rubachev, Khrulkov and Babenko, "Revisiting Deep Learning Models for Tabular Data", 2021, section 3.2.
"""

from typing import Literal

import keras
from keras import layers

from kit.blocks.table_columns import flat_columns
from kit.errors import check

VARIANTS = {"resnet_mlp": {}}


def resnet_mlp(
    columns,
    *,
    dim: int = 192,
    depth: int = 3,
    hidden_factor: float = 2.0,
    number_embedding: Literal["none", "linear", "piecewise_linear"] = "none",
    number_dim: int = 12,
    embedding_dim: int = 8,
    hidden_dropout: float = 0.3,
    residual_dropout: float = 0.0,
    name: str = "resnet_mlp",
):
    """Passes all columns beside each other through residual blocks of two dense layers.

    Args:
        columns: `kit.blocks.table_columns.TableShape`.
        dim: Width of a block.
        depth: Number of blocks.
        hidden_factor: Width between the two layers of a block, in widths of the block.
        number_embedding, number_dim, embedding_dim: As for `table_mlp`: how numbers come in ("none" as they are,
            standardised), the width of the embedding of a number, and of a category.
        hidden_dropout: Share of the values between the two layers that is dropped while training.
        residual_dropout: Share of what a block adds that is dropped while training.
        name: Name of the model.

    Shape:
        in: `numbers` (batch, numbers), `categories` (batch, categories), `words` (batch, words), those that there are
        out: (batch, dim)

    Raises:
        SettingError: a value out of range.
    """
    hidden = round(dim * hidden_factor)
    for key, value in (("dim", dim), ("depth", depth), ("number_dim", number_dim), ("embedding_dim", embedding_dim)):
        check(value >= 1, key, value, "at least 1")
    check(hidden >= 1, "hidden_factor", hidden_factor, "a number above 0")
    for key, value in (("hidden_dropout", hidden_dropout), ("residual_dropout", residual_dropout)):
        check(0 <= value < 1, key, value, "a number from 0 to below 1")
    inputs = columns.inputs()
    x, _ = flat_columns(
        inputs, columns, embedding_dim=embedding_dim, number_embedding=number_embedding, number_dim=number_dim
    )
    x = layers.Dense(dim, name="first")(x)
    for index in range(1, depth + 1):
        y = layers.BatchNormalization(name=f"stage{index}_norm")(x)
        y = layers.Dense(hidden, activation="relu", name=f"stage{index}_wide")(y)
        y = layers.Dropout(hidden_dropout, name=f"stage{index}_wide_dropout")(y)
        y = layers.Dense(dim, name=f"stage{index}_narrow")(y)
        y = layers.Dropout(residual_dropout, name=f"stage{index}_dropout")(y)
        x = layers.Add(name=f"stage{index}")([x, y])
    x = layers.BatchNormalization(name="norm")(x)
    return keras.Model(inputs, layers.Activation("relu", name="relu")(x), name=name)
