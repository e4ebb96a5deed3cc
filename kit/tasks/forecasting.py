"""Forecasting: the next values of time series as quantiles; rolling origin, MASE, coverage, naive forecasts beside."""

import keras
import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt

from kit import backend
from kit.blocks.quantiles import Quantiles
from kit.data.forecast_data import facts_of
from kit.data.forecast_inputs import continued
from kit.errors import KitError, check
from kit.reporting import forecast_plots
from kit.reporting.statistics import Bootstrap
from kit.scoring import forecasting as scores
from kit.tasks import forecast_baseline
from kit.tasks.own_data import OwnData
from kit.tasks.recipe import Evaluation, Task, members
from kit.training.decay import sparing
from kit.training.losses import QuantileLoss

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_DRAWN_SERIES, _DRAWN_STEPS, _DRAWN_FORECASTS = 4, 300, 20
_SHOWN = 60  # rows of a printed table
_FEWEST, _MOST, _BATCH = 40, 400, 64  # steps of an epoch, and windows of a step


def check_levels(levels):
    """Raises SettingError for levels of quantiles that do not rise, or lack the median."""
    levels = list(levels)
    fits = len(levels) >= 3 and 0.5 in levels and levels == sorted(set(levels)) and 0 < levels[0] < 0.5 < levels[-1] < 1
    check(fits, "quantiles", levels, "rising levels between 0 and 1, 0.5 among them, such as [0.1, 0.5, 0.9]")


def compiled(inputs, outputs, optimizer, name):
    """Returns a compiled model from the past to quantiles (batch, horizon, levels), in the unit of the series.

    Args:
        inputs: Its inputs, by name.
        outputs: Output of a layer `Quantiles`.
        optimizer: Keras optimizer or its name.
        name: Name of the model.
    """
    model = keras.Model(inputs, outputs, name=name)
    model.compile(optimizer=sparing(optimizer, model), loss=QuantileLoss(levels_of(model)))
    return model


def levels_of(model):
    """Returns the levels of a model's quantiles."""
    return next(layer.levels for layer in model.layers if isinstance(layer, Quantiles))


def quantiles_of(model, inputs, batch_size):
    """Returns the quantiles of inputs, float64 (examples, horizon, levels).

    All batches are of one size, filled up with their first example: what is compiled for another size rounds otherwise.

    Args:
        model: The model.
        inputs: Function from rows of examples to the inputs of a batch, and how many examples there are.
        batch_size: Examples in a step.
    """
    read, count = inputs
    found = []
    for start in range(0, count, batch_size):
        rows = np.arange(start, min(start + batch_size, count))
        filled = np.concatenate([rows, np.full(batch_size - len(rows), start)])
        found.append(backend.predict_on_batch(model, read(filled))[: len(rows)])
    return np.concatenate(found).astype("float64")


