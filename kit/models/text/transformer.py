"""Transformer encoder.

Vaswani et al., "Attention Is All You Need", 2017.
"""

import functools
from typing import Literal

import keras
from keras import layers

from kit.blocks.attention import Attention
from kit.blocks.feedforward import FeedForward
from kit.blocks.position import position
from kit.blocks.transformer import encoder_block
from kit.errors import SettingError, check

VARIANTS = {
    "transformer": {"depth": 2, "num_heads": 4, "feedforward_dim": 512},
}


def transformer(
    input_dim,
    *,
    dim: int = 128,
    depth: int = 2,
    num_heads: int = 4,
    feedforward_dim: int = 512,
    dropout: float = 0.1,
    norm: Literal["pre", "post"] = "pre",
    positions: Literal["sinusoidal", "rotary", "none"] = "sinusoidal",
    num_key_value_heads: int | None = None,
    window: int | None = None,
    name: str = "transformer",
):
    """Adds positions to a sequence and passes it through blocks of self-attention.

    Args:
        input_dim: Width of what comes in.
        dim: Width of every block.
        depth: Number of blocks.
        num_heads: Number of attention heads of each block.
        feedforward_dim: Width between the two dense layers of a block.
        dropout: Share of the attention weights, and of what a block adds, that is dropped while training.
        norm: Normalisation in front of each half of a block, or behind its residual connection.
        positions: "sinusoidal" waves are added, "rotary" attention turns by the position, or "none".
        num_key_value_heads: Heads of keys and values, shared by those of queries; None is one for each.
        window: A position looks only at those less than so many away; None is all.
        name: Name of the model.

    Shape:
        in: sequence (batch, time, input_dim) and mask (batch, time), True at real positions
        out: (batch, time, dim)

    Raises:
        SettingError: a width or number is too small, or the heads do not divide the width.
    """
    check_sizes(input_dim, dim, depth, num_heads, feedforward_dim, dropout)
    check(positions in ("sinusoidal", "rotary", "none"), "positions", positions, "'sinusoidal', 'rotary' or 'none'")
    inputs = keras.Input((None, input_dim), name="sequence")
    mask = keras.Input((None,), dtype="bool", name="mask")
    x = layers.Dense(dim, name="projection")(inputs) if input_dim != dim else inputs
    place = position(positions, None, "position")
    x = x if place is None else place(x)
    attention = functools.partial(
        Attention,
        num_heads,
        num_key_value_heads=num_key_value_heads,
        window=window,
        use_rotary=positions == "rotary",
        dropout=dropout,
    )
    feedforward = functools.partial(FeedForward, feedforward_dim, activation="gelu")
    for index in range(1, depth + 1):
        x = encoder_block(
            x, mask, attention=attention, feedforward=feedforward, norm=norm, dropout=dropout, name=f"block{index}"
        )
    last = layers.LayerNormalization(name="stage1") if norm == "pre" else layers.Identity(name="stage1")
    return keras.Model([inputs, mask], last(x), name=name)


def check_tokens(vocabulary_size):
    """Raises SettingError where an encoder of tokens would be given something else."""
    if not isinstance(vocabulary_size, int):
        raise SettingError(
            "model.backbone", "takes pieces of words; expected data.tokenizer, a folder whose tokenizer makes them"
        )


def check_sizes(input_dim, dim, depth, num_heads, feedforward_dim, dropout):
    """Raises SettingError where a Transformer of these sizes cannot be."""
    for key, value in (("input_dim", input_dim), ("dim", dim), ("depth", depth), ("feedforward_dim", feedforward_dim)):
        check(value >= 1, key, value, "at least 1")
    check(num_heads >= 1 and dim % num_heads == 0, "num_heads", num_heads, f"a divisor of dim ({dim})")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
