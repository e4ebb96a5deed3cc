"""Products of matrices that stand for convolutions of images with few channels: equal to Keras' own layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kit.blocks import upsampling


def gradients(network, inputs):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = network(inputs)
        loss = tf.reduce_sum(tf.sin(outputs))
    return outputs, tape.gradient(loss, inputs)


@pytest.mark.parametrize("kernel_size", [2, 4, 6])
@pytest.mark.parametrize("channels", [1, 3])
def test_upsampling_to_few_channels_is_a_transposed_convolution(kernel_size, channels):
    inputs = keras.Input((5, 7, 8))
    ours = keras.Model(inputs, upsampling.upsampling(inputs, channels, kernel_size, name="paint"))
    layer = keras.layers.Conv2DTranspose(channels, kernel_size, 2, "same", use_bias=False)
    theirs = keras.Model(inputs, layer(inputs))
    (kernel,) = theirs.get_weights()  # (rows, columns, channels, 8)
    cells = kernel.reshape(kernel_size // 2, 2, kernel_size // 2, 2, channels, 8).transpose(5, 0, 2, 1, 3, 4)
    ours.set_weights([cells.reshape(8, -1)])
    images = tf.constant(np.random.default_rng(0).normal(size=(3, 5, 7, 8)).astype("float32"))
    for one, other in zip(gradients(ours, images), gradients(theirs, images), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("kernel_size", [2, 4, 6])
@pytest.mark.parametrize("channels", [1, 3])
def test_halving_few_channels_is_a_convolution(kernel_size, channels):
    inputs = keras.Input((10, 14, channels))
    ours = keras.Model(inputs, upsampling.halving(inputs, 8, kernel_size, use_bias=True, name="half"))
    layer = keras.layers.Conv2D(8, kernel_size, 2, "same")
    theirs = keras.Model(inputs, layer(inputs))
    kernel, bias = theirs.get_weights()  # (rows, columns, channels, 8)
    cells = kernel.reshape(kernel_size // 2, 2, kernel_size // 2, 2, channels, 8).transpose(0, 2, 1, 3, 4, 5)
    ours.set_weights([cells.reshape(-1, 8), bias + 0.1])
    theirs.set_weights([kernel, bias + 0.1])
    images = tf.constant(np.random.default_rng(0).normal(size=(3, 10, 14, channels)).astype("float32"))
    for one, other in zip(gradients(ours, images), gradients(theirs, images), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(("shape", "kernel_size"), [((9, 11, 1), 4), ((8, 8, 16), 4), ((9, 8, 1), 3)])
def test_halving_halves_whatever_it_is_given(shape, kernel_size):
    inputs = keras.Input(shape)
    outputs = upsampling.halving(inputs, 8, kernel_size, name="half")
    assert outputs.shape[1:] == (-(-shape[0] // 2), -(-shape[1] // 2), 8)


@pytest.mark.parametrize(
    ("filters", "kernel_size", "use_bias"), [(1, 3, False), (16, 4, False), (1, 4, True), (3, 5, False)]
)
def test_upsampling_doubles_whatever_it_is_given(filters, kernel_size, use_bias):
    inputs = keras.Input((5, 7, 8))
    outputs = upsampling.upsampling(inputs, filters, kernel_size, use_bias=use_bias, name="up")
    assert outputs.shape[1:] == (10, 14, filters)


def test_initializers_draw_different_numbers():
    first, second = (keras.ops.convert_to_numpy(upsampling.initializer()((4, 4))) for _ in range(2))
    assert (first != second).any() and abs(first.std() - 0.02) < 0.01
