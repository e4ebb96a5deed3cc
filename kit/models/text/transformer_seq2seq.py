"""Transformer encoder and decoder.

Vaswani et al., "Attention Is All You Need", 2017; the tiny one: Wu et al., "Good for Misconceived Reasons: An Empirical
Revisiting on the Need for Visual Context in Multimodal Machine Translation", 2021.
"""

import functools
from typing import Literal

import keras
from keras import layers

from kit.blocks.activations import Activation
from kit.blocks.attention import Attention
from kit.blocks.feedforward import FeedForward
from kit.blocks.position import position
from kit.blocks.transformer import TransformerDecoder, encoder_block
from kit.errors import check
from kit.models.text.transformer import check_sizes

VARIANTS = {
    "transformer": {},
    "transformer_tiny": {"dim": 128, "depth": 4, "num_heads": 4, "feedforward_dim": 256},
    "transformer_base": {"dim": 512, "depth": 6, "num_heads": 8, "feedforward_dim": 2048, "norm": "post"},
    "transformer_big": {"dim": 1024, "depth": 6, "num_heads": 16, "feedforward_dim": 4096, "norm": "post"},
}


def transformer_seq2seq(
    input_dim,
    max_length,
    *,
    dim: int = 128,
    depth: int = 2,
    decoder_depth: int | None = None,
    num_heads: int = 4,
    feedforward_dim: int = 512,
    dropout: float = 0.1,
    activation: Activation = "relu",
    norm: Literal["pre", "post"] = "pre",
    positions: Literal["sinusoidal", "learned", "rotary", "none"] = "sinusoidal",
    num_key_value_heads: int | None = None,
    window: int | None = None,
    name: str = "transformer_seq2seq",
):
    """Reads a whole sequence, then writes another one, looking back at both.

    Args:
        input_dim: Width of what comes in on both sides.
        max_length: Most positions of a sequence, where positions are learned.
        dim: Width of every block.
        depth: Number of blocks of the encoder.
        decoder_depth: Number of blocks of the decoder; None is as many as the encoder has.
        num_heads: Number of attention heads of each block.
        feedforward_dim: Width between the two dense layers of a block.
        dropout: Share of embeddings, of attention weights and of what a block adds that is dropped while training.
        activation: Activation between the two dense layers of a block.
        norm: Normalisation in front of each part of a block, or behind its residual connection.
        positions: "sinusoidal" waves or "learned" vectors are added, "rotary" attention turns by the position, "none".
        num_key_value_heads: Heads of keys and values, shared by those of queries; None is one for each.
        window: A position of a sequence looks only at those of it less than so many away; None is all.
        name: Name of the model.

    Shape:
        in: source (batch, source, input_dim), its mask (batch, source), True at real positions, and target (batch,
            time, input_dim), of which each position sees those before it
        out: (batch, time, dim)

    Raises:
        SettingError: a width or number is too small, or the heads do not divide the width.
    """
    check_sizes(input_dim, dim, depth, num_heads, feedforward_dim, dropout)
    check(decoder_depth is None or decoder_depth >= 1, "decoder_depth", decoder_depth, "at least 1")
    kinds = ("sinusoidal", "learned", "rotary", "none")
    check(positions in kinds, "positions", positions, " or ".join(map(repr, kinds)))
    check(norm in ("pre", "post"), "norm", norm, "'pre' or 'post'")
    source = keras.Input((None, input_dim), name="source")
    mask = keras.Input((None,), dtype="bool", name="mask")
    y = target = keras.Input((None, input_dim), name="target")
    x = source
    if input_dim != dim:
        x = layers.Dense(dim, name="source_projection")(x)
        y = layers.Dense(dim, name="target_projection")(y)
    place = position(positions, max_length, "position")
    x = x if place is None else place(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    attention = functools.partial(
        Attention,
        num_heads,
        num_key_value_heads=num_key_value_heads,
        window=window,
        use_rotary=positions == "rotary",
        dropout=dropout,
    )
    feedforward = functools.partial(FeedForward, feedforward_dim, activation=activation)
    for index in range(1, depth + 1):
        x = encoder_block(
            x, mask, attention=attention, feedforward=feedforward, norm=norm, dropout=dropout, name=f"block{index}"
        )
    last = layers.LayerNormalization(name="memory") if norm == "pre" else layers.Identity(name="memory")
    decoder = TransformerDecoder(
        depth if decoder_depth is None else decoder_depth,
        num_heads,
        feedforward_dim,
        dropout=dropout,
        activation=activation,
        norm=norm,
        positions=positions,
        max_length=max_length,
        num_key_value_heads=num_key_value_heads,
        window=window,
        name="decoder",
    )
    y = decoder(y, last(x), mask)
    return keras.Model([source, mask, target], layers.Identity(name="stage1")(y), name=name)
