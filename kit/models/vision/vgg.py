"""VGG: small kernels, one after the other.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015: table 1.
"""

import keras
from keras import layers

from kit.blocks.convolution import convolution, norm
from kit.errors import check

_IMAGENET = {"widths": (64, 128, 256, 512, 512), "units": (4096, 4096)}

VARIANTS = {
    "vgg11": {**_IMAGENET, "depths": (1, 1, 2, 2, 2)},
    "vgg13": {**_IMAGENET, "depths": (2, 2, 2, 2, 2)},
    "vgg16": {**_IMAGENET, "depths": (2, 2, 3, 3, 3)},
    "vgg19": {**_IMAGENET, "depths": (2, 2, 4, 4, 4)},
    # For images of 28 to 64 pixels.
    "vgg_small": {"widths": (32, 64, 128), "depths": (1, 1, 2), "units": (256,), "batch_norm": True},
}


def vgg(
    input_shape,
    *,
    depths: tuple[int, ...] = (2, 2, 3, 3, 3),
    widths: tuple[int, ...] = (64, 128, 256, 512, 512),
    units: tuple[int, ...] = (4096, 4096),
    batch_norm: bool = False,
    dropout: float = 0.5,
    name: str = "vgg",
):
    """Stages of 3x3 convolutions, each halved by pooling, then dense layers with dropout.

    Args:
        input_shape: Height, width and channels of an image.
        depths: Number of convolutions in each stage.
        widths: Number of filters in each stage.
        units: Width of each hidden dense layer; without any, the result is a feature map.
        batch_norm: Normalise behind each convolution, as later versions do.
        dropout: Share of the outputs of each dense layer that is dropped while training.
        name: Name of the model.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, units[-1])

    Raises:
        SettingError: depths and widths differ in length, a number is out of range, or the image is too small.
    """
    check(len(depths) and min(depths) >= 1, "depths", depths, "depths of at least 1")
    check(len(widths) == len(depths) and min(widths) >= 1, "widths", widths, f"{len(depths)} widths of at least 1")
    check(not units or min(units) >= 1, "units", units, "widths of at least 1")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    least = 2 ** len(depths)
    check(min(input_shape[:2]) >= least, "data.image_size", tuple(input_shape[:2]), f"at least {least}x{least} pixels")
    inputs = x = keras.Input(input_shape, name="image")
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True), 1):
        for index in range(1, depth + 1):
            layer = f"stage{stage}_{index}"
            x = convolution(x, width, use_bias=not batch_norm, name=f"{layer}_conv")
            x = norm(x, name=layer) if batch_norm else layers.Activation("relu", name=f"{layer}_relu")(x)
        x = layers.MaxPooling2D(2, name=f"stage{stage}")(x)
    if units:
        x = layers.Flatten(name="flatten")(x)
    for index, width in enumerate(units, 1):
        x = layers.Dense(width, activation="relu", name=f"dense{index}")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"dense{index}_dropout")(x)
    return keras.Model(inputs, x, name=name)
