"""Classification: which of several classes an example belongs to; accuracy, F1, calibration, mistakes, predictions."""

import dataclasses
import functools

import keras
import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt

from kit import backend
from kit.errors import SettingError, check
from kit.reporting import plots
from kit.reporting.statistics import Bootstrap, share_interval
from kit.scoring import classification as scores
from kit.scoring import label_errors
from kit.tasks.recipe import Evaluation, Task, members
from kit.training.decay import sparing
from kit.training.losses import Auxiliary, SparseCategoricalCrossentropy
from kit.training.metrics import Accuracy, FirstAccuracy


@dataclasses.dataclass(frozen=True)
class AsItIs:
    """Views of an example that the answers are averaged over: the example alone."""

    def logits(self, answer, inputs):
        """Returns the logits of inputs, given the function that answers."""
        return answer(inputs)


@dataclasses.dataclass(frozen=True)
class MirrorImages:
    """Views of an image that the answers are averaged over (test-time augmentation).

    Args:
        flip: Average the answers for each image and its mirror image.
    """

    flip: bool = False

    def logits(self, answer, inputs):
        """Returns the logits of images, or the means of those of images and their mirror images.

        Args:
            answer: Function from images to logits.
            inputs: A batch (batch, height, width, channels), or a `tf.data.Dataset` of batches.
        """
        if not self.flip:
            return answer(inputs)
        mirrored = inputs.map(_mirrored) if hasattr(inputs, "map") else _mirrored(inputs)
        return (answer(inputs) + answer(mirrored)) / 2


def _mirrored(images):
    return images[:, :, ::-1]


def compiled(model, optimizer, label_smoothing=0.0, auxiliary_weight=None):
    """Returns a model that returns logits (batch, classes), compiled.

    Args:
        model: The model; with auxiliary classifiers its output is (batch, 1 + classifiers, classes).
        optimizer: Keras optimizer or its name.
        label_smoothing: Share of the target that is spread evenly over all classes.
        auxiliary_weight: Factor of the losses of auxiliary classifiers; None where there are none.
    """
    loss, metric = SparseCategoricalCrossentropy(label_smoothing), Accuracy()
    if auxiliary_weight is not None:
        loss, metric = Auxiliary(loss, auxiliary_weight), FirstAccuracy()
    model.compile(optimizer=sparing(optimizer, model), loss=loss, metrics=[metric])
    return model


def adopted(network, inputs, num_classes):
    """Returns a model of a user's own as a functional one, checked: it takes the inputs and returns logits.

    Args:
        network: The `keras.Model`.
        inputs: A batch of eight examples.
        num_classes: Number of classes.

    Raises:
        SettingError: no Keras model, or one whose shapes do not fit the data or that ends in a softmax.
    """
    check(isinstance(network, keras.Model), "backbone", network, "a keras.Model")
    shape = inputs.shape[1:]
    try:
        if not hasattr(network, "_inputs_struct") or isinstance(network, keras.Sequential):
            symbolic = keras.Input(shape, name="image")
            network = keras.Model(symbolic, network(symbolic), name=network.name)
        outputs = keras.ops.convert_to_numpy(network(inputs, training=False))
    except Exception as error:  # whatever a layer says of a shape that it does not take
        reason = " ".join(str(error).split())[:200]
        raise SettingError("backbone", f"the given model does not take images of shape {shape}: {reason}") from None
    check(
        outputs.shape == (len(inputs), num_classes),
        "backbone",
        outputs.shape[1:],
        f"a model that returns {num_classes} logits",
    )
    if (outputs >= 0).all() and np.allclose(outputs.sum(1), 1, atol=1e-3):
        raise SettingError("backbone", "the given model returns probabilities; expected logits: leave its softmax away")
    return network


