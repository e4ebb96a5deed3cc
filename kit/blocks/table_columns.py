"""Columns of a table as inputs of a network: numbers, categories, crossed columns and words; flat, or as tokens.

Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", 2022 (piecewise linear
encoding); Gorishniy et al., "Revisiting Deep Learning Models for Tabular Data", 2021 (columns as tokens).
"""

import dataclasses

import keras
import numpy as np
from keras import layers, ops
from keras.config import floatx

from kit.errors import check


@dataclasses.dataclass(frozen=True)
class TableShape:
    """Shape of a table: numbers of columns, categories and answers, from which networks of tables are built.

    Args:
        num_numbers: Number of columns of numbers, standardised.
        category_sizes: Number of ids of each column of categories.
        cross_sizes: Number of ids of each crossed column.
        word_buckets: Ids of words of free text from 1; 0 where there is none.
        number_edges: Rising bounds of the bins of each column of numbers, for piecewise linear encoding.
        num_outputs: Numbers that the network answers with.
    """

    num_numbers: int
    category_sizes: tuple = ()
    cross_sizes: tuple = ()
    word_buckets: int = 0
    number_edges: tuple = ()
    num_outputs: int = 1

    def inputs(self, has_crosses=False):
        """Returns the inputs of a network by name, crossed columns only where they are used.

        Raises:
            SettingError: the table has no column.
        """
        found = {}
        if self.num_numbers:
            found["numbers"] = keras.Input((self.num_numbers,), name="numbers")
        if self.category_sizes:
            found["categories"] = keras.Input((len(self.category_sizes),), dtype="int32", name="categories")
        if self.word_buckets:
            found["words"] = keras.Input((None,), dtype="int32", name="words")
        check(found, "num_numbers", 0, "a column of numbers, categories or words")
        if has_crosses and self.cross_sizes:
            found["crosses"] = keras.Input((len(self.cross_sizes),), dtype="int32", name="crosses")
        return found


def embedded_ids(ids, sizes, dim, *, initializer="uniform", name):
    """Embeddings of several columns of ids in one table.

    Args:
        ids: Ids of each column.
        sizes: Number of ids of each column.
        dim: Width of an embedding.
        initializer: What the embeddings begin as.
        name: Name of the layer.

    Shape:
        ids: (batch, columns)
        out: (batch, columns, dim)
    """
    offsets = np.cumsum([0, *sizes[:-1]]).astype("int32")  # (columns,)
    return layers.Embedding(int(sum(sizes)), dim, embeddings_initializer=initializer, name=name)(ids + offsets)


def embedded_words(words, buckets, dim, *, name):
    """Mean of the embeddings of hashed words; 0 is none.

    Shape:
        words: (batch, words)
        out: (batch, dim)
    """
    is_word = ops.cast(ops.not_equal(words, 0), floatx())[..., None]  # (batch, words, 1)
    found = layers.Embedding(buckets + 1, dim, name=name)(words) * is_word
    return ops.sum(found, axis=1) / ops.maximum(ops.sum(is_word, axis=1), 1)


@keras.saving.register_keras_serializable("kit")
class PiecewiseLinearEncoding(layers.Layer):
    """Piecewise linear encoding of numbers: how far each bin of a column is filled, from 0 to 1.

    Args:
        edges: Rising bounds of the bins of each column; columns may have different numbers of them.

    Shape:
        in: (batch, columns)
        out: (batch, columns, bins); bins that a column does not have are 0
    """

    def __init__(self, edges, **kwargs):
        super().__init__(**kwargs)
        self.edges = [list(map(float, each)) for each in edges]
        self.bins = max(len(each) - 1 for each in self.edges)
        starts, widths, low, high = (np.zeros((len(self.edges), self.bins), "float32") for _ in range(4))
        for row, each in enumerate(self.edges):
            count = len(each) - 1
            starts[row, :count], widths[row, :count] = each[:-1], np.diff(each)
            low[row, 1:count], high[row, :count] = 0, 1
            low[row, 0] = -1e9  # the first and the last bin go on beyond their bounds
            high[row, count - 1] = 1e9
        widths[widths <= 0] = 1
        self._starts, self._widths, self._low, self._high = starts, widths, low, high

    def call(self, x):
        filled = (x[..., None] - self._starts) / self._widths
        return ops.clip(filled, self._low, self._high)

    def compute_output_shape(self, shape):
        return (*shape, self.bins)

    def get_config(self):
        return {**super().get_config(), "edges": self.edges}


