"""Transformer encoder of the past of a time series.

Vaswani et al., "Attention Is All You Need", 2017.
"""

import functools

import keras
from keras import layers, ops

from kit.blocks.attention import Attention
from kit.blocks.feedforward import FeedForward
from kit.blocks.position import position
from kit.blocks.transformer import encoder_block
from kit.errors import check

VARIANTS = {"transformer": {"depth": 2, "num_heads": 4}}


def past_transformer(
    input_dim,
    *,
    dim: int = 32,
    depth: int = 2,
    num_heads: int = 4,
    feedforward_dim: int = 64,
    dropout: float = 0.1,
    name: str = "past_transformer",
):
    """Reads the past of a time series with blocks of self-attention.

    Args:
        input_dim: Width of what comes in.
        dim: Width of every block.
        depth: Number of blocks.
        num_heads: Number of attention heads of each block.
        feedforward_dim: Width between the two dense layers of a block.
        dropout: Share of the attention weights, and of what a block adds, that is dropped while training.
        name: Name of the model.

    Shape:
        in: (batch, time, input_dim)
        out: (batch, dim), of the mean over the steps and the last one

    Raises:
        SettingError: a width or number is too small, or the heads do not divide the width.
    """
    sizes = {"input_dim": input_dim, "dim": dim, "depth": depth, "feedforward_dim": feedforward_dim}
    for key, value in sizes.items():
        check(value >= 1, key, value, "at least 1")
    check(num_heads >= 1 and dim % num_heads == 0, "num_heads", num_heads, f"a divisor of dim ({dim})")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    x = inputs = keras.Input((None, input_dim), name="sequence")
    x = layers.Dense(dim, name="projection")(x)
    x = position("sinusoidal", None, "position")(x)
    attention = functools.partial(Attention, num_heads, dropout=dropout)
    feedforward = functools.partial(FeedForward, feedforward_dim, activation="gelu")
    for index in range(1, depth + 1):
        x = encoder_block(x, attention=attention, feedforward=feedforward, dropout=dropout, name=f"block{index}")
    x = layers.LayerNormalization(name="stage1")(x)
    both = ops.concatenate([ops.mean(x, axis=1), x[:, -1]], axis=-1)
    return keras.Model(inputs, layers.Dense(dim, activation="gelu", name="summary")(both), name=name)
