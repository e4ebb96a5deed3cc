"""Image-to-image translation: images of one kind made into images of another, learned without pairs of them."""

import dataclasses
import logging
from pathlib import Path
from typing import Literal

import keras
import numpy as np
import pandas as pd
from jsonargparse.typing import NonNegativeInt, PositiveInt

from kit.data.image_inputs import image_inputs
from kit.data.image_splits import image_splits
from kit.data.splits import SPLITS, Examples, Splits
from kit.data.unpaired import Unpaired
from kit.errors import KitError, SettingError, check, choose
from kit.models import image_to_image
from kit.reporting import samples
from kit.scoring import distances
from kit.tasks.image_comparison import some
from kit.tasks.image_features import Reference
from kit.tasks.recipe import Evaluation, Recipe, Stages, Task
from kit.training.cycle import CycleConsistent

log = logging.getLogger("kit")

# Output of the network, and the domains that it leads from and to.
_DIRECTIONS = {"a_to_b": (0, "a", "b"), "b_to_a": (1, "b", "a")}
# Images in a row of a figure.
_COLUMNS = 12
# Images in a call: a feature map of so many with 256 pixels needs a gigabyte.
_BATCH = 64


def image_translator(
    image_shape,
    *,
    backbone: str = "cyclegan_small",
    cycle_weight: float = 10.0,
    identity_weight: float = 5.0,
    pool_size: NonNegativeInt = 50,
    loss: Literal["least_squares", "non_saturating", "wasserstein", "hinge"] = "least_squares",
    optimizer="adam",
    discriminator_optimizer=None,
):
    """Builds two compiled translators between two kinds of images, A and B, that train each other.

        model = kit.recipes.image_translator((32, 32, 3))
        model.fit(batches)                   # a tf.data.Dataset of ((a, b),), pixels from 0 to 255
        in_b, in_a = model.network([a, b])   # pixels to pixels

    Args:
        image_shape: Height, width and channels of an image, in pixels.
        backbone: `cyclegan` or `cyclegan_small`; or what a builder of `kit.models.image_to_image` becomes with all but
            the name of the direction filled in.
        cycle_weight: Factor of the difference between an image and what comes back of it from the other kind.
        identity_weight: Factor of the difference between an image that is of the wanted kind already and what is made
            of it; the paper has half of `cycle_weight` where colours are to stay, else 0.
        pool_size: Made images of each kind that the discriminators are shown again; 0 shows them the new ones alone.
        loss: What the networks minimise beside these differences.
        optimizer: Keras optimizer of both generators, or its name.
        discriminator_optimizer: That of both discriminators; by default like the generators'.

    Returns:
        `kit.training.cycle.CycleConsistent`, with `network`, the functional model of both directions.

    Shape:
        in: (batch, height, width, channels) of each kind, pixels from 0 to 255
        out: the same of the respective other kind

    Raises:
        SettingError: an unknown backbone, or a value out of range; the message names the argument.
    """
    if isinstance(backbone, str):
        build, arguments = choose(image_to_image.VARIANTS, backbone, "backbone")
        pairs = [build(direction, image_shape, **arguments, name=backbone) for direction in _DIRECTIONS]
    else:
        pairs = [backbone(direction) for direction in _DIRECTIONS]
    (a_to_b, discriminator_b), (b_to_a, discriminator_a) = pairs
    model = CycleConsistent(
        a_to_b,
        b_to_a,
        discriminator_a,
        discriminator_b,
        loss=loss,
        cycle_weight=cycle_weight,
        identity_weight=identity_weight,
        pool_size=pool_size,
    )
    model.compile(optimizer, discriminator_optimizer)
    return model


@dataclasses.dataclass
class Domains(Unpaired):
    """Images of one split in two domains, and what each domain's images are compared by.

    Args:
        references: `Reference` of the training images of A and of B.
    """

    references: tuple = ()