def encoded_numbers(numbers, shape, kind, dim, *, name):
    """Embeds each number by weights of its own, in a piecewise linear way or as it is.

    Args:
        numbers: Standardised numbers.
        shape: `TableShape`.
        kind: "linear" or "piecewise_linear".
        dim: Width of an embedding.
        name: Prefix of the layers' names.

    Shape:
        numbers: (batch, columns)
        out: (batch, columns, dim)
    """
    if kind == "piecewise_linear":
        x = PiecewiseLinearEncoding(shape.number_edges, name=f"{name}_bins")(numbers)  # (batch, columns, bins)
    else:
        x = numbers[..., None]  # (batch, columns, 1)
    scale = keras.initializers.VarianceScaling(1.0, "fan_out", "uniform")
    output = (shape.num_numbers, dim)
    return layers.EinsumDense("bnk,nkd->bnd", output, bias_axes="nd", kernel_initializer=scale, name=name)(x)


def flat_columns(inputs, shape, *, embedding_dim, number_embedding, number_dim):
    """Returns all columns beside each other, and how many values each is.

    Args:
        inputs: What `TableShape.inputs` returned.
        shape: `TableShape`.
        embedding_dim: Width of the embedding of a category, and of words.
        number_embedding: "none" takes standardised numbers as they are; "linear" and "piecewise_linear" embed them.
        number_dim: Width of the embedding of a number.

    Shape:
        out: (batch, dim)
    """
    parts, widths = [], []
    if "numbers" in inputs:
        if number_embedding == "none":
            parts.append(inputs["numbers"])
            widths += [1] * shape.num_numbers
        else:
            x = encoded_numbers(inputs["numbers"], shape, number_embedding, number_dim, name="number_embedding")
            parts.append(layers.Flatten(name="numbers_flat")(layers.Activation("relu", name="number_relu")(x)))
            widths += [number_dim] * shape.num_numbers
    if "categories" in inputs:
        x = embedded_ids(inputs["categories"], shape.category_sizes, embedding_dim, name="category_embedding")
        parts.append(layers.Flatten(name="categories_flat")(x))
        widths += [embedding_dim] * len(shape.category_sizes)
    if "words" in inputs:
        parts.append(embedded_words(inputs["words"], shape.word_buckets, embedding_dim, name="word_embedding"))
        widths.append(embedding_dim)
    return layers.Concatenate(name="columns")(parts) if len(parts) > 1 else parts[0], widths


def column_tokens(inputs, shape, *, dim, number_embedding):
    """Returns a token for each column.

    Args:
        inputs, shape, number_embedding: As for `flat_columns`; not "none".
        dim: Width of a token.

    Shape:
        out: (batch, columns, dim)
    """
    parts = []
    if "numbers" in inputs:
        parts.append(encoded_numbers(inputs["numbers"], shape, number_embedding, dim, name="number_embedding"))
    if "categories" in inputs:
        bound = 1 / np.sqrt(dim)
        start = keras.initializers.RandomUniform(-bound, bound)
        parts.append(
            embedded_ids(inputs["categories"], shape.category_sizes, dim, initializer=start, name="category_embedding")
        )
    if "words" in inputs:
        x = embedded_words(inputs["words"], shape.word_buckets, dim, name="word_embedding")
        parts.append(x[:, None])
    return layers.Concatenate(axis=1, name="columns")(parts) if len(parts) > 1 else parts[0]
