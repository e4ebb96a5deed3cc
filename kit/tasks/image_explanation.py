"""Explanation of classified images: Grad-CAM and integrated gradients, drawn over the picture."""

import logging
from typing import Literal

import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt
from keras import ops

from kit import backend
from kit.attribution.grad_cam import feature_map_path, grad_cam
from kit.attribution.integrated_gradients import gradients_of, integrated_gradients
from kit.errors import SettingError, choose
from kit.reporting import plots
from kit.reporting.explanation import Explanation
from kit.scoring.classification import softmax

log = logging.getLogger("kit")

_NO_MAP = "this architecture has no feature map that can be seen and whose places are those of the image"
# A sum of attributions that lacks more than this share of what it should be is said to be incomplete.
_INCOMPLETE = 0.05


def functions(read):
    """Returns all that shows images and what their answers rest on, as arguments of `kit.tasks.classification.task`."""
    return {"mistakes": mistakes, "explained": mistakes_explained, "explain": explainer(read)}


def explainer(read):
    """Returns the function `explain` of a `Task` that classifies images.

    Args:
        read: As for `kit.tasks.classification.task`; batches are images.
    """

    def explain(
        model,
        inputs,
        assets,
        *,
        method: Literal["auto", "grad_cam", "integrated_gradients"] = "auto",
        target: str | None = None,
        baseline: Literal["black", "white", "mean"] = "black",
        steps: PositiveInt = 64,
        most_inputs: PositiveInt = 16,
        temperature_scaling: bool = True,
    ):
        """Shows which pixels of images the answer rests on.

        Args:
            model: The classifier.
            inputs: Files and folders of them, or an array of images.
            assets: The assets of the data that the model was trained on.
            method: "grad_cam" (Selvaraju et al., 2017) finds the places of the last feature map that speak for the
                class; "integrated_gradients" (Sundararajan et al., 2017) what each pixel adds to its log-probability;
                "auto" is both, or the latter alone where an architecture has no such map.
            target: Name of the class that is explained; by default the one that was answered.
            baseline: Image that integrated gradients begin at: "black", "white", or "mean", the mean of its own pixels.
            steps: Points between the two at which gradients are taken.
            most_inputs: Number of images that are explained; of more the first.
            temperature_scaling: Divide logits by the temperature that fitted the validation split best.

        Returns:
            `Explanation` with a row an image: `input`, `label`, `probability`, `explained` (the class), `method`,
            `attributed` (sum of what the pixels add), `difference` (of the log-probabilities of image and baseline) and
            `gap` (what the sum lacks, as a share).

        Raises:
            KitError: no inputs, or one that cannot be read.
            SettingError: an unknown class, or Grad-CAM of an architecture that has no feature map.
        """
        class_names = list(map(str, assets["class_names"]))
        wanted = (
            None if target is None else choose({name: row for row, name in enumerate(class_names)}, target, "target")
        )
        path = feature_map_path(model)
        if method == "grad_cam" and path is None:
            raise SettingError("method", f"{_NO_MAP}; expected 'integrated_gradients'")
        names, batches = read(inputs, assets, min(most_inputs, 16))
        images = _first(batches(), most_inputs)
        parts = [slice(start, start + 16) for start in range(0, len(images), 16)]
        logits = np.concatenate([backend.predict_on_batch(model, images[part]) for part in parts])
        shares = softmax(logits / (assets.get("temperature", 1.0) if temperature_scaling else 1.0))
        predicted = shares.argmax(1)
        classes = predicted if wanted is None else np.full(len(images), wanted)
        maps = {}
        if method != "integrated_gradients" and path is not None:
            maps["Grad-CAM"] = np.concatenate([grad_cam(model, images[part], classes[part], path) for part in parts])
        found = [] if method == "grad_cam" else _integrated(model, images, classes, baseline, steps)
        if found:
            maps["integrated gradients"] = np.stack([each.values.sum(-1) for each in found])
        used = " and ".join(maps)
        table = {
            "input": [str(name) for name in list(names)[: len(images)]],
            "label": [class_names[index] for index in predicted],
            "probability": shares.max(1).astype("float64"),
            "explained": [class_names[index] for index in classes],
            "method": used,
        }
        if found:
            table["attributed"] = [float(each.values.sum()) for each in found]
            table["difference"] = [each.answer - each.baseline for each in found]
            table["gap"] = [each.gap for each in found]
        figures = {}
        for row, image in enumerate(images):
            shown = f"{class_names[predicted[row]]} {shares[row].max():.0%}"
            shown += "" if classes[row] == predicted[row] else f", explained: {class_names[classes[row]]}"
            own = {title: values[row] for title, values in maps.items()}
            pixels = np.clip(np.round(image), 0, 255).astype("uint8")
            figures[f"{row + 1:02}_{_file_name(table['input'][row])}"] = lambda pixels=pixels, shown=shown, own=own: (
                plots.explained_image(pixels, shown, own)
            )
        arrays = {title.lower().replace("-", "_").replace(" ", "_"): values for title, values in maps.items()}
        notes = _notes(maps, path, method, baseline, table, len(names), most_inputs)
        return Explanation("What the answers rest on", pd.DataFrame(table), figures, arrays, notes)

    return explain


