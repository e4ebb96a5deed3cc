"""Image generation: scores of a generator, samples, grids, interpolations and style mixing."""

import contextlib
from pathlib import Path
from typing import Literal

import keras
import numpy as np
import pandas as pd
from jsonargparse.typing import NonNegativeInt, PositiveInt

from kit.errors import KitError, SettingError, check, choose
from kit.reporting import samples
from kit.scoring import distances
from kit.tasks.image_comparison import compare, modes, some
from kit.tasks.image_features import few_examples
from kit.tasks.recipe import Evaluation, Task
from kit.training.collapse import CollapseWarning

# Images in a row; rows are classes where there are such.
COLUMNS = 10


def sample_latents(model, count, seed, num_classes):
    """Returns so many latent vectors and, for a conditional model, a wanted class for each; the same for a seed."""
    generator = np.random.default_rng(seed)
    latents = generator.normal(size=(count, model.inputs[0].shape[-1])).astype("float32")
    return latents, (generator.permutation(count) % num_classes).astype("int32") if len(model.inputs) > 1 else None


def generate(model, latents, wanted, batch_size):
    """Returns images of latent vectors, uint8 (count, height, width, channels)."""
    parts = []
    for start in range(0, len(latents), batch_size):
        rows = slice(start, start + batch_size)
        inputs = latents[rows] if wanted is None else [latents[rows], wanted[rows]]
        made = model(inputs, training=False)  # not compiled: a few calls of many shapes
        parts.append(samples.as_pixels(keras.ops.convert_to_numpy(made)))
    return np.concatenate(parts)


def grid(model, num_classes, seed):
    """Returns latent vectors and classes of a grid: a row a class where there are such."""
    rows = min(num_classes, 20) if len(model.inputs) > 1 else 8
    latents, wanted = sample_latents(model, rows * COLUMNS, seed, num_classes)
    return latents, None if wanted is None else np.repeat(np.arange(rows, dtype="int32"), COLUMNS)


def interpolations(model, num_classes, seed, steps, rows=6):
    """Returns latent vectors on the way from one to another, a row each, and one class for each row.

    On the way a vector keeps its length, since short ones are not what the generator was trained on: White, "Sampling
    Generative Networks", 2016.
    """
    latents, wanted = sample_latents(model, 2 * rows, seed, num_classes)
    shares = np.linspace(0, 1, steps)[None, :, None]
    first, last = latents[:rows, None], latents[rows:, None]
    units = [ends / np.linalg.norm(ends, axis=-1, keepdims=True) for ends in (first, last)]
    angle = np.arccos(np.clip((units[0] * units[1]).sum(-1, keepdims=True), -1, 1))
    straight, sine = (1 - shares) * first + shares * last, np.sin(angle)
    bent = (np.sin((1 - shares) * angle) * first + np.sin(shares * angle) * last) / np.maximum(sine, 1e-3)
    path = np.where(sine > 1e-2, bent, straight)  # there is no arc between opposite vectors
    path = path.reshape(rows * steps, -1).astype("float32")
    return path, None if wanted is None else np.repeat(wanted[:rows], steps)


def has_styles(model):
    """Returns whether images are made of styles: whether the model has a mapping and a synthesis network."""
    return {"mapping", "truncation", "synthesis"} <= {layer.name for layer in model.layers}


@contextlib.contextmanager
def truncated(model, truncation):
    """For a while, draws a model's styles, if it has such, towards their mean: 1 is not at all, 0 all the way."""
    if not has_styles(model):
        yield
        return
    layer = model.get_layer("truncation")
    before, layer.truncation = layer.truncation, truncation
    try:
        yield
    finally:
        layer.truncation = before


