"""Deep autoencoders that begin as restricted Boltzmann machines.

Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", 2006.
"""

import math
from typing import Literal

import keras
from keras import layers

from kit.blocks.boltzmann import RestrictedBoltzmann, pixels_as
from kit.errors import check

VARIANTS = {"dbn_autoencoder": {"units": (1000, 500, 250)}}


def dbn_autoencoder(
    code_dim,
    latent_dim,
    image_shape,
    *,
    units: tuple[int, ...] = (1000, 500, 250),
    visible: Literal["bernoulli", "gaussian"] = "bernoulli",
    pretraining_epochs: int = 10,
    pretraining_rate: float | None = None,
    gibbs_steps: int = 1,
    persistent: bool = False,
    name: str = "dbn_autoencoder",
):
    """Builds an encoder of restricted Boltzmann machines, the last one with linear units, and its mirror image.

    Args:
        code_dim: Width of the encoder's answer, the latent vector itself.
        latent_dim: Width of the latent vector.
        image_shape: Height, width and channels of an image.
        units: Width of each hidden layer of the encoder; the decoder has them in reverse.
        visible: What pixels are to the first layer: "bernoulli" takes them for probabilities, "gaussian" for numbers,
            which are brought to mean 0 and variance 1.
        pretraining_epochs: Passes over the training images for each layer; 0 begins with random weights.
        pretraining_rate: Learning rate of these; by default 0.05, and 0.001 where units are Gaussian.
        gibbs_steps: Steps of the Markov chain in contrastive divergence (the k of CD-k).
        persistent: Let the chain go on from batch to batch (persistent contrastive divergence).
        name: Prefix of the networks' names.

    Shape:
        encoder: (batch, height, width, channels), between -1 and 1, to (batch, code_dim)
        decoder: (batch, latent_dim) to (batch, height, width, channels), logits

    Raises:
        SettingError: a value out of range, or an encoder's answer that is no latent vector.
    """
    check(units and min(units) >= 1, "units", units, "widths of at least 1")
    check(pretraining_epochs >= 0, "pretraining_epochs", pretraining_epochs, "at least 0")
    check(pretraining_rate is None or pretraining_rate > 0, "pretraining_rate", pretraining_rate, "above 0")
    check(code_dim == latent_dim, "model.variational", True, "False with an encoder that is turned around")
    image = keras.Input(image_shape, name="image")
    x = pixels_as(layers.Flatten(name="flatten")(image), visible)
    for index, width in enumerate((*units, code_dim), 1):
        below, above = visible if index == 1 else "bernoulli", "gaussian" if index > len(units) else "bernoulli"
        x = RestrictedBoltzmann(
            width,
            visible=below,
            hidden=above,
            epochs=pretraining_epochs,
            learning_rate=pretraining_rate or (0.001 if "gaussian" in (below, above) else 0.05),
            gibbs_steps=gibbs_steps,
            persistent=persistent,
            name=f"stage{index}" if index <= len(units) else "code",
        )(x)
    encoder = keras.Model(image, x, name=f"{name}_encoder")

    latent = keras.Input((latent_dim,), name="latent")
    x = latent
    for index, width in enumerate(reversed(units), 1):
        x = layers.Dense(width, activation="sigmoid", name=f"stage{index}")(x)
    x = layers.Dense(math.prod(image_shape), name="logits")(x)
    return encoder, keras.Model(latent, layers.Reshape(image_shape, name="map")(x), name=f"{name}_decoder")
