"""Autoencoders: images through a narrow place and back, to mend them, to make some, and to find what is unlike them."""

from typing import Literal

import keras
import numpy as np
from jsonargparse.typing import NonNegativeInt, PositiveInt
from keras import layers, ops

from kit.blocks.latent import GaussianLatent, PixelDistribution
from kit.data.corruption import corruption, denoising
from kit.data.image_splits import image_splits
from kit.data.options import Division, ImageOptions
from kit.data.splits import SPLITS, Splits
from kit.errors import check, choose
from kit.models import autoencoding
from kit.tasks import own_images, reconstruction
from kit.tasks.image_features import Reference
from kit.tasks.recipe import Recipe, Stages
from kit.training import boltzmann
from kit.training.decay import sparing
from kit.training.losses import NegativeLogLikelihood
from kit.training.metrics import PeakSignalToNoise


def image_autoencoder(
    image_shape,
    *,
    backbone: str = "convolutional_autoencoder",
    latent_dim: PositiveInt = 20,
    variational: bool = False,
    beta: float = 1.0,
    kl_warmup_steps: NonNegativeInt = 0,
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
    pixel_stddev: float = 0.1,
    optimizer="adam",
):
    """Builds a compiled autoencoder of images.

        model = kit.recipes.image_autoencoder((28, 28, 1), latent_dim=20, variational=True)
        model.fit(images, images, epochs=10)    # pixels from 0 to 255
        model.get_layer("encoder"), model.get_layer("decoder")

    It takes pixels from 0 to 255 and returns such; so do its encoder and its decoder. The loss is in nats: how
    improbable the image is, given the means of its pixels; with `variational` and `beta=1`, while it trains, the
    negative evidence lower bound.

    Args:
        image_shape: Height, width and channels of an image, in pixels.
        backbone: Variant of an architecture, as `kit list` prints them; or what a builder of `kit.models.autoencoding`
            becomes with all but the first two arguments filled in.
        latent_dim: Width of the latent vector.
        variational: Draw the latent vector from a Gaussian that is held near the standard normal distribution, so that
            images can be made from noise (VAE).
        beta: Factor of the divergence between the two, with `variational`; above 1 for latent variables that each mean
            something of their own (beta-VAE).
        kl_warmup_steps: Training steps until the divergence has its whole weight.
        likelihood: How pixels scatter around their means: "bernoulli" takes them for probabilities, as it suits digits
            and drawings, "gaussian" for numbers with an error.
        pixel_stddev: Standard deviation of that error, as a share of the range of pixels.
        optimizer: Keras optimizer or its name.

    Shape:
        in, out: (batch, height, width, channels), pixels from 0 to 255
        encoder: to (batch, latent_dim), with `variational` to (batch, 2 * latent_dim), means and log-variances
        decoder: from (batch, latent_dim)

    Raises:
        SettingError: an unknown backbone, or a value out of range; the message names the argument.
    """
    check(latent_dim >= 1, "latent_dim", latent_dim, "at least 1")
    code_dim = latent_dim * (1 + variational)
    if isinstance(backbone, str):
        build, arguments = choose(autoencoding.VARIANTS, backbone, "backbone")
        encode, decode = build(code_dim, latent_dim, image_shape, **arguments, name=backbone)
    else:
        encode, decode = backbone(code_dim, latent_dim)
    image = keras.Input(image_shape, name="image")
    scaled = layers.Rescaling(1 / 127.5, -1, name="scale")(image)
    encoder = keras.Model(image, encode(scaled), name="encoder")
    latent = keras.Input((latent_dim,), name="latent")
    pixels = PixelDistribution(likelihood, pixel_stddev, name="pixels")(decode(latent))
    decoder = keras.Model(latent, pixels, name="decoder")
    inputs = keras.Input(image_shape, name="image")
    x = encoder(inputs)
    if variational:
        x = GaussianLatent(beta, kl_warmup_steps, name="latent")(x)
    model = keras.Model(inputs, decoder(x), name="image_autoencoder")
    model.compile(
        optimizer=sparing(optimizer, model),
        loss=NegativeLogLikelihood(likelihood, pixel_stddev),
        metrics=[PeakSignalToNoise()],
    )
    return model


def images(
    seed,
    saved,
    *,
    images: ImageOptions = ImageOptions(),
    division: Division = Division(),
    noise: float = 0.0,
    masking: float = 0.0,
    held_out: tuple[str, ...] = (),
):
    """Reads images, with classes where there are such, and divides them into training, validation and test split.

    Args:
        seed: Seed of the run, which the noise of training goes by.
        saved: `Kept` of an earlier run, which is used again, or None.
        noise: Standard deviation of Gaussian noise on the images that are to be mended, as a share of the range of
            pixels; what leaves the range is cut. New in every step of training, fixed in the other splits.
        masking: Share of their pixels that are blanked out.
        held_out: Classes that training and validation do not see; in the test split they are the anomalies that the
            error is expected to find.

    Returns:
        `Splits` of (images as given, images as they should be), with fact `image_shape`.

    Raises:
        KitError: a file or folder that cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    corrupt, corrupt_once = (corruption(each, noise, masking) for each in (seed, division.split_seed))
    read = image_splits(saved, images, division, needs_classes=False)
    numbers = {name: index for index, name in enumerate(read.class_names)}
    unseen = [choose(numbers, name, "held_out") for name in held_out]
    parts = [
        part if name == "test" else part.take(np.flatnonzero(~np.isin(part.target("label"), unseen)))
        for name, part in zip(SPLITS, read.parts, strict=True)
    ]
    read.check_sizes(parts)
    train = parts[0]
    num_classes = len(read.class_names) if not unseen else 0

    def known():
        pixels, classes = read.known()
        is_seen = ~np.isin(classes, unseen)
        return pixels[is_seen], classes[is_seen]

    reference = Reference(train.input("image"), known, num_classes)
    splits = [denoising(part, corrupt_once if index else corrupt, index, reference) for index, part in enumerate(parts)]
    return Splits(
        *splits,
        facts={"image_shape": read.shape},
        assets={
            "class_names": read.class_names,
            "image_shape": read.shape,
            **read.assets,
            "held_out": list(held_out),
            "is_made_worse": corrupt is not None,
        },
        **read.of_source,
        keep=lambda folder: reference.keep(folder, only_if_used=True),
    )


def pretrain(model, splits):
    """Trains layers one by one, without labels, where the encoder has such, and turns them around for the decoder."""
    encoder, decoder = (
        next(layer for layer in model.get_layer(name).layers if isinstance(layer, keras.Model))
        for name in ("encoder", "decoder")
    )
    if boltzmann.pretrain(encoder, lambda pixels: ops.cast(pixels, "float32") / 127.5 - 1.0, splits.train):
        boltzmann.unroll(encoder, decoder)


RECIPE = Recipe(
    name="autoencoder",
    purpose="Images through a narrow place and back: to mend them, to make some, to find what is unlike them.",
    examples="images",
    build=image_autoencoder,
    data=images,
    backbones={"backbone": autoencoding.VARIANTS},
    task=reconstruction.task(),
    stages=Stages(pretrain=pretrain),
    own_data=own_images.IMAGES,
)
