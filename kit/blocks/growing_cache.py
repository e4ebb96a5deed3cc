"""Caches of growing sequences: where the keys and values of new positions are put."""

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
    """Returns a cache with the values of new positions in it, which was zero there.

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
    cached = ops.arange(ops.shape(cache)[2])
    is_here = ops.cast(cached[:, None] == places[..., None, :], cache.dtype)  # (..., max_length, time)
    if is_real is not None:
        is_here = is_here * ops.cast(is_real, cache.dtype)[:, None]
    is_here = is_here[:, None] if len(is_here.shape) == 3 else is_here
    return cache + (ops.multiply if values.shape[2] == 1 else ops.matmul)(is_here, values)
