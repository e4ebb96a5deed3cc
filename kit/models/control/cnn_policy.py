"""Convolutional policy and value networks, for observations that are images."""

import keras
from keras import layers

from kit.blocks.policy import state_value
from kit.errors import SettingError, check
from kit.models.control import cnn_q
from kit.models.control.features import convolutional_features

# The same as for values of actions.
VARIANTS = {"cnn_policy": cnn_q.VARIANTS["cnn_q"], "cnn_policy_small": cnn_q.VARIANTS["cnn_q_small"]}


def cnn_policy(
    head,
    normalizes,
    observation_shape,
    *,
    filters: tuple[int, ...] = (32, 64, 64),
    kernel_sizes: tuple[int, ...] = (8, 4, 3),
    strides: tuple[int, ...] = (4, 2, 1),
    units: int = 512,
    highest: float = 255.0,
    name: str = "cnn_policy",
):
    """Builds a network of convolutions and a dense layer, with two outputs.

    Args:
        head: Function from features to the parameters of a policy, one of `kit.blocks.policy`.
        normalizes: Scale observations by running moments: images are not.
        observation_shape: Height, width and channels of an observation; frames that are stacked are channels.
        filters: Channels of each convolution.
        kernel_sizes: Side of the kernel of each, in pixels.
        strides: Step of each, in pixels.
        units: Width of the dense layer.
        highest: Highest value of a pixel, which becomes 1.
        name: Name of the network.

    Shape:
        in: (batch, height, width, channels)
        out: parameters of the policy, (batch, ...), and the value of the state, (batch, 1)

    Raises:
        SettingError: observations that are no images or too small ones, or values out of range.
    """
    if normalizes:
        raise SettingError("model.normalize_observations", "images are scaled by backbone.highest; expected false")
    check(units >= 1, "units", units, "at least 1")
    observation = keras.Input(observation_shape, name="observation")
    x = convolutional_features(observation, filters, kernel_sizes, strides, highest, "mlp_policy")
    initializer = keras.initializers.Orthogonal(2**0.5)
    x = layers.Dense(units, activation="relu", kernel_initializer=initializer, name="hidden")(x)
    return keras.Model(observation, [head(x), state_value(x)], name=name)
