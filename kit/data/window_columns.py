"""Columns of windows: stretches of one length of a long array, of which nothing is copied until a batch is made."""

import numpy as np

from kit.data.columns import Dense


class Windows:
    """Column of windows of an array, such as the past of each time of a series.

    Args:
        flat: All rows, one after the other, (rows, ...).
        starts: Row at which each window begins, (examples,).
        length: Rows of a window.
    """

    has_fixed_shape = True

    def __init__(self, flat, starts, length):
        self.flat, self.starts, self.length = flat, np.asarray(starts, "int64"), int(length)

    def __len__(self):
        return len(self.starts)

    def take(self, rows):
        """Returns the windows of rows, (batch, length, ...)."""
        return self.flat[self.starts[rows][:, None] + np.arange(self.length)]

    def values(self, rows=None):
        """Returns the windows of rows, or of all, in memory."""
        return self.take(np.arange(len(self)) if rows is None else rows)

    def spec(self, batch_size=None):
        """Returns the `tf.TensorSpec` of a batch."""
        import tensorflow as tf

        return tf.TensorSpec((batch_size, self.length, *self.flat.shape[1:]), self.flat.dtype)

    def joined(self, other, rows, other_rows):
        """Returns a column of rows of this one and then rows of another one."""
        return Dense(np.concatenate([self.values(rows), other.values(other_rows)]))

    def reader(self):
        """Returns a function from row numbers, a tensor, to a batch, a tensor."""
        import tensorflow as tf

        read = Dense(self.flat).reader()
        with tf.device("cpu"):
            starts, inside = tf.constant(self.starts), tf.range(self.length, dtype="int64")
        return lambda rows: read(tf.gather(starts, rows)[:, None] + inside)
