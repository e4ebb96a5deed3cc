"""Multi-label classification: which labels an example has, also none; F1, average precision, thresholds."""

import functools
from typing import Literal

import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt

from kit import backend
from kit.reporting import answer_plots
from kit.reporting.statistics import Bootstrap
from kit.scoring import label_errors
from kit.scoring import multi_label as scores
from kit.tasks.classification import AsItIs, outputs_of
from kit.tasks.recipe import Evaluation, Task, members
from kit.training.decay import sparing
from kit.training.losses import BinaryCrossentropy
from kit.training.metrics import MicroF1

_SHOWN = 24  # examples in a table of mistakes


def compiled(model, optimizer, label_smoothing=0.0, positive_weights=None):
    """Returns a model that returns logits (batch, labels), compiled.

    Args:
        model: The model.
        optimizer: Keras optimizer or its name.
        label_smoothing: Share of each target that is moved to one half.
        positive_weights: Factor of the loss of an example that has a label, for each label; None is 1.
    """
    loss = BinaryCrossentropy(label_smoothing, positive_weights)
    model.compile(optimizer=sparing(optimizer, model), loss=loss, metrics=[MicroF1()])
    return model


def task(read, units, views=None, inputs="files", baseline=None, describe=None):
    """Returns the `Task` of multi-label classification.

    Its examples have a target `labels` (examples, labels) of 0 and 1, its assets `class_names`, the labels, and the
    `separator` that several are written with.

    Args:
        read: Function `(inputs, assets, batch_size)` that returns the names of inputs, and a function that returns an
            iterator of batches of them.
        units: Plural of an example, such as "images".
        views: Option record, see `kit.tasks.classification.task`.
        inputs, baseline: See `Task`.
        describe: Function `(examples, rows) -> dict` of columns that show examples in a table of mistakes; or None.
    """
    no_views = AsItIs() if views is None else views

    def evaluate(
        model,
        examples,
        assets,
        *,
        bootstrap: Bootstrap = Bootstrap(),
        views: type(no_views) = no_views,
        thresholds: Literal["one", "per_label", "half"] = "one",
        batch_size: PositiveInt = 256,
    ):
        """Scores a multi-label classifier on a split.

        Args:
            model: The classifier.
            examples: `Examples` of the split.
            assets: The assets of the data.
            thresholds: Probability from which on an example is given a label: "one" for all labels, or one "per_label",
                both chosen on the validation split by F1, or "half".
            batch_size: Examples in a step.

        Returns:
            `Evaluation` with micro-F1, macro-F1, mean average precision, subset accuracy, each with its interval,
            Hamming loss and cross-entropy.
        """
        examples, outputs = outputs_of(model, examples, batch_size, views)
        names, true = assets["class_names"], np.asarray(examples.target("labels"), bool)  # (examples, labels)
        probabilities = scores.sigmoid(outputs)
        cuts = _thresholds(assets, thresholds)
        answered = probabilities >= cuts
        found = scored(names, true, answered, probabilities, cuts, units, bootstrap.bootstrap_samples)
        wrong = np.flatnonzero((answered != true).any(1))
        own = np.where(true, probabilities, 1 - probabilities)
        worst = wrong[np.argsort(np.log(np.maximum(own[wrong], 1e-12)).sum(1), kind="stable")][:_SHOWN]
        written = functools.partial(_written, names=names, separator=assets["separator"])
        if len(worst) and describe is not None:
            found.tables["3_largest_mistakes"] = pd.DataFrame(
                {**describe(examples, worst), "labels": written(true[worst]), "predicted": written(answered[worst])}
            )
        predictions = functools.partial(_predictions, names, written, true, answered, probabilities)
        suspects = scores.likely_errors(probabilities, true, names)
        return Evaluation(found.metrics, found.tables, found.figures, predictions, suspects)

    def calibrate(model, examples, assets, *, views: type(no_views) = no_views, batch_size: PositiveInt = 256):
        """Returns the thresholds that are best on a split, and how many different answers they lead to."""
        examples, outputs = outputs_of(model, examples, batch_size, views)
        probabilities = scores.sigmoid(outputs)
        found = scores.thresholds(probabilities, examples.target("labels"))
        different = len(np.unique(probabilities >= found["threshold"], axis=0))
        return {**found, "different_answers": different}

    def predict(
        model,
        inputs,
        assets,
        *,
        views: type(no_views) = no_views,
        thresholds: Literal["one", "per_label", "half"] = "one",
        batch_size: PositiveInt = 256,
    ):
        """Tells the labels of inputs.

        Args:
            model: The classifier, or an `Ensemble` of such, whose probabilities and thresholds are averaged.
            inputs: Files and folders of them, or what the recipe takes in Python.
            assets: The assets of the data that the model was trained on.
            thresholds: As for the evaluation.
            batch_size: Examples in a step.

        Returns:
            Table with a row an input: `input`, `labels` with the separator of the data between them, empty where there
            are none, then `p(LABEL)` for every label.

        Raises:
            KitError: no inputs, or one that cannot be read.
        """
        shares, cuts = [], []
        for network, own in members(model, assets):
            names, batches = read(inputs, own, batch_size)
            answer = functools.partial(backend.predict_on_batch, network)
            logits = np.concatenate([views.logits(answer, batch) for batch in batches()])
            shares.append(scores.sigmoid(logits))
            cuts.append(_thresholds(own, thresholds))
        probabilities = np.mean(shares, 0)  # (inputs, labels)
        labels = _written(probabilities >= np.mean(cuts, 0), assets["class_names"], assets["separator"])
        table = pd.DataFrame({"input": [str(name) for name in names], "labels": labels})
        return pd.concat([table, _shares(assets["class_names"], probabilities)], axis=1)

    def hints(history, best_epoch, examples, assets):
        """Returns what tells that nothing was learned; see `kit.scoring.multi_label.hints`."""
        return scores.hints(history, assets)

    def pooled(predictions, assets, settings):
        """Scores the predictions of all folds together, each with the thresholds of its fold."""
        names, separator = assets["class_names"], assets["separator"]
        true, answered = (_read(predictions[name], names, separator) for name in ("labels", "predicted labels"))
        probabilities = predictions[[f"p({name})" for name in names]].to_numpy("float64")
        cuts = np.full(len(names), np.nan)
        found = scored(names, true, answered, probabilities, cuts, units, settings["bootstrap_samples"])
        suspects = scores.likely_errors(probabilities, true, names)[: label_errors.MOST]
        if len(suspects):
            rows = suspects["row"].to_numpy(int)
            of_folds = suspects.assign(**{name: predictions[name].to_numpy()[rows] for name in ("example", "fold")})
            found.tables["8_likely_label_errors"] = of_folds[label_errors.OF_FOLDS]
        return found

    return Task(
        monitors={"val_loss": "min", "val_micro_f1": "max"},
        evaluate=evaluate,
        predict=predict,
        calibrate=calibrate,
        hints=hints,
        inputs=inputs,
        pooled=pooled,
        ensemble=("class_names",),
        baseline=baseline,
    )


