"""Image-to-image translation: how near translated images come to the wanted domain, and how images are translated."""

import dataclasses
from pathlib import Path
from typing import Literal

import keras
import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt

from kit.data.image_inputs import image_inputs
from kit.errors import check, choose
from kit.reporting import samples
from kit.scoring import distances
from kit.tasks.image_comparison import some
from kit.tasks.image_features import few_examples
from kit.tasks.recipe import Evaluation, Task

# Output of the network, and the domains that it leads from and to.
DIRECTIONS = {"a_to_b": (0, "a", "b"), "b_to_a": (1, "b", "a")}
# Images in a row of a figure.
_COLUMNS = 12
# Images in a call: a feature map of so many with 256 pixels needs a gigabyte.
_BATCH = 64


def evaluate(model, examples, assets, *, batch_size: PositiveInt = _BATCH):
    """Compares translated images of a split with its images of the wanted domain, by features of a classifier.

    Each domain has a classifier of its own training images. The floor of a distance is what training images of the
    wanted domain would get in place of translated ones; the baseline what untranslated ones get.

    Args:
        model: The network of both directions.
        examples: `Unpaired` images of the split.
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
    for index, (direction, (_, source, target)) in enumerate(DIRECTIONS.items()):
        given, real = getattr(examples, source), getattr(examples, target)
        images, labels = given.input("image"), given.target("label")
        real_images, real_labels = real.input("image"), real.target("label")
        reference = real.reference
        made = translate[direction](images)
        back = translate[f"{target}_to_{source}"](made)
        features, real_answers = reference.features_and_probabilities(real_images)
        known, answers = reference.features_and_probabilities(made)
        plain, plain_answers = reference.features_and_probabilities(images)
        count = min(len(made), len(reference.images))
        found = {
            "frechet_distance": distances.frechet_distance(features, known),
            "frechet_distance_floor": distances.frechet_distance(features, reference.of_training(count)),
            "frechet_distance_untranslated": distances.frechet_distance(features, plain),
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
        metrics[f"{direction}_scorer"] = reference.fingerprint()
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

    return {direction: translator(number) for direction, (number, _, _) in DIRECTIONS.items()}


def validate(model, examples, assets):
    """Returns the Frechet distance of translated images to those of the wanted domain, the mean of both directions."""
    translate = _translators(model, _BATCH)
    found = []
    for direction, (_, source, target) in DIRECTIONS.items():
        real = getattr(examples, target)
        made = translate[direction](getattr(examples, source).input("image"))
        features = (real.reference.features(images) for images in (real.input("image"), made))
        found.append(distances.frechet_distance(*features))
    return {"frechet_distance": np.mean(found)}


def observers(network, splits, folder):
    """Returns the callback that looks on: after each epoch images of both domains, each above its translation."""
    shown = [some(part.input("image"), _COLUMNS) for part in (splits.validation.a, splits.validation.b)]
    count = min(map(len, shown))

    def draw():
        translate = _translators(network, _BATCH)
        rows = []
        for direction, images in zip(DIRECTIONS, shown, strict=True):
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
    choose(DIRECTIONS, direction, "direction")
    check(batch_size >= 1, "batch_size", batch_size, "at least 1")
    folder = samples.new_folder(output)
    names, batches = image_inputs(inputs, tuple(assets["image_shape"]), assets, batch_size)
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


def _few(examples, rows):
    few = examples.take(rows)
    return dataclasses.replace(few, **{name: few_examples(getattr(few, name), np.arange(len(rows))) for name in "ab"})


def task():
    """Returns the `Task` of image-to-image translation, of `Unpaired` images, each kind with its `reference`."""
    return Task(
        monitors={"val_frechet_distance": "min", "val_generator_loss": "min"},
        evaluate=evaluate,
        predict=predict,
        validate=validate,
        observers=observers,
        show=_show,
        some=_few,
        served={"direction": None},
    )
