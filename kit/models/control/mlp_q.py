"""Multilayer perceptron Q-network: values of actions, for observations that are vectors."""

import keras
from keras import layers

from kit.blocks.dueling import action_values
from kit.errors import check

VARIANTS = {"mlp_q": {}}


def mlp_q(
    dueling,
    observation_shape,
    num_actions,
    *,
    units: tuple[int, ...] = (256, 256),
    name: str = "mlp_q",
):
    """Builds a network of dense layers.

    Args:
        dueling: Learn the value of the state and the advantages of actions apart.
        observation_shape: Shape of an observation.
        num_actions: Number of actions.
        units: Width of each hidden layer.
        name: Name of the network.

    Shape:
        in: (batch, *observation_shape)
        out: (batch, num_actions)

    Raises:
        SettingError: a width is below 1.
    """
    check(units and min(units) >= 1, "units", units, "widths of at least 1")
    observation = keras.Input(observation_shape, name="observation")
    x = observation
    if len(observation_shape) > 1:
        x = layers.Flatten(name="flatten")(x)
    for index, width in enumerate(units[:-1], 1):
        x = layers.Dense(width, activation="relu", name=f"stage{index}")(x)
    return keras.Model(observation, action_values(x, num_actions, dueling, units[-1]), name=name)
