"""Residual blocks: a short stack of convolutions whose input is added to its output.

He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2015.
"""

from keras import layers, ops

from kit.blocks.channel_attention import squeeze_excite
from kit.blocks.convolution import convolution_norm
from kit.blocks.regularization import StochasticDepth


def basic(
    x,
    filters,
    *,
    stride=1,
    shortcut="projection",
    squeeze=0,
    drop_rate=0.0,
    zero_init=False,
    name,
):
    """Two 3x3 convolutions and a shortcut (the paper's figure 5, left).

    Args:
        x: Feature map.
        filters: Number of output channels.
        stride: Step of the first convolution, in pixels.
        shortcut: "projection" (1x1 convolution) or "pad" (zero channels) where the shape changes: the paper's options
            B and A.
        squeeze: The branch ends in squeeze-and-excitation with so many times fewer channels inside; 0 is none.
        drop_rate: Probability of dropping the branch (stochastic depth).
        zero_init: Start the branch at zero.
        name: Prefix of the layers' names; the last layer has exactly this name.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, ceil(height / stride), ceil(width / stride), filters)
    """
    y = convolution_norm(x, filters, stride=stride, name=f"{name}_1")
    y = convolution_norm(y, filters, activation=None, zero_init=zero_init, name=f"{name}_2")
    return _join(x, y, stride, shortcut, squeeze, drop_rate, name)


def bottleneck(
    x,
    filters,
    *,
    stride=1,
    stride_first=False,
    groups=1,
    shortcut="projection",
    squeeze=0,
    drop_rate=0.0,
    zero_init=False,
    name,
):
    """1x1, 3x3 and 1x1 convolutions and a shortcut (the paper's figure 5, right); the output is four times as wide.

    Args:
        x: Feature map.
        filters: Number of channels inside; the output has `4 * filters`.
        stride: Step of one of the convolutions, in pixels.
        stride_first: The step is in the first 1x1 convolution, as in the paper, and not in the 3x3 one, as in later
            references.
        groups: Parts of the channels that the 3x3 convolution treats on their own.
        shortcut: "projection" or "pad", as in `basic`.
        squeeze: As in `basic`.
        drop_rate: Probability of dropping the branch (stochastic depth).
        zero_init: Start the branch at zero.
        name: Prefix of the layers' names; the last layer has exactly this name.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, ceil(height / stride), ceil(width / stride), 4 * filters)
    """
    first, second = (stride, 1) if stride_first else (1, stride)
    y = convolution_norm(x, filters, 1, stride=first, name=f"{name}_1")
    y = convolution_norm(y, filters, stride=second, groups=groups, name=f"{name}_2")
    y = convolution_norm(y, 4 * filters, 1, activation=None, zero_init=zero_init, name=f"{name}_3")
    return _join(x, y, stride, shortcut, squeeze, drop_rate, name)


def _join(x, y, stride, shortcut, squeeze, drop_rate, name):
    """Adds the block's input, brought to the branch's shape, to the branch."""
    filters, channels = y.shape[-1], x.shape[-1]
    if squeeze:
        y = squeeze_excite(y, filters // squeeze, name=f"{name}_squeeze")
    if stride > 1 or channels != filters:
        if shortcut == "projection":
            x = convolution_norm(x, filters, 1, stride=stride, activation=None, name=f"{name}_shortcut")
        else:
            x = layers.MaxPooling2D(1, strides=stride, name=f"{name}_subsample")(x)
            x = ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, filters - channels)))
    if drop_rate:
        y = StochasticDepth(drop_rate, name=f"{name}_drop")(y)
    x = layers.Add(name=f"{name}_add")([x, y])
    return layers.Activation("relu", name=name)(x)
