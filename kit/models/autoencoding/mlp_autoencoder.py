"""Autoencoders of dense layers.

Rumelhart, Hinton and Williams, "Learning internal representations by error propagation", 1986.
"""

import math

import keras
from keras import layers
from keras.config import floatx

from kit.blocks.activations import Activation
from kit.errors import check

VARIANTS = {
    # The network of Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, a little narrower.
    "mlp_autoencoder": {"units": (400,)},
    # The widths of Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", 2006.
    "deep_autoencoder": {"units": (1000, 500, 250)},
}


def mlp_autoencoder(
    code_dim,
    latent_dim,
    image_shape,
    *,
    units: tuple[int, ...] = (400,),
    activation: Activation = "relu",
    dropout: float = 0.0,
    name: str = "mlp_autoencoder",
):
    """Builds an encoder of dense layers and a decoder that is its mirror image.

    Args:
        code_dim: Width of the encoder's answer.
        latent_dim: Width of the latent vector.
        image_shape: Height, width and channels of an image.
        units: Width of each hidden layer of the encoder; the decoder has them in reverse.
        activation: Name of a Keras activation.
        dropout: Share of the outputs of the encoder's hidden layers dropped while training.
        name: Prefix of the networks' names.

    Shape:
        encoder: (batch, height, width, channels), between -1 and 1, to (batch, code_dim)
        decoder: (batch, latent_dim) to (batch, height, width, channels), logits

    Raises:
        SettingError: a width is below 1, or `dropout` is out of range.
    """
    check(units and min(units) >= 1, "units", units, "widths of at least 1")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    image = keras.Input(image_shape, name="image")
    x = layers.Flatten(name="flatten")(image)
    for index, width in enumerate(units, 1):
        x = layers.Dense(width, activation=activation, name=f"stage{index}")(x)
        x = layers.Dropout(dropout, name=f"stage{index}_dropout")(x) if dropout else x
    encoder = keras.Model(image, layers.Dense(code_dim, dtype=floatx(), name="code")(x), name=f"{name}_encoder")

    latent = keras.Input((latent_dim,), name="latent")
    x = latent
    for index, width in enumerate(reversed(units), 1):
        x = layers.Dense(width, activation=activation, name=f"stage{index}")(x)
    x = layers.Dense(math.prod(image_shape), name="logits")(x)
    return encoder, keras.Model(latent, layers.Reshape(image_shape, name="map")(x), name=f"{name}_decoder")