def domains(
    seed,
    saved,
    *,
    source: str = "digits",
    change: Literal["inverted", "rotated", "thick"] = "inverted",
    image_size: int | tuple[int, int] | None = None,
    color_mode: Literal["auto", "grayscale", "rgb"] = "auto",
    crop_to_aspect_ratio: bool = False,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    on_bad: Literal["error", "skip"] = "error",
):
    """Reads images of two domains, A and B, and divides each into training, validation and test split.

    Args:
        seed: Seed of the division.
        saved: Assignment of an earlier run that is used again, or None.
        source: A folder with two folders of images, A and B, directly or inside train/, validation/ and test/. Any
            other source of images, such as `digits`, `tfds:NAME`, a CSV file, an .npz file or a folder, is divided at
            random: one half is domain A, the other half is changed and is domain B; no image is in both.
        change: What makes domain B of images, where the source has only one: "inverted" (bright becomes dark),
            "rotated" (a quarter turn to the left), or "thick" (bright strokes one pixel wider).
        image_size: Side, or height and width, in pixels, that images are resized to; by default their own.
        color_mode: Channels of the images: "grayscale" (1), "rgb" (3), or "auto" if all are of one kind.
        crop_to_aspect_ratio: Cut margins instead of distorting images of another shape.
        validation_fraction: Share of the images not in the test split that becomes the validation split.
        test_fraction: Share of the images that becomes the test split, where the source has none.
        on_bad: What happens to image files that cannot be read: "error" stops, "skip" lists them and goes on.

    Returns:
        `Splits` of `Domains`, with the fact `image_shape`.

    Raises:
        KitError: a file or folder that cannot be used, or a domain with too few images; the message names it.
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
    names, is_given = list(read.class_names), list(read.class_names) == ["A", "B"]
    if names in (["A"], ["B"]) or {"trainA", "trainB"} & set(names):
        raise KitError(
            f"{read.source}: holds {', '.join(names)}; expected two domains, A/ and B/ or train/A, train/B ..., or "
            "images of one kind"
        )
    if sorted(name.casefold() for name in names) == ["a", "b"] and not is_given:
        raise KitError(f"{read.source}: holds {', '.join(names)}; expected two domains, A/ and B/, in capitals")
    log.info("domains: %s", "A and B as given" if is_given else f"a half as it is, and the other half {change}")
    if is_given:
        pairs = [[part.take(np.flatnonzero(part.columns[1] == label)) for label in (0, 1)] for part in read.parts]
        names = []
    else:
        pairs = [_halves(part, change, [seed, index]) for index, part in enumerate(read.parts)]
    for split, pair in zip(SPLITS, pairs, strict=True):
        for domain, part in zip("AB", pair, strict=True):
            if len(part) < 2:
                raise KitError(
                    f"{read.source}: {len(part)} images of domain {domain} in the {split} split; expected at least 2"
                )
    references = tuple(Reference(*part.columns, len(names)) for part in pairs[0])

    def keep(folder):
        for domain, reference in zip("ab", references, strict=True):
            (folder / domain).mkdir(parents=True, exist_ok=True)
            reference.keep(folder / domain)

    return Splits(
        *(Domains(*pair, references=references) for pair in pairs),
        facts={"image_shape": read.shape},
        assets={
            "class_names": names,
            "image_shape": read.shape,
            "crop_to_aspect_ratio": crop_to_aspect_ratio,
            "domain_b": "given" if is_given else change,
            "skipped": read.skipped,
        },
        assignment=read.assignment,
        settings={"source": read.source},
        keep=keep,
    )


def _halves(part, change, seed):
    """Returns one half of the images as they are, and the other half changed."""
    order = np.random.default_rng(seed).permutation(len(part))
    first, second = (part.take(np.sort(rows)) for rows in (order[: len(order) // 2], order[len(order) // 2 :]))
    pixels, *labels = second.columns
    return first, Examples((_changed(pixels, change), *labels))


def _changed(images, change):
    """Returns images (images, height, width, channels) of domain B, made of such as domain A has."""
    if change == "inverted":
        return 255 - images
    if change == "rotated":
        height, width = images.shape[1:3]
        if height != width:
            raise SettingError("change", f"'rotated' needs square images, these are {height}x{width}; set image_size")
        return np.ascontiguousarray(np.rot90(images, axes=(1, 2)))
    wide = np.pad(images, ((0, 0), (0, 1), (0, 1), (0, 0)))
    shifted = [wide[:, row : row + images.shape[1], column : column + images.shape[2]] for row, column in _CORNERS]
    return np.max(shifted, axis=0)


# A pixel and its neighbours to the right and below.
_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


def evaluate(model, examples, assets, *, batch_size: PositiveInt = _BATCH):
    """Compares translated images of a split with its images of the wanted domain, by features of a classifier.

    Each domain has a classifier of its own training images. The floor of a distance is what training images of the
    wanted domain would get in place of translated ones; the baseline what untranslated ones get.

    Args:
        model: The network of both directions.
        examples: `Domains` of the split.
        assets: The assets of the data.
        batch_size: Images in a step.

    Returns:
        `Evaluation` with, for each direction, the Frechet distance of features, its floor and baseline, and how far an
        image that was translated there and back again is from what it was; with classes, the share of images whose
        class the classifier of the wanted domain reads in the translation, in the untranslated image, and in real
        images of that domain.
    """
    translate = _translators(model, batch_size)
    metrics, columns, figures, per_class = {}, {}, {}, {}
    for index, (direction, (number, source, target)) in enumerate(_DIRECTIONS.items()):
        images, labels = getattr(examples, source).columns
        real_images, real_labels = getattr(examples, target).columns
        reference = examples.references[1 - number]
        made = translate[direction](images)
        back = translate[f"{target}_to_{source}"](made)
        real, real_answers = reference.features_and_probabilities(real_images)
        known, answers = reference.features_and_probabilities(made)
        plain, plain_answers = reference.features_and_probabilities(images)
        count = min(len(made), len(reference.images))
        found = {
            "frechet_distance": distances.frechet_distance(real, known),
            "frechet_distance_floor": distances.frechet_distance(real, reference.of_training(count)),
            "frechet_distance_untranslated": distances.frechet_distance(real, plain),
            "back_again_error": np.abs(back.astype("float32") - images).mean(),
        }
        if reference.has_classes:
            is_read = answers.argmax(1) == labels
            found |= {
                "read_correctly": is_read.mean(),
                "read_correctly_untranslated": (plain_answers.argmax(1) == labels).mean(),
                "read_correctly_real": (real_answers.argmax(1) == real_labels).mean(),
            }
            per_class[direction] = pd.Series(is_read).groupby(labels).mean()
        found = {name: float(value) for name, value in found.items()}
        metrics |= {f"{direction}_{name}": value for name, value in found.items()}
        columns[direction.replace("_", " ")] = found
        shown = np.concatenate([some(part, _COLUMNS) for part in (images, made, back)])
        figures[f"{2 + index}_{direction}_original_translated_and_back_again"] = lambda shown=shown: samples.figure(
            samples.mosaic(shown, len(shown) // 3)
        )
    table = pd.DataFrame(columns).rename(index=lambda name: name.replace("_", " "))
    tables = {"1_directions": table.rename_axis("what").reset_index()}
    if per_class:
        numbers = range(len(assets["class_names"]))
        tables["2_read_correctly"] = pd.DataFrame(
            {"class": assets["class_names"], **{name: each.reindex(numbers) for name, each in per_class.items()}}
        )
    metrics["features"] = f"kit features, of a classifier of {'classes' if per_class else 'quarter turns'}"
    return Evaluation(metrics, tables, figures)


def _translators(model, batch_size):
    """Returns, for each direction, a function from uint8 images to uint8 images."""

    def translator(number):
        network = keras.Model(model.inputs[number], model.outputs[number])

        def translate(images):
            parts = [
                keras.ops.convert_to_numpy(network(images[start : start + batch_size], training=False))
                for start in range(0, len(images), batch_size)
            ]
            return samples.as_pixels(np.concatenate(parts))

        return translate

    return {direction: translator(number) for direction, (number, _, _) in _DIRECTIONS.items()}


def validate(model, examples, assets):
    """Returns the Frechet distance of translated images to those of the wanted domain, the mean of both directions."""
    translate = _translators(model, _BATCH)
    found = []
    for direction, (number, source, target) in _DIRECTIONS.items():
        reference = examples.references[1 - number]
        made = translate[direction](getattr(examples, source).columns[0])
        found.append(
            distances.frechet_distance(
                reference.features(getattr(examples, target).columns[0]), reference.features(made)
            )
        )
    return {"frechet_distance": np.mean(found)}


def observers(network, splits, folder):
    """Returns the callback that looks on: after each epoch images of both domains, each above its translation."""
    shown = [some(part.columns[0], _COLUMNS) for part in (splits.validation.a, splits.validation.b)]
    count = min(map(len, shown))

    def draw():
        translate = _translators(network, _BATCH)
        rows = []
        for direction, images in zip(_DIRECTIONS, shown, strict=True):
            rows += [images[:count], translate[direction](images[:count])]
        return samples.mosaic(np.concatenate(rows), count)

    return [samples.Frames(draw, folder / "samples")]


def predict(
    model,
    inputs,
    assets,
    *,
    direction: Literal["a_to_b", "b_to_a"] = "a_to_b",
    output: str = "translated",
    batch_size: PositiveInt = _BATCH,
):
    """Translates images and writes them as PNG files.

    Args:
        model: The network of both directions.
        inputs: Image files and folders of them, or an array (images, height, width, channels) of pixels from 0 to 255
            or, as fractions, from 0 to 1.
        assets: The assets of the data that the model was trained on.
        direction: `a_to_b` makes images of domain B of those of domain A, `b_to_a` the reverse.
        output: Folder to write to, new or empty; each file has the name of the one that it was made of.
        batch_size: Images in a step.

    Returns:
        Table with a row an image: `input` and `file`.

    Raises:
        KitError: no images, one that cannot be read, or the folder has something in it.
        SettingError: an unknown direction.
    """
    choose(_DIRECTIONS, direction, "direction")
    check(batch_size >= 1, "batch_size", batch_size, "at least 1")
    folder = samples.new_folder(output)
    names, batches = image_inputs(inputs, tuple(assets["image_shape"]), assets["crop_to_aspect_ratio"], batch_size)
    translate = _translators(model, batch_size)[direction]
    pixels = np.concatenate([translate(batch) for batch in batches()])
    files = _file_names(names)
    samples.write_folder(folder, dict(zip(files, pixels, strict=True)))
    return pd.DataFrame({"input": [str(name) for name in names], "file": [str(folder / name) for name in files]})


def _file_names(names):
    """Returns a name of a PNG file for each image: that of its own file, numbered where several have the same."""
    taken, files = set(), []
    digits = len(str(max(len(names) - 1, 0)))
    for name in names:
        stem = name.stem if isinstance(name, Path) else f"{name:0{digits}}"
        unique, number = stem, 2
        while unique.casefold() in taken:  # some systems' file names know no case
            unique, number = f"{stem}-{number}", number + 1
        taken.add(unique.casefold())
        files.append(f"{unique}.png")
    return files


def _show(predictions, is_terminal):
    """Returns where the images are; a line for each would say no more."""
    return f"{len(predictions):,} images in {Path(predictions['file'].iloc[0]).parent}"


RECIPE = Recipe(
    name="image_to_image",
    purpose="Images of one kind made into images of another, learned without pairs of them.",
    build=image_translator,
    data=domains,
    backbones={"backbone": image_to_image.VARIANTS},
    optimizers=("optimizer", "discriminator"),
    task=Task(
        monitors={"val_frechet_distance": "min", "val_generator_loss": "min"},
        evaluate=evaluate,
        predict=predict,
        validate=validate,
        observers=observers,
        show=_show,
    ),
    stages=Stages(network=lambda model: model.network),
)
