"""MobileNets: convolutions taken apart into one over space and one over channels.

Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", 2017: table 1;
Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018: table 2.
"""

from typing import Literal

import keras

from kit.blocks.convolution import convolution_norm, depthwise_norm
from kit.blocks.inverted_residual import inverted_residual, rounded
from kit.blocks.stages import depths_of, named_blocks
from kit.errors import check

# Channels and stride of each separable convolution: table 1 of the first paper.
_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
# Expansion, channels, repetitions, stride of the first: table 2 of the second.
_V2 = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)

VARIANTS = {
    "mobilenet": {},
    "mobilenet_half": {"width": 0.5},
    "mobilenetv2": {"version": 2},
    # For images of 28 to 64 pixels: the second halving is left out.
    "mobilenet_small": {"width": 0.5, "first_strides": 1},
    "mobilenetv2_small": {"version": 2, "width": 0.5, "first_strides": 1},
}


def mobilenet(
    input_shape,
    *,
    version: Literal[1, 2] = 1,
    width: float = 1.0,
    first_strides: int = 2,
    name: str = "mobilenet",
):
    """Depthwise separable convolutions, in the second version as inverted residuals.

    Args:
        input_shape: Height, width and channels of an image.
        version: 1 or 2.
        width: Factor of all channels, the paper's width multiplier.
        first_strides: How many of the first two halvings of the resolution are made; 0 suits small images.
        name: Name of the model.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, height / 32, width / 32, width * 1024), or 1280 in the second version

    Raises:
        SettingError: a number is out of range.
    """
    check(0 < width <= 4, "width", width, "a factor above 0, at most 4")
    check(0 <= first_strides <= 2, "first_strides", first_strides, "0, 1 or 2")
    build = {1: _first, 2: _second}[version]
    inputs = keras.Input(input_shape, name="image")
    return keras.Model(inputs, build(inputs, width, first_strides), name=name)


def _steps(strides, first_strides):
    """Yields the stride and the name of each block; the second stage begins without one where that is left out."""
    for stride, (stage, _, layer) in zip(strides, named_blocks(depths_of(strides)), strict=True):
        yield 1 if stage == 2 and first_strides < 2 else stride, layer


def _first(x, width, first_strides):
    same = {"padding": "same", "activation": "relu6"}
    x = convolution_norm(x, int(32 * width), stride=2 if first_strides else 1, name="stem", **same)
    widths, strides = zip(*_V1, strict=True)
    for filters, (stride, layer) in zip(widths, _steps(strides, first_strides), strict=True):
        x = depthwise_norm(x, stride=stride, name=f"{layer}_depthwise", **same)
        x = convolution_norm(x, int(filters * width), 1, activation=None, name=f"{layer}_pointwise")
        x = keras.layers.Activation("relu6", name=layer)(x)
    return x


def _second(x, width, first_strides):
    same = {"padding": "same", "activation": "relu6"}
    x = convolution_norm(x, rounded(32, width), stride=2 if first_strides else 1, name="stem", **same)
    rows = [
        (expansion, filters, stride if index == 0 else 1)
        for expansion, filters, count, stride in _V2
        for index in range(count)
    ]
    steps = _steps([stride for *_, stride in rows], first_strides)
    for (expansion, filters, _), (stride, layer) in zip(rows, steps, strict=True):
        x = inverted_residual(x, rounded(filters, width), expansion=expansion, stride=stride, name=layer)
    return convolution_norm(x, max(1280, rounded(1280, width)), 1, activation="relu6", name="final")
