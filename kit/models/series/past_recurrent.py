"""Recurrent encoders of the past of a time series, whose last state is what they know; also with attention.

Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; Cho et al., "Learning Phrase Representations using RNN
Encoder-Decoder", 2014; attention to all states from the last one: Luong, Pham and Manning, "Effective Approaches to
Attention-based Neural Machine Translation", 2015, with multiplicative scores.
"""

from typing import Literal

import keras
from keras import layers, ops

from kit.blocks.recurrent import CELLS
from kit.errors import check

VARIANTS = {
    "lstm": {"cell": "lstm"},
    "gru": {"cell": "gru"},
    "lstm_attention": {"cell": "lstm", "attention": True},
}


def past_recurrent(
    input_dim,
    *,
    units: int = 32,
    depth: int = 1,
    cell: Literal["rnn", "lstm", "gru", "peephole_lstm"] = "lstm",
    attention: bool = False,
    dropout: float = 0.1,
    name: str = "past_recurrent",
):
    """Reads the past of a time series with recurrent layers.

    Args:
        input_dim: Width of what comes in.
        units: Width of each recurrent layer.
        depth: Number of recurrent layers.
        cell: What is repeated over time.
        attention: The last state looks back at all of them.
        dropout: Share of the outputs between two layers that is dropped while training.
        name: Name of the model.

    Shape:
        in: (batch, time, input_dim)
        out: (batch, units)

    Raises:
        SettingError: a width or number is too small, or `dropout` is out of range.
    """
    for key, value in (("input_dim", input_dim), ("units", units), ("depth", depth)):
        check(value >= 1, key, value, "at least 1")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    x = inputs = keras.Input((None, input_dim), name="sequence")
    for index in range(1, depth + 1):
        if index > 1 and dropout:
            x = layers.Dropout(dropout, name=f"stage{index - 1}_dropout")(x)
        is_sequence = index < depth or attention
        x = CELLS[cell](units, return_sequences=is_sequence, name=f"stage{index}")(x)
    if attention:
        last = x[:, -1]  # (batch, units)
        keys = layers.Dense(units, use_bias=False, name="attention_keys")(x)  # (batch, time, units)
        weights = ops.softmax(ops.einsum("btd,bd->bt", keys, last) / units**0.5, axis=-1)
        seen = ops.einsum("bt,btd->bd", weights, x)
        x = layers.Dense(units, activation="tanh", name="attention")(ops.concatenate([seen, last], axis=-1))
    return keras.Model(inputs, x, name=name)
