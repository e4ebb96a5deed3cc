"""Perceptron and multilayer perceptron on pixels.

Rosenblatt, "The Perceptron: A Probabilistic Model for Information Storage and Organization in the Brain", 1958;
Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", 1986.
"""

import keras
from keras import layers

from kit.blocks.activations import Activation
from kit.errors import check

VARIANTS = {
    "perceptron": {"units": ()},
    "mlp": {"units": (256, 128)},
    "mlp_wide": {"units": (1024, 1024)},
}


def mlp(
    input_shape,
    *,
    units: tuple[int, ...] = (256, 128),
    activation: Activation = "relu",
    dropout: float = 0.0,
    name: str = "mlp",
):
    """Flattens the image and passes it through dense layers.

    Args:
        input_shape: Height, width and channels of an image.
        units: Width of each hidden layer; without any, the pixels go to the head.
        activation: Name of a Keras activation.
        dropout: Share of each hidden layer's outputs dropped while training.
        name: Name of the model.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, units[-1]), or (batch, height * width * channels)

    Raises:
        SettingError: a width is below 1, or `dropout` is out of range.
    """
    check(not units or min(units) >= 1, "units", units, "widths of at least 1")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    inputs = keras.Input(input_shape, name="image")
    x = layers.Flatten(name="flatten")(inputs)  # (batch, height * width * channels)
    for index, width in enumerate(units, 1):
        x = layers.Dense(width, activation=activation, name=f"stage{index}")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"stage{index}_dropout")(x)
    return keras.Model(inputs, x, name=name)
