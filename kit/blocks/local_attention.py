"""Attention of each position to a window of neighbours, in chunks, at a cost of time * window.

Beltagy, Peters and Cohan, "Longformer: The Long-Document Transformer", 2020, section 3.1 and appendix A.
"""

import numpy as np
from keras import ops

from kit.blocks.masking import hidden_where_false

# From so many windows on chunks are faster than all positions at once with most of them hidden (CPU, forward and back).
_FROM_WINDOWS = 6


def pays(time, window):
    """Tells whether a sequence is long enough for chunks to be faster; a bool, or a tensor where the length is one."""
    return time > _FROM_WINDOWS * window


def attend_locally(queries, keys, values, mask, window, is_causal, transform):
    """Returns what each position takes from those less than a window away.

    Positions are cut into chunks as long as the window; those of a chunk see theirs, the one before it, and the one
    behind it where attention is not causal.

    Args:
        queries: Scaled queries.
        keys, values: What is looked at, by as many or fewer heads.
        mask: True at positions that may be looked at; None is all.
        window: A position looks only at those less than so many positions away.
        is_causal: No position looks at a later one.
        transform: Function that the weights pass through, such as dropout.

    Shape:
        queries, out: (batch, heads, time, head_dim)
        keys, values: (batch, key_value_heads, time, head_dim)
        mask: (batch, time)
    """
    batch, _, time, _ = ops.shape(queries)
    heads, pairs, head_dim = queries.shape[1], keys.shape[1], queries.shape[3]
    groups, chunks = heads // pairs, (time + window - 1) // window
    sides = 1 if is_causal else 2
    seen = (1 + sides) * window

    def in_chunks(x):
        """Returns (batch, any, time, head_dim) as (batch, any, chunks, window, head_dim), the rest zeros."""
        rest = ops.zeros((batch, x.shape[1], chunks * window - time, head_dim), x.dtype)
        return ops.reshape(ops.concatenate([x, rest], axis=2), (-1, x.shape[1], chunks, window, head_dim))

    def with_neighbours(x, axis):
        """Returns chunks beside those before and behind them, joined along the axis after theirs."""
        zeros = ops.zeros_like(ops.take(x, [0], axis=axis))
        around = ops.concatenate([zeros, x, zeros] if sides == 2 else [zeros, x], axis=axis)
        start = [slice(None)] * axis
        shifted = [around[(*start, slice(offset, offset + chunks))] for offset in range(1 + sides)]
        return ops.concatenate(shifted, axis=axis + 1)

    q = ops.reshape(in_chunks(queries), (-1, pairs, groups, chunks, window, head_dim))
    q = ops.reshape(ops.transpose(q, (0, 1, 3, 2, 4, 5)), (-1, pairs, chunks, groups * window, head_dim))
    k, v = (with_neighbours(in_chunks(each), 2) for each in (keys, values))  # (batch, pairs, chunks, seen, head_dim)
    away = np.tile(np.arange(window), groups)[:, None] + window - np.arange(seen)  # how far back, (.., seen)
    is_near = (away >= 0 if is_causal else away > -window) & (away < window)
    real = ops.ones((1, time), "bool") if mask is None else ops.cast(mask, "bool")
    rest = ops.zeros((ops.shape(real)[0], chunks * window - time), "bool")
    real = with_neighbours(ops.reshape(ops.concatenate([real, rest], axis=1), (-1, chunks, window)), 1)
    hidden = hidden_where_false(ops.logical_and(real[:, None, :, None], is_near), queries.dtype)
    scores = ops.matmul(q, ops.swapaxes(k, -1, -2)) + hidden  # (batch, pairs, chunks, groups * window, seen)
    y = ops.matmul(transform(ops.softmax(scores, axis=-1)), v)
    y = ops.reshape(y, (-1, pairs, chunks, groups, window, head_dim))
    y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, heads, chunks * window, head_dim))
    return y[:, :, :time]
