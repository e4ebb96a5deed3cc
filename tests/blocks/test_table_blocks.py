"""Blocks of tables: sparsemax and entmax against slow references, ghost batch normalisation, piecewise encoding."""

import keras
import numpy as np
import pytest
from keras import ops

from kit.blocks.ghost_batch_norm import GhostBatchNormalization
from kit.blocks.sparsemax import entmax15, sparsemax
from kit.blocks.table_columns import PiecewiseLinearEncoding


def slow(z, power):
    """Returns max(z - t, 0) ** power that sums to 1, found by halving; of entmax z is half of the logits."""
    low, high = z.max() - 1, z.max()
    for _ in range(100):
        middle = (low + high) / 2
        total = (np.maximum(z - middle, 0) ** power).sum()
        low, high = (middle, high) if total > 1 else (low, middle)
    return np.maximum(z - low, 0) ** power


@pytest.mark.parametrize("width", [1, 2, 7, 64, 100])
@pytest.mark.parametrize(("function", "power", "factor"), [(sparsemax, 1, 1.0), (entmax15, 2, 0.5)])
def test_sparse_distributions_are_those_of_a_slow_reference(width, function, power, factor):
    logits = np.random.default_rng(width).normal(size=(20, width)).astype("float32") * 2
    logits[0] = 1.0  # all alike
    found = ops.convert_to_numpy(function(logits))
    expected = np.stack([slow(factor * row.astype("float64"), power) for row in logits])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("function", [sparsemax, entmax15])
@pytest.mark.parametrize("width", [6, 70])
def test_gradients_are_differences(function, width):
    import tensorflow as tf

    random = np.random.default_rng(0)
    logits, factors = random.normal(size=(2, width)), random.normal(size=(2, width))
    x = tf.Variable(logits)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(function(x) * factors)
    gradient = tape.gradient(total, x).numpy()
    step = 1e-6
    for row, column in ((0, 0), (1, 3), (0, width - 1)):
        moved = [logits.copy() for _ in range(2)]
        moved[0][row, column] -= step
        moved[1][row, column] += step
        below, above = (float((ops.convert_to_numpy(function(each)) * factors).sum()) for each in moved)
        assert gradient[row, column] == pytest.approx((above - below) / (2 * step), abs=1e-4)


@pytest.mark.parametrize("rows", [8, 9, 20, 3])
def test_ghost_batch_normalisation_is_that_of_each_part(rows):
    x = np.random.default_rng(0).normal(2, 3, (rows, 5)).astype("float32")
    layer = GhostBatchNormalization(8, momentum=0.9)
    found = ops.convert_to_numpy(layer(x, training=True))
    parts = -(-rows // 8)
    size = -(-rows // parts)
    mean, variance = np.zeros(5), np.ones(5)
    for start in range(0, rows, size):
        part = x[start : start + size].astype("float64")
        expected = (part - part.mean(0)) / np.sqrt(part.var(0) + 1e-5)
        np.testing.assert_allclose(found[start : start + size], expected, atol=1e-4)
        mean, variance = 0.9 * mean + 0.1 * part.mean(0), 0.9 * variance + 0.1 * part.var(0)
    np.testing.assert_allclose(layer.moving_mean.numpy(), mean, rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance.numpy(), variance, rtol=1e-4)
    expected = (x - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, rtol=1e-3, atol=1e-4)


def test_piecewise_linear_encoding_fills_bins_from_the_left():
    layer = PiecewiseLinearEncoding([[0.0, 1.0, 3.0], [0.0, 2.0]])
    found = ops.convert_to_numpy(layer(np.array([[2.0, 1.0], [-1.0, 4.0]], "float32")))
    np.testing.assert_allclose(found[0], [[1, 0.5], [0.5, 0]])
    np.testing.assert_allclose(found[1], [[-1, 0], [2, 0]])  # beyond the bounds the first and last bin go on
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.edges == layer.edges