def task(
    read,
    units,
    views=None,
    mistakes=None,
    illustrate=None,
    inputs="files",
    explain=None,
    explained=None,
    baseline=None,
    describe=None,
):
    """Returns the `Task` of classification. Its examples have a target `label`, its assets `class_names`.

    Args:
        read: Function `(inputs, assets, batch_size)` that returns the names of inputs, and a function that returns an
            iterator of batches of them.
        units: Plural of an example, such as "images".
        views: Option record with `logits`, such as `MirrorImages()`; by default an example is looked at as it is.
        mistakes: Function `(examples, rows, captions)` that draws the most confident mistakes; None draws none.
        illustrate, inputs, explain, baseline: See `Task`.
        explained: Function `(model, examples, assets, rows, captions, classes)` that draws what speaks for the classes
            that mistakes were taken for; or None.
        describe: Function `(examples, rows) -> dict` of columns that show examples in a table of mistakes, such as
            their text; or None.
    """
    no_views = AsItIs() if views is None else views

    def evaluate(
        model,
        examples,
        assets,
        *,
        top_k: PositiveInt = 5,
        bootstrap: Bootstrap = Bootstrap(),
        views: type(no_views) = no_views,
        temperature_scaling: bool = True,
        explain_mistakes: bool = False,
        batch_size: PositiveInt = 256,
    ):
        """Scores a classifier on a split.

        Args:
            model: The classifier.
            examples: `Examples` of the split.
            assets: The assets of the data.
            top_k: A second accuracy counts an example as right if its class is among this many most probable ones.
            temperature_scaling: Divide logits by the temperature that fits the validation split best.
            explain_mistakes: Draw the most confident mistakes once more, with what speaks for the wrong class over each
                (of images Grad-CAM, or integrated gradients of architectures without a feature map; of texts integrated
                gradients); it takes some seconds.
            batch_size: Examples in a step.

        Returns:
            `Evaluation` with accuracy and its interval (Wilson's), top-k accuracy (of more than k classes),
            macro-F1 of the classes that are true or predicted, and how many are neither where there are such,
            cross-entropy, expected calibration error, and the temperature with the error that there is
            without it.
        """
        examples, logits = outputs_of(model, examples, batch_size, views)
        names, labels = assets["class_names"], examples.target("label")  # (examples,)
        temperature = assets.get("temperature", 1.0) if temperature_scaling else 1.0
        probabilities = scores.softmax(logits / temperature)  # (examples, classes)
        predicted = probabilities.argmax(1)
        found = scored(names, labels, probabilities, top_k, units, bootstrap.bootstrap_samples)
        metrics, figures = found.metrics, found.figures
        if temperature != 1.0:
            unscaled = scores.softmax(logits)
            error, _ = scores.calibration(unscaled.max(1), predicted == labels)
            metrics |= {"calibration_error_unscaled": float(error), "temperature": float(temperature)}
        wrong = np.flatnonzero(predicted != labels)
        worst = wrong[np.argsort(-probabilities[wrong, predicted[wrong]])][:24]
        captions = [
            f"{names[predicted[row]]} {probabilities[row, predicted[row]]:.0%}\nis {names[labels[row]]}"
            for row in worst
        ]
        if len(worst) and describe is not None:
            found.tables["3_most_confident_mistakes"] = pd.DataFrame(
                {
                    **describe(examples, worst),
                    "label": [names[labels[row]] for row in worst],
                    "prediction": [names[predicted[row]] for row in worst],
                    "probability": probabilities[worst, predicted[worst]],
                }
            )
        if len(worst) and mistakes is not None:
            figures["3_most_confident_mistakes"] = lambda: mistakes(examples, worst, captions)
        if len(worst) and explain_mistakes and explained is not None:
            figures["3_most_confident_mistakes_explained"] = lambda: explained(
                model, examples, assets, worst, captions, predicted[worst]
            )
        suspects = label_errors.named(label_errors.likely(probabilities, labels), names)
        if len(suspects) and mistakes is not None:
            figures["3_likely_label_errors"] = lambda: mistakes(examples, *_of_suspects(suspects))
        predictions = functools.partial(_predictions, names, labels, probabilities)
        return dataclasses.replace(found, suspects=suspects, predictions=predictions)

    def calibrate(model, examples, assets, *, views: type(no_views) = no_views, batch_size: PositiveInt = 256):
        """Returns the temperature by which logits are divided so that probabilities say how often they are right."""
        examples, logits = outputs_of(model, examples, batch_size, views)
        return {"temperature": scores.temperature(logits, examples.target("label"))}

    def predict(
        model,
        inputs,
        assets,
        *,
        views: type(no_views) = no_views,
        temperature_scaling: bool = True,
        batch_size: PositiveInt = 256,
    ):
        """Classifies inputs.

        Args:
            model: The classifier, or an `Ensemble` of such, whose probabilities are averaged.
            inputs: Files and folders of them, or what the recipe takes in Python.
            assets: The assets of the data that the model was trained on.
            temperature_scaling: Divide logits by the temperature that fitted the validation split best.
            batch_size: Examples in a step.

        Returns:
            Table with a row an input: `input`, `label`, `probability`, then `p(CLASS)` for every class.

        Raises:
            KitError: no inputs, or one that cannot be read.
        """
        shares = []
        for network, own in members(model, assets):
            names, batches = read(inputs, own, batch_size)  # each with what it has learned, such as tokens
            answer = functools.partial(backend.predict_on_batch, network)
            logits = np.concatenate([views.logits(answer, batch) for batch in batches()])
            shares.append(scores.softmax(logits / (own.get("temperature", 1.0) if temperature_scaling else 1.0)))
        probabilities = np.mean(shares, 0) if len(shares) > 1 else shares[0]  # (inputs, classes)
        class_names = np.array(assets["class_names"], dtype=object)
        table = pd.DataFrame(
            {
                "input": [str(name) for name in names],
                "label": class_names[probabilities.argmax(1)],
                "probability": probabilities.max(1),
            }
        )
        shares = pd.DataFrame(probabilities, columns=[f"p({name})" for name in class_names])
        return pd.concat([table, shares], axis=1)

    def hints(history, best_epoch, examples, assets):
        """Returns what tells that nothing was learned; see `kit.scoring.classification.hints`."""
        found = assets.get("temperature")
        labels = examples.target("label")
        return scores.hints(history, best_epoch, labels, len(assets["class_names"]), temperature=found)

    def pooled(predictions, assets, settings):
        """Scores the predictions of all folds together."""
        names = assets["class_names"]
        numbers = {name: number for number, name in enumerate(names)}
        labels = predictions["label"].map(numbers).to_numpy()
        probabilities = predictions[[f"p({name})" for name in names]].to_numpy("float64")
        found = scored(names, labels, probabilities, settings["top_k"], units, settings["bootstrap_samples"])
        suspects = label_errors.of_predictions(predictions, names)[label_errors.OF_FOLDS]
        more = {"8_likely_label_errors": suspects[: label_errors.MOST]} if len(suspects) else {}
        return dataclasses.replace(found, tables=found.tables | more)

    return Task(
        monitors={"val_accuracy": "max", "val_loss": "min"},
        shares=("val_accuracy",),
        evaluate=evaluate,
        predict=predict,
        calibrate=calibrate,
        hints=hints,
        illustrate=illustrate,
        inputs=inputs,
        pooled=pooled,
        ensemble=("class_names",),
        explain=explain,
        baseline=baseline,
    )


