"""Every family of generative networks: shapes, reloading, what the papers ask for."""

import keras
import numpy as np
import pytest

from kit.errors import SettingError
from kit.models import generative
from kit.models.generative.dcgan import dcgan
from kit.models.generative.stylegan import stylegan
from tests.conftest import slow


def build(family, conditions=0, shape=(8, 8, 3)):
    function, arguments = generative.VARIANTS[family]
    return function(6, conditions, shape, **arguments, name=family)


def inputs(conditions, shape=None):
    generator = np.random.default_rng(0)
    first = generator.normal(size=(5, *(shape or (6,)))).astype("float32")
    return [first, np.arange(5, dtype="int32") % conditions] if conditions else first


@pytest.mark.parametrize("conditions", [slow(0), 3])
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


def test_a_residual_discriminator_has_sizes_of_its_own():
    kinds = {"discriminator": "residual", "discriminator_normalization": "none"}
    generator, discriminator = dcgan(64, 3, (28, 28, 1), widths=(16, 8), discriminator_widths=(12, 4), **kinds)
    assert generator.get_layer("stage1").output.shape[1:] == (7, 7, 16)
    assert discriminator.get_layer("stage1").output.shape[1:] == (14, 14, 4)
    assert discriminator.get_layer("stage2").output.shape[1:] == (7, 7, 12)
    assert discriminator.name == "dcgan_discriminator"
    made = np.asarray(generator(inputs(3, (64,))))
    answers = np.asarray(discriminator([made, inputs(3)[1]], training=True))
    # It looks at the batch: alone each image gets another answer.
    alone = np.concatenate([np.asarray(discriminator([made[i : i + 1], inputs(3)[1][i : i + 1]])) for i in range(5)])
    assert answers.shape == (5, 1) and (answers != alone).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"discriminator": "residual"}, "discriminator_normalization.*none"),
        ({"discriminator": "residual", "discriminator_normalization": "none", "dropout": 0.5}, "dropout.*residual"),
        ({"discriminator_widths": (8, 8, 8)}, "discriminator_widths.*up to 2"),
        ({"discriminator_widths": (0,)}, "discriminator_widths.*at least 1"),
    ],
)
def test_a_discriminator_that_cannot_be_built_is_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        dcgan(6, 0, (8, 8, 1), **settings)


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


def count(weights):
    return sum(weight.shape.num_elements() for weight in weights)


def test_sizes_of_the_maps_and_parameters_of_a_generator_of_styles():
    generator, discriminator = stylegan(64, 0, (28, 28, 1), widths=(64, 32), style_dim=48, mapping_layers=2)
    mapping, synthesis = generator.get_layer("mapping"), generator.get_layer("synthesis")
    assert mapping.output.shape[1:] == (48,) and synthesis.input.shape[1:] == (4, 48)
    assert synthesis.get_layer("stage1").output.shape[1:] == (7, 7, 64)
    assert synthesis.get_layer("stage2").output.shape[1:] == (14, 14, 32)
    assert count(mapping.trainable_weights) == 65 * 48 + 49 * 48
    modulations = 49 * (64 + 64 + 64 + 32 + 32)  # of three convolutions and two images
    convolutions = 9 * 64 * 64 + 64 + 16 * 64 * 32 + 32 + 9 * 32 * 32 + 32
    begin, noises, pixels = 7 * 7 * 64, 3, 16 * (64 + 32)
    assert count(synthesis.trainable_weights) == modulations + convolutions + begin + noises + pixels
    assert count(generator.non_trainable_weights) == 48 + 7 * 7 + 2 * 14 * 14  # the mean of styles, noise
    assert discriminator.get_layer("stage1").output.shape[1:] == (14, 14, 32)
    assert discriminator.get_layer("stage2").output.shape[1:] == (7, 7, 64)
    assert discriminator.get_layer("deviation").output.shape[1:] == (7, 7, 65)


@pytest.mark.parametrize(("shape", "widths"), [((32, 32, 3), (16, 8, 8)), ((8, 12, 1), (16,))])
def test_other_sizes_of_images_of_styles(shape, widths):
    generator, discriminator = stylegan(6, 0, shape, widths=widths)
    made = generator(inputs(0))
    assert made.shape == (5, *shape) and discriminator(made).shape == (5, 1)


@pytest.mark.parametrize("conditions", [0, 3])
def test_a_copy_of_a_generator_of_styles_has_its_weights_in_the_same_order(conditions):
    generator, _ = build("stylegan", conditions)
    generator(inputs(conditions), training=True)
    again = keras.models.clone_model(generator)
    assert [each.shape for each in again.variables] == [each.shape for each in generator.variables]
    again.set_weights(generator.get_weights())
    given = inputs(conditions)
    assert (np.asarray(again(given)) == np.asarray(generator(given))).all()


@pytest.mark.parametrize("conditions", [0, 3])
def test_styles_are_mixed_only_while_training_and_within_a_class(conditions):
    generator, _ = build("stylegan", conditions)
    given = inputs(conditions)
    assert (np.asarray(generator(given)) == np.asarray(generator(given))).all()
    inside = keras.Model(generator.input, generator.get_layer("mixing").output)
    still, mixed = (np.asarray(inside(given, training=training)) for training in (False, True))
    assert (still == still[:, :1]).all()
    for _ in range(10):
        mixed = np.maximum(mixed, np.asarray(inside(given, training=True)))
    assert (mixed != still).any()
    mapping = generator.get_layer("mapping")
    if conditions:  # the second latent vector comes with the first one's label
        second = np.asarray(mapping([np.roll(given[0], -1, axis=0), given[1]]))
    else:
        second = np.roll(np.asarray(mapping(given)), -1, axis=0)
    assert mixed[:, -1] == pytest.approx(np.maximum(second, still[:, -1]), abs=1e-5)


def test_the_mean_of_all_styles_is_one_image():
    generator, _ = build("stylegan")
    generator(inputs(0), training=True)
    assert np.ptp(generator(inputs(0)), axis=0).max() > 1e-3
    generator.get_layer("truncation").truncation = 0.0
    assert np.ptp(generator(inputs(0)), axis=0).max() < 1e-6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"widths": (8, 8, 8, 8)}, "widths: expected fewer, or images whose sides are multiples of 16: these are 8x8"),
        ({"widths": (0,)}, "widths: expected channels of at least 1"),
        ({"style_dim": 0}, "style_dim: expected at least 1"),
        ({"mapping_layers": 0}, "mapping_layers: expected at least 1"),
        ({"mapping_rate": 0.0}, "mapping_rate: expected above 0"),
        ({"mixing": 1.5}, "mixing: expected a number from 0 to 1"),
    ],
)
def test_impossible_arguments_of_styles(arguments, said):
    with pytest.raises(SettingError, match=said):
        stylegan(6, 0, (8, 8, 3), **arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"widths": (8, 8, 8, 8)}, "widths: expected fewer, or images whose sides are multiples of 16: these are 8x8"),
        ({"widths": ()}, "widths: expected channels of at least 1"),
        ({"kernel_size": 1}, "kernel_size: expected at least 2"),
        ({"kernel_size": 100_000}, "kernel_size: expected at most 16, twice the images' side"),
        ({"dropout": 1.0}, "dropout: expected a number from 0 to below 1"),
    ],
)
def test_impossible_arguments(arguments, said):
    with pytest.raises(SettingError, match=said):
        dcgan(6, 0, (8, 8, 3), **arguments)
