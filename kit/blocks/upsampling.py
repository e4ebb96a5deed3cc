"""Upsampling and downsampling blocks of generators, discriminators and autoencoders.

Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", 2016.
"""

import keras
from keras import layers, ops

# Up to so many channels a product of matrices is faster than Keras' convolutions.
_FEW_CHANNELS = 4


def initializer():
    """Returns the paper's initializer (section 3), each time a new one, since one draws the same numbers every time."""
    return keras.initializers.RandomNormal(stddev=0.02)


def seed_map(x, height, width, filters, *, name):
    """Turns a vector into a small feature map.

    Args:
        x: Vector.
        height, width: Size of the map, in pixels.
        filters: Number of its channels.
        name: Prefix of the layers' names.

    Shape:
        in: (batch, channels)
        out: (batch, height, width, filters)
    """
    x = layers.Dense(height * width * filters, use_bias=False, kernel_initializer=initializer(), name=f"{name}_dense")(
        x
    )
    return layers.Reshape((height, width, filters), name=f"{name}_map")(x)


def upsampling(x, filters, kernel_size=4, *, use_bias=False, name):
    """A transposed convolution with a stride of 2, which doubles height and width.

    Args:
        x: Feature map.
        filters: Number of output channels.
        kernel_size: Side of the kernel, in pixels; an even one leaves no chequered pattern.
        use_bias: Add a bias.
        name: Name of the layer.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, 2 * height, 2 * width, filters)
    """
    if filters <= _FEW_CHANNELS and kernel_size % 2 == 0 and not use_bias:
        return _painted(x, filters, kernel_size, name)
    return layers.Conv2DTranspose(
        filters, kernel_size, strides=2, padding="same", use_bias=use_bias, kernel_initializer=initializer(), name=name
    )(x)


def _painted(x, filters, kernel_size, name):
    """Returns the transposed convolution to an image of few channels, written as what it is.

    Every pixel paints a patch, and what overlaps adds up. With one channel it is about five times as fast as Keras'
    layer on a CPU.
    """
    _, height, width, _ = x.shape
    count, edge = kernel_size // 2, kernel_size // 2 - 1
    dense = layers.Dense(kernel_size**2 * filters, use_bias=False, kernel_initializer=initializer(), name=name)
    # A patch is a square of `count` cells of 2 by 2 pixels each; cells of neighbouring patches fall together.
    cells = ops.split(dense(x), count**2, axis=-1)  # (batch, height, width, 4 * filters) each
    room = count - 1
    whole = sum(
        ops.pad(cell, ((0, 0), (index // count, room - index // count), (index % count, room - index % count), (0, 0)))
        for index, cell in enumerate(cells)
    )
    rows, columns = height + room, width + room
    whole = ops.transpose(ops.reshape(whole, (-1, rows, columns, 2, 2, filters)), (0, 1, 3, 2, 4, 5))
    whole = ops.reshape(whole, (-1, 2 * rows, 2 * columns, filters))
    return _window(whole, (edge, edge), (2 * height, 2 * width))


def halving(x, filters, kernel_size=4, *, use_bias=False, spectral=False, name):
    """A convolution with a stride of 2, the mirror image of `upsampling`.

    Args:
        x: Feature map.
        filters: Number of output channels.
        kernel_size: Side of the kernel, in pixels.
        use_bias: Add a bias.
        spectral: Keep the kernel's spectral norm at 1.
        name: Name of the layer.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, ceil(height / 2), ceil(width / 2), filters)
    """
    arguments = {"use_bias": use_bias, "kernel_initializer": initializer(), "name": name}
    if x.shape[-1] <= _FEW_CHANNELS and kernel_size % 2 == 0:
        x = _patches(x, kernel_size)
        layer = layers.Dense(filters, **arguments)
    else:
        layer = layers.Conv2D(filters, kernel_size, strides=2, padding="same", **arguments)
    return layers.SpectralNormalization(layer, name=f"{name}_norm")(x) if spectral else layer(x)


def _patches(x, kernel_size):
    """Returns the pixels under each position of a kernel with a stride of 2, (batch, height / 2, width / 2, pixels).

    A convolution over few channels as a product with these has a gradient that is five times as fast on a CPU.
    """
    _, height, width, channels = x.shape
    edge, count = kernel_size // 2 - 1, kernel_size // 2
    x = ops.pad(x, ((0, 0), (edge, edge + height % 2), (edge, edge + width % 2), (0, 0)))
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    x = ops.transpose(ops.reshape(x, (-1, rows, 2, columns, 2, channels)), (0, 1, 3, 2, 4, 5))
    x = ops.reshape(x, (-1, rows, columns, 4 * channels))
    high, wide = rows - count + 1, columns - count + 1
    parts = [_window(x, (row, column), (high, wide)) for row in range(count) for column in range(count)]
    return ops.concatenate(parts, axis=-1)


def _window(x, start, size):
    """Returns a rectangle of a map, cut out by `split`, whose gradient is cheaper than a slice's."""
    for axis in (1, 2):
        x = ops.split(x, [start[axis - 1], start[axis - 1] + size[axis - 1]], axis=axis)[1]
    return x
