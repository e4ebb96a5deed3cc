"""Columns of examples on disk: rows of numbers, sequences of tokens and texts, each read when it is asked for."""

import numpy as np

from kit.data.columns import Ragged
from kit.data.packed import Mapped


class Stored:
    """Column of values of one shape in `.npy` files on disk.

    Args:
        parts: `kit.data.packed.Mapped` of each file, whose rows follow each other.
        dtype: Type of the values as they are given, which may be wider than on disk.
    """

    has_fixed_shape = True

    def __init__(self, parts, dtype):
        self.parts, self.dtype = list(parts), np.dtype(dtype)
        self.shape = self.parts[0].shape[1:]
        self.starts = np.concatenate([[0], np.cumsum([len(part) for part in self.parts])])

    def __len__(self):
        return int(self.starts[-1])

    def take(self, rows):
        """Returns the values of rows, (batch, ...)."""
        if len(self.parts) == 1:
            return self.parts[0][rows].astype(self.dtype)
        rows = np.asarray(rows)
        found = np.empty((len(rows), *self.shape), self.dtype)
        part_of = np.searchsorted(self.starts, rows, "right") - 1
        for number, part in enumerate(self.parts):
            own = part_of == number
            if own.any():
                found[own] = part[rows[own] - self.starts[number]]
        return found

    def values(self, rows=None):
        """Returns the values of rows, or of all, in memory."""
        return self.take(np.arange(len(self)) if rows is None else rows)

    def spec(self, batch_size=None):
        """Returns the `tf.TensorSpec` of a batch."""
        import tensorflow as tf

        return tf.TensorSpec((batch_size, *self.shape), self.dtype)

    def joined(self, other, rows, other_rows):
        """Returns a column of all rows of this one and then of another one, both still on disk."""
        if rows is not None or other_rows is not None:
            from kit.data.columns import Dense

            return Dense(np.concatenate([self.values(rows), other.values(other_rows)]))
        return Stored([*self.parts, *other.parts], self.dtype)

    def reader(self):
        """Returns a function from row numbers, a tensor, to a batch, a tensor."""
        import tensorflow as tf

        def read(rows):
            found = tf.numpy_function(self.take, [rows], tf.as_dtype(self.dtype), stateful=False)
            return tf.ensure_shape(found, (rows.shape[0], *self.shape))

        return read


class StoredRagged(Ragged):
    """Column of sequences of tokens whose flat values are on disk.

    Args:
        path: `.npy` file of the values of all sequences, one after the other.
        lengths: Length of each sequence, (examples,).
        fill: What shorter sequences of a batch are filled up with.
        dtype: Type of the values as they are given.
    """

    def __init__(self, path, lengths, fill=0, dtype="int32"):
        super().__init__(_Widened(Mapped(path), dtype), lengths, fill)


class _Widened:
    """Flat values as another type, read where they are asked for."""

    def __init__(self, array, dtype):
        self._array, self.dtype = array, np.dtype(dtype)
        self.ndim, self.shape = array.ndim, array.shape

    def __len__(self):
        return len(self._array)

    def __getitem__(self, rows):
        return self._array[rows].astype(self.dtype)


class StoredTexts:
    """Column of texts of a pack, for the evaluation.

    Args:
        texts: `kit.data.packed.Strings`.
    """

    has_fixed_shape = True

    def __init__(self, texts):
        self.texts = texts

    def __len__(self):
        return len(self.texts)

    def take(self, rows):
        """Returns the texts of rows as an array of objects, (batch,)."""
        return self.values(rows)

    def values(self, rows=None):
        """Returns the texts of rows, or of all, as an array of objects."""
        rows = range(len(self)) if rows is None else rows
        found = np.empty(len(rows), object)
        found[:] = [self.texts[int(row)] for row in rows]
        return found

    def joined(self, other, rows, other_rows):
        """Returns a column of rows of this one and then rows of another one, in memory."""
        from kit.data.columns import Dense

        return Dense(np.concatenate([self.values(rows), other.values(other_rows)]))


class Appended:
    """Writer of an `.npy` file whose number of rows is known in the end.

    Args:
        path: The file.
        shape: Shape of a row.
        dtype: Type of the values.
    """

    def __init__(self, path, shape, dtype):
        self.rows, self._shape, self._dtype = 0, tuple(shape), np.dtype(dtype)
        self._file = open(path, "wb", buffering=1 << 20)  # noqa: SIM115
        self._header()
        self._begin = self._file.tell()

    def _header(self):
        told = {"descr": self._dtype.str, "fortran_order": False, "shape": (self.rows, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, told)  # with room for a larger number of rows

    def add(self, rows):
        """Writes more rows."""
        rows = np.ascontiguousarray(rows, self._dtype)
        self._file.write(rows.tobytes())
        self.rows += len(rows)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if error[0] is None:
            self._file.seek(0)
            self._header()
            if self._file.tell() != self._begin:
                raise RuntimeError("the header of an .npy file has grown")
        self._file.close()
