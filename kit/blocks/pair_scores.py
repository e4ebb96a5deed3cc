"""Scores of pairs of a state and a vector, such as a user and an item: inner products, and a network behind them.

Both layers take states (batch, time, dim) and either vectors that all states are paired with, (candidates, dim), which
gives (batch, time, candidates), or one for each state, (batch, time, dim), which gives (batch, time).
"""

import keras
from keras import layers, ops
from keras.config import floatx

from kit.errors import check


@keras.saving.register_keras_serializable("kit")
class InnerProduct(layers.Layer):
    """Inner product of states and vectors.

    Shape:
        in: states (batch, time, dim); vectors (candidates, dim) or (batch, time, dim)
        out: (batch, time, candidates) or (batch, time)
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.built = True

    def call(self, states, vectors):
        if len(vectors.shape) == 2:
            return ops.matmul(states, ops.transpose(vectors))
        return ops.sum(states * vectors, axis=-1)

    def compute_output_spec(self, states, vectors):
        return _scores(states, vectors)


@keras.saving.register_keras_serializable("kit")
class WideAndDeepScore(layers.Layer):
    """Inner product of the first numbers of states and vectors, and a network of the sum of the others.

    A dense layer of two vectors side by side is the sum of one of each, which states and vectors come with: so it is
    computed for each of them, not for each pair.

    Args:
        wide_dim: How many numbers the inner product is of.
        hidden_dims: Widths of the dense layers behind the first.

    Shape:
        in: states (batch, time, dim); vectors (candidates, dim) or (batch, time, dim)
        out: (batch, time, candidates) or (batch, time)
    """

    def __init__(self, wide_dim, hidden_dims, **kwargs):
        super().__init__(**kwargs)
        check(all(size >= 1 for size in hidden_dims), "hidden_dims", hidden_dims, "widths of at least 1")
        self.wide_dim, self.hidden_dims = wide_dim, tuple(hidden_dims)
        self._dense = [
            layers.Dense(size, activation="relu", dtype=self.dtype_policy, name=f"hidden{index}")
            for index, size in enumerate(self.hidden_dims, 2)
        ]
        self._last = layers.Dense(1, dtype=self.dtype_policy, name="score")

    def build(self, states_shape, vectors_shape):
        width = states_shape[-1] - self.wide_dim
        for layer in [*self._dense, self._last]:
            layer.build((None, width))
            width = layer.units
        self.built = True

    def call(self, states, vectors):
        wide, deep = self._halves(states)
        of_items, items = self._halves(vectors)
        if len(vectors.shape) == 2:
            scores = ops.matmul(wide, ops.transpose(of_items))
            x = deep[:, :, None] + items  # (batch, time, candidates, dim)
        else:
            scores = ops.sum(wide * of_items, axis=-1)
            x = deep + items
        x = ops.relu(x)
        for layer in self._dense:
            x = layer(x)
        return scores + self._last(x)[..., 0]

    def _halves(self, x):
        return x[..., : self.wide_dim], x[..., self.wide_dim :]

    def compute_output_spec(self, states, vectors):
        return _scores(states, vectors)

    def get_config(self):
        return {**super().get_config(), "wide_dim": self.wide_dim, "hidden_dims": list(self.hidden_dims)}


def _scores(states, vectors):
    shape = states.shape[:2]
    return keras.KerasTensor((*shape, vectors.shape[0]) if len(vectors.shape) == 2 else shape, states.dtype)


def with_ones(x):
    """Returns vectors with a 1 behind their last number, which a bias of the other side is multiplied by."""
    return ops.concatenate([x, ops.ones_like(x[..., :1])], axis=-1)


@keras.saving.register_keras_serializable("kit")
class Contrast(layers.Layer):
    """Puts the score of what was taken in front of those of items drawn beside it, as sampled softmax needs them.

    Bengio and Senécal, "Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic Language Model",
    2008: of an item that is drawn often the logarithm of how often is subtracted. What is drawn and was taken itself
    does not count.

    Args:
        rows: Numbers of items, 0 and the last included.
        is_corrected: Subtract those logarithms, which are put in by `layer.log_counts.assign(numbers)`.

    Shape:
        in: own scores (batch, time) of target (batch, time); other scores (batch, time, drawn) of pool (drawn,)
        out: (batch, time, 1 + drawn)
    """

    def __init__(self, rows, is_corrected=True, **kwargs):
        super().__init__(**kwargs)
        self.rows, self.is_corrected = rows, is_corrected

    def build(self, own_shape, others_shape, target_shape, pool_shape):
        self.log_counts = self.add_weight((self.rows,), "zeros", trainable=False, name="log_counts")
        self.built = True

    def call(self, own, others, target, pool):
        own, others = ops.cast(own, floatx()), ops.cast(others, floatx())
        if self.is_corrected:
            others = others - ops.cast(ops.take(self.log_counts, pool), floatx())
        others = ops.where(target[..., None] == pool, -1e9, others)
        return ops.concatenate([own[..., None], others], axis=-1)

    def compute_output_spec(self, own, others, target, pool):
        drawn = others.shape[-1]
        return keras.KerasTensor((*own.shape, None if drawn is None else 1 + drawn), floatx())

    def get_config(self):
        return {**super().get_config(), "rows": self.rows, "is_corrected": self.is_corrected}