def style_mixing(model, num_classes, seed, count=6):
    """Returns images of two styles each, and those of one style that they come from, as rows of `count + 1` images.

    The first half of the layers, the coarse one, has the style of the row's first image, the rest that of the column's.

    Args:
        model: The generator, with styles.
        num_classes: Number of classes, where it makes images of wanted ones; rows and columns are of classes in turn.
        seed: Seed of the latent vectors.
        count: Number of rows and of columns that are mixed.

    Returns:
        uint8 array ((count + 1) * (count + 1), height, width, channels), the first of them white.
    """
    latents, wanted = sample_latents(model, 2 * count, seed, num_classes)
    mapping, truncation, synthesis = (model.get_layer(name) for name in ("mapping", "truncation", "synthesis"))
    inputs = latents if wanted is None else [latents, np.arange(2 * count, dtype="int32") % num_classes]
    styles = keras.ops.convert_to_numpy(truncation(mapping(inputs, training=False), training=False))
    num_layers = synthesis.inputs[0].shape[1]
    whole = np.repeat(styles[:, None], num_layers, axis=1)  # (2 * count, layers, style_dim)
    rows, columns = whole[:count], whole[count:]
    mixed = np.repeat(rows, count, axis=0)
    mixed[:, (num_layers + 1) // 2 :] = np.tile(columns, (count, 1, 1))[:, (num_layers + 1) // 2 :]
    made = synthesis(np.concatenate([columns, rows, mixed]), training=False)
    pixels = samples.as_pixels(keras.ops.convert_to_numpy(made) * 127.5 + 127.5)
    top, left, inside = np.split(pixels, [count, 2 * count])
    inside = inside.reshape(count, count, *pixels.shape[1:])
    lines = np.concatenate([left[:, None], inside], axis=1)  # (count, count + 1, height, width, channels)
    first = np.concatenate([np.full_like(top[:1], 255), top])[None]
    return np.concatenate([first, lines]).reshape(-1, *pixels.shape[1:])


class Grids(samples.Frames):
    """Writes a grid of samples after each epoch, of the same latent vectors, and at the end an animation of them.

    Args:
        network: The generator.
        num_classes: Number of classes, where it makes images of wanted ones.
        folder: Where they are written.
    """

    def __init__(self, network, num_classes, folder):
        super().__init__(self._grid, folder)
        self.network, self.num_classes = network, num_classes

    def _grid(self):
        return samples.mosaic(generate(self.network, *grid(self.network, self.num_classes, 0), 500), COLUMNS)


def evaluate(
    model,
    examples,
    assets,
    *,
    num_samples: PositiveInt = 10000,
    features: Literal["kit", "inception"] = "kit",
    seed: NonNegativeInt = 0,
    batch_size: PositiveInt = 500,
):
    """Compares made images with those of a split, by the features of a network that knows images.

    The floor is what training images would get in place of made ones; the baselines are a Gaussian fitted to the
    principal components of the training images, and noise.

    Args:
        model: The generator.
        examples: `Examples` of the split, with a `Reference`.
        assets: The assets of the data.
        num_samples: Images to make, at most as many as there are training images; the floor and the baselines get as
            many.
        features: What distances are measured by: "kit" is a small classifier of all images but the test split,
            "inception" is Inception v3 with the weights of `keras.applications`, which have to be at hand. Classes are
            always told by the former.
        seed: Seed of the latent vectors.
        batch_size: Images in a step.

    Returns:
        `Evaluation` with the Frechet distance of features, its floor and baselines, kernel distance, inception score,
        precision, recall, and how many classes are found among the made images, with the share of the rarest and the
        most frequent one.
    """
    check(num_samples >= 2, "num_samples", num_samples, "at least 2")
    reference = examples.reference
    count = min(num_samples, len(reference.images))
    real_images, labels = examples.input("image"), examples.target("label")
    classes = len(assets["class_names"])
    latents, wanted = sample_latents(model, count, seed, classes)
    pixels = generate(model, latents, wanted, batch_size)
    metrics, tables = compare(
        pixels, real_images, labels, assets["class_names"], reference, features=features, wanted=wanted
    )
    side = 10
    shown = samples.mosaic(generate(model, *grid(model, classes, seed), batch_size), COLUMNS)
    nearest = _nearest(pixels[:side], reference)
    figures = {
        "2_samples": lambda: samples.figure(shown),
        "3_on_the_way_from_one_to_another": lambda: samples.figure(
            samples.mosaic(generate(model, *interpolations(model, classes, seed, side), batch_size), side)
        ),
        "4_made_above_and_the_nearest_training_image_below": lambda: samples.figure(samples.mosaic(nearest, side)),
    }
    if has_styles(model):
        mixed = style_mixing(model, classes, seed)
        columns = round(len(mixed) ** 0.5)
        figures["5_styles_mixed_rows_give_the_coarse_ones_columns_the_fine_ones"] = lambda: samples.figure(
            samples.mosaic(mixed, columns)
        )
    return Evaluation(metrics, tables, figures)


def _nearest(pixels, reference):
    """Returns made images and, behind them, the training image whose features are nearest to each: is it a copy?"""
    count = min(10000, len(reference.images))
    features, candidates = reference.of_training(count), reference.some(count)
    rows = [int(np.square(features - each).sum(1).argmin()) for each in reference.features(pixels)]
    return np.concatenate([pixels, candidates[rows]])


def validate(model, examples, assets):
    """Returns what can be told of made images after each epoch: the distance, the classes found, their diversity.

    As many are made as there are images to compare with, at least 500 and at most 5,000.
    """
    reference = examples.reference
    count = min(max(len(examples), 500), 5000)
    real = reference.features(some(examples.input("image"), 5000))
    classes = len(assets["class_names"])
    latents, wanted = sample_latents(model, count, 1, classes)
    made, answers = reference.features_and_probabilities(generate(model, latents, wanted, 500))
    found = {
        "frechet_distance": distances.frechet_distance(real, made),
        "diversity": distances.diversity(made) / max(distances.diversity(real), 1e-9),
    }
    if reference.has_classes:
        real_shares = np.bincount(examples.target("label"), minlength=classes) / len(examples)
        found["modes_covered"] = modes(np.bincount(answers.argmax(1), minlength=classes) / count, real_shares)[
            "modes_covered"
        ]
    return found


def observers(network, splits, folder):
    """Returns the callbacks that look on: grids of samples, and a word where the generator collapses."""
    classes = splits.facts["num_classes"]
    return [Grids(network, classes, folder / "samples"), CollapseWarning(classes if classes > 1 else None)]


def predict(
    model,
    inputs,
    assets,
    *,
    count: PositiveInt = 64,
    seed: NonNegativeInt = 0,
    classes: tuple[str, ...] = (),
    interpolate: NonNegativeInt = 0,
    truncation: float = 1.0,
    output: str = "generated",
    batch_size: PositiveInt = 500,
):
    """Makes images and writes them as PNG files.

    Args:
        model: The generator.
        inputs: Nothing: images are made out of noise.
        assets: The assets of the data that the model was trained on.
        count: Number of images.
        seed: Seed of the noise; the same gives the same images.
        classes: Classes to make images of, for a conditional model; by default all in turn.
        interpolate: Write that many rows of ten images each instead, on the way from one image to another.
        truncation: For a model with styles (`stylegan`), how far each may be from their mean: below 1 images are more
            alike and better, at 0 they are one image.
        output: Folder to write to, new or empty; beside the images it gets `grid.png` with all of them.
        batch_size: Images in a step.

    Returns:
        Table with a row an image: `file` and, for a conditional model, `label`.

    Raises:
        KitError: there are inputs, a class is unknown, a value is out of range or means nothing to the model, or the
            folder has something in it.
    """
    if inputs:
        raise KitError("predict: images are made out of noise; expected no inputs, but --count and --seed")
    names = assets["class_names"]
    numbers = {name: index for index, name in enumerate(names)}
    chosen = [choose(numbers, name, "classes") for name in classes]
    if chosen and len(model.inputs) < 2:
        raise SettingError("classes", "expected none: this model was trained without model.conditional")
    check(truncation >= 0, "truncation", truncation, "at least 0")
    if truncation != 1 and not has_styles(model):
        raise SettingError("truncation", "expected 1: this model has no styles, as those of model.backbone=stylegan do")
    latents, wanted = (
        interpolations(model, len(names), seed, COLUMNS, interpolate)
        if interpolate
        else sample_latents(model, count, seed, len(names))
    )
    if chosen:
        repeats = COLUMNS if interpolate else 1
        wanted = np.resize(np.repeat(np.array(chosen, "int32"), repeats), len(latents))
    elif wanted is not None and not interpolate:
        wanted = (np.arange(count) % len(names)).astype("int32")
    folder = samples.new_folder(output)
    with truncated(model, truncation):
        pixels = generate(model, latents, wanted, batch_size)
    files = samples.write_numbered(folder, pixels, COLUMNS if interpolate or chosen else 8)
    table = pd.DataFrame({"file": files})
    return table if wanted is None else table.assign(label=[names[index] for index in wanted])


def _show(predictions, is_terminal):
    """Returns where the images are; a line for each would say no more."""
    folder = Path(predictions["file"].iloc[0]).parent
    return f"{len(predictions):,} images in {folder}, all of them in {folder / 'grid.png'}"


def task():
    """Returns the `Task` of image generation: examples with an input `image`, a target `label` and a `reference`."""
    return Task(
        monitors={"val_frechet_distance": "min"},
        evaluate=evaluate,
        predict=predict,
        validate=validate,
        observers=observers,
        show=_show,
        inputs="none",
        some=few_examples,
        draws=("num_samples",),
        served={"count": 100, "seed": None, "classes": None, "interpolate": 10, "truncation": None},
    )