def evaluate(
    model,
    examples,
    assets,
    *,
    bootstrap: Bootstrap = Bootstrap(),
    stride: PositiveInt = 1,
    baseline: bool = True,
    batch_size: PositiveInt = 256,
):
    """Scores forecasts from every origin of a split, each with what was known there.

    Args:
        model: The model.
        examples: `Examples` of the split.
        assets: The assets of the data.
        stride: Steps from one origin to the next.
        baseline: Fit ridge regression on lags beside a training.
        batch_size: Forecasts in a step.

    Returns:
        `Evaluation` with MASE, MAE, RMSE, sMAPE, quantile loss and coverage of the interval between the lowest and the
        highest quantile, each with its 95 % interval over origins, drawn in blocks as long as the horizon; MASE and MAE
        of the naive and the seasonal naive forecast from the same origins; and a table by step of the horizon.
    """
    window = forecast_baseline.Window.of(examples, assets, stride)
    read = window.examples.arrays
    quantiles = quantiles_of(model, (lambda rows: read(rows)[0], len(window.examples)), batch_size)
    levels = levels_of(model)
    median = quantiles[..., list(levels).index(0.5)]
    samples, block = bootstrap.bootstrap_samples, -(-assets["horizon"] // stride)
    errors = np.concatenate(
        [window.errors(median), scores.quantile_errors_of(window.true, window.there, quantiles, levels)], -1
    )
    metrics = scores.scores(errors, window.origins, samples, block)
    by_step = {"network": scores.by_step(errors, window.origins, samples, block)}
    rows = [{"forecast": "network", **metrics}]
    for name, season in {"naive": 1, "seasonal naive": assets["season"]}.items():
        if name == "seasonal naive" and season == 1:
            continue  # it is the naive one
        own = window.errors(window.repeated(season))
        found = scores.scores(own, window.origins, samples, block)
        rows.append({"forecast": name, **found})
        by_step[name] = scores.by_step(own, window.origins, min(samples, 20), block)
        for score in ("mase", "mae"):
            if score in found:
                metrics[f"{score}_of_{name.replace(' ', '_')}"] = found[score]
    width = metrics.pop("interval_width")
    metrics = {key: value for key, value in metrics.items() if not key.startswith("interval_width_")}
    metrics |= {"coverage_wanted": round(levels[-1] - levels[0], 6), "interval_width": width}
    metrics |= {"origins": len(np.unique(window.origins)), "forecasts": len(window.examples)}
    titles = {"forecast": "forecast", "mase": "MASE", "mae": "MAE", "rmse": "RMSE", "smape": "sMAPE (%)"}
    shown = pd.DataFrame(rows)
    kept = [
        name
        for title in titles
        for name in ((title,) if title == "forecast" else (title, f"{title}_low", f"{title}_high"))
        if name in shown
    ]
    shown = shown[kept].rename(columns=lambda name: _title(name, titles))
    title = "MASE" if "MASE" in by_step["network"] else "MAE"
    figures = {
        "2_forecasts": lambda: forecast_plots.forecasts(
            _panels(window, quantiles, levels), assets["step"], levels[-1] - levels[0]
        ),
        "3_error_by_horizon": lambda: forecast_plots.error_by_step(by_step, title),
        "4_residuals": lambda: forecast_plots.residuals(
            window.times(window.rows)[window.there[:, 0]],
            (median - window.true)[:, 0][window.there[:, 0]],
            assets["step"],
        ),
    }
    return Evaluation(metrics, {"1_beside_naive_forecasts": shown, "2_by_step_ahead": by_step["network"]}, figures)


def _title(name, titles):
    base, _, end = name.rpartition("_")
    return f"{titles[base]} 95 % {end}" if end in ("low", "high") else titles[name]


def _panels(window, quantiles, levels):
    """Returns what `kit.reporting.forecast_plots.forecasts` draws of the first series."""
    series, division, horizon = window.series, window.division, quantiles.shape[1]
    panels, median = [], list(levels).index(0.5)
    for number in np.unique(window.owners)[:_DRAWN_SERIES]:
        own = np.flatnonzero(window.owners == number)
        chosen, last = [], -1
        for each in own:  # one behind the other
            if window.rows[each] > last:
                chosen.append(each)
                last = window.rows[each] + horizon - 1
        chosen = chosen[-_DRAWN_FORECASTS:]
        start, end = series.offsets[number], series.offsets[number + 1]
        stop = min(int(window.rows[chosen[-1]]) + horizon, end)
        room = max(_DRAWN_STEPS, 2 * (stop - int(window.rows[chosen[0]])))
        rows = np.arange(max(start, stop - room), stop)
        values = np.where(series.observed[rows], series.target[rows], np.nan)
        found = []
        for each in chosen:
            steps = window.rows[each] + np.arange(horizon)
            own_quantiles = quantiles[each]
            found.append((window.times(steps), own_quantiles[:, median], own_quantiles[:, 0], own_quantiles[:, -1]))
        panels.append(
            {
                "name": series.names[number],
                "times": window.times(rows),
                "values": values,
                "validation": series.grid.times([division.validation])[0],
                "test": series.grid.times([division.test])[0],
                "forecasts": found,
            }
        )
    return panels


def predict(model, inputs, assets, *, batch_size: PositiveInt = 256):
    """Forecasts the next steps of series.

    Args:
        model: The model, or an `Ensemble` of such, whose quantiles are averaged.
        inputs: Nothing, to go on from the last step of the series that the run was trained and tested on; or a table
            with the columns of that one: rows with a value are the past, those behind tell what is known in advance.
        assets: The assets of the data that the model was trained on.
        batch_size: Series in a step.

    Returns:
        Table with a row a series and step: `series`, `time`, `step`, `forecast` (the median) and `q(LEVEL)` for each
        level.

    Raises:
        KitError: a table that cannot be used, or steps that are missing.
    """
    found = []
    for each, own in members(model, assets):
        given = continued(inputs, own)

        def read(rows, given=given):
            return {name: values[rows] for name, values in given.inputs.items()}

        found.append(quantiles_of(each, (read, len(given.names)), batch_size))
        levels = levels_of(each)
    quantiles = np.mean(found, 0)  # (series, horizon, levels)
    if not np.isfinite(quantiles).all():
        raise KitError(f"{given.names[0]!r}: the forecast is no finite number; expected values like those of training")
    horizon = quantiles.shape[1]
    steps = np.arange(horizon)
    table = {
        "series": [name for name in given.names for _ in steps],
        "time": given.grid.texts((given.begin[:, None] + steps).ravel()),
        "step": np.tile(steps + 1, len(given.names)),
        "forecast": quantiles[..., list(levels).index(0.5)].ravel(),
    }
    return pd.DataFrame(table | {f"q({level:g})": quantiles[..., index].ravel() for index, level in enumerate(levels)})


def show(predictions, is_terminal):
    """Returns forecasts as a table; of many series those of the first ones, in a terminal."""
    shown = predictions[:_SHOWN] if is_terminal else predictions
    text = shown.to_string(index=False, float_format=lambda value: f"{value:.6g}")
    left = len(predictions) - len(shown)
    return text + (f"\n... and {left:,} rows more (--json, or a pipe, has all)" if left else "")


def steps_per_epoch(facts):
    """An epoch is one pass over the windows of training, but of 40 steps at least and 400 at most."""
    number = min(max(round(facts.examples / _BATCH), _FEWEST), _MOST)
    return number, f"{facts.examples:,} training windows"


SERIES = OwnData(facts_of, {"train.steps_per_epoch": steps_per_epoch})


def task():
    """Returns the `Task` of forecasting."""
    return Task(
        monitors={"val_loss": "min"},
        evaluate=evaluate,
        predict=predict,
        show=show,
        inputs="optional",
        usage="",
        ensemble=("series", "targets", "known", "past", "grid", "horizon"),
        baseline=forecast_baseline.of_lags,
    )
