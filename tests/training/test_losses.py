"""Cross-entropy with a derivative of its own: the same numbers as the textbook's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kit.training.losses import NegativeLogLikelihood, SparseCategoricalCrossentropy
from kit.training.metrics import PeakSignalToNoise


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
