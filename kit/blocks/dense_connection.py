"""DenseNet blocks: dense layers, whose outputs are concatenated, and transitions.

Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", 2017.
"""

from keras import layers

from kit.blocks.convolution import convolution, norm


def dense_layer(x, growth, *, dropout=0.0, name):
    """Adds channels to a feature map: normalised 1x1 and 3x3 convolutions of all that is there (DenseNet-B).

    Args:
        x: Feature map.
        growth: Number of channels that are added; inside there are four times as many.
        dropout: Share of the new channels' values dropped while training.
        name: Prefix of the layers' names; the last layer has exactly this name.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, height, width, channels + growth)
    """
    y = convolution(norm(x, name=f"{name}_0"), 4 * growth, 1, name=f"{name}_1_conv")
    y = convolution(norm(y, name=f"{name}_1"), growth, 3, name=f"{name}_2_conv")
    if dropout:
        y = layers.Dropout(dropout, name=f"{name}_dropout")(y)
    return layers.Concatenate(name=name)([x, y])


def transition(x, compression=0.5, *, name):
    """Fewer channels at half the resolution (DenseNet-C).

    Args:
        x: Feature map.
        compression: Share of the channels that is left.
        name: Prefix of the layers' names; the last layer has exactly this name.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, height // 2, width // 2, compression * channels)
    """
    x = convolution(norm(x, name=name), int(compression * x.shape[-1]), 1, name=f"{name}_conv")
    return layers.AveragePooling2D(2, name=name)(x)
