"""Squeeze-and-excitation: channel attention, each channel weighed by what the whole image shows.

Hu, Shen and Sun, "Squeeze-and-Excitation Networks", 2018.
"""

from keras import layers


def squeeze_excite(x, squeezed, *, activation="relu", name):
    """Pools each channel to a number, and from these learns a factor between 0 and 1 for each channel.

    Args:
        x: Feature map.
        squeezed: Width between the two dense layers.
        activation: Name of the Keras activation between them.
        name: Prefix of the layers' names.

    Shape:
        in, out: (batch, height, width, channels)
    """
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)  # (batch, 1, 1, channels)
    y = layers.Dense(squeezed, activation=activation, name=f"{name}_reduce")(y)  # (batch, 1, 1, squeezed)
    y = layers.Dense(x.shape[-1], activation="sigmoid", name=f"{name}_expand")(y)  # (batch, 1, 1, channels)
    return layers.Multiply(name=name)([x, y])
