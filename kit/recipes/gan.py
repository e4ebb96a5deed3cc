"""Image generation: images that look like those of a data set, made out of noise by one of two networks."""

import dataclasses
from pathlib import Path
from typing import Literal

import keras
import numpy as np
import pandas as pd
from jsonargparse.typing import NonNegativeInt, PositiveInt

from kit.config import renamed
from kit.data.image_splits import image_splits
from kit.data.splits import SPLITS, Examples, Splits
from kit.errors import KitError, SettingError, check, choose
from kit.models import generative
from kit.reporting import samples
from kit.scoring import distances
from kit.tasks import image_generation as generated
from kit.tasks.image_comparison import compare, modes, some
from kit.tasks.image_features import Reference
from kit.tasks.recipe import Evaluation, Recipe, Stages, Task
from kit.training.adversarial import Adversarial
from kit.training.collapse import CollapseWarning

# What sets the families apart beside their networks; their papers stand in `kit.models.generative`.
_PLAIN = {
    "loss": "non_saturating",
    "critic_steps": 1,
    "gradient_penalty": 0.0,
    "weight_clip": 0.0,
    "r1": 0.0,
    "r1_interval": 1,
}
_OBJECTIVES = {
    "gan": _PLAIN,
    "dcgan": _PLAIN,
    "lsgan": _PLAIN | {"loss": "least_squares"},
    "wgan": _PLAIN | {"loss": "wasserstein", "critic_steps": 5, "weight_clip": 0.01},
    "wgan_gp": _PLAIN | {"loss": "wasserstein", "critic_steps": 5, "gradient_penalty": 10.0},
    "sngan": _PLAIN | {"loss": "hinge"},
    "stylegan": _PLAIN | {"r1": 1.0, "r1_interval": 16},
}


@renamed(family="backbone")
def image_generator(
    image_shape,
    num_classes=0,
    *,
    backbone: str = "dcgan",
    latent_dim: PositiveInt = 64,
    conditional: bool = False,
    loss: Literal["non_saturating", "least_squares", "wasserstein", "hinge"] | None = None,
    critic_steps: int | None = None,
    gradient_penalty: float | None = None,
    weight_clip: float | None = None,
    r1: float | None = None,
    r1_interval: int | None = None,
    augment: tuple[Literal["color", "translation", "cutout"], ...] = (),
    ema_momentum: float = 0.999,
    optimizer="adam",
    discriminator_optimizer=None,
):
    """Builds a compiled pair of networks that train against each other.

        model = kit.recipes.image_generator((28, 28, 1), latent_dim=64, backbone="dcgan")
        model.fit(images, epochs=10)    # pixels from 0 to 255
        model.sampler(latents)          # images as pixels

    Args:
        image_shape: Height, width and channels of an image, in pixels.
        num_classes: Number of classes of the labels, for `conditional`.
        backbone: `gan` (dense layers), `dcgan`, `lsgan`, `wgan`, `wgan_gp`, `sngan` or `stylegan`; or what a
            builder of `kit.models.generative` becomes with all but the first two arguments filled in.
        latent_dim: Width of the vector of noise that an image is made of.
        conditional: Make images of a wanted class; the discriminator looks at the class too.
        loss: What the two networks minimise; by default the family's own.
        critic_steps: Steps of the discriminator for one of the generator; by default the family's own.
        gradient_penalty: Factor of the penalty on the discriminator's gradients between real and made images whose
            norm is not 1; by default the family's own.
        weight_clip: Bound of the discriminator's weights, 0 is none; by default the family's own.
        r1: Half of it is the factor of the penalty on the discriminator's gradients at real images; by default the
            family's own.
        r1_interval: Steps of the discriminator for one with that penalty, which is then as many times as large, for
            the sake of speed; by default the family's own.
        augment: Random changes that the discriminator sees real and made images through, for small data sets:
            `color`, `translation`, `cutout`.
        ema_momentum: Share of its former value that the moving average of the generator's weights keeps in a step of
            the generator; the average is what makes the images.
        optimizer: Keras optimizer of the generator, or its name.
        discriminator_optimizer: That of the discriminator; by default like the generator's.

    Returns:
        `kit.training.adversarial.Adversarial`, with `generator`, `discriminator` and `sampler`, functional models.

    Shape:
        in: (batch, height, width, channels), pixels from 0 to 255; with `conditional` also labels (batch,)
        sampler: (batch, latent_dim), with `conditional` also labels (batch,), to (batch, height, width, channels)

    Raises:
        SettingError: an unknown backbone, or a value out of range; the message names the argument.
    """
    check(latent_dim >= 1, "latent_dim", latent_dim, "at least 1")
    check(not conditional or num_classes >= 2, "conditional", conditional, "False without at least two classes")
    given = [keras.optimizers.get(each) for each in (optimizer, discriminator_optimizer) if each is not None]
    if any(getattr(each, "use_ema", False) for each in given):
        raise SettingError("ema_momentum", "averages the generator already; expected optimizer.use_ema = false")
    own = _PLAIN
    if isinstance(backbone, str):
        build, arguments = choose(generative.VARIANTS, backbone, "backbone")
        own = _OBJECTIVES[backbone]
        generator, discriminator = build(latent_dim, num_classes * conditional, image_shape, **arguments, name=backbone)
    else:
        generator, discriminator = backbone(latent_dim, num_classes * conditional)
    given = {
        "loss": loss,
        "critic_steps": critic_steps,
        "gradient_penalty": gradient_penalty,
        "weight_clip": weight_clip,
        "r1": r1,
        "r1_interval": r1_interval,
    }
    model = Adversarial(
        generator,
        discriminator,
        augment=augment,
        ema_momentum=ema_momentum,
        **own | {key: value for key, value in given.items() if value is not None},
    )
    model.compile(optimizer, discriminator_optimizer)
    return model


