"""Transformer encoder.

Vaswani et al., "Attention Is All You Need", 2017.
"""

import keras
from keras import layers

from kit.blocks.position import SinusoidalPosition
from kit.blocks.transformer import encoder_block
from kit.errors import check

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
        name: Name of the model.

    Shape:
        in: sequence (batch, time, input_dim) and mask (batch, time), True at real positions
        out: (batch, time, dim)

    Raises:
        SettingError: a width or number is too small, or the heads do not divide the width.
    """
    for key, value in (("input_dim", input_dim), ("dim", dim), ("depth", depth), ("feedforward_dim", feedforward_dim)):
        check(value >= 1, key, value, "at least 1")
    check(num_heads >= 1 and dim % num_heads == 0, "num_heads", num_heads, f"a divisor of dim ({dim})")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    inputs = keras.Input((None, input_dim), name="sequence")
    mask = keras.Input((None,), dtype="bool", name="mask")
    x = layers.Dense(dim, name="projection")(inputs) if input_dim != dim else inputs
    x = SinusoidalPosition(name="position")(x)
    for index in range(1, depth + 1):
        x = encoder_block(
            x, mask, num_heads=num_heads, feedforward_dim=feedforward_dim, dropout=dropout, name=f"block{index}"
        )
    x = layers.LayerNormalization(name="stage1")(x)
    return keras.Model([inputs, mask], x, name=name)
