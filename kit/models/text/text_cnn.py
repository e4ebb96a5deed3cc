"""Convolutions of several widths side by side (TextCNN).

Kim, "Convolutional Neural Networks for Sentence Classification", 2014.
"""

import keras
from keras import layers, ops

from kit.errors import check

VARIANTS = {"text_cnn": {}}


def text_cnn(
    input_dim,
    *,
    filters: int = 100,
    kernel_sizes: tuple[int, ...] = (3, 4, 5),
    dropout: float = 0.0,
    name: str = "text_cnn",
):
    """Passes a sequence through convolutions of several widths, whose maximum over time tells what occurs.

    Args:
        input_dim: Width of what comes in.
        filters: Number of channels of each convolution.
        kernel_sizes: Number of positions that each convolution looks at.
        dropout: Share of what comes in that is dropped while training.
        name: Name of the model.

    Shape:
        in: sequence (batch, time, input_dim) and mask (batch, time), True at real positions
        out: (batch, time, filters * len(kernel_sizes))

    Raises:
        SettingError: a width or number is too small, or `dropout` is out of range.
    """
    for key, value in (("input_dim", input_dim), ("filters", filters)):
        check(value >= 1, key, value, "at least 1")
    check(len(kernel_sizes) and min(kernel_sizes) >= 1, "kernel_sizes", kernel_sizes, "widths of at least 1")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    inputs = keras.Input((None, input_dim), name="sequence")
    mask = keras.Input((None,), dtype="bool", name="mask")
    x = layers.Dropout(dropout, name="sequence_dropout")(inputs) if dropout else inputs
    x = x * ops.cast(mask, x.dtype)[..., None]  # zeros beyond the end, as beyond the start
    parts = [
        layers.Conv1D(filters, size, padding="same", activation="relu", name=f"convolution{index}")(x)
        for index, size in enumerate(kernel_sizes, 1)
    ]
    x = layers.Concatenate(name="concatenation")(parts) if len(parts) > 1 else parts[0]
    return keras.Model([inputs, mask], layers.Identity(name="stage1")(x), name=name)
