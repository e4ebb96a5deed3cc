"""Convolutional encoders of sequences.

Collobert et al., "Natural Language Processing (Almost) from Scratch", 2011; with dilation: Strubell et al., "Fast and
Accurate Entity Recognition with Iterated Dilated Convolutions", 2017.
"""

import keras
from keras import layers

from kit.blocks.convolution import sequence_convolution
from kit.errors import check

VARIANTS = {
    "cnn": {"dilations": (1, 1, 1)},
    "dilated_cnn": {"dilations": (1, 2, 4)},
}


def cnn(
    input_dim,
    *,
    dim: int = 128,
    dilations: tuple[int, ...] = (1, 1, 1),
    kernel_size: int = 3,
    dropout: float = 0.1,
    name: str = "cnn",
):
    """Passes a sequence through residual convolutions.

    Args:
        input_dim: Width of what comes in.
        dim: Width of every layer.
        dilations: Distance between the positions that each layer looks at; their number is the depth.
        kernel_size: Number of positions that a layer looks at.
        dropout: Share of what a layer adds that is dropped while training.
        name: Name of the model.

    Shape:
        in: sequence (batch, time, input_dim) and mask (batch, time), True at real positions
        out: (batch, time, dim)

    Raises:
        SettingError: a width or number is too small, or `dropout` is out of range.
    """
    for key, value in (("input_dim", input_dim), ("dim", dim)):
        check(value >= 1, key, value, "at least 1")
    check(len(dilations) and min(dilations) >= 1, "dilations", dilations, "distances of at least 1")
    check(kernel_size >= 1 and kernel_size % 2, "kernel_size", kernel_size, "an odd number of at least 1")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    x = inputs = keras.Input((None, input_dim), name="sequence")
    mask = keras.Input((None,), dtype="bool", name="mask")
    if input_dim != dim:
        x = layers.Dense(dim, name="projection")(x)
    for index, dilation in enumerate(dilations, 1):
        y = sequence_convolution(x, mask, dim, kernel_size=kernel_size, dilation=dilation, name=f"convolution{index}")
        y = layers.Dropout(dropout, name=f"convolution{index}_dropout")(y)
        x = layers.Add(name=f"stage{index}")([x, y])
    return keras.Model([inputs, mask], x, name=name)
