"""Recurrent networks that write: Elman network, GRU and LSTM, one embedding for both ends.

Elman, "Finding Structure in Time", 1990; Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; Cho et al.,
"Learning Phrase Representations using RNN Encoder-Decoder", 2014; Press and Wolf, "Using the Output Embedding to
Improve Language Models", 2017 (one embedding); Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in
Recurrent Neural Networks", 2016 (dropout of states).
"""

from typing import Literal

from kit.blocks.recurrent_stack import RecurrentStack
from kit.errors import check
from kit.models.text.causal_decoder import causal_decoder

VARIANTS = {cell: {"cell": cell} for cell in ("rnn", "gru", "lstm")}


def recurrent_writer(
    vocabulary_size,
    separator,
    *,
    dim: int = 256,
    depth: int = 2,
    cell: Literal["rnn", "gru", "lstm"] = "lstm",
    dropout: float = 0.1,
    state_dropout: float = 0.0,
    name: str = "recurrent_writer",
):
    """Embeds tokens, and passes them through recurrent layers as wide as the embedding.

    Args:
        vocabulary_size: Number of tokens.
        separator: None: the state of a layer goes on from text to text.
        dim: Width of embedding and layers.
        depth: Number of layers.
        cell: What is repeated over time.
        dropout: Share of what goes into each layer, and of the last one's output, that is dropped in training.
        state_dropout: Share of the state that is dropped in each step of training.
        name: Name of the model.

    Shape:
        in: `ids` (batch, time)
        out: (batch, time, dim)

    Raises:
        SettingError: a number is out of range, or texts are to be kept apart.
    """
    check(separator is None, "backbone", name, "a network of attention where data.cross_texts is false")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    decoder = RecurrentStack(depth, cell=cell, dropout=dropout, state_dropout=state_dropout, name="decoder")
    return causal_decoder(vocabulary_size, None, decoder, dim=dim, is_tied=True, name=name)
