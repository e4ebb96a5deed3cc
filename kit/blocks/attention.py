"""Attention: every position takes from others what suits it; with a cache of keys and values for growing sequences."""

import functools

import keras
from keras import layers, ops

from kit.blocks.growing_cache import positions_held, put, rolled
from kit.blocks.local_attention import attend_locally, pays
from kit.blocks.masking import hidden_where_false, softmax
from kit.blocks.position import positions_from, rotated
from kit.errors import check


@keras.saving.register_keras_serializable("kit")
class Attention(layers.Layer):
    """Scaled dot-product attention with several heads.

    Vaswani et al., "Attention Is All You Need", 2017, section 3.2; fewer heads of keys and values than of queries:
    Ainslie et al., "GQA: Training Generalized Multi-Query Transformer Models", 2023; a window of neighbours: Beltagy et
    al., "Longformer", 2020; rotary positions: Su et al., "RoFormer", 2021; normalised queries and keys: Dehghani et
    al., "Scaling Vision Transformers to 22 Billion Parameters", 2023.

    It computes what `keras.layers.MultiHeadAttention` and `GroupQueryAttention` do, which have neither rotary positions
    nor a cache, and knows how to grow by new positions. Long sequences with a window cost time * window, where `bias`
    is None.

    Args:
        num_heads: Number of heads; divides the width of the queries where `head_dim` is None.
        num_key_value_heads: Number of heads of keys and values, each shared by as many heads of queries; None is one
            for each head.
        head_dim: Width of a head; None is the width of the queries divided by the number of heads.
        is_causal: No position looks at a later one.
        window: A position looks only at those less than so many positions away; None is all.
        use_rotary: Turn queries and keys by their position, for self-attention.
        rotary_wavelength: Length of the slowest turn, in positions, divided by 2 pi.
        use_bias: Add biases in the four dense layers.
        use_qkv_bias: Add biases to queries, keys and values; None is as `use_bias`.
        use_query_key_norm: Divide each head's queries and keys by their root mean square, times a learned scale.
        epsilon: Small number in that normalisation.
        is_scaled: Divide the scores by the root of the width of a head; otherwise the weights of queries begin smaller
            by as much.
        dropout: Share of the attention weights that is dropped while training.
        return_attention_scores: What a call returns that does not say.

    Call arguments:
        query: Sequence whose positions look.
        memory: Sequence that is looked at; the query itself where there is none.
        mask: True at positions that may be looked at; None is all.
        bias: Added to the scores in front of the softmax: relative positions (T5, ALiBi), documents kept apart.
        return_attention_scores: Return the weights too.

    Shape:
        query: (batch, time, dim)
        memory: (batch, source, memory_dim)
        mask: (batch, source)
        bias: (batch or 1, heads or 1, time or 1, source)
        out: (batch, time, dim); where asked for also the weights (batch, heads, time, source), before dropout

    Raises:
        SettingError: the heads do not divide what they have to, or a number is out of range.
    """

    _has_key_bias = True  # False where queries and values alone have biases

    def __init__(
        self,
        num_heads,
        *,
        num_key_value_heads=None,
        head_dim=None,
        is_causal=False,
        window=None,
        use_rotary=False,
        rotary_wavelength=10000.0,
        use_bias=True,
        use_qkv_bias=None,
        use_query_key_norm=False,
        epsilon=1e-6,
        is_scaled=True,
        dropout=0.0,
        return_attention_scores=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        pairs = num_heads if num_key_value_heads is None else num_key_value_heads
        check(num_heads >= 1, "num_heads", num_heads, "at least 1")
        is_shared = pairs >= 1 and num_heads % pairs == 0
        check(is_shared, "num_key_value_heads", pairs, f"a divisor of num_heads ({num_heads})")
        check(head_dim is None or head_dim >= 1, "head_dim", head_dim, "at least 1")
        check(window is None or window >= 1, "window", window, "at least 1")
        check(rotary_wavelength > 0, "rotary_wavelength", rotary_wavelength, "a number above 0")
        check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
        self.supports_masking = True  # it takes its mask as an argument and hands none on
        self.num_heads = num_heads
        self.num_key_value_heads = num_key_value_heads
        self.head_dim = head_dim
        self.is_causal = is_causal
        self.window = window
        self.use_rotary = use_rotary
        self.rotary_wavelength = rotary_wavelength
        self.use_bias = use_bias
        self.use_qkv_bias = use_qkv_bias
        self.use_query_key_norm = use_query_key_norm
        self.epsilon = epsilon
        self.is_scaled = is_scaled
        self.dropout = dropout
        self.return_attention_scores = return_attention_scores
        self._pairs = pairs
        self._is_rolling = bool(is_causal and window)  # the cache
        self._dropout = layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, query_shape, memory_shape=None):
        dim, memory_dim = query_shape[-1], (memory_shape or query_shape)[-1]
        if self.head_dim is None:
            check(dim % self.num_heads == 0, "num_heads", self.num_heads, f"a divisor of the width ({dim})")
        self._head_dim = self.head_dim or dim // self.num_heads
        check(not self.use_rotary or self._head_dim % 2 == 0, "num_heads", self.num_heads, "heads of an even width")
        use_bias = self.use_bias if self.use_qkv_bias is None else self.use_qkv_bias
        query_dim, key_dim = self.num_heads * self._head_dim, self._pairs * self._head_dim
        self._factor = self._head_dim**-0.5 if self.is_scaled else 1.0
        start = "glorot_uniform" if self.is_scaled else _smaller_glorot(self._head_dim)
        self._query = layers.Dense(
            query_dim, use_bias=use_bias, kernel_initializer=start, dtype=self.dtype_policy, name="query"
        )
        has_bias = use_bias and self._has_key_bias
        self._key = layers.Dense(key_dim, use_bias=has_bias, dtype=self.dtype_policy, name="key")
        self._value = layers.Dense(key_dim, use_bias=use_bias, dtype=self.dtype_policy, name="value")
        self._output = layers.Dense(dim, use_bias=self.use_bias, dtype=self.dtype_policy, name="output")
        self._query.build((None, None, dim))
        self._key.build((None, None, memory_dim))
        self._value.build((None, None, memory_dim))
        self._output.build((None, None, query_dim))
        if self.use_query_key_norm:
            self._query_norm, self._key_norm = (
                layers.RMSNormalization(epsilon=self.epsilon, dtype=self.dtype_policy, name=name)
                for name in ("query_norm", "key_norm")
            )
            self._query_norm.build((None, None, None, self._head_dim))
            self._key_norm.build((None, None, None, self._head_dim))
        self.built = True

    def call(self, query, memory=None, mask=None, bias=None, return_attention_scores=None, training=False):
        keys, values = self.keys_values(query if memory is None else memory)
        queries = self._queries(query)

        def weights():
            return self._weights(queries, keys, self._hidden(mask, bias, queries, keys))

        def all_at_once():
            return self._mixed(weights(), values, training)

        def in_chunks():
            drop = functools.partial(self._dropout, training=training)
            return self._merged(attend_locally(queries, keys, values, mask, self.window, self.is_causal, drop))

        if self.window and memory is None and bias is None:
            is_long = pays(ops.shape(query)[1], self.window)
            if isinstance(is_long, bool):
                y = in_chunks() if is_long else all_at_once()
            else:
                y = ops.cond(is_long, in_chunks, all_at_once)
            # In a compiled network the weights cost nothing where nobody reads them.
            return (y, weights()) if self._returns_scores(return_attention_scores) else y
        found = weights()
        y = self._mixed(found, values, training)
        return (y, found) if self._returns_scores(return_attention_scores) else y

    def keys_values(self, memory, position=0):
        """Returns what is looked at.

        Args:
            memory: (batch, source, memory_dim)
            position: Place of its first position, a scalar or one a row (batch,).

        Returns:
            Keys and values, each (batch, key_value_heads, source, head_dim).
        """
        keys, values = self._in_heads(self._key(memory)), self._in_heads(self._value(memory))
        keys = self._key_norm(keys) if self.use_query_key_norm else keys
        return (rotated(keys, position, self.rotary_wavelength) if self.use_rotary else keys), values

    def look(self, query, keys, values, mask=None):
        """Returns what new positions of a growing sequence take from a memory, and their weights.

        Args:
            query: (batch, time, dim)
            keys, values: What `keys_values` returned.
            mask: (batch, source), or None.

        Returns:
            Output (batch, time, dim) and weights (batch, heads, time, source).
        """
        bias = None if mask is None else hidden_where_false(mask, self.compute_dtype)[:, None, None]
        weights = self._weights(self._queries(query), keys, bias)
        return self._mixed(weights, values, False), weights

    def grow(self, query, position, keys, values, *, bias=None, lengths=None):
        """Puts new positions of growing sequences into the cache and lets them look back.

        Args:
            query: (batch, time, dim), time new positions, mostly one
            position: Place of the first of them, a scalar or one a row (batch,).
            keys, values: The cache, (batch, key_value_heads, cached, head_dim), see `empty_cache`.
            bias: Added to the scores, (batch or 1, heads or 1, time or 1, cached); or None, as it is where the cache is
                of the window's size.
            lengths: How many of a row's new positions are real and stay in the cache, (batch,); None is all.

        Returns:
            Output (batch, time, dim), weights (batch, heads, time, seen positions), and the new cache.
        """
        key, value = self.keys_values(query, position)
        places = positions_from(position, ops.shape(query)[1])  # (time,) or (batch, time)
        if self._is_rolling:
            check(bias is None, "bias", "a tensor", "None, where the cache is of the window's size")
            seen, source, keys, values = _rolled_on(keys, values, key, value, position, places, lengths)
        else:
            order = ops.arange(ops.shape(query)[1], dtype="int32")
            is_real = None if lengths is None else order < lengths[:, None]  # (batch, time)
            keys, values = (put(cache, new, position, places, is_real) for cache, new in ((keys, key), (values, value)))
            seen, source = (keys, values), ops.arange(ops.shape(keys)[2], dtype="int32")
        is_near = self._is_near(places[..., None] - source[..., None, :])
        if self._is_rolling:  # places that hold no position yet
            is_near = ops.logical_and(is_near, source[..., None, :] >= 0)
        hidden = hidden_where_false(is_near, self.compute_dtype)
        hidden = hidden[:, None] if len(hidden.shape) == 3 else hidden[None, None]  # (batch or 1, 1, time, seen)
        hidden = hidden if bias is None else hidden + ops.cast(bias, self.compute_dtype)
        weights = self._weights(self._queries(query, position), seen[0], hidden)
        return self._mixed(weights, seen[1], False), weights, keys, values

    def empty_cache(self, batch, max_length):
        """Returns keys and values of no position, each (batch, key_value_heads, cached, head_dim).

        That is room for `max_length` positions; for those of the window where it is shorter and nothing looks ahead,
        whatever the length: the newest ones take the places of the oldest.
        """
        if self._is_rolling:
            is_known = isinstance(max_length, int)
            max_length = min(max_length, self.window) if is_known else ops.minimum(max_length, self.window)
        shape = (batch, self._pairs, max_length, self._head_dim)
        return ops.zeros(shape, self.compute_dtype), ops.zeros(shape, self.compute_dtype)

    def _returns_scores(self, asked):
        return self.return_attention_scores if asked is None else asked

    def _in_heads(self, x):
        """Returns (batch, time, heads * head_dim) as (batch, heads, time, head_dim)."""
        x = ops.reshape(x, (-1, ops.shape(x)[1], x.shape[-1] // self._head_dim, self._head_dim))
        return ops.transpose(x, (0, 2, 1, 3))

    def _is_near(self, away):
        """Tells for distances, how far back another position is, whether it may be looked at."""
        near = away >= 0 if self.is_causal else away == away
        return ops.logical_and(near, ops.abs(away) < self.window) if self.window else near

    def _hidden(self, mask, bias, queries, keys):
        """Returns what is added to the scores, (batch or 1, heads or 1, time or 1, source), or None."""
        parts = []
        if mask is not None:
            parts.append(hidden_where_false(mask, self.compute_dtype)[:, None, None])  # (batch, 1, 1, source)
        if self.is_causal or self.window:
            own, seen = (ops.arange(ops.shape(each)[2], dtype="int32") for each in (queries, keys))
            away = own[:, None] - seen  # (time, source)
            parts.append(hidden_where_false(self._is_near(away), self.compute_dtype)[None, None])
        if bias is not None:
            parts.append(ops.cast(bias, self.compute_dtype))
        return sum(parts[1:], parts[0]) if parts else None

    def _queries(self, query, position=0):
        """Returns scaled queries (batch, heads, time, head_dim)."""
        # Scaled before the product: TensorFlow would fuse product, scale and mask into an operation that is far slower
        # than the three on a CPU.
        if self.use_query_key_norm:
            queries = self._query_norm(self._in_heads(self._query(query))) * self._factor
        else:
            queries = self._in_heads(self._query(query) * self._factor)
        return rotated(queries, position, self.rotary_wavelength) if self.use_rotary else queries

    def _weights(self, queries, keys, bias):
        """Returns attention weights (batch, heads, time, source)."""
        groups = self.num_heads // self._pairs
        if groups > 1:
            time = ops.shape(queries)[2]
            queries = ops.reshape(queries, (-1, self._pairs, groups * time, self._head_dim))
        scores = ops.matmul(queries, ops.swapaxes(keys, -1, -2))
        if groups > 1:
            scores = ops.reshape(scores, (-1, self.num_heads, time, ops.shape(keys)[2]))
        return softmax(scores if bias is None else scores + bias)

    def _mixed(self, weights, values, training):
        """Returns the output (batch, time, dim) for weights (batch, heads, time, source)."""
        groups = self.num_heads // self._pairs
        kept = self._dropout(weights, training=training)
        if groups > 1:
            time = ops.shape(weights)[2]
            kept = ops.reshape(kept, (-1, self._pairs, groups * time, ops.shape(values)[2]))
        y = ops.matmul(kept, values)  # (batch, key_value_heads, groups * time, head_dim)
        return self._merged(ops.reshape(y, (-1, self.num_heads, time, self._head_dim)) if groups > 1 else y)

    def _merged(self, y):
        """Returns the output (batch, time, dim) of what the heads found, (batch, heads, time, head_dim)."""
        y = ops.transpose(y, (0, 2, 1, 3))
        return self._output(ops.reshape(y, (-1, ops.shape(y)[1], self.num_heads * self._head_dim)))

    def compute_mask(self, query, previous_mask=None):
        return None

    def compute_output_spec(
        self, query, memory=None, mask=None, bias=None, return_attention_scores=None, training=False
    ):
        y = keras.KerasTensor(query.shape, self.compute_dtype)
        if not self._returns_scores(return_attention_scores):
            return y
        source = (query if memory is None else memory).shape[1]
        return y, keras.KerasTensor((query.shape[0], self.num_heads, query.shape[1], source), self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "head_dim": self.head_dim,
            "is_causal": self.is_causal,
            "window": self.window,
            "use_rotary": self.use_rotary,
            "rotary_wavelength": self.rotary_wavelength,
            "use_bias": self.use_bias,
            "use_qkv_bias": self.use_qkv_bias,
            "use_query_key_norm": self.use_query_key_norm,
            "epsilon": self.epsilon,
            "is_scaled": self.is_scaled,
            "dropout": self.dropout,
            "return_attention_scores": self.return_attention_scores,
        }

    @classmethod
    def from_config(cls, config):
        # A network that was saved before the weights had to be asked for has them as its layers' second outputs.
        return super().from_config({"return_attention_scores": True, **config})


def _rolled_on(keys, values, key, value, position, places, lengths):
    """Returns keys and values that new positions see, the positions of these, and the caches with the new ones."""
    size = ops.shape(keys)[2]
    if key.shape[2] == 1 and lengths is None:
        keys, values = (
            put(cache, new, position % size, places % size) for cache, new in ((keys, key), (values, value))
        )
        return (keys, values), positions_held(position, size), keys, values
    before, (batch, _, time, _) = positions_held(position - 1, size), ops.shape(key)
    source = [ops.broadcast_to(each, (batch, each.shape[-1] or ops.shape(each)[-1])) for each in (before, places)]
    seen = [ops.concatenate([cache, new], axis=2) for cache, new in ((keys, key), (values, value))]
    newest = position + (time if lengths is None else lengths) - 1
    keys, values = (rolled(cache, new, position, newest) for cache, new in ((keys, key), (values, value)))
    return seen, ops.concatenate(source, axis=-1), keys, values


def _smaller_glorot(head_dim):
    return keras.initializers.VarianceScaling(1 / head_dim, mode="fan_avg", distribution="uniform")
