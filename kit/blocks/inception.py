"""The inception module: convolutions of several sizes side by side.

Szegedy et al., "Going Deeper with Convolutions", 2015: figure 2(b) and table 1.
"""

from keras import layers

from kit.blocks.convolution import convolution_norm


def inception(x, one, three, five, pooled, *, name):
    """1x1, 3x3 and 5x5 convolutions and pooling side by side, their channels joined.

    Args:
        x: Feature map.
        one: Channels of the 1x1 convolution.
        three, five: Channels of the 1x1 convolution in front of a larger one, and of that one.
        pooled: Channels of the 1x1 convolution behind the pooling.
        name: Prefix of the layers' names; the last layer has exactly this name.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, height, width, one + three[1] + five[1] + pooled)
    """
    branches = [convolution_norm(x, one, 1, name=f"{name}_1x1")]
    for size, (reduced, filters) in ((3, three), (5, five)):
        y = convolution_norm(x, reduced, 1, name=f"{name}_{size}x{size}_reduce")
        branches.append(convolution_norm(y, filters, size, name=f"{name}_{size}x{size}"))
    y = layers.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    branches.append(convolution_norm(y, pooled, 1, name=f"{name}_pool_1x1"))
    return layers.Concatenate(name=name)(branches)
