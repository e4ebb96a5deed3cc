"""Reconstruction: what an autoencoder brings back of images; errors, evidence, anomalies, samples, predictions."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
from jsonargparse.typing import NonNegativeInt, PositiveInt
from keras import ops

from kit.blocks.latent import GaussianLatent
from kit.data.image_inputs import image_inputs
from kit.errors import KitError, check
from kit.reporting import plots, samples
from kit.scoring.reconstruction import by_pca, decibels, squared_errors
from kit.tasks import image_generation as generated
from kit.tasks.evidence import evidence
from kit.tasks.image_comparison import compare, some
from kit.tasks.image_features import few_examples
from kit.tasks.recipe import Evaluation, Task
from kit.training.losses import NegativeLogLikelihood


@dataclasses.dataclass(frozen=True)
class LatentDraws:
    """Latent vectors that the bounds of a variational autoencoder are computed with.

    Args:
        draws: Latent vectors drawn for each image for the evidence lower bound of a variational autoencoder, at most
            100,000.
        importance_samples: Latent vectors drawn for each image for a tighter bound of its probability, at most 100,000;
            0 leaves that away.

    Raises:
        SettingError: a value is out of range.
    """

    draws: PositiveInt = 1
    importance_samples: NonNegativeInt = 0

    def __post_init__(self):
        for key, value in vars(self).items():
            check(value <= 100_000, key, value, "at most 100000")


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
    latents: LatentDraws = LatentDraws(),
    num_samples: NonNegativeInt = 0,
    seed: NonNegativeInt = 0,
    batch_size: PositiveInt = 500,
):
    """Compares images with what comes back of them.

    Args:
        model: The autoencoder.
        examples: `Denoising` images of the split.
        assets: The assets of the data.
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
    check(num_samples != 1, "num_samples", num_samples, "0, or at least 2")
    targets, labels, given = examples.target("image"), examples.extra("label"), examples.given()
    names, is_variational = assets["class_names"], _is_variational(model)
    made = _made(model, given, batch_size)
    errors = squared_errors(made, targets)
    answers = {"error": errors}
    codes = _codes(model, given, batch_size)
    metrics = {"psnr": decibels(errors), "mean_squared_error": float(errors.mean())}
    if not assets["is_made_worse"]:
        metrics["psnr_pca"] = decibels(squared_errors(by_pca(examples.reference, given, codes.shape[1]), targets))
    else:
        answers["error_of_input"] = squared_errors(given, targets)
        metrics["psnr_of_inputs"] = decibels(answers["error_of_input"])
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
            draws=latents.draws,
            importance_samples=latents.importance_samples,
            seed=seed,
        )
        means = bounds.pop("means")
        answers |= bounds
        metrics |= {name: float(values.mean()) for name, values in bounds.items()}
        # Burda et al., 2016: units whose mean depends on the image.
        metrics["active_units"] = int((means.var(0) > 0.01).sum())
    unseen = np.isin(labels, [names.index(name) for name in assets["held_out"]])
    if unseen.any() and not unseen.all():
        from sklearn.metrics import roc_auc_score

        metrics["anomaly_auroc"] = float(roc_auc_score(unseen, squared_errors(made, given)))
    if len(names) > 1:
        answers = {"label": np.array(names, dtype=object)[labels], **answers}
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
        count = min(num_samples, len(examples.reference.images))
        pixels = generated.generate(decoder, *generated.sample_latents(decoder, count, seed, 0), batch_size)
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
                generated.generate(decoder, *generated.sample_latents(decoder, 80, seed, 0), batch_size),
                generated.COLUMNS,
            )
        )
        figures["4_on_the_way_from_one_to_another"] = lambda: samples.figure(
            samples.mosaic(
                generated.generate(decoder, *generated.interpolations(decoder, 0, seed, generated.COLUMNS), batch_size),
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
    return Evaluation(metrics, tables, figures, lambda: pd.DataFrame(answers))


def pooled(predictions, assets, settings):
    """Scores what came back of the images of all folds together."""
    errors, others = predictions["error"], predictions.columns.drop(["example", "fold", "error"])
    metrics = {"psnr": decibels(errors), "mean_squared_error": float(errors.mean())}
    if "error_of_input" in predictions:
        metrics["psnr_of_inputs"] = decibels(predictions["error_of_input"])
        metrics["psnr_gain"] = metrics["psnr"] - metrics["psnr_of_inputs"]
    bounds = [name for name in others if name not in ("label", "error_of_input")]
    return Evaluation(metrics | {name: float(predictions[name].mean()) for name in bounds})


def validate(model, examples, assets):
    """Returns how improbable up to 5,000 images are after each epoch, in nats.

    Of a variational autoencoder that is the negative evidence lower bound, one latent vector drawn for each image,
    where the loss that `fit` validates by takes the mean of it.
    """
    given, targets = (some(column, 5000) for column in (examples.given(), examples.target("image")))
    if not _is_variational(model):
        return {"nats": ops.convert_to_numpy(_nats(model)(targets, _made(model, given, 500))).mean()}
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    found = evidence(encoder, decoder, _nats(model), given, targets)
    return {"nats": -found["elbo"].mean(), "kl": found["kl"].mean()}


def calibrate(model, examples, assets, *, batch_size=500):
    """Returns the errors that are common: hundredths of those of the validation split.

    Args:
        model: The autoencoder.
        examples: `Denoising` images of the validation split.
        assets: The assets of the data.
        batch_size: As for `evaluate`.
    """
    given = examples.given()  # as `predict` gets them: nobody knows what they should be
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
    names, batches = image_inputs(inputs, tuple(assets["image_shape"]), assets, batch_size)
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
        generated.interpolations(decoder, 0, seed, generated.COLUMNS, interpolate)
        if interpolate
        else generated.sample_latents(decoder, count, seed, 0)
    )
    made = generated.generate(decoder, latents, None, batch_size)
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
    if splits.train.corrupt is None:
        return {}

    def draw():
        given, targets = next(iter(splits.train.stream(min(10, len(splits.train)), seed, 0, 1)))
        return samples.figure(samples.mosaic(np.concatenate([given, targets]), len(given)))

    return {"7_training_images_as_given_and_as_they_should_be": draw}


def task():
    """Returns the `Task` of reconstruction, of `Denoising` examples; those that are not corrupted are such, too."""
    return Task(
        monitors={"val_nats": "min", "val_loss": "min", "val_psnr": "max"},
        evaluate=evaluate,
        predict=predict,
        validate=validate,
        calibrate=calibrate,
        illustrate=illustrate,
        show=_show,
        inputs="optional",
        scoring_passes=4.0,  # its scores draw several codes an image
        some=few_examples,
        draws=("num_samples", "draws", "importance_samples"),
        pooled=pooled,
        served={"count": 100, "seed": None, "interpolate": 10},
    )
