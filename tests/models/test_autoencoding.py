"""Every encoder with its decoder: shapes, reloading, what the papers ask for."""

import inspect
import itertools

import keras
import numpy as np
import pytest

from kit.errors import SettingError
from kit.models import autoencoding
from kit.models.autoencoding.convolutional_autoencoder import convolutional_autoencoder
from kit.models.autoencoding.dbn_autoencoder import dbn_autoencoder
from kit.models.autoencoding.mlp_autoencoder import mlp_autoencoder

IMAGES = np.random.default_rng(0).uniform(-1, 1, (5, 8, 12, 3)).astype("float32")
LATENTS = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")


@pytest.mark.parametrize("variant", autoencoding.VARIANTS)
def test_shapes_and_reloading(variant, tmp_path):
    build, arguments = autoencoding.VARIANTS[variant]
    small = arguments | ({"units": (9, 7)} if "units" in arguments else {})
    encoder, decoder = build(6, 6, (8, 12, 3), **small, name=variant)
    assert encoder(IMAGES).shape == (5, 6) and decoder(LATENTS).shape == (5, 8, 12, 3)
    for network, given in ((encoder, IMAGES), (decoder, LATENTS)):
        network.save(tmp_path / "network.keras")
        again = keras.models.load_model(tmp_path / "network.keras")
        assert (np.asarray(again(given)) == np.asarray(network(given))).all()


@pytest.mark.parametrize("variant", autoencoding.VARIANTS)
def test_settings_are_annotated_and_documented(variant):
    function, arguments = autoencoding.VARIANTS[variant]
    parameters = inspect.signature(function).parameters
    assert set(arguments) <= set(parameters)
    for name in parameters:
        assert f"        {name}: " in function.__doc__, name


def test_parameters_of_the_deep_autoencoder_of_2006():
    build, arguments = autoencoding.VARIANTS["dbn_autoencoder"]
    encoder, decoder = build(30, 30, (28, 28, 1), **arguments)
    widths = (784, 1000, 500, 250, 30)
    kernels = sum(first * second for first, second in itertools.pairwise(widths))
    assert sum(weight.shape.num_elements() for weight in encoder.trainable_weights) == kernels + sum(widths[1:])
    assert decoder.count_params() == kernels + sum(widths[:-1])


def test_the_decoder_mirrors_the_encoder():
    encoder, decoder = convolutional_autoencoder(6, 6, (8, 12, 3), widths=(4, 10))
    assert encoder.get_layer("stage2_conv").output.shape[1:] == (2, 3, 10)
    assert decoder.get_layer("stage1_map").output.shape[1:] == (2, 3, 10)


@pytest.mark.parametrize(
    ("build", "arguments", "said"),
    [
        (mlp_autoencoder, {"units": ()}, "units"),
        (mlp_autoencoder, {"dropout": 1}, "dropout"),
        (convolutional_autoencoder, {"widths": (4, 4, 4)}, "widths: expected fewer"),
        (convolutional_autoencoder, {"kernel_size": 1}, "kernel_size"),
        (convolutional_autoencoder, {"kernel_size": 100_000}, "kernel_size: expected at most 24"),
        (dbn_autoencoder, {"pretraining_rate": 0}, "pretraining_rate"),
        (dbn_autoencoder, {"units": (0,)}, "units"),
    ],
)
def test_values_out_of_range(build, arguments, said):
    with pytest.raises(SettingError, match=said):
        build(6, 6, (8, 12, 3), **arguments)


def test_boltzmann_machines_have_no_variances():
    with pytest.raises(SettingError, match="model.variational"):
        dbn_autoencoder(12, 6, (8, 12, 3))
