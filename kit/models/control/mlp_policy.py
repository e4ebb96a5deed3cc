"""Multilayer perceptrons for policy and value, for observations that are vectors."""

import keras
from keras import layers

from kit.blocks.activations import Activation
from kit.blocks.policy import normalized, state_value
from kit.errors import check

VARIANTS = {
    # Schulman et al., "Proximal Policy Optimization Algorithms", 2017, section 6.1
    "mlp_policy": {},
}


def mlp_policy(
    head,
    normalizes,
    observation_shape,
    *,
    units: tuple[int, ...] = (64, 64),
    activation: Activation = "tanh",
    is_shared: bool = False,
    name: str = "mlp_policy",
):
    """Builds two networks of dense layers, or one with two outputs.

    Args:
        head: Function from features to the parameters of a policy, one of `kit.blocks.policy`.
        normalizes: Scale observations by running moments.
        observation_shape: Shape of an observation.
        units: Width of each hidden layer.
        activation: Activation of the hidden layers.
        is_shared: Let the policy and the value share the hidden layers.
        name: Name of the network.

    Shape:
        in: (batch, *observation_shape)
        out: parameters of the policy, (batch, ...), and the value of the state, (batch, 1)

    Raises:
        SettingError: a width is below 1.
    """
    check(units and min(units) >= 1, "units", units, "widths of at least 1")
    observation = keras.Input(observation_shape, name="observation")
    x = layers.Flatten(name="flatten")(observation) if len(observation_shape) > 1 else observation
    if normalizes:
        x = normalized(x)

    def hidden(x, prefix):
        for index, width in enumerate(units, 1):
            initializer = keras.initializers.Orthogonal(2**0.5)
            x = layers.Dense(width, activation, kernel_initializer=initializer, name=f"{prefix}stage{index}")(x)
        return x

    features = hidden(x, "" if is_shared else "policy_")
    value = state_value(features if is_shared else hidden(x, "value_"))
    return keras.Model(observation, [head(features), value], name=name)
