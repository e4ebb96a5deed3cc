"""Convolution, a normalisation and an activation: the atom of modern convolutional networks.

Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift", 2015.
"""

from keras import layers, ops


def convolution(x, filters, kernel_size=3, *, stride=1, name):
    """A 2-D convolution without bias that halves even sizes the way the papers do.

    With a stride, `padding="same"` of TensorFlow pads on the right and bottom only; the reference networks pad
    `kernel_size // 2` on every side. This function always does the latter, so that copied weights give equal outputs.

    Args:
        x: Feature map.
        filters: Number of output channels.
        kernel_size: Side of the square kernel, in pixels.
        stride: Step of the kernel, in pixels.
        name: Name of the layer.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, ceil(height / stride), ceil(width / stride), filters)
    """
    padding = "same"
    if stride > 1 and kernel_size > 1:
        x = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=stride,
        padding=padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def convolution_norm(x, filters, kernel_size=3, *, stride=1, activation="relu", zero_init=False, name):
    """Convolution, batch normalisation and, unless it is None, an activation.

    Args:
        x: Feature map.
        filters: Number of output channels.
        kernel_size: Side of the square kernel, in pixels.
        stride: Step of the kernel, in pixels.
        activation: Name of a Keras activation, or None.
        zero_init: Start the normalisation's scale at zero, so that a residual branch begins as the identity
            (Goyal et al., "Accurate, Large Minibatch SGD", 2017).
        name: Prefix of the layers' names.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, ceil(height / stride), ceil(width / stride), filters)
    """
    x = convolution(x, filters, kernel_size, stride=stride, name=f"{name}_conv")
    gamma = "zeros" if zero_init else "ones"
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma, name=f"{name}_norm")(x)
    if activation is not None:
        x = layers.Activation(activation, name=f"{name}_{activation}")(x)
    return x


def sequence_convolution(x, mask, filters, kernel_size=3, *, dilation=1, activation="relu", name):
    """A convolution over time that sees zeros at padded positions, an activation and a layer normalisation.

    Args:
        x: Sequence.
        mask: True at real positions.
        filters: Number of output channels.
        kernel_size: Number of positions that the kernel covers.
        dilation: Distance between two of them.
        activation: Name of a Keras activation.
        name: Prefix of the layers' names.

    Shape:
        x: (batch, time, channels)
        mask: (batch, time)
        out: (batch, time, filters)
    """
    x = x * ops.expand_dims(ops.cast(mask, x.dtype), -1)  # as if the sequence ended there
    x = layers.Conv1D(
        filters, kernel_size, dilation_rate=dilation, padding="same", activation=activation, name=f"{name}_conv"
    )(x)
    return layers.LayerNormalization(name=f"{name}_norm")(x)
