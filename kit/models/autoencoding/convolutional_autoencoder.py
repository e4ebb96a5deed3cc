"""Autoencoders of convolutions.

Masci, Meier, Ciresan and Schmidhuber, "Stacked Convolutional Auto-Encoders for Hierarchical Feature Extraction", 2011;
here with strides in place of pooling.
"""

import keras
from keras import layers
from keras.config import floatx

from kit.blocks.convolution import check_kernel, norm
from kit.blocks.upsampling import halving, seed_map, upsampling
from kit.errors import check

VARIANTS = {"convolutional_autoencoder": {}}


def convolutional_autoencoder(
    code_dim,
    latent_dim,
    image_shape,
    *,
    widths: tuple[int, ...] = (32, 64),
    kernel_size: int = 4,
    name: str = "convolutional_autoencoder",
):
    """Builds an encoder of convolutions with a stride of 2 and a decoder that is its mirror image.

    Args:
        code_dim: Width of the encoder's answer.
        latent_dim: Width of the latent vector.
        image_shape: Height, width and channels of an image.
        widths: Channels of the encoder's feature maps, each half as large as the one before, the first half as large
            as the image.
        kernel_size: Side of all kernels, in pixels.
        name: Prefix of the networks' names.

    Shape:
        encoder: (batch, height, width, channels), between -1 and 1, to (batch, code_dim)
        decoder: (batch, latent_dim) to (batch, height, width, channels), logits

    Raises:
        SettingError: widths below 1, or sides that cannot be halved so often.
    """
    height, width, channels = image_shape
    factor = 2 ** len(widths)
    check(widths and min(widths) >= 1, "widths", widths, "widths of at least 1")
    check(
        height % factor == 0 and width % factor == 0,
        "widths",
        widths,
        f"fewer, or images whose sides are multiples of {factor}: these are {height}x{width}",
    )
    check_kernel(kernel_size, image_shape, least=2)
    image = keras.Input(image_shape, name="image")
    x = image
    for index, filters in enumerate(widths, 1):
        x = norm(halving(x, filters, kernel_size, name=f"stage{index}_conv"), name=f"stage{index}")
    x = layers.Flatten(name="flatten")(x)
    encoder = keras.Model(image, layers.Dense(code_dim, dtype=floatx(), name="code")(x), name=f"{name}_encoder")

    latent = keras.Input((latent_dim,), name="latent")
    x = norm(seed_map(latent, height // factor, width // factor, widths[-1], name="stage1"), name="stage1")
    for index, filters in enumerate(reversed(widths[:-1]), 2):
        x = norm(upsampling(x, filters, kernel_size, name=f"stage{index}_upsampling"), name=f"stage{index}")
    x = upsampling(x, channels, kernel_size, name="logits")
    return encoder, keras.Model(latent, x, name=f"{name}_decoder")
