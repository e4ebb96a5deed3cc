"""Convolutional Q-networks: values of actions, for observations that are images."""

import keras

from kit.blocks.dueling import action_values
from kit.errors import check
from kit.models.control.features import convolutional_features

VARIANTS = {
    # Mnih et al., "Human-level control through deep reinforcement learning", 2015: 84x84x4 pixels from 0 to 255
    "cnn_q": {},
    # Young and Tian, "MinAtar", 2019: 10x10 places, one channel a kind of object, 0 or 1
    "cnn_q_small": {"filters": (16,), "kernel_sizes": (3,), "strides": (1,), "units": 128, "highest": 1.0},
}


def cnn_q(
    dueling,
    observation_shape,
    num_actions,
    *,
    filters: tuple[int, ...] = (32, 64, 64),
    kernel_sizes: tuple[int, ...] = (8, 4, 3),
    strides: tuple[int, ...] = (4, 2, 1),
    units: int = 512,
    highest: float = 255.0,
    name: str = "cnn_q",
):
    """Builds a network of convolutions and a dense layer.

    Args:
        dueling: Learn the value of the state and the advantages of actions apart.
        observation_shape: Height, width and channels of an observation; frames that are stacked are channels.
        num_actions: Number of actions.
        filters: Channels of each convolution.
        kernel_sizes: Side of the kernel of each, in pixels.
        strides: Step of each, in pixels.
        units: Width of the dense layer.
        highest: Highest value of a pixel, which becomes 1.
        name: Name of the network.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, num_actions)

    Raises:
        SettingError: observations that are no images or too small ones, or values out of range.
    """
    check(units >= 1, "units", units, "at least 1")
    observation = keras.Input(observation_shape, name="observation")
    x = convolutional_features(observation, filters, kernel_sizes, strides, highest, "mlp_q")
    return keras.Model(observation, action_values(x, num_actions, dueling, units), name=name)
