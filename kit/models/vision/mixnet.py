"""MixNet and EfficientNet: networks found by search, made of one block.

Tan and Le, "MixConv: Mixed Depthwise Convolutional Kernels", 2019: figure 6 and the published code; "EfficientNet:
Rethinking Model Scaling for Convolutional Neural Networks", 2019: table 1; EfficientNet-Lite, without
squeeze-and-excitation and with activations that are quickly quantised: Liu, "Higher accuracy on vision models with
EfficientNet-Lite", TensorFlow blog, 2020.
"""

from typing import Literal

import keras

from kit.blocks.convolution import convolution_norm
from kit.blocks.inverted_residual import inverted_residual, rounded
from kit.blocks.stages import depths_of, named_blocks
from kit.errors import check

# Repetitions, kernels, groups of the 1x1 convolutions, stride, expansion, channels, squeeze, activation. A stage ends
# where the resolution is halved.
_S = (
    (1, (3,), (1, 1), 1, 1, 16, 0, "relu"),
    (1, (3,), (2, 2), 2, 6, 24, 0, "relu"),
    (1, (3,), (2, 2), 1, 3, 24, 0, "relu"),
    (1, (3, 5, 7), (1, 1), 2, 6, 40, 0.5, "silu"),
    (3, (3, 5), (2, 2), 1, 6, 40, 0.5, "silu"),
    (1, (3, 5, 7), (1, 2), 2, 6, 80, 0.25, "silu"),
    (2, (3, 5), (1, 2), 1, 6, 80, 0.25, "silu"),
    (1, (3, 5, 7), (2, 2), 1, 6, 120, 0.5, "silu"),
    (2, (3, 5, 7, 9), (2, 2), 1, 3, 120, 0.5, "silu"),
    (1, (3, 5, 7, 9, 11), (1, 1), 2, 6, 200, 0.5, "silu"),
    (2, (3, 5, 7, 9), (1, 2), 1, 6, 200, 0.5, "silu"),
)
_M = (
    (1, (3,), (1, 1), 1, 1, 24, 0, "relu"),
    (1, (3, 5, 7), (2, 2), 2, 6, 32, 0, "relu"),
    (1, (3,), (2, 2), 1, 3, 32, 0, "relu"),
    (1, (3, 5, 7, 9), (1, 1), 2, 6, 40, 0.5, "silu"),
    (3, (3, 5), (2, 2), 1, 6, 40, 0.5, "silu"),
    (1, (3, 5, 7), (1, 1), 2, 6, 80, 0.25, "silu"),
    (3, (3, 5, 7, 9), (2, 2), 1, 6, 80, 0.25, "silu"),
    (1, (3,), (1, 1), 1, 6, 120, 0.5, "silu"),
    (3, (3, 5, 7, 9), (2, 2), 1, 3, 120, 0.5, "silu"),
    (1, (3, 5, 7, 9), (1, 1), 2, 6, 200, 0.5, "silu"),
    (3, (3, 5, 7, 9), (1, 2), 1, 6, 200, 0.5, "silu"),
)
_B0 = (
    (1, (3,), (1, 1), 1, 1, 16, 0.25, "silu"),
    (2, (3,), (1, 1), 2, 6, 24, 0.25, "silu"),
    (2, (5,), (1, 1), 2, 6, 40, 0.25, "silu"),
    (3, (3,), (1, 1), 2, 6, 80, 0.25, "silu"),
    (3, (5,), (1, 1), 1, 6, 112, 0.25, "silu"),
    (4, (5,), (1, 1), 2, 6, 192, 0.25, "silu"),
    (1, (3,), (1, 1), 1, 6, 320, 0.25, "silu"),
)
_LITE0 = tuple((*row[:6], 0, "relu6") for row in _B0)
# For small images on a CPU.
_TINY = (
    (1, (3,), (1, 1), 1, 1, 24, 0, "relu"),
    (1, (3, 5), (1, 1), 2, 4, 40, 0.5, "silu"),
    (2, (3, 5), (2, 2), 1, 4, 40, 0.5, "silu"),
    (1, (3, 5, 7), (1, 1), 2, 4, 80, 0.25, "silu"),
    (2, (3, 5), (2, 2), 1, 4, 80, 0.25, "silu"),
)
# Rows, channels of the stem and of the last layer, and its activation.
_TABLES = {
    "mixnet_s": (_S, 16, 1536, "relu"),
    "mixnet_m": (_M, 24, 1536, "relu"),
    "efficientnet_b0": (_B0, 32, 1280, "silu"),
    "efficientnet_lite0": (_LITE0, 32, 1280, "relu6"),
    "small": (_TINY, 24, 256, "relu"),
}

VARIANTS = {
    "mixnet_s": {"table": "mixnet_s"},
    "mixnet_m": {"table": "mixnet_m"},
    "mixnet_l": {"table": "mixnet_m", "width": 1.3},
    "efficientnet_b0": {"table": "efficientnet_b0", "stochastic_depth": 0.2},
    "efficientnet_lite0": {"table": "efficientnet_lite0", "stochastic_depth": 0.2},
    "mixnet_small": {"table": "small"},
}


def mixnet(
    input_shape,
    *,
    table: Literal["mixnet_s", "mixnet_m", "efficientnet_b0", "efficientnet_lite0", "small"] = "mixnet_s",
    width: float = 1.0,
    stem_stride: int = 2,
    stochastic_depth: float = 0.0,
    name: str = "mixnet",
):
    """Inverted residuals with squeeze-and-excitation, row by row of a table that was found by search.

    Args:
        input_shape: Height, width and channels of an image.
        table: Which network's rows: kernels, channels, strides.
        width: Factor of all channels but the last layer's.
        stem_stride: Step of the first convolution, in pixels.
        stochastic_depth: Probability of dropping the last block; earlier blocks are dropped linearly less.
        name: Name of the model.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, height / 32, width / 32, channels); an eighth with the "small" table

    Raises:
        SettingError: a number is out of range.
    """
    check(0 < width <= 4, "width", width, "a factor above 0, at most 4")
    check(stem_stride in (1, 2), "stem_stride", stem_stride, "1 or 2")
    check(0 <= stochastic_depth < 1, "stochastic_depth", stochastic_depth, "a number from 0 to below 1")
    rows, stem, last, activation = _TABLES[table]
    inputs = keras.Input(input_shape, name="image")
    x = convolution_norm(
        inputs, rounded(stem, width), stride=stem_stride, padding="same", activation=activation, name="stem"
    )
    # A row's stride is that of the first of its repetitions.
    rows = [(*row[1:3], 1 if index else row[3], *row[4:]) for row in rows for index in range(row[0])]
    names = named_blocks(depths_of(row[2] for row in rows))
    for position, (row, (_, _, layer)) in enumerate(zip(rows, names, strict=True)):
        kernels, (expand, project), stride, expansion, filters, squeeze, kind = row
        x = inverted_residual(
            x,
            rounded(filters, width),
            expansion=expansion,
            kernel_sizes=kernels,
            stride=stride,
            expand_groups=expand,
            project_groups=project,
            squeeze=squeeze,
            activation=kind,
            drop_rate=stochastic_depth * position / len(rows),
            name=layer,
        )
    x = convolution_norm(x, last, 1, activation=activation, name="final")
    return keras.Model(inputs, x, name=name)
