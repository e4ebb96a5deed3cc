"""Networks of agents: Q-networks (`VALUES`) and policies (`POLICIES`), tables from a name to builder and arguments.

A builder of the first takes whether the value of the state is learned apart from the advantages, the shape of an
observation and the number of actions; one of the second the end that gives a policy's parameters, whether observations
are scaled by running moments, and the shape of one.
"""

import keras

from kit.errors import choose
from kit.models.control import cnn_policy, cnn_q, mlp_policy, mlp_q


def _variants(*modules):
    # A module's builder has the module's name.
    return {
        variant: (getattr(module, module.__name__.rpartition(".")[2]), arguments)
        for module in modules
        for variant, arguments in module.VARIANTS.items()
    }


VALUES = _variants(mlp_q, cnn_q)
POLICIES = _variants(mlp_policy, cnn_policy)


def policy_network(network, head, normalizes, observation_shape):
    """Builds a network of policy and value.

    Args:
        network: Name of one of `POLICIES`; or what a builder becomes with all but its first two arguments filled in.
        head: Function from features to the parameters of a policy.
        normalizes: Scale observations by running moments.
        observation_shape: Shape of an observation.
    """
    if not isinstance(network, str):
        return network(head, normalizes)
    build, arguments = choose(POLICIES, network, "backbone")
    return build(head, normalizes, tuple(observation_shape), **arguments, name=network)


def policy_alone(network):
    """Returns the policy of a network of policy and value, the part that acting needs."""
    return keras.Model(network.input, network.outputs[0], name=network.name)
