"""Integrated gradients add up to the difference of the answers, and give to each part what is its own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from kit.attribution.integrated_gradients import gradients_of, integrated_gradients
from kit.recipes.image_classification import image_classifier
from tests.conftest import slow
from tests.models.test_vision import SMALL


def test_of_a_linear_answer_each_part_gives_its_own():
    weights = tf.constant([1.0, -2.0, 0.0])
    gradients = gradients_of(lambda x: tf.linalg.matvec(x, weights), (3,))
    found = integrated_gradients(gradients, [3.0, 1.0, 5.0], [1.0, 1.0, 1.0], steps=2)
    np.testing.assert_allclose(found.values, [2, 0, 0], atol=1e-6)
    assert found.answer == pytest.approx(1) and found.baseline == pytest.approx(-1) and found.gap < 1e-6


def test_more_arguments_reach_the_answer():
    gradients = gradients_of(lambda x, factor: tf.reduce_sum(x, -1) * factor, (2,))
    found = integrated_gradients(lambda x: gradients(x, np.float32(3)), [1.0, 2.0], [0.0, 0.0], steps=2)
    np.testing.assert_allclose(found.values, [3, 6], atol=1e-5)


def test_points_may_be_calculated_in_parts():
    gradients = gradients_of(lambda x: tf.reduce_sum(tf.math.sigmoid(x) ** 2, -1), (4,))
    whole, parts = (
        integrated_gradients(gradients, [1.0, 2.0, -1.0, 0.5], np.zeros(4), steps=20, batch_size=size)
        for size in (20, 3)
    )
    np.testing.assert_allclose(whole.values, parts.values, atol=1e-6)
    assert whole.gap < 1e-5


QUICK = ("mlp", "lenet5", "resnet8", "vit_small_image")


@pytest.mark.parametrize("name", [*QUICK, *(slow(name) for name in sorted(SMALL - {*QUICK}))])
def test_adds_up_for_every_family_of_images(name):
    keras.utils.set_random_seed(0)
    model = image_classifier((32, 32, 3), 3, backbone=name)
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype("float32")
    gradients = gradients_of(lambda x: ops.log_softmax(model(x, training=False))[:, 1], (32, 32, 3))
    found = integrated_gradients(gradients, image, np.zeros_like(image), steps=256, batch_size=32)
    assert found.values.shape == image.shape and np.isfinite(found.values).all()
    difference = found.answer - found.baseline
    assert abs(found.values.sum() - difference) < max(0.05 * abs(difference), 0.01)
