"""Recurrent encoders: Elman network, LSTM, GRU and peephole LSTM, in one direction or both, also behind convolutions.

Elman, "Finding Structure in Time", 1990; Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; Cho et al.,
"Learning Phrase Representations using RNN Encoder-Decoder", 2014; Gers and Schmidhuber, "Recurrent nets that time and
count", 2000; Graves and Schmidhuber, "Framewise phoneme classification with bidirectional LSTM", 2005.
"""

from typing import Literal

import keras
from keras import layers

from kit.blocks import recurrent as block
from kit.blocks.convolution import sequence_convolution
from kit.errors import check

VARIANTS = {
    "rnn": {"cell": "rnn", "bidirectional": False},
    "lstm": {"cell": "lstm", "bidirectional": False},
    "gru": {"cell": "gru", "bidirectional": False},
    "peephole_lstm": {"cell": "peephole_lstm", "bidirectional": False},
    "birnn": {"cell": "rnn"},
    "bilstm": {"cell": "lstm"},
    "bigru": {"cell": "gru"},
    "bipeephole_lstm": {"cell": "peephole_lstm"},
    "cnn_bilstm": {"cell": "lstm", "convolutions": 1},
}


def recurrent(
    input_dim,
    *,
    units: int = 128,
    depth: int = 1,
    cell: Literal["rnn", "lstm", "gru", "peephole_lstm"] = "lstm",
    bidirectional: bool = True,
    convolutions: int = 0,
    dropout: float = 0.4,
    name: str = "recurrent",
):
    """Passes a sequence through convolutions, if any, then through recurrent layers.

    Args:
        input_dim: Width of what comes in.
        units: Width of each recurrent layer in each direction.
        depth: Number of recurrent layers.
        cell: What is repeated over time.
        bidirectional: Read the sequence from both ends.
        convolutions: Number of convolutions over three positions before the first recurrent layer.
        dropout: Share of the outputs between two layers that is dropped while training.
        name: Name of the model.

    Shape:
        in: sequence (batch, time, input_dim) and mask (batch, time), True at real positions
        out: (batch, time, units), or twice the units

    Raises:
        SettingError: a width or number is too small, or `dropout` is out of range.
    """
    for key, value in (("input_dim", input_dim), ("units", units), ("depth", depth)):
        check(value >= 1, key, value, "at least 1")
    check(convolutions >= 0, "convolutions", convolutions, "at least 0")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    x = inputs = keras.Input((None, input_dim), name="sequence")
    mask = keras.Input((None,), dtype="bool", name="mask")
    for index in range(1, convolutions + 1):
        x = sequence_convolution(x, mask, 2 * units, name=f"convolution{index}")
    for index in range(1, depth + 1):
        if index > 1 and dropout:
            x = layers.Dropout(dropout, name=f"stage{index - 1}_dropout")(x)
        x = block.recurrent(x, mask, units, cell=cell, bidirectional=bidirectional, name=f"stage{index}")
    return keras.Model([inputs, mask], x, name=name)
