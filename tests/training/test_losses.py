"""Losses and metrics that Keras lacks: the same numbers as the textbook's."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics

from kit.blocks.quantiles import Quantiles
from kit.training.losses import (
    BinaryCrossentropy,
    NegativeLogLikelihood,
    QuantileLoss,
    SparseCategoricalCrossentropy,
)
from kit.training.metrics import AbsoluteError, MicroF1, PeakSignalToNoise


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_value_and_derivative_are_those_of_dense_labels(label_smoothing, scale):
    random = np.random.default_rng(0)
    logits = tf.constant(scale * random.normal(size=(4, 6, 9)), tf.float32)
    labels = random.integers(1, 9, (4, 6))
    labels[:, 4:] = 0
    found = []
    for loss in (
        lambda z: SparseCategoricalCrossentropy(label_smoothing, ignore_class=0)(labels, z),
        lambda z: tf.reduce_mean(
            keras.ops.categorical_crossentropy(
                (1 - label_smoothing) * tf.one_hot(labels[:, :4], 9) + label_smoothing / 9, z[:, :4], from_logits=True
            )
        ),
    ):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(logits)
        found.append((value, tape.gradient(value, logits)))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-6)
    assert np.abs(found[0][1][:, :4]).max() > 1e-3
    assert np.abs(found[0][1][:, 4:]).max() == 0


def test_no_logit_is_too_large():
    logits = np.array([[1e4, 0.0, -1e4]], "float32")
    for label, expected in ((0, 0.0), (2, 2e4)):
        assert float(SparseCategoricalCrossentropy()(np.array([label]), logits)) == pytest.approx(expected)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_nats_of_pixels(likelihood):
    random = np.random.default_rng(0)
    true, mean = random.integers(0, 256, (5, 4, 3, 2)).astype("uint8"), random.uniform(5, 250, (5, 4, 3, 2))
    x, p = true / 255, mean / 255
    if likelihood == "bernoulli":
        expected = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum((1, 2, 3))
    else:
        expected = (0.5 * ((x - p) / 0.2) ** 2 + np.log(0.2 * np.sqrt(2 * np.pi))).sum((1, 2, 3))
    loss = NegativeLogLikelihood(likelihood, 0.2, reduction=None)
    assert np.asarray(loss(true, mean.astype("float32"))) == pytest.approx(expected, rel=1e-5)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert (np.asarray(again(true, mean)) == np.asarray(loss(true, mean))).all()


def test_peak_signal_to_noise():
    metric = PeakSignalToNoise()
    black = np.zeros((2, 4, 4, 1), "uint8")
    made = np.stack([np.full((4, 4, 1), 25.5), np.full((4, 4, 1), 2.55)])
    metric.update_state(black, made)
    assert float(metric.result()) == pytest.approx((20 + 40) / 2, abs=1e-3)


def again(each):
    """Returns a loss or layer made anew of its settings."""
    return type(each).from_config(each.get_config())


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_binary_crossentropy_of_several_labels(label_smoothing):
    random = np.random.default_rng(0)
    true, logits = random.integers(0, 2, (5, 3)), random.normal(size=(5, 3)).astype("float32")
    smooth = (1 - label_smoothing) * true + label_smoothing / 2
    shares = 1 / (1 + np.exp(-logits))
    each = -(smooth * np.log(shares) + (1 - smooth) * np.log(1 - shares))
    loss = again(BinaryCrossentropy(label_smoothing))
    assert float(loss(true, logits)) == pytest.approx(each.mean(), rel=1e-5)
    weights = np.array([1.0, 2.0, 5.0], "float32")
    loss = again(BinaryCrossentropy(label_smoothing, weights))
    assert float(loss(true, logits)) == pytest.approx((each * np.where(true, weights, 1)).mean(), rel=1e-5)
    assert float(BinaryCrossentropy()(np.array([[1, 0]]), np.array([[1e4, -1e4]], "float32"))) == 0


def test_quantile_loss():
    random = np.random.default_rng(0)
    true, predicted = random.normal(size=(20, 1)), random.normal(size=(20, 3)).astype("float32")
    levels = (0.1, 0.5, 0.9)
    expected = [metrics.mean_pinball_loss(true, predicted[:, row], alpha=level) for row, level in enumerate(levels)]
    assert float(again(QuantileLoss(levels))(true, predicted)) == pytest.approx(np.mean(expected), rel=1e-5)


def test_quantiles_do_not_cross():
    layer = again(Quantiles([0.1, 0.5, 0.9]))
    assert layer.levels == [0.1, 0.5, 0.9]
    found = keras.ops.convert_to_numpy(layer(np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]], "float32")))
    assert found.tolist() == [[1, 2, 3], [0, 4, 5]]


def test_micro_f1_over_batches():
    random = np.random.default_rng(0)
    true, logits = random.integers(0, 2, (12, 3)), random.normal(size=(12, 3)).astype("float32")
    metric = MicroF1()
    for start in range(0, 12, 5):
        metric.update_state(true[start : start + 5], logits[start : start + 5])
    assert float(metric.result()) == pytest.approx(metrics.f1_score(true, logits > 0, average="micro"))
    metric.reset_state()
    metric.update_state(np.zeros((2, 3)), np.full((2, 3), -1.0))
    assert float(metric.result()) == 0


def test_absolute_error_of_the_median():
    metric = AbsoluteError(1)
    metric.update_state(np.array([[1.0], [2.0]]), np.array([[9, 1.5, 9], [9, 4, 9]], "float32"))
    assert float(metric.result()) == pytest.approx(1.25)