def scored(names, true, answered, probabilities, cuts, units, samples):
    """Returns the `Evaluation` of answers.

    Args:
        names: Name of each label.
        true, answered: Whether each example has each label, and whether it was answered, (examples, labels).
        probabilities: (examples, labels)
        cuts: Threshold of each label, (labels,).
        units: Plural of an example.
        samples: Draws behind each interval.
    """
    metrics = scores.scores(names, true, answered, probabilities, samples)
    table = scores.per_label(names, true, answered, probabilities, cuts, units, samples)
    figures = {
        "2_f1_of_labels": lambda: answer_plots.f1_of_labels(table),
        "3_labels_that_come_together": lambda: answer_plots.label_pairs(true, answered, names),
    }
    return Evaluation(metrics, {"1_per_label": table}, figures if len(names) > 1 else {})


def _thresholds(assets, which):
    """Returns the threshold of each label, (labels,); one half where none were chosen."""
    chosen = assets.get({"one": "threshold", "per_label": "thresholds"}.get(which), 0.5)
    return np.broadcast_to(np.asarray(chosen, float), len(assets["class_names"]))


def _written(answered, names, separator):
    """Returns the labels of each example as one text, given (examples, labels)."""
    return [separator.join(names[column] for column in np.flatnonzero(row)) for row in answered]


def _read(texts, names, separator):
    """Returns whether each example has each label, (examples, labels), given what `_written` returned."""
    numbers = {name: number for number, name in enumerate(names)}
    found = np.zeros((len(texts), len(names)), bool)
    for row, text in enumerate(texts):
        found[row, [numbers[label] for label in str(text).split(separator) if label]] = True
    return found


def _shares(names, probabilities):
    return pd.DataFrame(probabilities, columns=[f"p({name})" for name in names])


def _predictions(names, written, true, answered, probabilities):
    """Returns a table with a row an example: `labels`, `predicted labels`, then `p(LABEL)` for every label."""
    table = pd.DataFrame({"labels": written(true), "predicted labels": written(answered)})
    return pd.concat([table, _shares(names, probabilities)], axis=1)
