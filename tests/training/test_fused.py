"""Batch normalisation in one operation gives what Keras' own does."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kit.training import fused


def network(**settings):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 5, 3))
    x = layers.Conv2D(4, 3)(inputs)
    x = layers.BatchNormalization(momentum=0.8, **settings)(x)
    x = layers.Dense(2)(layers.Flatten()(x))
    model = keras.Model(inputs, layers.BatchNormalization()(x))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def trained(model):
    random = np.random.default_rng(0)
    model.fit(random.normal(3, 2, (32, 6, 5, 3)), random.normal(size=(32, 2)), batch_size=8, shuffle=False, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize("settings", [{}, {"scale": False}, {"center": False}, {"axis": 2}])
def test_weights_gradients_and_moments_are_the_same(settings):
    plain, model = trained(network(**settings)), network(**settings)
    with fused.batch_normalization(model):
        found = trained(model)
    for one, other in zip(plain, found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_it_is_one_operation_and_only_for_so_long():
    model = network()
    layer = model.layers[2]
    inputs = tf.random.normal((4, 4, 3, 4))

    def operations():
        graph = tf.function(lambda x: layer(x, training=True)).get_concrete_function(inputs).graph
        return {operation.type for operation in graph.get_operations()}

    with fused.batch_normalization(model):
        assert "FusedBatchNormV3" in operations()
        # At inference, and where it is frozen, the moving statistics are Keras' business.
        np.testing.assert_array_equal(layer(inputs), type(layer).call(layer, inputs))
        layer.trainable = False
        np.testing.assert_array_equal(layer(inputs, training=True), layer(inputs))
        layer.trainable = True
    assert "FusedBatchNormV3" not in operations() and "call" not in vars(layer)


def test_gradients_of_gradients_are_the_same():
    model = network()
    layer, inputs = model.layers[2], tf.random.normal((4, 4, 3, 4))

    def twice():
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                answer = tf.reduce_sum(layer(inputs, training=True) ** 3)
            slope = tf.reduce_sum(inner.gradient(answer, inputs) ** 2)
        return outer.gradient(slope, inputs).numpy()

    plain = twice()
    with fused.batch_normalization(model):
        np.testing.assert_allclose(twice(), plain, rtol=1e-3, atol=1e-3)
