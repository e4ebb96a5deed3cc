"""Embeddings of users and items: of themselves, of their features, and of what a history held so far."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("kit")
class ConstantRows(layers.Layer):
    """Looks rows of a table of whole numbers up that is a weight, but does not train: such as the features of items.

    The table is put in after the layer was built: `layer.table.assign(numbers)`.

    Args:
        rows: Number of rows.
        width: Numbers in a row.

    Shape:
        in: (...,) integers
        out: (..., width) integers
    """

    def __init__(self, rows, width, **kwargs):
        super().__init__(**kwargs)
        self.rows, self.width = rows, width

    def build(self, input_shape):
        shape = (self.rows, self.width)
        self.table = self.add_weight(shape, "zeros", dtype="int32", trainable=False, name="table")
        self.built = True

    def call(self, inputs):
        return ops.take(self.table, inputs, axis=0)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((*inputs.shape, self.width), "int32")

    def get_config(self):
        return {**super().get_config(), "rows": self.rows, "width": self.width}


@keras.saving.register_keras_serializable("kit")
class AllNumbers(layers.Layer):
    """Returns the numbers from 1 to a count, whatever it is given: all items of a catalogue.

    Args:
        count: The last number.

    Shape:
        in: anything
        out: (count,)
    """

    def __init__(self, count, **kwargs):
        super().__init__(**kwargs)
        self.count = count
        self.built = True

    def call(self, inputs):
        return ops.arange(1, self.count + 1, dtype="int32")

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((self.count,), "int32")

    def get_config(self):
        return {**super().get_config(), "count": self.count}


def constant_rows(ids, table, name):
    """Returns the rows of a table of whole numbers for symbolic ids, see `ConstantRows`.

    Args:
        ids: Symbolic ids.
        table: Array (rows, width).
        name: Name of the layer.
    """
    layer = ConstantRows(*table.shape, name=name)
    rows = layer(ids)
    layer.table.assign(table)
    return rows


def mean_embedding(rows, count, dim, name):
    """Returns the mean of the embeddings of several values each; 0 where there are none.

    Shape:
        rows: (..., width) integers, 0 being none
        out: (..., dim)
    """
    x = layers.Embedding(count + 1, dim, name=name)(rows)  # (..., width, dim)
    real = ops.cast(rows > 0, x.dtype)[..., None]
    return ops.sum(x * real, axis=-2) / ops.maximum(ops.sum(real, axis=-2), 1.0)


def multi_hot(rows, count):
    """Returns 1 for each value that there is and 0 for others.

    Shape:
        rows: (..., width) integers from 1, 0 being none
        out: (..., count)
    """
    return ops.sum(ops.one_hot(rows, count + 1), axis=-2)[..., 1:]


def running_mean(x, mask, decay=1.0):
    """Returns the mean of a sequence up to each position, 0 before the first real one.

    Args:
        x: The sequence.
        mask: True at positions that count.
        decay: Weight of a position beside that of the next one: 1 is the plain mean, less forgets exponentially.

    Shape:
        x, out: (batch, time, dim)
        mask: (batch, time)
    """
    real = ops.cast(mask, x.dtype)[..., None]
    if decay == 1:
        return ops.cumsum(x * real, axis=1) / ops.maximum(ops.cumsum(real, axis=1), 1.0)
    places = ops.cumsum(ops.cast(mask, "float32"), axis=1)  # (batch, time), counted by those that are real
    ages = places[:, :, None] - places[:, None]  # (batch, time, time), of the second seen from the first
    weights = ops.cast(ops.where(ages >= 0, decay ** ops.maximum(ages, 0.0), 0.0), x.dtype)
    return ops.matmul(weights, x * real) / ops.maximum(ops.matmul(weights, real), 1e-6)
