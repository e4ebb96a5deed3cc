"""Convolutional generative adversarial networks, and those of the same shape that differ in loss and normalisation.

Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", 2016.
"""

from typing import Literal

import keras
from keras import layers
from keras.config import floatx

from kit.blocks import heads
from kit.blocks.conditioning import latent_inputs
from kit.blocks.convolution import check_kernel
from kit.blocks.upsampling import halving, seed_map, upsampling
from kit.errors import check
from kit.models.generative.residual_discriminator import residual_discriminator

VARIANTS = {
    "dcgan": {},
    # Mao et al., "Least Squares Generative Adversarial Networks", 2017
    "lsgan": {},
    # Arjovsky, Chintala and Bottou, "Wasserstein GAN", 2017
    "wgan": {},
    # Gulrajani et al., "Improved Training of Wasserstein GANs", 2017: each image is penalised on its own
    "wgan_gp": {"discriminator_normalization": "layer"},
    # Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018
    "sngan": {"discriminator_normalization": "spectral"},
}


def dcgan(
    latent_dim,
    num_conditions,
    image_shape,
    *,
    widths: tuple[int, ...] = (64, 32),
    kernel_size: int = 4,
    discriminator: Literal["mirror", "residual"] = "mirror",
    discriminator_widths: tuple[int, ...] = (),
    discriminator_normalization: Literal["batch", "layer", "spectral", "none"] = "batch",
    dropout: float = 0.0,
    name: str = "dcgan",
):
    """Builds a generator of transposed convolutions and a discriminator, by default its mirror image.

    Args:
        latent_dim: Width of the latent vector.
        num_conditions: Number of classes that images are made for; 0 makes them without.
        image_shape: Height, width and channels of an image.
        widths: Channels of the generator's feature maps; each is half as large as the next, the last as the image.
        kernel_size: Side of all kernels, in pixels.
        discriminator: "mirror", the generator's mirror image, or "residual", the deeper one of `stylegan`, which has
            neither normalisation nor dropout and wants a penalty on its gradients.
        discriminator_widths: Channels of the discriminator's feature maps, in the same order; by default the
            generator's.
        discriminator_normalization: Normalisation behind the mirror image's convolutions but the first; "spectral"
            keeps the spectral norm of all its layers at 1 instead.
        dropout: Share of the mirror image's feature maps dropped while training.
        name: Prefix of the networks' names.

    Returns:
        Generator, from (batch, latent_dim) and, with classes, (batch,) to images; discriminator, from images and,
        with classes, (batch,) to (batch, 1), the logit of being real.

    Raises:
        SettingError: widths below 1, sides that cannot be halved so often, `dropout` out of range, or a residual
            discriminator with normalisation or dropout.
    """
    height, width, channels = image_shape
    factor = 2 ** len(widths)
    check(widths and min(widths) >= 1, "widths", widths, "channels of at least 1")
    check(
        height % factor == 0 and width % factor == 0,
        "widths",
        widths,
        f"fewer, or images whose sides are multiples of {factor}: these are {height}x{width}",
    )
    has_widths = len(discriminator_widths) <= len(widths) and min(discriminator_widths, default=1) >= 1
    check(has_widths, "discriminator_widths", discriminator_widths, f"up to {len(widths)} channels of at least 1")
    check_kernel(kernel_size, image_shape, least=2)
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    if discriminator == "residual":
        normalization = discriminator_normalization
        check(normalization == "none", "discriminator_normalization", normalization, "none if it is residual")
        check(not dropout, "dropout", dropout, "0 with a residual discriminator")
    inputs, x = latent_inputs(latent_dim, num_conditions)
    x = seed_map(x, height // factor, width // factor, widths[0], name="stage1")
    x = _norm_relu(x, "stage1")
    for index, filters in enumerate(widths[1:], 2):
        x = _norm_relu(upsampling(x, filters, kernel_size, name=f"stage{index}_upsampling"), f"stage{index}")
    x = upsampling(x, channels, kernel_size, name="pixels")
    x = layers.Activation("tanh", dtype=floatx(), name="image")(x)
    generator = keras.Model(inputs, x, name=f"{name}_generator")

    widths, name = discriminator_widths or widths, f"{name}_discriminator"
    if discriminator == "residual":
        return generator, residual_discriminator(num_conditions, image_shape, widths, name=name)
    image = keras.Input(image_shape, name="image")
    x, is_spectral = image, discriminator_normalization == "spectral"
    for index, filters in enumerate(reversed(widths), 1):
        has_norm = index > 1 and discriminator_normalization in ("batch", "layer")
        x = halving(x, filters, kernel_size, use_bias=not has_norm, spectral=is_spectral, name=f"stage{index}_conv")
        if has_norm and discriminator_normalization == "batch":
            x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"stage{index}_norm")(x)
        elif has_norm:
            x = layers.GroupNormalization(1, name=f"stage{index}_norm")(x)  # the whole image is one group
        x = layers.LeakyReLU(0.2, name=f"stage{index}")(x)
        x = layers.Dropout(dropout, name=f"stage{index}_dropout")(x) if dropout else x
    inputs, x = heads.realness(image, x, num_conditions, spectral=is_spectral)
    return generator, keras.Model(inputs, x, name=name)


def _norm_relu(x, name):
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
    return layers.ReLU(name=name)(x)
