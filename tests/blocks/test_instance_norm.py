"""Blocks of networks from image to image, beside slow ones in NumPy."""

import keras
import numpy as np
import pytest

from kit.blocks.instance_norm import instance_norm, mirrored_convolution, mirrored_residual


def model(block, shape=(6, 5, 4)):
    inputs = keras.Input(shape)
    network = keras.Model(inputs, block(inputs))
    random = np.random.default_rng(0)
    network.set_weights([random.normal(size=weight.shape) for weight in network.get_weights()])
    return network


def some(shape=(3, 6, 5, 4)):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def test_every_channel_of_every_image_is_normalised_on_its_own():
    network, images = model(lambda x: instance_norm(x, name="norm")), some()
    (bias,) = network.get_weights()
    expected = (images - images.mean((1, 2), keepdims=True)) / np.sqrt(images.var((1, 2), keepdims=True) + 1e-5) + bias
    np.testing.assert_allclose(network(images), expected, atol=1e-5)
    np.testing.assert_allclose(network(images[:1]), expected[:1], atol=1e-5)


@pytest.mark.parametrize("kernel_size", [1, 3, 7])
def test_a_convolution_sees_the_image_mirrored(kernel_size):
    network, images = model(lambda x: mirrored_convolution(x, 2, kernel_size, use_bias=True, name="conv")), some()
    kernel, bias = network.get_weights()
    edge = kernel_size // 2
    wide = np.pad(images, ((0, 0), (edge, edge), (edge, edge), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(wide, (kernel_size, kernel_size), axis=(1, 2))
    np.testing.assert_allclose(network(images), np.einsum("bhwcij,ijcf->bhwf", windows, kernel) + bias, atol=1e-4)


def test_a_residual_block_adds_to_what_it_is_given(tmp_path):
    network, images = model(lambda x: mirrored_residual(x, name="block")), some()
    assert network.layers[-1].name == "block" and np.asarray(network(images)).min() < 0
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    assert (np.asarray(again(images)) == np.asarray(network(images))).all()
    network.set_weights([np.zeros_like(weight) for weight in network.get_weights()])
    np.testing.assert_allclose(network(images), images)
