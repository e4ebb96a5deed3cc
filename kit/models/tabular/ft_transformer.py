"""FT-Transformer: each column of a table is a token of a Transformer.

Gorishniy, Rubachev, Khrulkov and Babenko, "Revisiting Deep Learning Models for Tabular Data", 2021, section 3.3.
"""

import functools
from typing import Literal

import keras
from keras import layers

from kit.blocks.attention import Attention
from kit.blocks.feedforward import FeedForward
from kit.blocks.patch import ClassToken
from kit.blocks.table_columns import column_tokens
from kit.blocks.transformer import encoder_block
from kit.errors import check

VARIANTS = {"ft_transformer": {}}


def ft_transformer(
    columns,
    *,
    dim: int = 64,
    depth: int = 3,
    num_heads: int = 4,
    feedforward_factor: float = 1.333,
    number_embedding: Literal["linear", "piecewise_linear"] = "linear",
    attention_dropout: float = 0.2,
    dropout: float = 0.1,
    name: str = "ft_transformer",
):
    """Makes a token of each column, and passes them and a class token through blocks of self-attention.

    Args:
        columns: `kit.blocks.table_columns.TableShape`.
        dim: Width of a token.
        depth: Number of blocks.
        num_heads: Number of attention heads of each block.
        feedforward_factor: Width of a block's feed-forward network, a gated one (ReGLU), in widths of a token.
        number_embedding: How a number becomes a token: by weights of its own, "linear" as in the paper, or
            "piecewise_linear".
        attention_dropout: Share of the attention weights that is dropped while training.
        dropout: Share of what each half of a block adds that is dropped while training.
        name: Name of the model.

    Shape:
        in: `numbers` (batch, numbers), `categories` (batch, categories), `words` (batch, words), those that there are
        out: (batch, dim)

    Raises:
        SettingError: a value out of range.
    """
    hidden = round(dim * feedforward_factor)
    for key, value in (("dim", dim), ("depth", depth), ("num_heads", num_heads)):
        check(value >= 1, key, value, "at least 1")
    check(hidden >= 1, "feedforward_factor", feedforward_factor, "a number above 0")
    for key, value in (("attention_dropout", attention_dropout), ("dropout", dropout)):
        check(0 <= value < 1, key, value, "a number from 0 to below 1")
    inputs = columns.inputs()
    x = column_tokens(inputs, columns, dim=dim, number_embedding=number_embedding)  # (batch, columns, dim)
    x = ClassToken(name="class_token")(x)  # (batch, 1 + columns, dim)
    norm = functools.partial(layers.LayerNormalization, epsilon=1e-5)
    for index in range(1, depth + 1):
        x = encoder_block(
            x,
            attention=functools.partial(Attention, num_heads, dropout=attention_dropout),
            feedforward=functools.partial(FeedForward, hidden, activation="relu", is_gated=True),
            normalization=norm,
            dropout=dropout,
            name=f"stage{index}",
        )
    x = norm(name="norm")(x[:, 0])
    return keras.Model(inputs, layers.Activation("relu", name="relu")(x), name=name)
