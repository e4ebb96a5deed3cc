"""Every family of generative networks: shapes, reloading, what the papers ask for."""

import keras
import numpy as np
import pytest

from kit.errors import SettingError
from kit.models import generative
from kit.models.generative.dcgan import dcgan


def build(family, conditions=0, shape=(8, 8, 3)):
    function, arguments = generative.VARIANTS[family]
    return function(6, conditions, shape, **arguments, name=family)


def inputs(conditions, shape=None):
    generator = np.random.default_rng(0)
    first = generator.normal(size=(5, *(shape or (6,)))).astype("float32")
    return [first, np.arange(5, dtype="int32") % conditions] if conditions else first


@pytest.mark.parametrize("conditions", [0, 3])
@pytest.mark.parametrize("family", generative.VARIANTS)
def test_shapes_and_reloading(family, conditions, tmp_path):
    generator, discriminator = build(family, conditions)
    images = np.asarray(generator(inputs(conditions)))
    assert images.shape == (5, 8, 8, 3) and np.abs(images).max() <= 1
    given = inputs(conditions, (8, 8, 3))
    assert discriminator(given).shape == (5, 1)
    for network, arguments in ((generator, inputs(conditions)), (discriminator, given)):
        network.save(tmp_path / "network.keras")
        again = keras.models.load_model(tmp_path / "network.keras")
        assert (np.asarray(again(arguments)) == np.asarray(network(arguments))).all()


@pytest.mark.parametrize("family", generative.VARIANTS)
def test_a_wanted_class_changes_the_image_and_the_answer(family):
    generator, discriminator = build(family, 3)
    (latent, _), (image, _) = inputs(3), inputs(3, (8, 8, 3))
    for network, first in ((generator, latent), (discriminator, image)):
        answers = [np.asarray(network([first, np.full(5, index, "int32")])) for index in range(2)]
        assert np.abs(answers[0] - answers[1]).max() > 1e-8


def test_sizes_of_the_maps_and_parameters():
    generator, discriminator = dcgan(64, 0, (28, 28, 1), widths=(64, 32))
    assert generator.get_layer("stage1").output.shape[1:] == (7, 7, 64)
    assert generator.get_layer("stage2").output.shape[1:] == (14, 14, 32)
    assert discriminator.get_layer("stage2").output.shape[1:] == (7, 7, 64)
    dense, middle, last = 64 * 7 * 7 * 64, 16 * 64 * 32, 16 * 32
    assert sum(weight.shape.num_elements() for weight in generator.trainable_weights) == (
        dense + 2 * 64 + middle + 2 * 32 + last
    )
    first, second, answer = 16 * 32 + 32, 16 * 32 * 64 + 2 * 64, 7 * 7 * 64 + 1
    assert sum(weight.shape.num_elements() for weight in discriminator.trainable_weights) == first + second + answer


def test_spectral_norms_are_one():
    _, discriminator = build("sngan", 3)
    images = inputs(3, (8, 8, 3))
    for _ in range(60):
        discriminator(images, training=True)
    kernels = [weight for weight in discriminator.get_weights() if weight.ndim > 1 and weight.shape[0] > 1]
    assert len(kernels) == 4
    for kernel in kernels:
        assert np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0] == pytest.approx(1, abs=0.02)


def test_no_norm_couples_the_images_of_a_penalised_critic():
    _, critic = build("wgan_gp")
    images = inputs(0, (8, 8, 3))
    whole = np.asarray(critic(images, training=True))
    alone = np.concatenate([np.asarray(critic(image[None], training=True)) for image in images])
    assert whole == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"widths": (8, 8, 8, 8)}, "widths: expected fewer, or images whose sides are multiples of 16: these are 8x8"),
        ({"widths": ()}, "widths: expected channels of at least 1"),
        ({"kernel_size": 1}, "kernel_size: expected at least 2"),
        ({"dropout": 1.0}, "dropout: expected a number from 0 to below 1"),
    ],
)
def test_impossible_arguments(arguments, said):
    with pytest.raises(SettingError, match=said):
        dcgan(6, 0, (8, 8, 3), **arguments)
