"""Disentangled attention (DeBERTa): scores of content and of relative positions, each with projections of its own.

He, Liu, Gao and Chen, "DeBERTa: Decoding-enhanced BERT with Disentangled Attention", 2021, section 3.1; logarithmic
buckets of far positions, shared projections: He, Gao and Chen, "DeBERTaV3", 2021, and the published code.
"""

import math

import keras
import numpy as np
from keras import layers, ops

from kit.blocks.attention import Attention
from kit.blocks.masking import hidden_where_false, softmax
from kit.errors import check


def buckets_of(distances, buckets, max_distance):
    """Returns distances with those of more than half of the buckets joined, the farther the more of them.

    Args:
        distances: Integers.
        buckets: Number of buckets on each side; 0 leaves each distance alone.
        max_distance: Distance that the last bucket begins to hold.

    Shape:
        in, out: (...)
    """
    distances = np.asarray(distances)
    if not buckets:
        return distances
    middle = buckets // 2
    far = np.maximum(np.abs(distances), middle).astype("float32")
    steps = np.float32(math.log((max_distance - 1) / middle))
    joined = np.ceil(np.log(far / np.float32(middle)) / steps * np.float32(middle - 1)) + middle
    return np.where(np.abs(distances) <= middle, distances, joined * np.sign(distances)).astype("int64")


