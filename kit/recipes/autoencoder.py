"""Autoencoders: images through a narrow place and back, to mend them, to make some, and to find what is unlike them."""

from pathlib import Path
from typing import Literal

import keras
import numpy as np
import pandas as pd
from jsonargparse.typing import NonNegativeInt, PositiveInt
from keras import layers, ops

from kit.blocks.latent import GaussianLatent, PixelDistribution
from kit.data.corruption import Mended, corruption, made_worse
from kit.data.image_inputs import image_inputs
from kit.data.image_splits import image_splits
from kit.data.splits import SPLITS, Splits
from kit.errors import KitError, check, choose
from kit.models import autoencoding
from kit.reporting import plots, samples
from kit.scoring.reconstruction import by_pca, decibels, squared_errors
from kit.tasks import image_generation as generated
from kit.tasks.evidence import evidence
from kit.tasks.image_comparison import compare, some
from kit.tasks.image_features import Reference
from kit.tasks.recipe import Evaluation, Recipe, Stages, Task
from kit.training import boltzmann
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
        optimizer=optimizer, loss=NegativeLogLikelihood(likelihood, pixel_stddev), metrics=[PeakSignalToNoise()]
    )
    return model


def images(
    seed,
    saved,
    *,
    source: str = "digits",
    image_size: int | tuple[int, int] | None = None,
    color_mode: Literal["auto", "grayscale", "rgb"] = "auto",
    crop_to_aspect_ratio: bool = False,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    on_bad: Literal["error", "skip"] = "error",
    noise: float = 0.0,
    masking: float = 0.0,
    held_out: tuple[str, ...] = (),
):
    """Reads images, with classes where there are such, and divides them into training, validation and test split.

    Args:
        seed: Seed of the division and of the noise.
        saved: Assignment of an earlier run that is used again, or None.
        source: `digits`, `tfds:NAME`, a CSV file (path, label), an .npz file, or a folder: images, images in a folder
            for each class, the same inside train/, validation/ and test/, or idx files as MNIST is published. In Python
            also an array of images, (images, labels), a `tf.data.Dataset` of them, or a dictionary of these for train,
            validation and test.
        image_size: Side, or height and width, in pixels, that images are resized to; by default their own.
        color_mode: Channels of the images: "grayscale" (1), "rgb" (3), or "auto" if all are of one kind.
        crop_to_aspect_ratio: Cut margins instead of distorting images of another shape.
        validation_fraction: Share of the images not in the test split that becomes the validation split.
        test_fraction: Share of the images that becomes the test split, where the source has none.
        on_bad: What happens to image files that cannot be read: "error" stops, "skip" lists them and goes on.
        noise: Standard deviation of Gaussian noise on the images that are to be mended, as a share of the range of
            pixels; what leaves the range is cut. New in every step of training, fixed in the other splits.
        masking: Share of their pixels that are blanked out.
        held_out: Classes that training and validation do not see; in the test split they are the anomalies that the
            error is expected to find.

    Returns:
        `Splits` of (images as given, images as they should be, labels), with fact `image_shape`.

    Raises:
        KitError: a file or folder that cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    corrupt = corruption(seed, noise, masking)
    read = image_splits(
        seed,
        saved,
        source=source,
        image_size=image_size,
        color_mode=color_mode,
        crop_to_aspect_ratio=crop_to_aspect_ratio,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        on_bad=on_bad,
        in_memory=True,
        needs_classes=False,
    )
    known = {name: index for index, name in enumerate(read.class_names)}
    unseen = [choose(known, name, "held_out") for name in held_out]
    parts = [
        part if name == "test" else part.take(np.flatnonzero(~np.isin(part.columns[1], unseen)))
        for name, part in zip(SPLITS, read.parts, strict=True)
    ]
    for name, part in zip(SPLITS, parts, strict=True):
        if len(part) < 2:
            raise KitError(f"{read.source}: {len(part)} images in the {name} split; expected at least 2")
    reference = Reference(*parts[0].columns, len(read.class_names) if not unseen else 0)
    splits = []
    for index, part in enumerate(parts):
        pixels, labels = part.columns
        given = made_worse(pixels, corrupt, index) if corrupt and index else pixels
        splits.append(Mended((given, pixels, labels), shown=2, reference=reference))
    if corrupt:
        splits[0].corrupt = corrupt
        splits[0].augment = lambda step, given, pixels: (corrupt(step, given), pixels)
    return Splits(
        *splits,
        facts={"image_shape": read.shape},
        assets={
            "class_names": read.class_names,
            "image_shape": read.shape,
            "crop_to_aspect_ratio": crop_to_aspect_ratio,
            "held_out": list(held_out),
            "is_made_worse": corrupt is not None,
            "skipped": read.skipped,
        },
        assignment=read.assignment,
        settings={"source": read.source},
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


def _is_variational(model):
    return any(isinstance(layer, GaussianLatent) for layer in model.layers)


def _made(model, pixels, batch_size):
    """Returns what a model makes of images, uint8 (examples, height, width, channels)."""
    rows = range(0, len(pixels), batch_size)
    parts = [ops.convert_to_numpy(model(pixels[row : row + batch_size], training=False)) for row in rows]
    return np.concatenate([samples.as_pixels(part) for part in parts])


def _codes(model, pixels, batch_size):
    """Returns the latent vector of each image, the mean of it where it is drawn."""
    encoder, rows = model.get_layer("encoder"), range(0, len(pixels), batch_size)
    codes = [ops.convert_to_numpy(encoder(pixels[row : row + batch_size], training=False)) for row in rows]
    codes = np.concatenate(codes)
    return codes[:, : codes.shape[1] // 2] if _is_variational(model) else codes


def _nats(model):
    """Returns the function that tells how improbable images are, given the means of their pixels."""
    pixels = model.get_layer("decoder").get_layer("pixels")
    return NegativeLogLikelihood(pixels.likelihood, pixels.stddev, reduction=None)


def evaluate(
    model,
    examples,
    assets,
    *,
    draws: PositiveInt = 1,
    importance_samples: NonNegativeInt = 0,
    num_samples: NonNegativeInt = 0,
    seed: NonNegativeInt = 0,
    batch_size: PositiveInt = 500,
):
    """Compares images with what comes back of them.

    Args:
        model: The autoencoder.
        examples: `Mended` images of the split.
        assets: The assets of the data.
        draws: Latent vectors drawn for each image for the evidence lower bound of a variational autoencoder.
        importance_samples: Latent vectors drawn for each image for a tighter bound of its probability; 0 leaves that
            away.
        num_samples: Images that a variational autoencoder makes out of noise, to compare them with real ones by their
            features, as `gan` does, at least 2; 0 makes none.
        seed: Seed of all draws.
        batch_size: Images in a step.

    Returns:
        `Evaluation` with the squared error and the peak signal-to-noise ratio, and that of as many principal
        components or, where images were made worse, of what was given; of a variational autoencoder the evidence lower
        bound (exact divergence, `draws` latent vectors an image), in nats; with classes held out how well the
        difference to what was given tells them from the others.
    """
    (_, targets, labels), given = examples.columns, examples.as_given()
    names, is_variational = assets["class_names"], _is_variational(model)
    made = _made(model, given, batch_size)
    errors = squared_errors(made, targets)
    codes = _codes(model, given, batch_size)
    metrics = {"psnr": decibels(errors), "mean_squared_error": float(errors.mean())}
    if not assets["is_made_worse"]:
        metrics["psnr_pca"] = decibels(squared_errors(by_pca(examples.reference, given, codes.shape[1]), targets))
    else:
        metrics["psnr_of_inputs"] = decibels(squared_errors(given, targets))
        metrics["psnr_gain"] = metrics["psnr"] - metrics["psnr_of_inputs"]
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    tables, figures = {}, {}
    if is_variational:
        bounds = evidence(
            encoder,
            decoder,
            _nats(model),
            given,
            targets,
            draws=draws,
            importance_samples=importance_samples,
            seed=seed,
        )
        means = bounds.pop("means")
        metrics |= {name: float(values.mean()) for name, values in bounds.items()}
        # Burda et al., 2016: units whose mean depends on the image.
        metrics["active_units"] = int((means.var(0) > 0.01).sum())
    unseen = np.isin(labels, [names.index(name) for name in assets["held_out"]])
    if unseen.any() and not unseen.all():
        from sklearn.metrics import roc_auc_score

        metrics["anomaly_auroc"] = float(roc_auc_score(unseen, squared_errors(made, given)))
    if len(names) > 1:
        tables["1_classes"] = pd.DataFrame(
            {
                "class": names,
                "images": np.bincount(labels, minlength=len(names)),
                "squared error": [
                    errors[labels == index].mean() if (labels == index).any() else np.nan for index in range(len(names))
                ],
            }
        )
    if is_variational and num_samples:
        count = min(max(num_samples, 2), len(examples.reference.images))
        pixels = generated.make(decoder, *generated.draw(decoder, count, seed, 0), batch_size)
        more, shares = compare(pixels, targets, labels, names, examples.reference)
        metrics |= more
        if shares:
            tables["2_made_images"] = shares["1_classes"]
    chosen = samples.of_all_classes(labels, 10)
    rows, title = [given, made], "2_originals_above_and_what_comes_back_below"
    if assets["is_made_worse"]:
        rows, title = [given, targets, made], "2_given_wanted_and_mended"
    figures[title] = lambda: samples.figure(samples.mosaic(np.concatenate([row[chosen] for row in rows]), len(chosen)))
    if is_variational:
        figures["3_samples"] = lambda: samples.figure(
            samples.mosaic(
                generated.make(decoder, *generated.draw(decoder, 80, seed, 0), batch_size), generated.COLUMNS
            )
        )
        figures["4_on_the_way_from_one_to_another"] = lambda: samples.figure(
            samples.mosaic(
                generated.make(decoder, *generated.ways(decoder, 0, seed, generated.COLUMNS), batch_size),
                generated.COLUMNS,
            )
        )
    figures["5_latent_space"] = lambda: plots.latent_space(
        some(codes, 2000), some(labels, 2000) if len(names) > 1 else None, names
    )
    worst = np.argsort(-errors)[:10]
    figures["6_largest_errors"] = lambda: samples.figure(
        samples.mosaic(np.concatenate([targets[worst], made[worst]]), len(worst))
    )
    return Evaluation(metrics, tables, figures)


def validate(model, examples, assets):
    """Returns how improbable up to 5,000 images are after each epoch, in nats.

    Of a variational autoencoder that is the negative evidence lower bound, one latent vector drawn for each image,
    where the loss that `fit` validates by takes the mean of it.
    """
    given, targets = (some(column, 5000) for column in (examples.as_given(), examples.columns[1]))
    if not _is_variational(model):
        return {"nats": ops.convert_to_numpy(_nats(model)(targets, _made(model, given, 500))).mean()}
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    found = evidence(encoder, decoder, _nats(model), given, targets)
    return {"nats": -found["elbo"].mean(), "kl": found["kl"].mean()}


def calibrate(model, examples, assets, *, batch_size=500):
    """Returns the errors that are common: hundredths of those of the validation split.

    Args:
        model: The autoencoder.
        examples: `Mended` images of the validation split.
        assets: The assets of the data.
        batch_size: As for `evaluate`.
    """
    given = examples.as_given()  # as `predict` gets them: nobody knows what they should be
    errors = squared_errors(_made(model, given, batch_size), given)
    return {"error_quantiles": np.quantile(errors, np.linspace(0, 1, 101)).tolist()}


def predict(
    model,
    inputs,
    assets,
    *,
    output: str | None = None,
    codes: bool = False,
    count: NonNegativeInt = 0,
    seed: NonNegativeInt = 0,
    interpolate: NonNegativeInt = 0,
    batch_size: PositiveInt = 500,
):
    """Sends images through the autoencoder; or, of a variational one and without images, makes some out of noise.

    Args:
        model: The autoencoder.
        inputs: Image files and folders of them, or an array (images, height, width, channels) of pixels from 0 to 255
            or, as fractions, from 0 to 1; or nothing.
        assets: The assets of the data that the model was trained on.
        output: Folder to write what comes back to, new or empty; without images it is `generated` by default.
        codes: Add the latent vector to the table.
        count: Number of images to make out of noise.
        seed: Seed of the noise.
        interpolate: Make that many rows of ten images each instead, on the way from one image to another.
        batch_size: Images in a step.

    Returns:
        Table with a row an image: `input`, `error` (mean squared, pixels being from 0 to 1) and `anomaly`, the share of
        the validation images whose error was smaller; then `file` with `output`, and `z(1)` and so on with `codes`. For
        images made out of noise `file` alone.

    Raises:
        KitError: neither images nor `count`, an image that cannot be read, or the folder has something in it.
    """
    if inputs is None or (isinstance(inputs, list | tuple) and not inputs):
        return _out_of_noise(model, output or "generated", count, seed, interpolate, batch_size)
    for key, value in (("count", count), ("interpolate", interpolate)):
        check(not value, key, value, "0 with images")
    names, batches = image_inputs(inputs, tuple(assets["image_shape"]), assets["crop_to_aspect_ratio"], batch_size)
    folder = samples.new_folder(output) if output else None
    errors, made, latents = [], [], []
    for batch in batches():
        made.append(_made(model, batch, batch_size))
        errors.append(squared_errors(made[-1], batch))
        latents.append(_codes(model, batch, batch_size) if codes else None)
    errors = np.concatenate(errors)
    table = pd.DataFrame({"input": [str(name) for name in names], "error": errors})
    if "error_quantiles" in assets:
        quantiles = assets["error_quantiles"]
        table["anomaly"] = np.interp(errors, quantiles, np.linspace(0, 1, len(quantiles)))
    if folder:
        table["file"] = samples.write_numbered(folder, np.concatenate(made), generated.COLUMNS)
    if codes:
        latents = np.concatenate(latents)
        columns = [f"z({number})" for number in range(1, latents.shape[1] + 1)]
        table = pd.concat([table, pd.DataFrame(latents, columns=columns)], axis=1)
    return table


def _out_of_noise(model, output, count, seed, interpolate, batch_size):
    """Makes images and writes them; returns a table of their files."""
    if not _is_variational(model):
        raise KitError(
            "predict: no images; expected files or folders (images out of noise need a model trained with "
            "model.variational=true)"
        )
    if not count and not interpolate:
        raise KitError("predict: no images; expected files or folders, or --count for images out of noise")
    folder, decoder = samples.new_folder(output), model.get_layer("decoder")
    latents, _ = (
        generated.ways(decoder, 0, seed, generated.COLUMNS, interpolate)
        if interpolate
        else generated.draw(decoder, count, seed, 0)
    )
    made = generated.make(decoder, latents, None, batch_size)
    return pd.DataFrame({"file": samples.write_numbered(folder, made, generated.COLUMNS if interpolate else 8)})


def _show(predictions, is_terminal):
    """Returns the table without latent vectors, or where the images are that were made."""
    if "input" not in predictions:
        folder = Path(predictions["file"].iloc[0]).parent
        return f"{len(predictions):,} images in {folder}, all of them in {folder / 'grid.png'}"
    shown = predictions[[name for name in predictions.columns if not name.startswith("z(")]]
    return shown.to_string(index=False, formatters={"error": "{:.5f}".format, "anomaly": "{:.0%}".format})


def illustrate(splits, seed):
    """Returns a figure of training images as they are given, if they are made worse."""
    if splits.train.augment is None:
        return {}

    def draw():
        given, targets = next(iter(splits.train.stream(min(10, len(splits.train)), seed, 0, 1)))
        return samples.figure(samples.mosaic(np.concatenate([given, targets]), len(given)))

    return {"7_training_images_as_given_and_as_they_should_be": draw}


RECIPE = Recipe(
    name="autoencoder",
    purpose="Images through a narrow place and back: to mend them, to make some, to find what is unlike them.",
    build=image_autoencoder,
    data=images,
    backbones={"backbone": autoencoding.VARIANTS},
    task=Task(
        monitors={"val_nats": "min", "val_loss": "min", "val_psnr": "max"},
        evaluate=evaluate,
        predict=predict,
        validate=validate,
        calibrate=calibrate,
        illustrate=illustrate,
        show=_show,
        inputs="optional",
    ),
    stages=Stages(pretrain=pretrain),
)
