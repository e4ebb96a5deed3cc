import itertools

import keras
import numpy as np
import pytest

from kit.blocks.boltzmann import RestrictedBoltzmann
from kit.data.columns import Dense
from kit.data.examples import Examples
from kit.models.autoencoding.dbn_autoencoder import dbn_autoencoder
from kit.models.vision.dbn import dbn
from kit.training import boltzmann


def stripes(count=400):
    """Images of 2x3 pixels whose two rows are equal."""
    random = np.random.default_rng(0)
    rows = random.integers(0, 2, (count, 1, 3, 1)).repeat(2, 1)
    return Examples({"image": Dense((255 * rows).astype("uint8"))}, {"label": Dense(np.zeros(count, "int32"))})


def below(pixels):
    return keras.ops.cast(pixels, "float32") / 127.5 - 1


def log_likelihood(layer, examples):
    """Returns the mean log-probability of images under a machine of six visible units, exactly."""
    states = np.array(list(itertools.product((0, 1), repeat=6)), "float32")
    total = np.log(np.exp(-np.asarray(layer.free_energy(states), "float64")).sum())
    given = (examples.input("image").reshape(-1, 6) / 255).astype("float32")
    return -np.asarray(layer.free_energy(given), "float64").mean() - total


@pytest.mark.parametrize("settings", [{}, {"gibbs_steps": 3}, {"persistent": True}])
def test_the_images_become_probable(settings):
    keras.utils.set_random_seed(0)
    network = dbn((2, 3, 1), units=(8,), pretraining_epochs=200, pretraining_rate=0.1, **settings)
    layer, examples = network.get_layer("stage1"), stripes()
    before = log_likelihood(layer, examples)
    assert before == pytest.approx(-6 * np.log(2), abs=0.1)
    assert boltzmann.pretrain(network, below, examples)
    assert log_likelihood(layer, examples) > -2.9  # at best -3 log 2 = -2.08


def test_equal_seeds_give_equal_weights():
    found = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(seed)
        network = dbn((2, 3, 1), units=(5, 4), pretraining_epochs=2)
        boltzmann.pretrain(network, below, stripes(200))
        found.append(network.get_weights())
    assert all((first == second).all() for first, second in zip(found[0], found[1], strict=True))
    assert (found[0][0] != found[2][0]).any()


def test_numbers_for_pixels():
    keras.utils.set_random_seed(0)
    network = dbn((2, 3, 1), units=(5,), visible="gaussian", pretraining_epochs=3)
    examples = stripes(200)
    assert boltzmann.pretrain(network, below, examples)
    seen = below(examples.input("image"))
    assert float(network.get_layer("standardization").stddev) == pytest.approx(np.asarray(seen).std(), rel=1e-4)
    assert np.isfinite(network(seen)).all()


def test_nothing_to_do():
    network = dbn((2, 3, 1), units=(5,), pretraining_epochs=0)
    before = network.get_weights()
    assert not boltzmann.pretrain(network, below, stripes())
    assert all((first == second).all() for first, second in zip(before, network.get_weights(), strict=True))


def test_unrolled_the_decoder_is_the_encoder_turned_around():
    keras.utils.set_random_seed(0)
    encoder, decoder = dbn_autoencoder(2, 2, (2, 3, 1), units=(8, 5), pretraining_epochs=2)
    boltzmann.pretrain(encoder, below, stripes(200))
    boltzmann.unroll(encoder, decoder)
    machines = [layer for layer in encoder.layers if isinstance(layer, RestrictedBoltzmann)]
    assert [layer.name for layer in machines] == ["stage1", "stage2", "code"]
    assert machines[-1].hidden == "gaussian"
    code = np.random.default_rng(0).normal(size=(4, 2)).astype("float32")
    x = code
    for layer in machines[:0:-1]:
        x = layer.visible_mean(x)
    logits = np.asarray(decoder(code)).reshape(4, 6)
    assert 1 / (1 + np.exp(-logits)) == pytest.approx(np.asarray(machines[0].visible_mean(x)), rel=1e-4)


def test_numbers_turned_around_are_pixels():
    """With few bits of precision elsewhere, too: a GPU's default."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        encoder, decoder = dbn_autoencoder(2, 2, (2, 3, 1), units=(8,), visible="gaussian", pretraining_epochs=3)
        images = Examples({"image": Dense((stripes().input("image") // 8 + 100).astype("uint8"))})
        boltzmann.pretrain(encoder, below, images)
        boltzmann.unroll(encoder, decoder)
        codes = encoder(below(images.input("image")))
        made = 255 / (1 + np.exp(-np.asarray(decoder(codes)).astype("float32")))
    finally:
        keras.config.set_dtype_policy("float32")
    assert codes.dtype == "float32"
    assert made.mean() == pytest.approx(images.input("image").mean(), abs=12)


def test_several_parts_are_one():
    found = []
    for parts in ((stripes(300),), (stripes(300).take(slice(0, 100)), stripes(300).take(slice(100, 300)))):
        keras.utils.set_random_seed(0)
        network = dbn((2, 3, 1), units=(5,), pretraining_epochs=2)
        boltzmann.pretrain(network, below, *parts)
        found.append(network.get_weights())
    assert all((first == second).all() for first, second in zip(*found, strict=True))