def scored(names, labels, probabilities, top_k, units, samples):
    """Returns the `Evaluation` of probabilities.

    Args:
        names: Name of each class.
        labels: Class of each example, (examples,).
        probabilities: (examples, classes)
        top_k: A second accuracy counts an example as right if its class is among this many most probable ones.
        units: Plural of an example.
        samples: Draws behind each interval.
    """
    predicted = probabilities.argmax(1)
    matrix = np.zeros((len(names), len(names)), int)  # (true, predicted)
    np.add.at(matrix, (labels, predicted), 1)
    right = matrix.diagonal().sum()
    low, high = share_interval(right, len(labels))
    metrics = {"accuracy": right / len(labels), "accuracy_low": low, "accuracy_high": high}
    if top_k < len(names) and top_k > 1:
        best = np.argpartition(-probabilities, top_k, 1)[:, :top_k]
        metrics[f"top_{top_k}_accuracy"] = (best == labels[:, None]).any(1).mean()
    metrics |= scores.macro_f1(scores.confusion_f1(matrix), names)
    of_true = probabilities[np.arange(len(labels)), labels]
    metrics["cross_entropy"] = -np.log(np.maximum(of_true, 1e-12)).mean()
    error, bins = scores.calibration(probabilities.max(1), predicted == labels)
    metrics["calibration_error"] = error
    return Evaluation(
        {name: value if isinstance(value, int) else float(value) for name, value in metrics.items()},
        {"1_per_class": per_class(matrix, names, units, samples)},
        {
            "2_confusion_matrix": lambda: plots.confusion_matrix(matrix, names),
            "4_confidence_and_accuracy": lambda: plots.reliability(bins, error),
        },
    )


