"""Temporal convolutional network: causal convolutions whose reach doubles from block to block.

Bai, Kolter and Koltun, "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling",
2018, with layer normalisation in place of weight normalisation.
"""

import keras
from keras import layers

from kit.errors import check

VARIANTS = {"tcn": {"dilations": (1, 2, 4, 8)}}


def tcn(
    input_dim,
    *,
    dim: int = 32,
    dilations: tuple[int, ...] = (1, 2, 4, 8),
    kernel_size: int = 3,
    dropout: float = 0.1,
    name: str = "tcn",
):
    """Reads the past of a time series with residual blocks of two causal convolutions each.

    Args:
        input_dim: Width of what comes in.
        dim: Width of every block.
        dilations: Distance between the steps that the convolutions of each block look at; their number is the depth.
        kernel_size: Number of steps that a convolution looks at.
        dropout: Share of each convolution's output that is dropped while training.
        name: Name of the model.

    Shape:
        in: (batch, time, input_dim)
        out: (batch, dim), at the last step

    Raises:
        SettingError: a width or number is too small, or `dropout` is out of range.
    """
    for key, value in (("input_dim", input_dim), ("dim", dim)):
        check(value >= 1, key, value, "at least 1")
    are_distances = len(dilations) and min(dilations) >= 1 and max(dilations) <= 100_000
    check(are_distances, "dilations", dilations, "distances of 1 to 100000")
    check(1 <= kernel_size <= 1000, "kernel_size", kernel_size, "1 to 1000 steps")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    x = inputs = keras.Input((None, input_dim), name="sequence")
    if input_dim != dim:
        x = layers.Dense(dim, name="projection")(x)
    for index, dilation in enumerate(dilations, 1):
        y = x
        for half in (1, 2):
            label = f"block{index}_convolution{half}"
            y = layers.Conv1D(dim, kernel_size, dilation_rate=dilation, padding="causal", name=label)(y)
            y = layers.LayerNormalization(name=f"{label}_norm")(y)
            y = layers.ReLU(name=f"{label}_relu")(y)
            y = layers.Dropout(dropout, name=f"{label}_dropout")(y)
        x = layers.Add(name=f"stage{index}")([x, y])
    return keras.Model(inputs, x[:, -1], name=name)
