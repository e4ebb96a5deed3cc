"""Regression: which number belongs to an example; RMSE, MAE, R², correlations, quantiles with their coverage."""

import functools

import keras
import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt
from keras.config import floatx

from kit import backend
from kit.blocks.quantiles import Quantiles
from kit.errors import check
from kit.reporting import answer_plots
from kit.reporting.statistics import Bootstrap
from kit.scoring import regression as scores
from kit.tasks.classification import AsItIs, outputs_of
from kit.tasks.recipe import Evaluation, Task, members
from kit.training.decay import sparing
from kit.training.losses import QuantileLoss
from kit.training.metrics import AbsoluteError

LEVELS = (0.05, 0.5, 0.95)
_SHOWN = 24  # examples in a table of the largest errors


def network(inputs, features, name, loss="mse", levels=None):
    """Returns the model that ends in a number, or in several quantiles of it, given pooled features (batch, dim).

    The number is one of standardised targets: less the mean of training, in its standard deviations.

    Args:
        inputs: Inputs of the model.
        features: Symbolic tensor (batch, dim).
        name: Name of the model.
        loss, levels: As for `compiled`.
    """
    quantiles = levels_of_loss(loss, levels)
    x = keras.layers.Dense(len(quantiles or "1"), dtype=floatx(), name="number")(features)
    if quantiles:
        x = Quantiles(quantiles, dtype=floatx(), name="quantiles")(x)
    return keras.Model(inputs, x, name=name)


def levels_of_loss(loss, levels):
    """Returns the levels of the quantiles that a loss asks for, checked; nothing of others.

    Raises:
        SettingError: levels without the median, or of another loss than "quantile".
    """
    if loss != "quantile":
        check(levels is None, "quantiles", levels, "none without model.loss=quantile")
        return ()
    levels = LEVELS if levels is None else tuple(levels)
    fits = len(levels) >= 2 and 0.5 in levels and list(levels) == sorted(set(levels)) and 0 < levels[0] < levels[-1] < 1
    check(fits, "quantiles", list(levels), "rising levels between 0 and 1, 0.5 among them, such as [0.05, 0.5, 0.95]")
    return levels


def compiled(model, optimizer, loss="mse"):
    """Returns a model that `network` returned, compiled.

    Args:
        model: The model.
        optimizer: Keras optimizer or its name.
        loss: "mse" (mean squared error), "mae" (mean absolute error), "huber" (squared up to an error of one standard
            deviation, absolute beyond), or "quantile" (pinball loss of the model's quantiles).
    """
    levels = levels_of(model)
    losses = {
        "mse": keras.losses.MeanSquaredError,
        "mae": keras.losses.MeanAbsoluteError,
        "huber": keras.losses.Huber,
        "quantile": lambda: QuantileLoss(levels),
    }
    metric = AbsoluteError(levels.index(0.5) if levels else 0)
    model.compile(optimizer=sparing(optimizer, model), loss=losses[loss](), metrics=[metric])
    return model


def levels_of(model):
    """Returns the levels of a model's quantiles; an empty list of a model that answers with one number."""
    return next((layer.levels for layer in model.layers if isinstance(layer, Quantiles)), [])


