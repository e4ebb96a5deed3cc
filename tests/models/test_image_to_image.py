"""Networks from image to image: shapes, sizes, reloading, what the paper asks for."""

import keras
import numpy as np
import pytest

from kit.errors import SettingError
from kit.models import image_to_image
from kit.models.image_to_image.cyclegan import cyclegan

SMALL = {"widths": (8, 16), "residual_blocks": 1, "kernel_size": 3, "discriminator_widths": (8, 16)}


@pytest.mark.parametrize("shape", [(8, 8, 1), (10, 14, 3)])
def test_shapes_and_reloading(shape, tmp_path):
    generator, discriminator = cyclegan("a_to_b", shape, **SMALL, name="small")
    assert (generator.name, discriminator.name) == ("a_to_b", "small_discriminator_a_to_b")
    images = np.random.default_rng(0).uniform(-1, 1, (3, *shape)).astype("float32")
    made = np.asarray(generator(images))
    assert made.shape == images.shape and np.abs(made).max() <= 1
    assert discriminator(images).shape == (3, shape[0] // 2 - 2, shape[1] // 2 - 2, 1)
    for network in (generator, discriminator):
        network.save(tmp_path / "network.keras")
        again = keras.models.load_model(tmp_path / "network.keras")
        assert (np.asarray(again(images)) == np.asarray(network(images))).all()


@pytest.mark.parametrize("variant", image_to_image.VARIANTS)
def test_every_variant_takes_images_that_it_is_made_for(variant):
    build, arguments = image_to_image.VARIANTS[variant]
    for side in (8, 32) if variant.endswith("small") else (256,):
        generator, discriminator = build("a_to_b", (side, side, 3), **arguments, name=variant)
        assert generator.output.shape[1:] == (side, side, 3) and discriminator.output.shape[-1] == 1


def test_sizes_are_the_papers():
    generator, discriminator = cyclegan("a_to_b", (256, 256, 3))
    assert generator.count_params() == 11_378_179  # as in the authors' code
    assert discriminator.count_params() == 2_764_737
    assert generator.get_layer("stage3").output.shape[1:] == (64, 64, 256)
    assert discriminator.output.shape[1:] == (30, 30, 1)


def test_an_answer_of_the_discriminator_is_for_a_patch_of_70_pixels():
    """Without its normalisation, which looks at the whole image; kernels and strides alone say what is seen."""
    _, discriminator = cyclegan("a_to_b", (256, 256, 3))
    seen, step = 1, 1
    for layer in discriminator.layers:
        if isinstance(layer, keras.layers.Conv2D):
            seen, step = seen + (layer.kernel_size[0] - 1) * step, step * layer.strides[0]
    assert seen == 70


def test_an_image_is_translated_on_its_own():
    generator, _ = cyclegan("a_to_b", (8, 8, 1), **SMALL)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 1)).astype("float32")
    alone = np.concatenate([np.asarray(generator(image[None], training=True)) for image in images])
    np.testing.assert_allclose(generator(images, training=True), alone, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"widths": (8, 8, 8)}, "widths: expected fewer, or images whose sides are multiples of 4: these are 10x8"),
        ({"widths": ()}, "widths: expected channels of at least 1"),
        ({"widths": (8, 8, 8, 8), "image_shape": (8, 8, 1)}, "widths: expected fewer, or sides of at least 16"),
        ({"residual_blocks": -1}, "residual_blocks: expected at least 0"),
        ({"kernel_size": 4}, "kernel_size: expected an odd number"),
        ({"kernel_size": 17}, "kernel_size: expected less than twice the images' side, 8"),
        ({"discriminator_widths": (8, 8, 8)}, "discriminator_widths: expected fewer, or larger images: of 10x8"),
        ({"discriminator_widths": ()}, "discriminator_widths: expected channels of at least 1"),
    ],
)
def test_impossible_arguments(arguments, said):
    with pytest.raises(SettingError, match=said):
        cyclegan("a_to_b", **{"image_shape": (10, 8, 1)} | SMALL | arguments)
