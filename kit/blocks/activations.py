"""Activations that an architecture may be set to: the one list for all of them."""

from typing import Literal

# Names of Keras: a setting of this type is refused, with the nearest name, where it is none of them.
Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"]
