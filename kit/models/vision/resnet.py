"""Residual networks, for large images and for small ones.

He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2015: table 1 (ImageNet) and
section 4.2 (CIFAR). With squeeze-and-excitation: Hu, Shen and Sun, "Squeeze-and-Excitation Networks", 2018.
"""

import functools
from typing import Literal

import keras
from keras import layers

from kit.blocks.convolution import convolution_norm
from kit.blocks.residual import basic, bottleneck
from kit.blocks.stages import named_blocks
from kit.errors import check

_IMAGENET = {"widths": (64, 128, 256, 512), "stem": "imagenet"}
_CIFAR = {"widths": (16, 32, 64), "stem": "cifar", "shortcut": "pad"}

VARIANTS = {
    # Table 1 of the paper.
    "resnet18": {**_IMAGENET, "depths": (2, 2, 2, 2)},
    "resnet34": {**_IMAGENET, "depths": (3, 4, 6, 3)},
    "resnet50": {**_IMAGENET, "depths": (3, 4, 6, 3), "block": "bottleneck"},
    "resnet101": {**_IMAGENET, "depths": (3, 4, 23, 3), "block": "bottleneck"},
    "resnet152": {**_IMAGENET, "depths": (3, 8, 36, 3), "block": "bottleneck"},
    "se_resnet50": {**_IMAGENET, "depths": (3, 4, 6, 3), "block": "bottleneck", "squeeze": 16},
    # Section 4.2: 6n + 2 layers for 32x32 images.
    "resnet20": {**_CIFAR, "depths": (3, 3, 3)},
    "resnet32": {**_CIFAR, "depths": (5, 5, 5)},
    "resnet44": {**_CIFAR, "depths": (7, 7, 7)},
    "resnet56": {**_CIFAR, "depths": (9, 9, 9)},
    "resnet110": {**_CIFAR, "depths": (18, 18, 18)},
    # One block a stage and a strided stem: for small images on a CPU.
    "resnet8": {"widths": (32, 64, 128), "depths": (1, 1, 1), "stem": "strided"},
    "se_resnet8": {"widths": (32, 64, 128), "depths": (1, 1, 1), "stem": "strided", "squeeze": 8},
}


def resnet(
    input_shape,
    *,
    depths: tuple[int, ...] = (2, 2, 2, 2),
    widths: tuple[int, ...] = (64, 128, 256, 512),
    block: Literal["basic", "bottleneck"] = "basic",
    stem: Literal["imagenet", "cifar", "strided"] = "imagenet",
    shortcut: Literal["projection", "pad"] = "projection",
    stride_first: bool = False,
    squeeze: int = 0,
    stochastic_depth: float = 0.0,
    zero_init: bool = False,
    name: str = "resnet",
):
    """A stem and stages of residual blocks, each stage after the first at half the resolution.

    Args:
        input_shape: Height, width and channels of an image.
        depths: Number of blocks in each stage.
        widths: Number of filters in each stage.
        block: "basic" (two 3x3 convolutions) or "bottleneck" (1x1, 3x3, 1x1).
        stem: "imagenet" (7x7, stride 2, then pooling: a quarter of the size), "strided" (3x3, stride 2) or "cifar"
            (3x3, full size).
        shortcut: What a shortcut does where the shape changes: "projection" or "pad" (no parameters).
        stride_first: A bottleneck's stride is in its first 1x1 convolution, as in the paper and in the weights that
            `keras.applications` publishes, and not in the 3x3 one.
        squeeze: Blocks end in squeeze-and-excitation with so many times fewer channels inside; 0 is none.
        stochastic_depth: Probability of dropping the last block; earlier blocks are dropped linearly less.
        zero_init: Start every residual branch at zero.
        name: Name of the model.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, height / s, width / s, widths[-1]), four times as wide with "bottleneck";
            s is 32 for the paper's four stages, 4 for the CIFAR networks

    Raises:
        SettingError: depths and widths differ in length or are below 1, or `stochastic_depth` is out of range.
    """
    check(len(depths) and min(depths) >= 1, "depths", depths, "depths of at least 1")
    check(
        len(widths) == len(depths) and min(widths) >= 1,
        "widths",
        widths,
        f"{len(depths)} widths of at least 1, one for each of depths",
    )
    check(
        shortcut == "projection" or list(widths) == sorted(widths),
        "widths",
        widths,
        "widths that do not fall, since a shortcut without parameters cannot drop channels",
    )
    check(0 <= stochastic_depth < 1, "stochastic_depth", stochastic_depth, "a number from 0 to below 1")
    check(0 <= squeeze <= min(widths), "squeeze", squeeze, f"from 0 to the least width ({min(widths)})")
    check(not stride_first or block == "bottleneck", "stride_first", stride_first, "false with basic blocks")
    build = basic if block == "basic" else functools.partial(bottleneck, stride_first=stride_first)
    inputs = keras.Input(input_shape, name="image")
    if stem == "imagenet":
        x = convolution_norm(inputs, widths[0], 7, stride=2, name="stem")
        x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
        x = layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)
    else:
        stride = 2 if stem == "strided" else 1
        x = convolution_norm(inputs, widths[0], stride=stride, name="stem")
    for position, (stage, index, layer) in enumerate(named_blocks(depths)):
        x = build(
            x,
            widths[stage - 1],
            stride=2 if stage > 1 and index == 1 else 1,
            shortcut=shortcut,
            squeeze=squeeze,
            drop_rate=stochastic_depth * position / max(sum(depths) - 1, 1),
            zero_init=zero_init,
            name=layer,
        )
    return keras.Model(inputs, x, name=name)
