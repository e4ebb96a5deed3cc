"""LeNet-5, the first convolutional network in wide use.

LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998.
"""

import keras
from keras import layers

from kit.blocks.activations import Activation
from kit.errors import check

VARIANTS = {
    "lenet5": {"filters": (6, 16), "units": (120, 84), "activation": "tanh"},
    "lenet_wide": {"filters": (32, 64), "units": (256, 128), "activation": "relu"},
}


def lenet(
    input_shape,
    *,
    filters: tuple[int, ...] = (6, 16),
    units: tuple[int, ...] = (120, 84),
    activation: Activation = "tanh",
    name: str = "lenet",
):
    """Two 5x5 convolutions with average pooling, then dense layers.

    The paper's 32x32 input is a 28x28 digit with a border: `padding="same"` in the first convolution does the same on
    28x28. With 10 classes that makes 61,706 parameters.

    Args:
        input_shape: Height, width and channels of an image; at least 12x12.
        filters: Channels of the two convolutions.
        units: Width of each hidden dense layer.
        activation: Name of a Keras activation.
        name: Name of the model.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, units[-1])

    Raises:
        SettingError: the image is too small, or a width is below 1.
    """
    check(
        min(input_shape[:2]) >= 12,
        "data.image_size",
        tuple(input_shape[:2]),
        "at least 12x12 pixels for a lenet",
    )
    check(len(filters) == 2, "filters", filters, "two widths")
    check(min(filters) >= 1, "filters", filters, "widths of at least 1")
    check(len(units) and min(units) >= 1, "units", units, "widths of at least 1")
    inputs = keras.Input(input_shape, name="image")
    x = inputs
    for index, (width, padding) in enumerate(zip(filters, ("same", "valid"), strict=True), 1):
        x = layers.Conv2D(width, 5, padding=padding, activation=activation, name=f"conv{index}")(x)
        x = layers.AveragePooling2D(2, name=f"stage{index}")(x)
    x = layers.Flatten(name="flatten")(x)
    for index, width in enumerate(units, 1):
        x = layers.Dense(width, activation=activation, name=f"dense{index}")(x)
    return keras.Model(inputs, x, name=name)
