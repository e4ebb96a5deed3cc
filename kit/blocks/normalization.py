"""Normalisations: those of Transformers by name, and one that Keras does not have."""

import functools

import keras
from keras import layers, ops

from kit.errors import check

_KINDS = {"layer": layers.LayerNormalization, "rms": layers.RMSNormalization}


def normalization(kind="layer", epsilon=1e-3):
    """Returns a function that makes a normalisation layer, given its `name` and, if need be, its `dtype`.

    Args:
        kind: "layer": Ba et al., "Layer Normalization", 2016; "rms", without mean and shift: Zhang and Sennrich, "Root
            Mean Square Layer Normalization", 2019.
        epsilon: Small number under the root. Keras' own is 1e-3; BERT has 1e-12, GPT-2 1e-5, Llama 1e-5 or 1e-6.

    Raises:
        SettingError: there is no such kind, or `epsilon` is not above 0.
    """
    check(kind in _KINDS, "normalization", kind, " or ".join(map(repr, _KINDS)))
    check(epsilon > 0, "epsilon", epsilon, "a number above 0")
    return functools.partial(_KINDS[kind], epsilon=epsilon)


@keras.saving.register_keras_serializable("kit")
class LocalResponseNormalization(layers.Layer):
    """Divides each value by the energy of its neighbours in the channels at the same place.

    Krizhevsky, Sutskever and Hinton, 2012, section 3.3: `x / (bias + scale * sum of squares) ** power`.

    Args:
        size: Number of channels in a neighbourhood.
        bias, scale, power: Numbers of the formula.

    Shape:
        in, out: (batch, height, width, channels)
    """

    def __init__(self, size=5, bias=2.0, scale=1e-4, power=0.75, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.bias = bias
        self.scale = scale
        self.power = power
        self.built = True

    def call(self, inputs):
        channels, before = inputs.shape[-1], (self.size - 1) // 2
        squares = ops.pad(ops.square(inputs), ((0, 0), (0, 0), (0, 0), (before, self.size - 1 - before)))
        energy = sum(squares[..., start : start + channels] for start in range(self.size))
        return inputs / (self.bias + self.scale * energy) ** self.power

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "size": self.size, "bias": self.bias, "scale": self.scale, "power": self.power}
