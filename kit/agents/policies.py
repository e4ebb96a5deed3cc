"""Policies: categorical and Gaussian distributions of actions, given by a network's outputs.

They are sampled in NumPy, and their log-probability and entropy are computed by Keras. A policy draws with noise that
was made before, so that the draw is a function of the seed alone.
"""

import math

import numpy as np
from keras import ops

from kit.errors import SettingError


class Categorical:
    """Categorical distribution of numbered actions; its parameters are logits, (batch, actions).

    Args:
        num_actions: Number of actions.
    """

    def __init__(self, num_actions):
        self.num_actions = num_actions

    def noise(self, random, *shape):
        """Returns Gumbel noise: the highest of logits and noise is a draw from their softmax."""
        return random.gumbel(size=(*shape, self.num_actions)).astype("float32")

    def sample(self, parameters, noise):
        """Returns an action for each row, (batch,)."""
        return (parameters + noise).argmax(-1)

    def mode(self, parameters):
        """Returns the most probable action for each row, (batch,)."""
        return parameters.argmax(-1)

    def log_prob(self, parameters, actions):
        """Returns the logarithm of the probability of actions, (batch,)."""
        chosen = ops.one_hot(actions, self.num_actions, dtype="float32")
        return ops.sum(ops.log_softmax(parameters) * chosen, -1)

    def entropy(self, parameters):
        """Returns the entropy in nats, (batch,)."""
        logs = ops.log_softmax(parameters)
        return -ops.sum(ops.exp(logs) * logs, -1)


class Gaussian:
    """Diagonal normal distribution of continuous actions, vectors.

    Its parameters are means and logarithms of standard deviations, side by side, (batch, 2 * actions).

    The environment brings what was drawn into the bounds of its actions, by tanh or by clipping. Density and entropy
    are those of what was drawn: tanh would change both by what no parameter changes.

    Args:
        num_actions: Numbers in an action.
    """

    def __init__(self, num_actions):
        self.num_actions = num_actions

    def noise(self, random, *shape):
        """Returns standard normal noise."""
        return random.standard_normal((*shape, self.num_actions), "float32")

    def sample(self, parameters, noise):
        """Returns an action for each row, (batch, actions)."""
        mean, log_std = parameters[:, : self.num_actions], parameters[:, self.num_actions :]
        return mean + np.exp(log_std) * noise

    def mode(self, parameters):
        """Returns the most probable action for each row, (batch, actions)."""
        return parameters[:, : self.num_actions]

    def log_prob(self, parameters, actions):
        """Returns the logarithm of the density of actions, (batch,)."""
        mean, log_std = ops.split(parameters, 2, axis=-1)
        densities = -0.5 * ops.square((actions - mean) * ops.exp(-log_std)) - log_std - 0.5 * math.log(2 * math.pi)
        return ops.sum(densities, -1)

    def entropy(self, parameters):
        """Returns the entropy in nats, (batch,)."""
        _, log_std = ops.split(parameters, 2, axis=-1)
        return ops.sum(log_std + 0.5 * math.log(2 * math.pi * math.e), -1)


def policy(num_actions, is_continuous, name="auto"):
    """Returns the policy for so many actions, or so many numbers in one.

    Raises:
        SettingError: `name` is "categorical" or "gaussian", and the actions are not for it.
    """
    wanted, kind = ("gaussian", "vectors") if is_continuous else ("categorical", "numbered")
    if name not in ("auto", wanted):
        raise SettingError("policy", f"the environment's actions are {kind}: expected {wanted!r}, got {name!r}")
    return Gaussian(num_actions) if is_continuous else Categorical(num_actions)
