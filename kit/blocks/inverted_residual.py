"""Inverted residual (MBConv) of MobileNet and EfficientNet: expansion, depthwise convolution, projection, addition.

Sandler, Howard, Zhu, Zhmoginov and Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018; with
squeeze-and-excitation: Tan et al., "MnasNet", 2019; with kernels of several sizes: Tan and Le, "MixConv", 2019.
"""

from keras import layers

from kit.blocks.channel_attention import squeeze_excite
from kit.blocks.convolution import convolution_norm, depthwise_norm
from kit.blocks.regularization import branch


def inverted_residual(
    x,
    filters,
    *,
    expansion=6,
    kernel_sizes=(3,),
    stride=1,
    dilation=1,
    expand_groups=1,
    project_groups=1,
    squeeze=0.0,
    activation="relu6",
    drop_rate=0.0,
    name,
):
    """1x1 convolution, depthwise convolution, squeeze-and-excitation, 1x1 convolution without activation, shortcut.

    The shortcut is there where the shape does not change.

    Args:
        x: Feature map.
        filters: Number of output channels.
        expansion: Factor by which the first convolution widens; 1 leaves it out.
        kernel_sizes: Sides of the depthwise kernels, in pixels, each for an equal share of the channels.
        stride: Step of the depthwise convolution, in pixels.
        dilation: Distance between two of its kernels' positions, in pixels.
        expand_groups, project_groups: Groups of the 1x1 convolutions.
        squeeze: Width inside squeeze-and-excitation as a share of the input's channels; 0 is none.
        activation: Name of a Keras activation.
        drop_rate: Probability of dropping the branch (stochastic depth).
        name: Prefix of the layers' names; the last layer has exactly this name.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, ceil(height / stride), ceil(width / stride), filters)
    """
    channels, y = x.shape[-1], x
    if expansion > 1:
        wide = expansion * channels
        y = convolution_norm(y, wide, 1, groups=expand_groups, activation=activation, name=f"{name}_expand")
    y = depthwise_norm(
        y, kernel_sizes, stride=stride, dilation=dilation, activation=activation, name=f"{name}_depthwise"
    )
    if squeeze:
        y = squeeze_excite(y, max(1, int(squeeze * channels)), activation=activation, name=f"{name}_squeeze")
    y = convolution_norm(y, filters, 1, groups=project_groups, activation=None, name=f"{name}_project")
    if stride > 1 or channels != filters:
        return layers.Identity(name=name)(y)
    return layers.Add(name=name)([x, branch(y, drop_rate=drop_rate, name=name)])


def rounded(channels, width=1.0, divisor=8):
    """Returns a number of channels times a width multiplier, as a multiple of a divisor, at least 90 % of the exact."""
    exact = channels * width
    found = max(divisor, int(exact + divisor / 2) // divisor * divisor)
    return found + divisor if found < 0.9 * exact else found