def task(read, units, views=None, inputs="files", baseline=None, describe=None):
    """Returns the `Task` of regression.

    Its examples have a target `number` (examples, 1), standardised, and an extra `number` in the unit of the data; its
    assets the `mean` and `deviation` of training.

    Args:
        read: Function `(inputs, assets, batch_size)` that returns the names of inputs, and a function that returns an
            iterator of batches of them.
        units: Plural of an example, such as "images".
        views: Option record, see `kit.tasks.classification.task`.
        inputs, baseline: See `Task`.
        describe: Function `(examples, rows) -> dict` of columns that show examples in a table of errors; or None.
    """
    no_views = AsItIs() if views is None else views

    def evaluate(
        model,
        examples,
        assets,
        *,
        bootstrap: Bootstrap = Bootstrap(),
        views: type(no_views) = no_views,
        batch_size: PositiveInt = 256,
    ):
        """Scores a regression on a split.

        Args:
            model: The model.
            examples: `Examples` of the split.
            assets: The assets of the data.
            batch_size: Examples in a step.

        Returns:
            `Evaluation` with R², RMSE, MAE, the correlations of Pearson and Spearman, each with its interval, and the
            errors of always answering with the mean of training; of quantiles also the coverage of the interval from
            the lowest to the highest, its width and the quantile loss.
        """
        examples, outputs = outputs_of(model, examples, batch_size, views)
        answers = _in_units(outputs, assets)
        true = examples.extra("number")
        found = scored(true, answers, levels_of(model), assets, bootstrap.bootstrap_samples)
        predicted = _point(answers, levels_of(model))
        worst = np.argsort(-np.abs(predicted - true), kind="stable")[:_SHOWN]
        shown = {} if describe is None else describe(examples, worst)
        found.tables["1_largest_errors"] = pd.DataFrame(
            {**shown, "number": true[worst], "predicted": predicted[worst], "error": (predicted - true)[worst]}
        )
        predictions = functools.partial(_predictions, true, answers, levels_of(model))
        return Evaluation(
            found.metrics, found.tables, found.figures, predictions, scores.likely_errors(true, predicted)
        )

    def predict(model, inputs, assets, *, views: type(no_views) = no_views, batch_size: PositiveInt = 256):
        """Predicts the number of inputs.

        Args:
            model: The model, or an `Ensemble` of such, whose numbers are averaged.
            inputs: Files and folders of them, or what the recipe takes in Python.
            assets: The assets of the data that the model was trained on.
            batch_size: Examples in a step.

        Returns:
            Table with a row an input: `input`, `number`, and of a model of quantiles `q(LEVEL)` for each level.

        Raises:
            KitError: no inputs, or one that cannot be read.
        """
        found = []
        for each, own in members(model, assets):
            names, batches = read(inputs, own, batch_size)
            answer = functools.partial(backend.predict_on_batch, each)
            outputs = np.concatenate([views.logits(answer, batch) for batch in batches()])
            found.append(_in_units(outputs, own))
            levels = levels_of(each)
        answers = np.mean(found, 0)  # (inputs, levels)
        table = {"input": [str(name) for name in names], "number": _point(answers, levels)}
        return pd.DataFrame(table | _quantile_columns(answers, levels))

    def hints(history, best_epoch, examples, assets):
        """Returns what tells that nothing was learned; see `kit.scoring.regression.hints`."""
        return scores.hints(history, best_epoch, examples.target("number"))

    def pooled(predictions, assets, settings):
        """Scores the predictions of all folds together."""
        columns = [name for name in predictions if name.startswith("q(")]
        levels = [float(name[2:-1]) for name in columns]
        answers = predictions[columns or ["predicted"]].to_numpy("float64")
        true = predictions["number"].to_numpy("float64")
        found = scored(true, answers, levels, assets, settings["bootstrap_samples"])
        suspects = scores.likely_errors(true, predictions["predicted"].to_numpy("float64"))[: scores.MOST]
        rows = suspects["row"].to_numpy(int)
        named = predictions[["example", "fold"]].iloc[rows].reset_index(drop=True).join(suspects.drop(columns="row"))
        if len(named):
            found.tables["8_likely_label_errors"] = named
        return found

    return Task(
        monitors={"val_loss": "min", "val_mae": "min"},
        evaluate=evaluate,
        predict=predict,
        hints=hints,
        inputs=inputs,
        pooled=pooled,
        ensemble=(),
        baseline=baseline,
    )


def scored(true, answers, levels, assets, samples):
    """Returns the `Evaluation` of predicted numbers.

    Args:
        true: True numbers, (examples,).
        answers: Predicted numbers (examples, 1), or quantiles (examples, levels).
        levels: Level of each quantile; none of one number.
        assets: The assets of the data: the `mean` of training is the trivial answer.
        samples: Draws behind each interval.
    """
    predicted = _point(answers, levels)
    metrics = scores.scores(true, predicted, samples)
    metrics["rmse_of_training_mean"] = float(np.sqrt(np.mean((true - assets["mean"]) ** 2)))
    metrics["mae_of_training_mean"] = float(np.mean(np.abs(true - assets["mean"])))
    interval = None
    if levels:
        metrics |= scores.coverage(true, answers, levels)
        interval = answers[:, 0], answers[:, -1]
    figures = {
        "2_true_and_predicted": lambda: answer_plots.true_and_predicted(true, predicted, interval),
        "3_residuals": lambda: answer_plots.residuals(true, predicted),
    }
    return Evaluation(metrics, {}, figures)


def numbers_of(model, outputs, assets):
    """Returns the numbers that a model answers, (examples,), in the unit of the data: of quantiles the median."""
    return _point(_in_units(outputs, assets), levels_of(model))


def _in_units(outputs, assets):
    """Returns outputs of a network, (examples, levels), in the unit of the data, in 64 bits."""
    return np.asarray(outputs, "float64") * assets["deviation"] + assets["mean"]


def _point(answers, levels):
    """Returns the number that is answered: the median among quantiles."""
    return answers[:, list(levels).index(0.5) if levels else 0]


def _quantile_columns(answers, levels):
    return {f"q({level:g})": answers[:, column] for column, level in enumerate(levels)}


def _predictions(true, answers, levels):
    """Returns a table with a row an example: `number`, `predicted`, and `q(LEVEL)` for each quantile."""
    columns = {"number": true, "predicted": _point(answers, levels)} | _quantile_columns(answers, levels)
    return pd.DataFrame({name: pd.Series(values.tolist(), dtype=object) for name, values in columns.items()})