@dataclasses.dataclass
class Images(Examples):
    """Images of one split, and what they are compared by.

    Args:
        reference: `Reference` of the training images.
    """

    reference: Reference | None = None


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
):
    """Reads images, with classes where there are such, and divides them into training, validation and test split.

    Args:
        seed: Seed of the division.
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

    Returns:
        `Splits` of (uint8 images, integer labels), with facts `image_shape` and `num_classes`.

    Raises:
        KitError: a file or folder that cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
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
    for name, part in zip(SPLITS, read.parts, strict=True):
        if len(part) < 2:
            raise KitError(f"{read.source}: {len(part)} images in the {name} split; expected at least 2")
    pixels, labels = read.parts[0].columns
    reference = Reference(pixels, labels, len(read.class_names))
    return Splits(
        *(Images(part.columns, reference=reference) for part in read.parts),
        facts={"image_shape": read.shape, "num_classes": len(read.class_names)},
        assets={"class_names": read.class_names, "image_shape": read.shape, "skipped": read.skipped},
        assignment=read.assignment,
        settings={"source": read.source},
        keep=reference.keep,
    )


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
        examples: `Images` of the split.
        assets: The assets of the data.
        num_samples: Images to make, at most as many as there are training images; the floor and the baselines get as
            many.
        features: What distances are measured by: "kit" is a small classifier of the training images, "inception" is
            Inception v3 with the weights of `keras.applications`, which have to be at hand. Classes are always told by
            the former.
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
    real_images, labels = examples.columns
    classes = len(assets["class_names"])
    latents, wanted = generated.draw(model, count, seed, classes)
    pixels = generated.make(model, latents, wanted, batch_size)
    metrics, tables = compare(
        pixels, real_images, labels, assets["class_names"], reference, features=features, wanted=wanted
    )
    side = 10
    grid = samples.mosaic(generated.make(model, *generated.grid(model, classes, seed), batch_size), generated.COLUMNS)
    nearest = _nearest(pixels[:side], reference)
    figures = {
        "2_samples": lambda: samples.figure(grid),
        "3_on_the_way_from_one_to_another": lambda: samples.figure(
            samples.mosaic(generated.make(model, *generated.ways(model, classes, seed, side), batch_size), side)
        ),
        "4_made_above_and_the_nearest_training_image_below": lambda: samples.figure(samples.mosaic(nearest, side)),
    }
    if generated.has_styles(model):
        mixed = generated.style_mixing(model, classes, seed)
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
    real = reference.features(some(examples.columns[0], 5000))
    classes = len(assets["class_names"])
    latents, wanted = generated.draw(model, count, 1, classes)
    made, answers = reference.features_and_probabilities(generated.make(model, latents, wanted, 500))
    found = {
        "frechet_distance": distances.frechet_distance(real, made),
        "diversity": distances.diversity(made) / max(distances.diversity(real), 1e-9),
    }
    if reference.has_classes:
        real_shares = np.bincount(examples.columns[1], minlength=classes) / len(examples)
        found["modes_covered"] = modes(np.bincount(answers.argmax(1), minlength=classes) / count, real_shares)[
            "modes_covered"
        ]
    return found


def observers(network, splits, folder):
    """Returns the callbacks that look on: grids of samples, and a word where the generator collapses."""
    classes = splits.facts["num_classes"]
    return [generated.Grids(network, classes, folder / "samples"), CollapseWarning(classes if classes > 1 else None)]


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
    if truncation != 1 and not generated.has_styles(model):
        raise SettingError("truncation", "expected 1: this model has no styles, as those of model.backbone=stylegan do")
    latents, wanted = (
        generated.ways(model, len(names), seed, generated.COLUMNS, interpolate)
        if interpolate
        else generated.draw(model, count, seed, len(names))
    )
    if chosen:
        repeats = generated.COLUMNS if interpolate else 1
        wanted = np.resize(np.repeat(np.array(chosen, "int32"), repeats), len(latents))
    elif wanted is not None and not interpolate:
        wanted = (np.arange(count) % len(names)).astype("int32")
    folder = samples.new_folder(output)
    with generated.truncated(model, truncation):
        pixels = generated.make(model, latents, wanted, batch_size)
    files = samples.write_numbered(folder, pixels, generated.COLUMNS if interpolate or chosen else 8)
    table = pd.DataFrame({"file": files})
    return table if wanted is None else table.assign(label=[names[index] for index in wanted])


def _show(predictions, is_terminal):
    """Returns where the images are; a line for each would say no more."""
    folder = Path(predictions["file"].iloc[0]).parent
    return f"{len(predictions):,} images in {folder}, all of them in {folder / 'grid.png'}"


RECIPE = Recipe(
    name="gan",
    purpose="Images like those of a data set, made out of noise.",
    build=image_generator,
    data=images,
    backbones={"backbone": generative.VARIANTS},
    optimizers=("optimizer", "discriminator"),
    task=Task(
        monitors={"val_frechet_distance": "min"},
        evaluate=evaluate,
        predict=predict,
        validate=validate,
        observers=observers,
        show=_show,
        inputs="none",
    ),
    stages=Stages(
        network=lambda model: model.sampler,
        tied_layers={"class_names": ("label_embedding",)},
        optional_facts=("num_classes",),
        presets=_OBJECTIVES,
        optimizer_interval="critic_steps",
    ),
)
