"""Densely connected networks, for large images and for small ones.

Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", 2017: table 1 (ImageNet) and
section 3 (CIFAR, DenseNet-BC).
"""

from typing import Literal

import keras
from keras import layers

from kit.blocks.convolution import convolution, convolution_norm, norm
from kit.blocks.dense_connection import dense_layer, transition
from kit.blocks.stages import named_blocks
from kit.errors import check

VARIANTS = {
    # Table 1.
    "densenet121": {"depths": (6, 12, 24, 16)},
    "densenet169": {"depths": (6, 12, 32, 32)},
    "densenet201": {"depths": (6, 12, 48, 32)},
    # DenseNet-BC with growth 12: (depth - 4) / 6 layers a block, for 32x32 images.
    "densenet100": {"depths": (16, 16, 16), "growth": 12, "stem": "cifar"},
    "densenet40": {"depths": (6, 6, 6), "growth": 12, "stem": "cifar"},
    # For small images on a CPU.
    "densenet_small": {"depths": (3, 3, 3), "growth": 24, "stem": "strided"},
}


def densenet(
    input_shape,
    *,
    depths: tuple[int, ...] = (6, 12, 24, 16),
    growth: int = 32,
    compression: float = 0.5,
    stem: Literal["imagenet", "cifar", "strided"] = "imagenet",
    dropout: float = 0.0,
    name: str = "densenet",
):
    """A stem and dense blocks, between which channels and resolution are halved.

    Args:
        input_shape: Height, width and channels of an image.
        depths: Number of layers in each dense block.
        growth: Channels that each layer adds.
        compression: Share of the channels that is left between two blocks.
        stem: "imagenet" (7x7, stride 2, then pooling), "strided" (3x3, stride 2) or "cifar" (3x3, full size).
        dropout: Share of what each layer adds that is dropped while training.
        name: Name of the model.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, height / s, width / s, channels), s being 32 for the paper's four blocks, 4 for CIFAR

    Raises:
        SettingError: a number is out of range, or the image is too small.
    """
    check(len(depths) and min(depths) >= 1, "depths", depths, "depths of at least 1")
    check(growth >= 1, "growth", growth, "at least 1")
    check(0 < compression <= 1, "compression", compression, "a share above 0")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    # Each transition halves what is there, rounding down; the stem rounds up.
    step = {"imagenet": 4, "strided": 2, "cifar": 1}[stem]
    least = step * (2 ** (len(depths) - 1) - 1) + 1
    check(min(input_shape[:2]) >= least, "data.image_size", tuple(input_shape[:2]), f"at least {least}x{least} pixels")
    inputs = keras.Input(input_shape, name="image")
    if stem == "imagenet":
        x = convolution_norm(inputs, 2 * growth, 7, stride=2, name="stem")
        x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
        x = layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)
    else:
        # Without a normalisation: what follows begins with one.
        x = convolution(inputs, 2 * growth, stride=2 if stem == "strided" else 1, name="stem_conv")
    for stage, index, layer in named_blocks(depths):
        if stage > 1 and index == 1:
            x = transition(x, compression, name=f"transition{stage - 1}")
        x = dense_layer(x, growth, dropout=dropout, name=layer)
    return keras.Model(inputs, norm(x, name="final"), name=name)
