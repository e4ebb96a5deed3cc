"""Recurrent encoder and decoder, without and with attention.

Sutskever et al., "Sequence to Sequence Learning with Neural Networks", 2014; Cho et al., "Learning Phrase
Representations using RNN Encoder-Decoder", 2014; Bahdanau et al., "Neural Machine Translation by Jointly Learning to
Align and Translate", 2014; Luong et al., "Effective Approaches to Attention-based Neural Machine Translation", 2015.
"""

from typing import Literal

import keras
from keras import layers

from kit.blocks.recurrent import CELLS
from kit.blocks.recurrent_decoder import RecurrentDecoder
from kit.errors import check

_ENCODERS = {
    **{cell: {"cell": cell, "bidirectional": False} for cell in ("rnn", "gru", "lstm")},
    **{f"bi{cell}": {"cell": cell, "bidirectional": True} for cell in ("rnn", "gru", "lstm")},
}
_ATTENTIONS = {"": "none", "_bahdanau": "additive", "_luong": "multiplicative"}
VARIANTS = {
    f"{name}{ending}": {**encoder, "attention": attention}
    for name, encoder in _ENCODERS.items()
    for ending, attention in _ATTENTIONS.items()
}


def recurrent_seq2seq(
    input_dim,
    *,
    units: int = 256,
    depth: int = 1,
    cell: Literal["rnn", "lstm", "gru", "peephole_lstm"] = "gru",
    bidirectional: bool = True,
    attention: Literal["none", "additive", "multiplicative"] = "additive",
    dropout: float = 0.2,
    name: str = "recurrent_seq2seq",
):
    """Reads a sequence into the state of recurrent layers, then writes another one from there.

    Args:
        input_dim: Width of what comes in on both sides.
        units: Width of each recurrent layer, in each direction.
        depth: Number of recurrent layers of encoder and of decoder.
        cell: What is repeated over time.
        bidirectional: The encoder reads the sequence from both ends.
        attention: "none": the decoder has the encoder's last states alone; "additive" (Bahdanau) looks back at the
            sequence before each step, "multiplicative" (Luong) after the last layer.
        dropout: Share of each layer's output that is dropped while training.
        name: Name of the model.

    Shape:
        in: source (batch, source, input_dim), its mask (batch, source), True at real positions, and target (batch,
            time, input_dim), of which each position sees those before it
        out: (batch, time, units)

    Raises:
        SettingError: a width or number is too small, or `dropout` is out of range.
    """
    for key, value in (("input_dim", input_dim), ("units", units), ("depth", depth)):
        check(value >= 1, key, value, "at least 1")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    x = source = keras.Input((None, input_dim), name="source")
    mask = keras.Input((None,), dtype="bool", name="mask")
    target = keras.Input((None, input_dim), name="target")
    for index in range(1, depth + 1):
        make = CELLS[cell]
        if bidirectional:
            layer = layers.Bidirectional(
                make(units, return_sequences=True, return_state=True, name=f"stage{index}_forward"),
                name=f"encoder{index}",
            )
        else:
            layer = make(units, return_sequences=True, return_state=True, name=f"encoder{index}")
        x, *states = layer(x, mask=mask)
        x = layers.Dropout(dropout, name="memory" if index == depth else f"encoder{index}_dropout")(x)
    summary = (
        layers.Concatenate(name="summary")(states) if len(states) > 1 else layers.Identity(name="summary")(*states)
    )
    decoder = RecurrentDecoder(units, cell=cell, depth=depth, attention=attention, dropout=dropout, name="decoder")
    y = decoder(target, x, mask, summary)
    return keras.Model([source, mask, target], layers.Identity(name="stage1")(y), name=name)
