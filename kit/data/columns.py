"""Columns of examples: arrays of one shape, sequences of different lengths, and files; in memory or on disk.

A column has a length, and gives the values of rows: `take(rows)` as one batch, `values(rows)` for all that is done
outside of a network. `reader()` is the same inside a pipeline of TensorFlow, where every example has one shape.
"""

import functools

import numpy as np

from kit import backend

# Arrays up to so many bytes get one copy that TensorFlow reads fastest; larger ones are never copied.
_COPIED = 64_000_000
_ALIGNMENT = 64


def aligned(shape, dtype):
    """Returns an array that TensorFlow can read in place, which it does where the address is a multiple of 64 bytes."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + _ALIGNMENT, "uint8")
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def together(arrays):
    """Returns arrays one after the other; a single one is itself, not a copy."""
    if len(arrays) == 1:
        return arrays[0]
    shape = (sum(map(len, arrays)), *arrays[0].shape[1:])
    return np.concatenate(arrays, out=aligned(shape, np.result_type(*arrays)))


class Dense:
    """Column of values of one shape: an array in memory, or a memory map of one on disk.

    Args:
        array: (examples, ...); lists of Python objects may stand in it where no network is given them.
    """

    has_fixed_shape = True

    def __init__(self, array):
        self.array = array if isinstance(array, np.ndarray) else np.asarray(array)

    def __len__(self):
        return len(self.array)

    def take(self, rows):
        """Returns the values of rows, (batch, ...)."""
        return self.array[rows]

    def values(self, rows=None):
        """Returns the values of rows, or the array itself for all."""
        return self.array if rows is None else self.array[rows]

    def spec(self, batch_size=None):
        """Returns the `tf.TensorSpec` of a batch."""
        import tensorflow as tf

        return tf.TensorSpec((batch_size, *self.array.shape[1:]), self.array.dtype)

    def joined(self, other, rows, other_rows):
        """Returns a column of rows of this one and then rows of another one."""
        return Dense(np.concatenate([self.values(rows), other.values(other_rows)]))

    def reader(self):
        """Returns a function from row numbers, a tensor, to a batch, a tensor; it holds no copy of a large array."""
        import tensorflow as tf

        shared = self._shared
        if shared is not None:
            return lambda rows: tf.gather(shared, rows)
        return lambda rows: _by_numpy(self.take, rows, self.array.dtype, self.array.shape[1:])

    @functools.cached_property
    def _shared(self):
        """The array as a tensor that shares its memory, or a copy of a small one; None where neither can be."""
        import tensorflow as tf

        array = self.array
        with tf.device("cpu"):
            if not isinstance(array, np.memmap) and array.nbytes <= _COPIED:
                return tf.constant(array)
            is_plain = array.dtype.kind in "uif" and array.flags.c_contiguous and array.flags.writeable
            if is_plain and array.ctypes.data % _ALIGNMENT == 0:
                return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
        return None


class Files:
    """Column of files that are decoded when they are asked for.

    Args:
        paths: Path of each file; or what gives a list of files for rows, `paths[rows]`, as those of a pack do.
        decode: Function from a list of paths to their values, (batch, ...).
        shape: Shape of a value.
        dtype: Its type.
    """

    has_fixed_shape = True

    def __init__(self, paths, decode, shape, dtype="uint8"):
        self.paths = paths if hasattr(paths, "headers") else np.asarray(paths)
        self.decode, self.shape, self.dtype = decode, tuple(shape), np.dtype(dtype)

    def __len__(self):
        return len(self.paths)

    def take(self, rows):
        """Returns the decoded files of rows, (batch, ...)."""
        return self.decode(list(self.paths[rows]))

    def values(self, rows=None):
        """Returns the decoded files of rows, or of all, in memory."""
        return self.take(np.arange(len(self)) if rows is None else rows)

    def spec(self, batch_size=None):
        """Returns the `tf.TensorSpec` of a batch."""
        import tensorflow as tf

        return tf.TensorSpec((batch_size, *self.shape), self.dtype)

    def joined(self, other, rows, other_rows):
        """Returns a column of rows of this one and then rows of another one."""
        paths = [
            column.paths[slice(None) if part is None else part] for column, part in ((self, rows), (other, other_rows))
        ]
        return Files(np.concatenate(list(map(_as_objects, paths))), self.decode, self.shape, self.dtype)

    def reader(self):
        """Returns a function from row numbers, a tensor, to a batch, a tensor."""
        return lambda rows: _by_numpy(self.take, rows, self.dtype, self.shape)


def _as_objects(paths):
    """Returns files as an array; those of a pack are read."""
    if isinstance(paths, np.ndarray):
        return paths
    found = np.empty(len(paths), object)
    found[:] = paths
    return found


def _by_numpy(take, rows, dtype, shape):
    import tensorflow as tf

    found = tf.numpy_function(take, [rows], tf.as_dtype(dtype), stateful=False)
    return tf.ensure_shape(found, (rows.shape[0], *shape))


class Ragged:
    """Column of sequences of different lengths, such as tokens: flat values and the length of each sequence.

    Args:
        flat: Values of all sequences, one after the other, (positions, ...).
        lengths: Length of each sequence, (examples,).
        fill: What shorter sequences of a batch are filled up with.
    """

    has_fixed_shape = False

    def __init__(self, flat, lengths, fill=0):
        self.flat, self.lengths, self.fill = flat, np.asarray(lengths, "int64"), fill
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype("int64")

    @classmethod
    def of(cls, sequences, dtype="int32", fill=0):
        """Returns the column of a list of sequences of numbers."""
        arrays = [np.asarray(sequence, dtype) for sequence in sequences]
        flat = np.concatenate(arrays) if arrays else np.zeros(0, dtype)
        return cls(flat, [len(array) for array in arrays], fill)

    def __len__(self):
        return len(self.lengths)

    def take(self, rows):
        """Returns the sequences of rows, filled up to the longest of them, (batch, time, ...).

        Where every length is compiled anew they are filled up to a multiple of eight, at most the longest of all.
        """
        lengths = self.lengths[rows][:, None]  # (batch, 1)
        longest = lengths.max(initial=0)
        if not backend.is_tensorflow():
            longest = min(-(-longest // 8) * 8, self.lengths.max(initial=0))
        time = np.arange(longest)[None]  # (1, time)
        position = self.starts[rows][:, None] + np.minimum(time, lengths - 1)  # (batch, time)
        real = (time < lengths).reshape(*position.shape, *[1] * (self.flat.ndim - 1))
        return np.where(real, self.flat[position], self.flat.dtype.type(self.fill))

    def values(self, rows=None):
        """Returns a list of the sequences of rows, or of all."""
        rows = range(len(self)) if rows is None else rows
        return [self.flat[self.starts[row] : self.starts[row] + self.lengths[row]] for row in rows]

    def spec(self, batch_size=None):
        """Returns the `tf.TensorSpec` of a batch."""
        import tensorflow as tf

        return tf.TensorSpec((batch_size, None, *self.flat.shape[1:]), self.flat.dtype)

    def joined(self, other, rows, other_rows):
        """Returns a column of rows of this one and then rows of another one."""
        sequences = [*self.values(rows), *other.values(other_rows)]
        lengths = [len(sequence) for sequence in sequences]
        return Ragged(np.concatenate(sequences) if sequences else self.flat[:0], lengths, self.fill)


class Lookup:
    """Column of sequences whose values stand in a table: each distinct word is encoded once.

    Args:
        index: `Ragged` of row numbers of the table; several columns may share it.
        table: (values, ...), of which row 0 is what shorter sequences are filled up with.
    """

    has_fixed_shape = False

    def __init__(self, index, table):
        self.index, self.table = index, table

    @property
    def lengths(self):
        """Length of each sequence, (examples,)."""
        return self.index.lengths

    def __len__(self):
        return len(self.index)

    def take(self, rows):
        """Returns the sequences of rows, filled up to the longest of them, (batch, time, ...)."""
        return self.look_up(self.index.take(rows))

    def look_up(self, index):
        """Returns the values of row numbers of the table."""
        return self.table[index]

    def values(self, rows=None):
        """Returns a list of the sequences of rows, or of all."""
        return [self.table[sequence] for sequence in self.index.values(rows)]

    def spec(self, batch_size=None):
        """Returns the `tf.TensorSpec` of a batch."""
        import tensorflow as tf

        return tf.TensorSpec((batch_size, None, *self.table.shape[1:]), self.table.dtype)

    def joined(self, other, rows, other_rows):
        """Returns a column of rows of this one and then rows of another one, each value looked up already."""
        first, second = self.values(rows), other.values(other_rows)
        width = max(self.table.shape[1:], other.table.shape[1:])
        padded = [
            np.pad(
                sequence, [(0, 0), *((0, most - size) for most, size in zip(width, sequence.shape[1:], strict=True))]
            )
            for sequence in (*first, *second)
        ]
        return Ragged(np.concatenate(padded), [len(sequence) for sequence in padded])


class Shared:
    """Column of which every batch has the same array: what is not of an example, but of all in a step.

    Args:
        array: The array, of any shape.
    """

    has_fixed_shape = True

    def __init__(self, array):
        self.array = array

    def take(self, rows):
        """Returns the array."""
        return self.array

    def values(self, rows=None):
        """Returns the array."""
        return self.array

    def spec(self, batch_size=None):
        """Returns the `tf.TensorSpec` of a batch."""
        import tensorflow as tf

        return tf.TensorSpec(self.array.shape, self.array.dtype)

    def joined(self, other, rows, other_rows):
        """Returns the column itself."""
        return self

    def reader(self):
        """Returns a function from row numbers to the array, a tensor."""
        import tensorflow as tf

        return lambda rows: tf.constant(self.array)
