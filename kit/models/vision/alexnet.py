"""AlexNet, which began the decade of deep vision.

Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012; in one tower:
Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014.
"""

import keras
from keras import layers

from kit.blocks.convolution import check_kernel, convolution
from kit.blocks.normalization import LocalResponseNormalization
from kit.errors import check

_2012 = {"filters": (96, 256, 384, 384, 256), "units": (4096, 4096), "local_response": True}

VARIANTS = {
    "alexnet": {"filters": (64, 192, 384, 256, 256), "units": (4096, 4096)},
    # The paper's, in one part and in the two that its two graphics cards held.
    "alexnet_2012": _2012,
    "alexnet_2012_grouped": {**_2012, "groups": 2},
    # For images of 28 to 64 pixels.
    "alexnet_small": {"filters": (48, 96, 192, 128, 128), "units": (256, 256), "kernel_size": 5, "stride": 1},
}


def alexnet(
    input_shape,
    *,
    filters: tuple[int, ...] = (64, 192, 384, 256, 256),
    units: tuple[int, ...] = (4096, 4096),
    kernel_size: int = 11,
    stride: int = 4,
    groups: int = 1,
    local_response: bool = False,
    dropout: float = 0.5,
    name: str = "alexnet",
):
    """Five convolutions, three of them pooled, then dense layers with dropout.

    Args:
        input_shape: Height, width and channels of an image.
        filters: Channels of the five convolutions.
        units: Width of each hidden dense layer.
        kernel_size: Side of the first convolution's kernel, in pixels.
        stride: Its step, in pixels.
        groups: Parts of the channels that the second, fourth and fifth convolution treat on their own.
        local_response: Normalise over neighbouring channels behind the first two convolutions, as in the paper.
        dropout: Share of the inputs of each dense layer that is dropped while training.
        name: Name of the model.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, units[-1])

    Raises:
        SettingError: a number is out of range, or the image is too small.
    """
    check(len(filters) == 5 and min(filters) >= 1, "filters", filters, "five widths of at least 1")
    check(len(units) and min(units) >= 1, "units", units, "widths of at least 1")
    check_kernel(kernel_size, input_shape)
    check(stride >= 1, "stride", stride, "at least 1")
    check(groups >= 1 and not any(each % groups for each in filters), "groups", groups, "a divisor of all filters")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    least = 16 * stride
    check(min(input_shape[:2]) >= least, "data.image_size", tuple(input_shape[:2]), f"at least {least}x{least} pixels")
    # Name, side of the kernel, step, groups, pooled: sections 3.2 to 3.5 of the paper.
    table = (
        ("stage1", kernel_size, stride, 1, True),
        ("stage2", 5, 1, groups, True),
        ("stage3_1", 3, 1, 1, False),
        ("stage3_2", 3, 1, groups, False),
        ("stage3", 3, 1, groups, True),
    )
    inputs = x = keras.Input(input_shape, name="image")
    for (stage, side, step, parts, is_pooled), width in zip(table, filters, strict=True):
        x = _padded_by_two(x, stage) if side == 11 else x
        x = layers.Activation("relu", name=f"{stage}_relu")(
            layers.Conv2D(width, side, strides=step, padding="valid", name=f"{stage}_conv")(x)
            if side == 11
            else convolution(x, width, side, stride=step, groups=parts, use_bias=True, name=f"{stage}_conv")
        )
        if local_response and stage in ("stage1", "stage2"):
            x = LocalResponseNormalization(name=f"{stage}_norm")(x)
        if is_pooled:
            x = layers.MaxPooling2D(3, strides=2, name=stage)(x)
    x = layers.Flatten(name="flatten")(x)
    for index, width in enumerate(units, 1):
        if dropout:
            x = layers.Dropout(dropout, name=f"dense{index}_dropout")(x)
        x = layers.Dense(width, activation="relu", name=f"dense{index}")(x)
    return keras.Model(inputs, x, name=name)


def _padded_by_two(x, stage):
    """Adds the border that makes 224 pixels give 55 positions, and at last 6x6; the paper's text leaves it out."""
    return layers.ZeroPadding2D(2, name=f"{stage}_pad")(x)
