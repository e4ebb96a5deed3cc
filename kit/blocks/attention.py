"""Attention: every position takes from others what suits it; with a cache of keys and values for growing sequences."""

import keras
from keras import layers, ops

from kit.blocks.position import rotated
from kit.errors import check


def hidden_where_false(mask, dtype="float32"):
    """Returns 0 where a mask is true and a very low number elsewhere, to be added to scores."""
    lowest = -3e4 if dtype == "float16" else -1e9  # even several of them are no infinity, of which softmax makes NaN
    return ops.cast((1.0 - ops.cast(mask, "float32")) * lowest, dtype)


@keras.saving.register_keras_serializable("kit")
class Attention(layers.Layer):
    """Scaled dot-product attention with several heads.

    Vaswani et al., "Attention Is All You Need", 2017, section 3.2; fewer heads of keys and values than of queries:
    Ainslie et al., "GQA: Training Generalized Multi-Query Transformer Models", 2023; a window of neighbours: Beltagy et
    al., "Longformer", 2020; rotary positions: Su et al., "RoFormer", 2021.

    It computes what `keras.layers.MultiHeadAttention` and `GroupQueryAttention` do, which have neither rotary positions
    nor a cache, and knows how to grow by one position.

    Args:
        num_heads: Number of heads; divides the width of the queries.
        num_key_value_heads: Number of heads of keys and values, each shared by as many heads of queries; None is one
            for each head.
        is_causal: No position looks at a later one.
        window: A position looks only at those less than so many positions away; None is all.
        use_rotary: Turn queries and keys by their position, for self-attention.
        dropout: Share of the attention weights that is dropped while training.

    Shape:
        query: (batch, time, dim)
        memory: (batch, source, memory_dim); the query itself where there is none
        mask: (batch, source), True at positions that may be looked at
        out: (batch, time, dim), and the weights (batch, heads, time, source)

    Raises:
        SettingError: the heads do not divide what they have to, or a number is out of range.
    """

    def __init__(
        self,
        num_heads,
        *,
        num_key_value_heads=None,
        is_causal=False,
        window=None,
        use_rotary=False,
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        pairs = num_heads if num_key_value_heads is None else num_key_value_heads
        check(num_heads >= 1, "num_heads", num_heads, "at least 1")
        is_shared = pairs >= 1 and num_heads % pairs == 0
        check(is_shared, "num_key_value_heads", pairs, f"a divisor of num_heads ({num_heads})")
        check(window is None or window >= 1, "window", window, "at least 1")
        check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
        self.supports_masking = True  # it takes its mask as an argument and hands none on
        self.num_heads = num_heads
        self.num_key_value_heads = num_key_value_heads
        self.is_causal = is_causal
        self.window = window
        self.use_rotary = use_rotary
        self.dropout = dropout
        self._pairs = pairs
        self._dropout = layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, query_shape, memory_shape=None):
        dim, memory_dim = query_shape[-1], (memory_shape or query_shape)[-1]
        check(dim % self.num_heads == 0, "num_heads", self.num_heads, f"a divisor of the width ({dim})")
        self._head_dim = dim // self.num_heads
        check(not self.use_rotary or self._head_dim % 2 == 0, "num_heads", self.num_heads, "heads of an even width")
        self._query = layers.Dense(dim, dtype=self.dtype_policy, name="query")
        self._key = layers.Dense(self._pairs * self._head_dim, dtype=self.dtype_policy, name="key")
        self._value = layers.Dense(self._pairs * self._head_dim, dtype=self.dtype_policy, name="value")
        self._output = layers.Dense(dim, dtype=self.dtype_policy, name="output")
        self._query.build((None, None, dim))
        self._key.build((None, None, memory_dim))
        self._value.build((None, None, memory_dim))
        self._output.build((None, None, dim))
        self.built = True

    def call(self, query, memory=None, mask=None, training=False):
        keys, values = self.keys_values(query if memory is None else memory)
        bias = (
            None if mask is None else hidden_where_false(mask, self.compute_dtype)[:, None, None]
        )  # (batch, 1, 1, source)
        if self.is_causal or self.window:
            away = ops.arange(ops.shape(query)[1])[:, None] - ops.arange(ops.shape(keys)[2])  # (time, source)
            near = hidden_where_false(self._is_near(away), self.compute_dtype)[None, None]
            bias = near if bias is None else bias + near
        return self._attend(query, keys, values, bias, 0, training)

    def keys_values(self, memory, position=0):
        """Returns what is looked at.

        Args:
            memory: (batch, source, memory_dim)
            position: Place of its first position.

        Returns:
            Keys and values, each (batch, key_value_heads, source, head_dim).
        """
        keys, values = self._in_heads(self._key(memory)), self._in_heads(self._value(memory))
        return (rotated(keys, position) if self.use_rotary else keys), values

    def look(self, query, keys, values, mask):
        """Returns what the newest position of a growing sequence takes from a memory, and its weights.

        Args:
            query: (batch, 1, dim)
            keys, values: What `keys_values` returned.
            mask: (batch, source)
        """
        return self._attend(query, keys, values, hidden_where_false(mask, self.compute_dtype)[:, None, None], 0, False)

    def grow(self, query, position, keys, values):
        """Puts the newest position of a growing sequence into the cache and lets it look back.

        Args:
            query: (batch, 1, dim)
            position: Its place, a scalar.
            keys, values: The cache, (batch, key_value_heads, max_length, head_dim).

        Returns:
            Output (batch, 1, dim), weights (batch, heads, 1, max_length), and the new cache.
        """
        key, value = self.keys_values(query, position)
        # The cache is zero there; slice_update would be many times slower on a CPU.
        is_here = ops.cast(ops.arange(ops.shape(keys)[2]) == position, keys.dtype)[:, None]  # (max_length, 1)
        keys, values = keys + is_here * key, values + is_here * value
        near = self._is_near(position - ops.arange(ops.shape(keys)[2]))
        bias = hidden_where_false(near, self.compute_dtype)[None, None, None]
        y, weights = self._attend(query, keys, values, bias, position, False)
        return y, weights, keys, values

    def empty_cache(self, batch, max_length):
        """Returns keys and values of no position, each (batch, key_value_heads, max_length, head_dim)."""
        shape = (batch, self._pairs, max_length, self._head_dim)
        return ops.zeros(shape, self.compute_dtype), ops.zeros(shape, self.compute_dtype)

    def _in_heads(self, x):
        """Returns (batch, time, heads * head_dim) as (batch, heads, time, head_dim)."""
        x = ops.reshape(x, (-1, ops.shape(x)[1], x.shape[-1] // self._head_dim, self._head_dim))
        return ops.transpose(x, (0, 2, 1, 3))

    def _is_near(self, away):
        """Tells for distances, how far back another position is, whether it may be looked at."""
        near = away >= 0 if self.is_causal else away == away
        return ops.logical_and(near, ops.abs(away) < self.window) if self.window else near

    def _attend(self, query, keys, values, bias, position, training):
        time, groups = ops.shape(query)[1], self.num_heads // self._pairs
        # Scaled before the product: TensorFlow would fuse product, scale and mask into an operation that is far slower
        # than the three on a CPU.
        queries = self._in_heads(self._query(query) * self._head_dim**-0.5)  # (batch, heads, time, head_dim)
        if self.use_rotary:
            queries = rotated(queries, position)
        if groups > 1:
            queries = ops.reshape(queries, (-1, self._pairs, groups * time, self._head_dim))
        scores = ops.matmul(queries, ops.swapaxes(keys, -1, -2))
        if groups > 1:
            scores = ops.reshape(scores, (-1, self.num_heads, time, ops.shape(keys)[2]))
        if bias is not None:
            scores = scores + bias
        weights = ops.softmax(scores, axis=-1)  # (batch, heads, time, source)
        kept = self._dropout(weights, training=training)
        if groups > 1:
            kept = ops.reshape(kept, (-1, self._pairs, groups * time, ops.shape(keys)[2]))
        y = ops.matmul(kept, values)  # (batch, key_value_heads, groups * time, head_dim)
        if groups > 1:
            y = ops.reshape(y, (-1, self.num_heads, time, self._head_dim))
        y = ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (-1, time, self.num_heads * self._head_dim))
        return self._output(y), weights

    def compute_mask(self, query, memory=None, mask=None, previous_mask=None):
        return None

    def compute_output_shape(self, query_shape, memory_shape=None):
        source = (memory_shape or query_shape)[1]
        return query_shape, (query_shape[0], self.num_heads, query_shape[1], source)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "is_causal": self.is_causal,
            "window": self.window,
            "use_rotary": self.use_rotary,
            "dropout": self.dropout,
        }
