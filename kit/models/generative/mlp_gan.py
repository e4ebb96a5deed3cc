"""Generative adversarial network of two multilayer perceptrons, the first GAN.

Goodfellow et al., "Generative Adversarial Nets", 2014.
"""

import math

import keras
from keras import layers
from keras.config import floatx

from kit.blocks import heads
from kit.blocks.conditioning import latent_inputs
from kit.errors import check

VARIANTS = {"gan": {}}


def mlp_gan(
    latent_dim,
    num_conditions,
    image_shape,
    *,
    generator_units: tuple[int, ...] = (256, 512),
    discriminator_units: tuple[int, ...] = (512, 256),
    dropout: float = 0.3,
    name: str = "gan",
):
    """Builds a generator and a discriminator of dense layers.

    Args:
        latent_dim: Width of the latent vector.
        num_conditions: Number of classes that images are made for; 0 makes them without.
        image_shape: Height, width and channels of an image.
        generator_units: Width of each hidden layer of the generator.
        discriminator_units: Width of each hidden layer of the discriminator.
        dropout: Share of the outputs of the discriminator's hidden layers dropped while training.
        name: Prefix of the networks' names.

    Returns:
        Generator, from (batch, latent_dim) and, with classes, (batch,) to images; discriminator, from images and,
        with classes, (batch,) to (batch, 1), the logit of being real.

    Raises:
        SettingError: a width is below 1, or `dropout` is out of range.
    """
    for key, units in (("generator_units", generator_units), ("discriminator_units", discriminator_units)):
        check(units and min(units) >= 1, key, units, "widths of at least 1")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    inputs, x = latent_inputs(latent_dim, num_conditions)
    for index, width in enumerate(generator_units, 1):
        x = layers.Dense(width, use_bias=False, name=f"stage{index}_dense")(x)
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"stage{index}_norm")(x)
        x = layers.LeakyReLU(0.2, name=f"stage{index}")(x)
    x = layers.Dense(math.prod(image_shape), activation="tanh", dtype=floatx(), name="pixels")(x)
    generator = keras.Model(inputs, layers.Reshape(image_shape, name="image")(x), name=f"{name}_generator")

    image = keras.Input(image_shape, name="image")
    x = layers.Flatten(name="flatten")(image)
    for index, width in enumerate(discriminator_units, 1):
        x = layers.LeakyReLU(0.2, name=f"stage{index}")(layers.Dense(width, name=f"stage{index}_dense")(x))
        x = layers.Dropout(dropout, name=f"stage{index}_dropout")(x) if dropout else x
    inputs, x = heads.realness(image, x, num_conditions)
    return generator, keras.Model(inputs, x, name=f"{name}_discriminator")
