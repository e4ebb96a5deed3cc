"""Positions: how a network that sees a sequence as a set learns the order."""

import math

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("kit")
class SinusoidalPosition(layers.Layer):
    """Adds sines and cosines of the position, from fast to slow, to a sequence of any length.

    Vaswani et al., "Attention Is All You Need", 2017, section 3.5.

    Args:
        wavelength: Length of the slowest wave, in positions, divided by 2 pi.

    Shape:
        in, out: (batch, time, dim)
    """

    def __init__(self, wavelength=10000.0, **kwargs):
        super().__init__(**kwargs)
        self.wavelength = wavelength
        self.supports_masking = True
        self.built = True

    def call(self, inputs):
        time, dim = ops.shape(inputs)[1], inputs.shape[-1]
        half = (dim + 1) // 2
        rates = ops.exp(ops.arange(half, dtype="float32") * (-math.log(self.wavelength) / half))
        angles = ops.cast(ops.arange(time), "float32")[:, None] * rates  # (time, dim / 2)
        waves = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)[:, :dim]
        return inputs + ops.cast(waves, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "wavelength": self.wavelength}
