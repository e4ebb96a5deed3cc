"""GoogLeNet, the first inception network, with batch normalisation.

Szegedy et al., "Going Deeper with Convolutions", 2015: table 1; Ioffe and Szegedy, "Batch Normalization", 2015.
"""

from typing import Literal

import keras
from keras import layers

from kit.blocks.convolution import convolution_norm
from kit.blocks.inception import inception
from kit.blocks.stages import named_blocks
from kit.errors import check

# Table 1: channels of 1x1; 3x3 and what reduces in front of it; 5x5 likewise; behind the pooling. A stage a row.
_MODULES = (
    ((64, (96, 128), (16, 32), 32), (128, (128, 192), (32, 96), 64)),
    (
        (192, (96, 208), (16, 48), 64),
        (160, (112, 224), (24, 64), 64),
        (128, (128, 256), (24, 64), 64),
        (112, (144, 288), (32, 64), 64),
        (256, (160, 320), (32, 128), 128),
    ),
    ((256, (160, 320), (32, 128), 128), (384, (192, 384), (48, 128), 128)),
)

VARIANTS = {
    "googlenet": {},
    # For images of 28 to 64 pixels.
    "googlenet_small": {"stem": "small", "width": 0.25, "modules": (2, 2, 2)},
}


def googlenet(
    input_shape,
    *,
    modules: tuple[int, ...] = (2, 5, 2),
    width: float = 1.0,
    stem: Literal["imagenet", "small"] = "imagenet",
    name: str = "googlenet",
):
    """A stem and three stages of inception modules, each after the first at half the resolution.

    Args:
        input_shape: Height, width and channels of an image.
        modules: How many modules of each stage of the paper's table are there.
        width: Factor of all channels.
        stem: "imagenet" (an eighth of the size) or "small" (3x3 convolution, stride 2).
        name: Name of the model.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, height / 32, width / 32, width * 1024), with "small" height / 8

    Raises:
        SettingError: a number is out of range.
    """
    most = tuple(map(len, _MODULES))
    check(
        len(modules) == 3 and all(1 <= count <= top for count, top in zip(modules, most, strict=True)),
        "modules",
        modules,
        f"three numbers, from 1 to {most}",
    )
    check(0 < width <= 4, "width", width, "a factor above 0, at most 4")

    def wide(channels):
        return tuple(map(wide, channels)) if isinstance(channels, tuple) else max(8, round(width * channels / 8) * 8)

    inputs = keras.Input(input_shape, name="image")
    if stem == "imagenet":
        x = convolution_norm(inputs, wide(64), 7, stride=2, name="stem_1")
        x = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool1")(x)
        x = convolution_norm(x, wide(64), 1, name="stem_2")
        x = convolution_norm(x, wide(192), 3, name="stem_3")
        x = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool2")(x)
    else:
        x = convolution_norm(inputs, wide(192), 3, stride=2, name="stem")
    for stage, index, layer in named_blocks(modules):
        if stage > 1 and index == 1:
            x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool{stage}")(x)
        x = inception(x, *wide(_MODULES[stage - 1][index - 1]), name=layer)
    return keras.Model(inputs, x, name=name)
