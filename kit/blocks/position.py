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
    return (ops.expand_dims(start, -1) if ops.ndim(start) else start) + ops.arange(time, dtype="int32")


def whole(table):
    """Returns a table of weights as it is, but with a gradient that is one array where rows of it are looked up.

    Adam squares the rows of a lookup one by one. Of one that is looked up for positions, and not for each example, that
    is not the square of their sum, and other for several processes, each of which has rows of its own.
    """
    return ops.multiply(table, 1.0)


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


@keras.saving.register_keras_serializable("kit")
class RelativePositionBias(layers.Layer):
    """Relative position bias of attention: a learned number for each head and each bucket of distances, as in T5.

    Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer" (T5), 2020,
    section 2.1. Half of the buckets hold one distance each, the others more and more, up to `max_distance`, from which
    on all are alike. One layer is shared by all blocks.

    Args:
        num_heads: Number of heads.
        num_buckets: Number of buckets; where a position looks both ways, half of them are for each side.
        max_distance: Distance in positions from which on all are in the last bucket.
        is_causal: No position looks at a later one: all buckets are for those before it.

    Shape:
        in: (batch, time, dim), of which the length alone counts
        out: (1, heads, time, time)

    Raises:
        SettingError: a number is out of range.
    """

    def __init__(self, num_heads, *, num_buckets=32, max_distance=128, is_causal=False, **kwargs):
        super().__init__(**kwargs)
        least = 2 if is_causal else 4
        check(num_heads >= 1, "num_heads", num_heads, "at least 1")
        is_even = num_buckets >= least and num_buckets % least == 0
        check(is_even, "num_buckets", num_buckets, f"a multiple of {least}")
        exact = num_buckets // least
        check(max_distance > exact, "max_distance", max_distance, f"more than {exact}, a part of num_buckets")
        self.num_heads, self.num_buckets = num_heads, num_buckets
        self.max_distance, self.is_causal = max_distance, is_causal

    def build(self, input_shape=None):
        start = keras.initializers.RandomNormal(stddev=0.05)
        self.embeddings = self.add_weight((self.num_buckets, self.num_heads), start, name="embeddings")
        self.built = True

    def call(self, inputs):
        places = ops.arange(ops.shape(inputs)[1], dtype="int32")
        return self._bias(places[None, :] - places[:, None])[None]

    def growing(self, start, time, source):
        """Returns the same for some positions in a row that look at a cache.

        Args:
            start: Place of the first of them, a scalar or one a row (batch,).
            time: Number of positions.
            source: Length of the cache.

        Shape:
            out: (batch or 1, heads, time, source)
        """
        found = self._bias(ops.arange(source, dtype="int32") - positions_from(start, time)[..., None])
        return found if len(found.shape) == 4 else found[None]

    def buckets(self, away):
        """Returns the bucket of each distance from a position to one that it looks at, those before it negative."""
        count, first = self.num_buckets, 0
        if self.is_causal:
            away = ops.maximum(-away, 0)
        else:
            count //= 2
            first, away = ops.cast(away > 0, "int32") * count, ops.abs(away)
        exact = count // 2
        far = ops.log(ops.cast(ops.maximum(away, 1), "float32") / exact) / math.log(self.max_distance / exact)
        far = exact + ops.cast(far * (count - exact), "int32")
        return first + ops.where(away < exact, ops.cast(away, "int32"), ops.minimum(far, count - 1))

    def _bias(self, away):
        """Returns (..., heads, time, source) for distances (..., time, source)."""
        found = ops.take(whole(self.embeddings), self.buckets(away), axis=0)
        return ops.cast(ops.moveaxis(found, -1, -3), self.compute_dtype)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((1, self.num_heads, inputs.shape[1], inputs.shape[1]), self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "num_buckets": self.num_buckets,
            "max_distance": self.max_distance,
            "is_causal": self.is_causal,
        }


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
