"""Convolutional features of observations that are images, shared by the networks of agents."""

from keras import layers

from kit.errors import SettingError, check


def convolutional_features(observation, filters, kernel_sizes, strides, highest, vector_network):
    """Returns features of images by a stack of convolutions, flat.

    Args:
        observation: Images.
        filters: Channels of each convolution.
        kernel_sizes: Side of the kernel of each, in pixels.
        strides: Step of each, in pixels.
        highest: Highest value of a pixel, which becomes 1.
        vector_network: Network that takes vectors, for the message.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, dim)

    Raises:
        SettingError: observations that are no images or too small ones, or values out of range.
    """
    shape = tuple(observation.shape[1:])
    if len(shape) != 3:
        raise SettingError(
            "model.backbone", f"takes images; observations have the shape {shape}: expected {vector_network}"
        )
    for key, values in (("filters", filters), ("kernel_sizes", kernel_sizes), ("strides", strides)):
        check(values and min(values) >= 1, key, values, "numbers of at least 1")
        check(len(values) == len(filters), key, values, f"as many as filters, {len(filters)}")
    check(highest > 0, "highest", highest, "a number above 0")
    x = observation if highest == 1 else layers.Rescaling(1 / highest, name="rescaling")(observation)
    sides = shape[:2]
    for index, (width, side, stride) in enumerate(zip(filters, kernel_sizes, strides, strict=True), 1):
        sides = [(length - side) // stride + 1 for length in sides]
        check(min(sides) >= 1, "kernel_sizes", kernel_sizes, f"smaller ones: images are {shape}")
        x = layers.Conv2D(width, side, stride, activation="relu", name=f"stage{index}")(x)
    return layers.Flatten(name="flatten")(x)
