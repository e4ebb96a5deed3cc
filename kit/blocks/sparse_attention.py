"""Block-sparse attention (BigBird): blocks of a window, global ones and random ones, at a cost that grows with time.

Zaheer et al., "Big Bird: Transformers for Longer Sequences", 2020, section 2 and appendix D.
"""

import functools

import keras
import numpy as np
from keras import ops

from kit.blocks.attention import Attention
from kit.blocks.masking import hidden_where_false
from kit.errors import check


@keras.saving.register_keras_serializable("kit")
class BlockSparseAttention(Attention):
    """Self-attention in which a block of positions looks at its neighbours, the first, the last, and random blocks.

    The first and the last block look at all. A sequence that is no multiple of a block is padded inside. One of at most
    (5 + 2 * num_random_blocks) * block_size positions looks at all of itself, as the published code has it.

    The last block is that of the whole batch, padding included, as in the published code: a short sequence that is
    padded by a block or more has no last block to look at.

    Args:
        num_heads: Number of heads; divides the width.
        block_size: Number of positions of a block.
        num_random_blocks: Number of random blocks that a block looks at, each head at its own.
        max_length: Most positions of a sequence.
        draws: When random blocks are drawn: "always", or "training", with the first block in their places otherwise, as
            `transformers` has it: it then counts once more for each of them.
        seed: Seed of the random blocks, which are the same in every step.
        use_qkv_bias: Add biases to queries, keys and values.
        dropout: Share of the attention weights that is dropped while training.

    Call arguments:
        query: The sequence.
        mask: True at positions that may be looked at; None is all.
        bias: None; there is no place for it.
        return_attention_scores: Return the weights too, at a cost of time * time.

    Shape:
        query, out: (batch, time, dim)
        mask: (batch, time)
        weights: (batch, heads, time, time)

    Raises:
        SettingError: a number is out of range.
    """

    def __init__(
        self,
        num_heads,
        *,
        block_size=64,
        num_random_blocks=3,
        max_length=4096,
        draws="always",
        seed=0,
        use_qkv_bias=True,
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(num_heads, use_qkv_bias=use_qkv_bias, dropout=dropout, **kwargs)
        check(block_size >= 1, "block_size", block_size, "at least 1")
        check(num_random_blocks >= 0, "num_random_blocks", num_random_blocks, "at least 0")
        check(max_length >= 1, "max_length", max_length, "at least 1")
        check(draws in ("always", "training"), "draws", draws, "'always' or 'training'")
        self.block_size = block_size
        self.num_random_blocks = num_random_blocks
        self.max_length = max_length
        self.draws = draws
        self.seed = seed

    def build(self, query_shape):
        super().build(query_shape)
        blocks = max(-(-self.max_length // self.block_size), 3)
        # Which blocks are taken first; more columns than blocks, so that there are always enough to choose from.
        self._order = np.random.default_rng(self.seed).random(
            (self.num_heads, blocks, blocks + self.num_random_blocks), "float32"
        )

    def call(self, query, mask=None, bias=None, return_attention_scores=None, training=False):
        check(bias is None, "bias", "a tensor", "None: attention is block-sparse")
        keys, values = self.keys_values(query)
        queries, time = self._queries(query), ops.shape(query)[1]
        most = (5 + 2 * self.num_random_blocks) * self.block_size  # what is no longer is looked at as a whole
        is_long = time > most

        def weights(length=None, bias=None):
            seen = None if mask is None else mask[:, :length]
            some = queries[:, :, :length], keys[:, :, :length]
            return self._weights(*some, self._hidden(seen, bias, *some))

        def all_at_once(length=None):
            kept = self._dropout(weights(length), training=training)
            return ops.matmul(kept, values[:, :, :length])

        def in_blocks():
            return self._in_blocks(queries, keys, values, mask, training)

        if isinstance(is_long, bool):
            y = in_blocks() if is_long else all_at_once()
        else:
            # Both, where the length is known later: XLA compiles no gradient of `ops.cond`. All at once costs no more
            # than for `most` positions.
            y = ops.where(is_long, in_blocks(), _padded(all_at_once(most), 2, time))
        y = self._merged(y)
        if not self._returns_scores(return_attention_scores):
            return y
        # In a compiled network the weights cost nothing where nobody reads them.
        bias = ops.where(is_long, self._dense_bias(time, training), ops.cast(0, self.compute_dtype))
        return y, weights(bias=bias)

    def _random_blocks(self, blocks, training):
        """Returns the numbers of the random blocks of each block, (heads, blocks, num_random_blocks)."""
        if self.draws == "training" and not training:
            return ops.zeros((self.num_heads, blocks, self.num_random_blocks), "int32")
        order = ops.convert_to_tensor(self._order)[:, :blocks]
        own, other = ops.arange(blocks, dtype="int32")[:, None], ops.arange(order.shape[2], dtype="int32")
        is_free = ops.logical_and(ops.abs(own - other) > 1, ops.logical_and(other > 0, other < blocks - 1))
        _, found = ops.top_k(order - 2 * ops.cast(ops.logical_not(is_free), "float32"), self.num_random_blocks)
        return ops.minimum(ops.cast(found, "int32"), blocks - 1)

    def _dense_bias(self, time, training):
        """Returns what full attention would have to add to its scores to be the same, (1, heads, time, time).

        It is the logarithm of how often a position is looked at: that of 0 is very low.
        """
        size = self.block_size
        blocks = _blocks(time, size)
        own, other = ops.arange(blocks, dtype="int32")[:, None], ops.arange(blocks, dtype="int32")
        is_global = ops.logical_or(other == 0, other == blocks - 1)
        seen = ops.cast(ops.logical_or(is_global, ops.abs(own - other) <= 1), "float32")
        drawn = self._random_blocks(blocks, training)[..., None]
        count = seen + ops.sum(ops.cast(drawn == other, "float32"), axis=2)  # (heads, blocks, blocks)
        count = ops.where(ops.logical_or(own == 0, own == blocks - 1), 1.0, count)
        count = ops.repeat(ops.repeat(count, size, axis=1), size, axis=2)[:, :time, :time]
        hidden = hidden_where_false(count > 0, self.compute_dtype)
        return (ops.cast(ops.log(ops.maximum(count, 1.0)), self.compute_dtype) + hidden)[None]

    def _in_blocks(self, queries, keys, values, mask, training):
        """Returns what the heads find, (batch, heads, time, head_dim), at a cost of time * block_size."""
        batch, _, time, _ = ops.shape(queries)
        heads, dim, size, random = self.num_heads, self._head_dim, self.block_size, self.num_random_blocks
        blocks = _blocks(time, size)
        drop = functools.partial(self._dropout, training=training)
        real = ops.ones((batch, time), "bool") if mask is None else ops.cast(mask, "bool")
        hidden = hidden_where_false(_padded(real, 1, blocks * size), queries.dtype)  # (batch, blocks * size)
        q, k, v = (_padded(x, 2, blocks * size) for x in (queries, keys, values))
        q, k, v = (ops.reshape(x, (-1, heads, blocks, size, dim)) for x in (q, k, v))
        hidden_blocks = ops.reshape(hidden, (-1, blocks, size))

        def neighbours(x, axis):
            """Returns each block beside the one before and the one behind it, joined along the axis after theirs."""
            zeros = ops.zeros_like(ops.take(x, [0], axis=axis))
            around = ops.concatenate([zeros, x, zeros], axis=axis)
            start = [slice(None)] * axis
            return ops.concatenate([around[(*start, slice(k, k + blocks))] for k in range(3)], axis=axis + 1)

        def ends(x, axis):
            """Returns the first and the last block, joined."""
            last = x[(*[slice(None)] * axis, slice(-1, None))]
            return ops.concatenate([ops.take(x, [0], axis=axis), last], axis=axis + 1)

        # A neighbour that is the first or the last block, or none, is not looked at a second time.
        place = ops.arange(blocks, dtype="int32")[:, None] + np.repeat([-1, 0, 1], size)
        is_inner = ops.logical_and(place > 0, place < blocks - 1)  # (blocks, 3 * size)
        of_near = neighbours(hidden_blocks, 1) + hidden_where_false(is_inner, queries.dtype)
        of_ends = ends(hidden_blocks, 1)[:, None, :, None]
        seen = [(neighbours(k, 2), neighbours(v, 2), of_near[:, None, :, None]), (ends(k, 2), ends(v, 2), of_ends)]
        if random:
            drawn = self._random_blocks(blocks, training)
            rows = ops.reshape(drawn + blocks * ops.arange(heads, dtype="int32")[:, None, None], (-1,))

            def randoms(x):
                x = ops.take(ops.reshape(x, (-1, heads * blocks, size * dim)), rows, axis=1)
                return ops.reshape(x, (-1, heads, blocks, random * size, dim))

            of_random = ops.take(hidden_blocks, ops.reshape(drawn, (-1,)), axis=1)
            of_random = ops.reshape(of_random, (-1, heads, blocks, 1, random * size))
            seen.append((randoms(k), randoms(v), of_random))
        scores = [ops.matmul(q, ops.swapaxes(each, -1, -2)) + hide for each, _, hide in seen]
        weights = drop(ops.softmax(ops.concatenate(scores, axis=-1), axis=-1))
        parts = ops.split(weights, [3 * size, 5 * size][: len(seen) - 1], axis=-1)
        y = sum(ops.matmul(part, each) for part, (_, each, _) in zip(parts, seen, strict=True))
        # The first and the last block look at all.
        k, v = (ops.reshape(x, (-1, heads, blocks * size, dim)) for x in (k, v))
        scores = ops.matmul(ends(q, 2)[:, :, 0], ops.swapaxes(k, -1, -2)) + hidden[:, None, None]
        at_ends = ops.matmul(drop(ops.softmax(scores, axis=-1)), v)  # (batch, heads, 2 * size, head_dim)
        inner = ops.reshape(y[:, :, 1:-1], (batch, heads, (blocks - 2) * size, dim))
        return ops.concatenate([at_ends[:, :, :size], inner, at_ends[:, :, size:]], axis=2)[:, :, :time]

    def compute_output_spec(self, query, mask=None, bias=None, return_attention_scores=None, training=False):
        return super().compute_output_spec(query, return_attention_scores=return_attention_scores)

    def get_config(self):
        return {
            **keras.layers.Layer.get_config(self),
            "num_heads": self.num_heads,
            "block_size": self.block_size,
            "num_random_blocks": self.num_random_blocks,
            "max_length": self.max_length,
            "draws": self.draws,
            "seed": self.seed,
            "use_qkv_bias": self.use_qkv_bias,
            "dropout": self.dropout,
            "return_attention_scores": self.return_attention_scores,
        }


def _blocks(time, size):
    """Returns the number of blocks; at least 3, of which short sequences of unknown length are made, too."""
    blocks = (time + size - 1) // size
    return max(blocks, 3) if isinstance(blocks, int) else ops.maximum(blocks, 3)


def _padded(x, axis, length):
    """Returns a tensor with zeros behind it along an axis."""
    rest = list(ops.shape(x))
    rest[axis] = length - rest[axis]
    return ops.concatenate([x, ops.zeros(tuple(rest), x.dtype)], axis=axis)