@keras.saving.register_keras_serializable("kit")
class RelativeEmbedding(layers.Layer):
    """Table of a learned vector for each relative position, the same for all blocks.

    Args:
        positions: Number of relative positions on each side.
        epsilon: Small number in the normalisation of the vectors; None normalises nothing.

    Shape:
        in: sequence (batch, time, dim), of which the width alone matters
        out: (2 * positions, dim)
    """

    def __init__(self, positions, epsilon=None, **kwargs):
        super().__init__(**kwargs)
        check(positions >= 1, "positions", positions, "at least 1")
        self.positions = positions
        self.epsilon = epsilon

    def build(self, input_shape):
        start = keras.initializers.TruncatedNormal(stddev=0.02)
        self.embeddings = self.add_weight((2 * self.positions, input_shape[-1]), start, name="embeddings")
        if self.epsilon is not None:
            self.norm = layers.LayerNormalization(epsilon=self.epsilon, dtype=self.dtype_policy, name="norm")
            self.norm.build(self.embeddings.shape)
        self.built = True

    def call(self, inputs):
        table = ops.cast(self.embeddings, self.compute_dtype)
        return table if self.epsilon is None else self.norm(table)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((2 * self.positions, inputs.shape[-1]), self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "positions": self.positions, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("kit")
class DisentangledAttention(Attention):
    """Self-attention whose scores add those of content to position and of position to content.

    Args:
        num_heads: Number of heads; divides the width.
        kinds: Which scores are added: "c2p" (content to position) and "p2c" (position to content).
        buckets: Number of buckets of relative positions on each side; 0 is one for each distance.
        max_distance: Largest distance that is told apart.
        share_key: Positions are projected as content is; otherwise by layers of their own.
        use_key_bias: Add biases to keys and values; DeBERTa's first version does to values alone.
        dropout: Share of the attention weights that is dropped while training.
        position_dropout: Share of the relative positions' vectors that is dropped while training.

    Call arguments:
        query: The sequence.
        relative: Vectors of relative positions, the farthest behind first, as `RelativeEmbedding` returns them.
        mask: True at positions that may be looked at.

    Shape:
        query, out: (batch, time, dim)
        relative: (2 * positions, dim)
        mask: (batch, time)

    Raises:
        SettingError: a number is out of range.
    """

    def __init__(
        self,
        num_heads,
        *,
        kinds=("c2p", "p2c"),
        buckets=0,
        max_distance=512,
        share_key=True,
        use_key_bias=True,
        dropout=0.0,
        position_dropout=0.0,
        **kwargs,
    ):
        super().__init__(num_heads, dropout=dropout, **kwargs)
        check(buckets >= 0 and buckets != 1, "buckets", buckets, "0, or at least 2")
        check(max_distance >= 2, "max_distance", max_distance, "at least 2")
        check(0 <= position_dropout < 1, "position_dropout", position_dropout, "a number from 0 to below 1")
        for kind in kinds:
            check(kind in ("c2p", "p2c"), "kinds", kind, "'c2p' or 'p2c'")
        self.kinds = tuple(kinds)
        self.buckets = buckets
        self.max_distance = max_distance
        self.share_key = share_key
        self.use_key_bias = self._has_key_bias = use_key_bias
        self.position_dropout = position_dropout
        self._drop_position = layers.Dropout(position_dropout, dtype=self.dtype_policy, name="position_dropout")

    def build(self, query_shape, relative_shape=None):
        super().build(query_shape)
        dim, policy = query_shape[-1], self.dtype_policy
        if not self.share_key:
            self._position_key = layers.Dense(dim, use_bias=self.use_key_bias, dtype=policy, name="position_key")
            self._position_query = layers.Dense(dim, dtype=policy, name="position_query")
            for kind, layer in (("c2p", self._position_key), ("p2c", self._position_query)):
                if kind in self.kinds:
                    layer.build((None, None, dim))
        span = self.buckets or self.max_distance
        far = np.arange(-self.max_distance + 1, self.max_distance)
        rows = buckets_of(far, self.buckets, self.max_distance) + span
        self._rows = np.clip(rows, 0, 2 * span - 1).astype("int32")  # of each distance, the farthest ahead first

    def call(self, query, relative, mask=None, return_attention_scores=None, training=False):
        time = ops.shape(query)[1]
        factor = (self._head_dim * (1 + len(self.kinds))) ** -0.5
        queries, keys, values = (self._in_heads(layer(query)) for layer in (self._query, self._key, self._value))
        queries = queries * factor
        scores = ops.matmul(queries, ops.swapaxes(keys, -1, -2))
        # A vector for each distance from time - 1 ahead to time - 1 behind; beyond the farthest they are all alike.
        far = ops.arange(2 * time - 1, dtype="int32") - (time - 1)
        far = ops.clip(far, 1 - self.max_distance, self.max_distance - 1)
        rows = ops.take(ops.convert_to_tensor(self._rows), far + (self.max_distance - 1))
        relative = ops.take(self._drop_position(relative, training=training), rows, axis=0)[None]
        if "c2p" in self.kinds:
            project = self._key if self.share_key else self._position_key
            found = ops.matmul(queries, ops.swapaxes(self._in_heads(project(relative)), -1, -2))
            scores = scores + _by_distance(ops.flip(found, -1))
        if "p2c" in self.kinds:
            project = self._query if self.share_key else self._position_query
            found = ops.matmul(keys, ops.swapaxes(self._in_heads(project(relative)) * factor, -1, -2))
            scores = scores + ops.swapaxes(_by_distance(found), -1, -2)
        if mask is not None:
            scores = scores + hidden_where_false(mask, self.compute_dtype)[:, None, None]
        weights = softmax(scores)
        y = self._mixed(weights, values, training)
        return (y, weights) if self._returns_scores(return_attention_scores) else y

    def compute_output_spec(self, query, relative, mask=None, return_attention_scores=None, training=False):
        return super().compute_output_spec(query, return_attention_scores=return_attention_scores)

    def get_config(self):
        return {
            **layers.Layer.get_config(self),
            "num_heads": self.num_heads,
            "kinds": self.kinds,
            "buckets": self.buckets,
            "max_distance": self.max_distance,
            "share_key": self.share_key,
            "use_key_bias": self.use_key_bias,
            "dropout": self.dropout,
            "position_dropout": self.position_dropout,
            "return_attention_scores": self.return_attention_scores,
        }


def _by_distance(scores):
    """Returns scores of pairs of places, given those of a place and each distance: row i, column i + j - time + 1.

    Shape:
        in: (batch, heads, time, 2 * time - 1)
        out: (batch, heads, time, time), of place i and j what stands at time - 1 - i + j
    """
    heads, time = scores.shape[1], ops.shape(scores)[2]
    flat = ops.reshape(ops.pad(scores, ((0, 0), (0, 0), (0, 0), (0, 1))), (-1, heads, 2 * time * time))
    flat = flat[:, :, time - 1 : time - 1 + time * (2 * time - 1)]
    return ops.reshape(flat, (-1, heads, time, 2 * time - 1))[..., :time]
