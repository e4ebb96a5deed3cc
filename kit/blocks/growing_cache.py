"""Caches of growing sequences: where the keys and values of new positions are put.

A cache that is rolling holds the newest positions alone, each at its number modulo the size of the cache.
"""

import contextlib
import contextvars

from keras import ops

# What puts a single position into a cache, where the engine can do so without a copy; see `put_by`.
_put = contextvars.ContextVar("put", default=None)


@contextlib.contextmanager
def put_by(function):
    """Lets a function put single positions into caches while a step is traced.

    Args:
        function: Takes the cache, the values of one position of each row (batch, heads, 1, dim), and that position, a
            scalar or one a row (batch,); returns the cache, which may be the same memory. None: a copy is made.
    """
    token = _put.set(function)
    try:
        yield
    finally:
        _put.reset(token)


def put(cache, values, position, places, is_real=None):
    """Returns a cache with the values of new positions in it, which was zero there where they are several.

    Args:
        cache: (batch, heads, max_length, dim)
        values: (batch, heads, time, dim)
        position: Place of the first of them, a scalar or one a row (batch,).
        places: Places of all of them, (time,) or (batch, time).
        is_real: Which of them are put in, (batch, time); None is all.
    """
    in_place = _put.get()
    if in_place is not None and is_real is None and values.shape[2] == 1:
        return in_place(cache, values, position)
    # slice_update would be many times slower on a CPU.
    cached = ops.arange(ops.shape(cache)[2], dtype="int32")
    is_here = ops.equal(cached[:, None], places[..., None, :])  # (..., max_length, time)
    if is_real is not None:
        is_here = ops.logical_and(is_here, is_real[:, None])
    is_here = is_here[:, None] if len(is_here.shape) == 3 else is_here
    if values.shape[2] == 1:
        return ops.where(is_here, values, cache)
    return cache + ops.matmul(ops.cast(is_here, cache.dtype), values)


def positions_held(newest, size):
    """Returns the position at each place of a rolling cache, negative where there is none, (size,) or (batch, size).

    Args:
        newest: The newest position in it, a scalar or one a row (batch,); negative before the first.
        size: How many positions it has room for.
    """
    newest = ops.expand_dims(newest, -1) if ops.ndim(newest) else newest
    return newest - ops.mod(newest - ops.arange(size, dtype="int32"), size)


def rolled(cache, values, position, newest):
    """Returns a rolling cache with the last of some new positions in it.

    Args:
        cache: (batch, heads, size, dim)
        values: (batch, heads, time, dim)
        position: Position of the first of them, a scalar or one a row (batch,).
        newest: Position of the last one that is put in, a scalar or one a row (batch,).
    """
    batch, _, size, _ = ops.shape(cache)
    newest = newest + ops.zeros((batch,), "int32")
    number = positions_held(newest, size) - (ops.expand_dims(position, -1) if ops.ndim(position) else position)
    number = number[:, None, :, None]  # (batch, 1, size, 1), of the new ones
    taken = ops.take_along_axis(values, ops.maximum(number, 0), axis=2)
    return ops.where(number >= 0, taken, cache)
