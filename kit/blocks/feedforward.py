"""Feed-forward half of a Transformer block: plain, or with one of its dense layers gated by another."""

import keras
from keras import activations, layers

from kit.errors import check


@keras.saving.register_keras_serializable("kit")
def gelu_approximate(x):
    """Gaussian error linear unit by way of tanh, as BERT's first code, GPT-2 and T5 compute it; "gelu" is exact.

    Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.
    """
    return activations.gelu(x, approximate=True)


class FeedForward:
    """Two dense layers, an activation behind the first; or three, `out(activation(gate(x)) * in(x))`.

    Vaswani et al., "Attention Is All You Need", 2017, section 3.3; gated: Shazeer, "GLU Variants Improve Transformer",
    2020, where "silu" makes SwiGLU, "gelu" GEGLU and "relu" ReGLU. It is a function that makes its layers at the first
    call, no layer itself: they belong to the network or layer that uses it.

    Args:
        feedforward_dim: Width between the dense layers.
        activation: Name of a Keras activation, or "gelu_approximate".
        is_gated: Multiply the first layer's output by that of a third, which has the activation then.
        use_bias: Add biases in the dense layers.
        dtype: Dtype policy of the layers; None is the global one.
        name: Prefix of the layers' names: `<name>_in`, `<name>_out` and `<name>_gate`.

    Shape:
        in, out: (batch, time, dim)

    Raises:
        SettingError: a value is out of range.
    """

    def __init__(self, feedforward_dim, *, activation="relu", is_gated=False, use_bias=True, dtype=None, name):
        check(feedforward_dim >= 1, "feedforward_dim", feedforward_dim, "at least 1")
        self.feedforward_dim = feedforward_dim
        self.activation = gelu_approximate if activation == "gelu_approximate" else activation
        self.is_gated = is_gated
        self.settings = {"use_bias": use_bias, "dtype": dtype}
        self.name = name
        self.wide = self.narrow = self.gate = None

    def create(self, dim):
        """Makes the layers, for sequences of a width."""
        inner = None if self.is_gated else self.activation
        self.wide = layers.Dense(self.feedforward_dim, activation=inner, name=f"{self.name}_in", **self.settings)
        self.narrow = layers.Dense(dim, name=f"{self.name}_out", **self.settings)
        if self.is_gated:
            self.gate = layers.Dense(
                self.feedforward_dim, activation=self.activation, name=f"{self.name}_gate", **self.settings
            )

    def __call__(self, x):
        if self.wide is None:
            self.create(x.shape[-1])
        y = self.wide(x)
        return self.narrow(self.gate(x) * y if self.is_gated else y)
