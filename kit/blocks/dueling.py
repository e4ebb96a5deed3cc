"""Dueling heads: values of actions from the value of a state and the advantage of each action.

Wang et al., "Dueling Network Architectures for Deep Reinforcement Learning", 2016.
"""

from keras import layers, ops
from keras.config import floatx


def dueling(value, advantages):
    """Combines state value and advantages to the value of each action (equation 9).

    The advantages are given mean 0, so that the two can be told apart.

    Args:
        value: Value of the state.
        advantages: Advantage of each action.

    Shape:
        in: (batch, 1), (batch, actions)
        out: (batch, actions)
    """
    return value + advantages - ops.mean(advantages, axis=-1, keepdims=True)


def action_values(x, num_actions, is_dueling, units):
    """Q-value head, plain or dueling: the value of each action.

    Args:
        x: Features.
        num_actions: Number of actions.
        is_dueling: Learn the value of the state and the advantages apart.
        units: Width of the last hidden layer; with `is_dueling` of one for each of the two.

    Shape:
        in: (batch, dim)
        out: (batch, actions)
    """

    def hidden(name):
        return layers.Dense(units, activation="relu", name=name)(x)

    if not is_dueling:
        return layers.Dense(num_actions, dtype=floatx(), name="values")(hidden("hidden"))
    value = layers.Dense(1, dtype=floatx(), name="value")(hidden("value_hidden"))
    advantages = layers.Dense(num_actions, dtype=floatx(), name="advantages")(hidden("advantages_hidden"))
    return dueling(value, advantages)
