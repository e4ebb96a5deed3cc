"""Caches that are written where they are, without a copy for each token."""

import functools

from keras import tree

from kit import backend
from kit.blocks import growing_cache


def in_place(function):
    """Returns a function whose caches are written where they are while it is traced, on a CPU without any copy."""
    if not backend.is_tensorflow():
        return function  # XLA sees by itself that nobody reads what was there

    import tensorflow as tf

    def put(cache, values, position):
        batch, heads, time = tf.unstack(tf.shape(cache)[:3])
        dim = cache.shape[-1]
        place = position[:, None] if len(position.shape) == 1 else position
        rows = tf.reshape(tf.range(batch * heads), (batch, heads)) * time + place
        # What was there is never read again: positions behind the newest one are hidden.
        flat = tf.raw_ops.InplaceUpdate(
            x=tf.reshape(cache, (-1, dim)), i=tf.reshape(rows, (-1,)), v=tf.reshape(values, (-1, dim))
        )
        return tf.reshape(flat, tf.shape(cache))

    @functools.wraps(function)
    def traced(*arguments):
        with growing_cache.put_by(put if _pays() else None):
            return function(*arguments)

    return traced


def own(state):
    """Returns a state whose caches are this call's own: a constant would be one for all calls."""
    if not backend.is_tensorflow():
        return state

    import tensorflow as tf

    if not _pays():
        return state
    return {**state, "moving": tree.map_structure(lambda part: tf.raw_ops.DeepCopy(x=part), state["moving"])}


def _pays():
    """Tells whether there is no GPU, where a copy takes no time."""
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")
