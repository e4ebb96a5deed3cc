"""Instance normalisation, reflection padding and residual blocks of image-to-image networks (CycleGAN).

Ulyanov, Vedaldi and Lempitsky, "Instance Normalization: The Missing Ingredient for Fast Stylization", 2016; Johnson,
Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", 2016.
"""

from keras import layers, ops

from kit.blocks.upsampling import initializer


def instance_norm(x, *, name):
    """Normalises every channel of every image on its own, and adds a bias.

    It does not scale: a rectifier and a convolution behind it can.

    Args:
        x: Feature map.
        name: Name of the layer.

    Shape:
        in, out: (batch, height, width, channels)
    """
    return layers.GroupNormalization(-1, epsilon=1e-5, scale=False, name=name)(x)


def mirrored_convolution(x, filters, kernel_size, *, use_bias=False, dtype=None, name):
    """A convolution that sees the image mirrored beyond its edges, where zeros would leave a frame.

    Args:
        x: Feature map, each of its sides longer than half the kernel.
        filters: Number of output channels.
        kernel_size: Side of the kernel, in pixels; odd.
        use_bias: Add a bias.
        dtype: Type of the numbers; by default the policy's.
        name: Name of the layer.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, height, width, filters)
    """
    edge = kernel_size // 2
    if edge:
        x = ops.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)), mode="reflect")
    return layers.Conv2D(
        filters, kernel_size, use_bias=use_bias, kernel_initializer=initializer(), dtype=dtype, name=name
    )(x)


def mirrored_residual(x, *, name):
    """Two mirrored 3x3 convolutions whose result is added to their input; no rectifier behind the sum.

    Args:
        x: Feature map, sides of at least 2.
        name: Prefix of the layers' names; the last layer has exactly this name.

    Shape:
        in, out: (batch, height, width, channels)
    """
    filters = x.shape[-1]
    y = instance_norm(mirrored_convolution(x, filters, 3, name=f"{name}_1_conv"), name=f"{name}_1_norm")
    y = layers.ReLU(name=f"{name}_1")(y)
    y = instance_norm(mirrored_convolution(y, filters, 3, name=f"{name}_2_conv"), name=f"{name}_2_norm")
    return layers.Add(name=name)([x, y])