def _predictions(names, labels, probabilities):
    """Returns a table with a row an example: `label`, `prediction`, `probability`, then `p(CLASS)` for every class."""
    classes = np.array(names, dtype=object)
    predicted = probabilities.argmax(1)
    table = {"label": classes[labels], "prediction": classes[predicted], "probability": probabilities.max(1)}
    shares = pd.DataFrame(probabilities, columns=[f"p({name})" for name in names])
    return pd.concat([pd.DataFrame(table), shares], axis=1)


def _of_suspects(suspects):
    """Returns rows and captions of the likeliest label errors, to be drawn."""
    first = suspects[:24]
    captions = [
        f"labelled {label}\nlikely {likely} {share:.0%}"
        for label, likely, share in zip(first["label"], first["likely"], first["p(likely)"], strict=True)
    ]
    return first["row"].to_numpy(int), captions


def outputs_of(model, examples, batch_size, views):
    """Returns examples, and what a model answers to each of them, in their order.

    Args:
        model: The model.
        examples: `Examples` of a split.
        batch_size: Examples in a step.
        views: Option record with `logits`, and perhaps `whole`: a function `(examples, outputs)` that returns both with
            one row for what belongs together, such as windows of one text.
    """
    inputs = examples.batches(batch_size).map(lambda inputs, *_: inputs)
    found = views.logits(lambda batches: model.predict(batches, verbose=0), inputs)
    found = _in_order(found, examples, batch_size)
    return views.whole(examples, found) if hasattr(views, "whole") else (examples, found)


def _in_order(values, examples, batch_size):
    """Returns the values of all examples in their order, given those of `batches`, which may be sorted by length."""
    order = np.concatenate(list(examples.chunks(batch_size)))
    found = np.empty_like(values)
    found[order] = values
    return found


def per_class(matrix, names, units, samples):
    """Returns a table with precision, recall and F1 of each class, the latter with its 95 % interval.

    What the split says nothing of, such as the recall of a class without examples, is left empty.

    Args:
        matrix: Confusion matrix (true, predicted).
        names: Name of each class.
        units: Plural of an example.
        samples: Draws behind each interval.
    """
    precision, recall = scores.precision_and_recall(matrix)
    lows, highs = scores.confusion_f1_interval(matrix, samples)
    return pd.DataFrame(
        {
            "class": names,
            units: matrix.sum(1),
            "precision": precision,
            "recall": recall,
            "f1": scores.confusion_f1(matrix),
            "f1 95 % low": lows,
            "f1 95 % high": highs,
        }
    )


def auxiliary_removed(model):
    """Returns the model that predicts: without the auxiliary classifiers in its middle, where it has such."""
    if len(model.output.shape) < 3:
        return model
    return keras.Model(model.input, model.get_layer("logits").output, name=model.name)