def mistakes(examples, rows, captions):
    """Draws images and what they were taken for.

    Args:
        examples: `Examples` of images.
        rows: Rows of those that are drawn.
        captions: What is said of each.
    """
    return plots.image_grid(examples.arrays(rows)[0], captions)


def mistakes_explained(model, examples, assets, rows, captions, classes):
    """Draws images and, over each, what speaks for the class that it was taken for.

    Args:
        model: The classifier.
        examples, rows, captions: As for `mistakes`; the first twelve are drawn.
        assets: The assets of the data.
        classes: Index of the class that each was taken for.
    """
    rows, classes = rows[:12], np.asarray(classes)[:12]
    images, path = np.asarray(examples.arrays(rows)[0], "float32"), feature_map_path(model)
    if path is not None:
        maps = grad_cam(model, images, classes, path)
    else:
        found = _integrated(model, images, classes, "black", 32)
        maps = np.stack([each.values.sum(-1) for each in found])
    return plots.image_grid(images.astype("uint8"), captions[:12], maps=maps)


def _first(batches, most):
    """Returns the first images of an iterator of batches, as float32."""
    found, count = [], 0
    for batch in batches:
        found.append(np.asarray(batch, "float32")[: most - count])
        count += len(found[-1])
        if count >= most:
            break
    return np.concatenate(found)


def _integrated(model, images, classes, baseline, steps):
    """Returns an `Attribution` of each image, of its class's log-probability."""

    def answer(pixels, label):
        return ops.take(ops.log_softmax(ops.cast(model(pixels, training=False), "float32")), label, axis=1)

    gradients = gradients_of(answer, images.shape[1:])
    found = []
    for image, label in zip(images, classes, strict=True):
        level = {"black": 0.0, "white": 255.0, "mean": image.mean((0, 1))}[baseline]
        before = np.broadcast_to(np.float32(level), image.shape)
        of_class = lambda pixels, label=label: gradients(pixels, np.int32(label))  # noqa: E731
        found.append(integrated_gradients(of_class, image, before, steps=steps))
    return found


def _notes(maps, path, method, baseline, table, count, most):
    """Returns in sentences what is shown."""
    notes = []
    if "Grad-CAM" in maps:
        notes.append("Grad-CAM: bright places of the last feature map speak for the class.")
    if "integrated gradients" in maps:
        notes.append(
            f"Integrated gradients: red pixels raise the log-probability of the class, beside a {baseline} image; blue "
            "ones lower it. They add up to the difference of the two."
        )
        worst = max(table["gap"])
        if worst > _INCOMPLETE:
            notes.append(f"Of an image they lack up to {worst:.0%} of the difference: raise explain.steps.")
    if path is None and method == "auto":
        notes.append(f"No Grad-CAM: {_NO_MAP}.")
    if count > most:
        notes.append(f"The first {most} of {count} images; explain.most_inputs says how many.")
    for note in notes[-1:] if count > most else ():
        log.info("%s", note)
    return tuple(notes)


def _file_name(text):
    """Returns the end of a path as a name of letters, digits, dots and dashes."""
    name = text.replace("\\", "/").rpartition("/")[2]
    return "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in name)[:60]
