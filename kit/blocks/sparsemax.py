"""Sparsemax and entmax: like softmax, with exact zeros.

Martins and Astudillo, "From Softmax to Sparsemax", 2016; Peters, Niculae and Martins, "Sparse Sequence-to-Sequence
Models" (1.5-entmax), 2019.
"""

import keras
from keras import ops
from keras.config import floatx

# Up to so many values comparing each with each takes less time than sorting them.
_COMPARED = 64


def sparsemax(logits):
    """Returns the nearest point of the probability simplex to logits, along the last axis.

    Shape:
        in, out: (..., values)
    """
    shifted = logits - ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
    in_support = ops.stop_gradient(_is_in_support(shifted))
    count = ops.sum(in_support, axis=-1, keepdims=True)
    threshold = (ops.sum(in_support * shifted, axis=-1, keepdims=True) - 1) / count
    return ops.relu(shifted - threshold)


def _is_in_support(z):
    """Returns 1 where sparsemax of z is above 0, elsewhere 0: where 1 + k z > sum of the k values not below z."""
    if z.shape[-1] <= _COMPARED:
        not_below = ops.cast(z[..., None, :] >= z[..., :, None], z.dtype)  # (..., values, others)
        count = ops.sum(not_below, axis=-1)
        total = ops.sum(not_below * z[..., None, :], axis=-1)
        return ops.cast(1 + count * z > total, z.dtype)
    falling, rank = _falling(z)
    is_in = ops.cast(1 + rank * falling > ops.cumsum(falling, axis=-1), z.dtype)
    count = ops.sum(is_in, axis=-1, keepdims=True)
    smallest = ops.min(ops.where(rank <= count, falling, ops.zeros_like(falling)), axis=-1, keepdims=True)
    return ops.cast(z >= smallest, z.dtype)


def _falling(z):
    """Returns values sorted, the largest first, and their ranks from 1."""
    return -ops.sort(-z, axis=-1), ops.arange(1, z.shape[-1] + 1, dtype=z.dtype)


def entmax15(logits):
    """Returns 1.5-entmax of logits along the last axis: between softmax and sparsemax.

    Shape:
        in, out: (..., values)
    """
    z = (logits - ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))) / 2
    falling, rank = _falling(ops.stop_gradient(z))
    mean = ops.cumsum(falling, axis=-1) / rank
    spread = ops.cumsum(falling**2, axis=-1) - rank * mean**2
    threshold = mean - ops.sqrt(ops.maximum((1 - spread) / rank, 0))
    is_in = ops.cast(threshold <= falling, z.dtype)
    count = ops.sum(is_in, axis=-1, keepdims=True)
    smallest = ops.min(ops.where(rank <= count, falling, ops.zeros_like(falling)), axis=-1, keepdims=True)
    # Once more over the support alone, so that its gradient flows.
    in_support = ops.cast(z >= smallest, z.dtype)
    mean = ops.sum(in_support * z, axis=-1, keepdims=True) / count
    spread = ops.sum(in_support * (z - mean) ** 2, axis=-1, keepdims=True)
    threshold = mean - ops.sqrt(ops.maximum((1 - spread) / count, keras.config.epsilon() ** 2))
    return ops.relu(z - threshold) ** 2


MASKS = {"sparsemax": sparsemax, "entmax": entmax15}


@keras.saving.register_keras_serializable("kit")
class SparseMask(keras.layers.Layer):
    """Weights of columns: logits times how much of each column is still to be used, as a sparse distribution.

    Args:
        kind: "sparsemax" or "entmax".
        sparsity: Factor of the mean entropy of the weights in the loss, so that each row uses few columns.

    Shape:
        logits, prior, out: (batch, columns)
    """

    def __init__(self, kind="sparsemax", sparsity=0.0, **kwargs):
        super().__init__(**kwargs)
        self.kind, self.sparsity = kind, sparsity

    def call(self, logits, prior):
        weights = MASKS[self.kind](logits * prior)
        if self.sparsity:
            entropy = -ops.mean(ops.sum(weights * ops.log(weights + 1e-15), axis=-1))
            self.add_loss(self.sparsity * ops.cast(entropy, floatx()))
        return weights

    def compute_output_shape(self, logits_shape, prior_shape):
        return logits_shape

    def get_config(self):
        return {**super().get_config(), "kind": self.kind, "sparsity": self.sparsity}
