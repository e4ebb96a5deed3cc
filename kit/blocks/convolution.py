"""Convolution blocks: a convolution, a normalisation and an activation; grouped, depthwise, over sequences.

Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift", 2015.
"""

from keras import layers, ops

from kit.errors import check


def check_kernel(kernel_size, image_shape, least=1):
    """Refuses a kernel that is too small, or so large that it looks past the image on all sides.

    Args:
        kernel_size: Side of the kernel, in pixels.
        image_shape: Height, width and channels of an image.
        least: Smallest side that the network can use, in pixels.

    Raises:
        SettingError: the side is below `least`, or above twice the image's longer side.
    """
    most = 2 * max(image_shape[:2])
    check(least <= kernel_size, "kernel_size", kernel_size, f"at least {least}")
    check(kernel_size <= max(most, least), "kernel_size", kernel_size, f"at most {most}, twice the images' side")


def convolution(
    x, filters, kernel_size=3, *, stride=1, dilation=1, groups=1, padding="symmetric", use_bias=False, name
):
    """A 2-D convolution that halves even sizes the way its paper does.

    Args:
        x: Feature map.
        filters: Number of output channels.
        kernel_size: Side of the square kernel, in pixels.
        stride: Step of the kernel, in pixels.
        dilation: Distance between two of the kernel's positions, in pixels (Yu and Koltun, "Multi-Scale Context
            Aggregation by Dilated Convolutions", 2016).
        groups: Parts that the channels fall into, each convolved on its own (Krizhevsky et al., 2012), by layers of
            their own: Keras leaves `Conv2D(groups=...)` to XLA on a CPU, which takes 5 to 200 times as long.
        padding: "symmetric" puts as many zeros on every side, as most reference networks do; "same" is TensorFlow's,
            which with a stride puts them on the right and bottom alone.
        use_bias: Add a bias; batch normalisation behind it would take it away again.
        name: Name of the layer; with groups of the last one.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, ceil(height / stride), ceil(width / stride), filters)

    Raises:
        SettingError: `groups` do not divide the channels or the filters.
    """
    channels = x.shape[-1]
    for what, number in (("channels", channels), ("filters", filters)):
        check(groups >= 1 and number % groups == 0, "groups", groups, f"a divisor of the {number} {what}")
    x, padding = _padded(x, kernel_size, stride, padding, name)
    parts = ops.split(x, groups, axis=-1) if groups > 1 else [x]
    convolved = [
        layers.Conv2D(
            filters // groups,
            kernel_size,
            strides=stride,
            padding=padding,
            dilation_rate=dilation,
            use_bias=use_bias,
            kernel_initializer="he_normal",
            name=f"{name}{index}" if groups > 1 else name,
        )(part)
        for index, part in enumerate(parts, 1)
    ]
    return layers.Concatenate(name=name)(convolved) if groups > 1 else convolved[0]


def _padded(x, kernel_size, stride, padding, name):
    """Returns a feature map with zeros around it where Keras' own padding would differ, and what is left to Keras."""
    if padding == "symmetric" and stride > 1 and kernel_size > 1:
        return layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x), "valid"
    return x, "same"


def convolution_norm(
    x,
    filters,
    kernel_size=3,
    *,
    stride=1,
    dilation=1,
    groups=1,
    padding="symmetric",
    activation="relu",
    zero_init=False,
    name,
):
    """Convolution, batch normalisation and, unless it is None, an activation.

    Args:
        x: Feature map.
        filters: Number of output channels.
        kernel_size: Side of the square kernel, in pixels.
        stride: Step of the kernel, in pixels.
        dilation, groups, padding: As for `convolution`.
        activation: Name of a Keras activation, or None.
        zero_init: Start the normalisation's scale at zero, so that a residual branch begins as the identity
            (Goyal et al., "Accurate, Large Minibatch SGD", 2017).
        name: Prefix of the layers' names.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, ceil(height / stride), ceil(width / stride), filters)
    """
    x = convolution(
        x, filters, kernel_size, stride=stride, dilation=dilation, groups=groups, padding=padding, name=f"{name}_conv"
    )
    return norm(x, activation, zero_init=zero_init, name=name)


def norm(x, activation="relu", *, zero_init=False, name):
    """Batch normalisation and, unless it is None, an activation; arguments as for `convolution_norm`."""
    gamma = "zeros" if zero_init else "ones"
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma, name=f"{name}_norm")(x)
    return x if activation is None else layers.Activation(activation, name=f"{name}_{activation}")(x)


def depthwise_norm(x, kernel_sizes=(3,), *, stride=1, dilation=1, padding="same", activation="relu", name):
    """A convolution of each channel on its own, batch normalisation and, unless it is None, an activation.

    With several kernel sizes the channels fall into as many groups of equal size, each with its own: Tan and Le,
    "MixConv: Mixed Depthwise Convolutional Kernels", 2019. What is left over goes to the first group.

    Args:
        x: Feature map.
        kernel_sizes: Side of the kernel of each group, in pixels.
        stride: Step of the kernels, in pixels.
        dilation, padding: As for `convolution`.
        activation: Name of a Keras activation, or None.
        name: Prefix of the layers' names.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, ceil(height / stride), ceil(width / stride), channels)
    """
    channels, count = x.shape[-1], len(kernel_sizes)
    first = channels - (count - 1) * (channels // count)
    cuts = [first + index * (channels // count) for index in range(count - 1)]
    parts = ops.split(x, cuts, axis=-1) if cuts else [x]
    convolved = []
    for index, (part, kernel_size) in enumerate(zip(parts, kernel_sizes, strict=True), 1):
        layer = f"{name}_conv{index if count > 1 else ''}"
        part, keras_padding = _padded(part, kernel_size, stride, padding, layer)
        convolved.append(
            layers.DepthwiseConv2D(
                kernel_size,
                strides=stride,
                dilation_rate=dilation,
                padding=keras_padding,
                use_bias=False,
                depthwise_initializer="he_normal",
                name=layer,
            )(part)
        )
    x = layers.Concatenate(name=f"{name}_join")(convolved) if count > 1 else convolved[0]
    return norm(x, activation, name=name)


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
