"""Positions: how a network that sees a sequence as a set learns the order."""

import math

import keras
from keras import layers, ops

from kit.errors import check


def positions_from(start, time):
    """Returns the places of some positions in a row.

    Args:
        start: Place of the first, a scalar; or one a sequence, (batch,).
        time: Number of positions.

    Shape:
        out: (time,), or (batch, time)
    """
    return (ops.expand_dims(start, -1) if ops.ndim(start) else start) + ops.arange(time)


@keras.saving.register_keras_serializable("kit")
class SinusoidalPosition(layers.Layer):
    """Adds sines and cosines of the position, from fast to slow, to a sequence of any length.

    Vaswani et al., "Attention Is All You Need", 2017, section 3.5.

    Args:
        wavelength: Length of the slowest wave, in positions, divided by 2 pi.

    Shape:
        in, out: (batch, time, dim); `start` is the place of the first position, a scalar or (batch,)
    """

    def __init__(self, wavelength=10000.0, **kwargs):
        super().__init__(**kwargs)
        self.wavelength = wavelength
        self.supports_masking = True
        self.built = True

    def call(self, inputs, start=0):
        time, dim = ops.shape(inputs)[1], inputs.shape[-1]
        half = (dim + 1) // 2
        rates = ops.exp(ops.arange(half, dtype="float32") * (-math.log(self.wavelength) / half))
        angles = ops.cast(positions_from(start, time), "float32")[..., None] * rates  # (..., time, dim / 2)
        waves = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)[..., :dim]
        return inputs + ops.cast(waves, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "wavelength": self.wavelength}


@keras.saving.register_keras_serializable("kit")
class LearnedPosition(layers.Layer):
    """Adds a learned vector for each position to a sequence.

    Gehring et al., "Convolutional Sequence to Sequence Learning", 2017.

    Args:
        max_length: Number of positions; there is no longer sequence.

    Shape:
        in, out: (batch, time, dim), time at most `max_length`; `start` is the place of the first position, a scalar or
            (batch,)
    """

    def __init__(self, max_length, **kwargs):
        super().__init__(**kwargs)
        check(max_length >= 1, "max_length", max_length, "at least 1")
        self.max_length = max_length
        self.supports_masking = True

    def build(self, input_shape):
        deviation = keras.initializers.RandomNormal(stddev=0.02)
        self.embeddings = self.add_weight((self.max_length, input_shape[-1]), deviation, name="embeddings")
        self.built = True

    def call(self, inputs, start=0):
        length, embeddings = ops.shape(inputs)[1], ops.cast(self.embeddings, inputs.dtype)
        if isinstance(start, int) and start == 0:
            # Its gradient is one array, which optimizers square after several processes have added up theirs. Fewer
            # positions than asked for do not go into the shape.
            return inputs + ops.reshape(embeddings[:length], (length, embeddings.shape[-1]))
        return inputs + ops.take(embeddings, positions_from(start, length), axis=0)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "max_length": self.max_length}


def position(kind, max_length, name, dtype=None):
    """Returns the layer that adds positions to a sequence, or None where none are added there.

    Args:
        kind: "sinusoidal", "learned", "rotary" (attention itself turns by the position) or "none".
        max_length: Most positions, of "learned".
        name: Name of the layer.
        dtype: Its dtype policy; None is the global one.
    """
    if kind == "learned":
        return LearnedPosition(max_length, dtype=dtype, name=name)
    return SinusoidalPosition(dtype=dtype, name=name) if kind == "sinusoidal" else None


def rotated(x, start=0, wavelength=10000.0):
    """Turns pairs of numbers by an angle that grows with the position, so that products tell the distance.

    Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021; the pairs are the two halves.

    Args:
        x: (batch, heads, time, head_dim), an even width
        start: Place of the first position, a scalar or one a sequence (batch,).
        wavelength: Length of the slowest turn, in positions, divided by 2 pi.

    Shape:
        out: as x
    """
    time, half = ops.shape(x)[2], x.shape[-1] // 2
    rates = ops.exp(ops.arange(half, dtype="float32") * (-math.log(wavelength) / half))
    angles = ops.cast(positions_from(start, time), "float32")[..., None] * rates  # (..., time, head_dim / 2)
    angles = angles[:, None] if len(angles.shape) == 3 else angles  # (batch, 1, time, head_dim / 2)
    cos, sin = ops.cast(ops.cos(angles), x.dtype), ops.cast(ops.sin(angles), x.dtype)
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
