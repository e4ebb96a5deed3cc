"""Forecasting: the next values of time series, as quantiles, from their past and from what is known in advance."""

from typing import Literal

import keras
import numpy as np
import pandas as pd
from keras import layers, ops
from keras.config import floatx

from kit.blocks.quantiles import Quantiles
from kit.blocks.window_scaling import repeated_season, window_scaling
from kit.data.forecast_data import SeriesSource, prepare
from kit.data.forecast_windows import ForecastOptions
from kit.data.options import Division
from kit.data.series_columns import SeriesColumns
from kit.data.splits import Splits, assign
from kit.errors import check, choose
from kit.models import series
from kit.tasks import forecasting
from kit.tasks.recipe import Recipe, Stages


def forecaster(
    context,
    horizon,
    num_past,
    num_future,
    *,
    season=1,
    moments=((), ()),
    known_covariates=0,
    least_scale=1e-6,
    backbone: str = "gru",
    quantiles: tuple[float, ...] = forecasting.LEVELS,
    scaling: Literal["last", "mean", "none"] = "last",
    base: Literal["season", "last", "none"] = "season",
    autoregression: bool = True,
    decoder_dim: int = 16,
    dropout: float = 0.1,
    optimizer="adamw",
):
    """Builds a compiled model that forecasts all steps of the horizon at once, as quantiles.

    The series goes in and comes out in its own unit: each window is scaled by its own past inside. An encoder reads
    the past; a vector of each step ahead is decoded from what it knows and from what is known in advance of that step
    (Wen, Torkkola, Narayanaswamy and Madeka, "A Multi-Horizon Quantile Recurrent Forecaster", 2017). Beside it goes a
    linear autoregression (Lai, Chang, Yang and Liu, "Modeling Long- and Short-Term Temporal Patterns with Deep Neural
    Networks", 2018), and both add to the last season.

    Args:
        context: Steps of the past.
        horizon: Steps that are forecast.
        num_past: Features of a step of the past: the value, covariates.
        num_future: Features of a step that is forecast, known in advance.
        season: Steps of a season; 1 is none.
        moments: Means and standard deviations of the covariates, those known in advance first.
        known_covariates: How many of them are known in advance.
        least_scale: Smallest number that a window is divided by.
        backbone: Variant of an encoder, as `kit list` prints them; or a `keras.Model` from (batch, time, features) to
            (batch, dim); or a function that returns one for an `input_dim`.
        quantiles: Levels of the quantiles, rising, 0.5 among them: the median is the point forecast.
        scaling: What is subtracted from each window: its "last" value, its "mean", or nothing; then it is divided by
            its mean distance from its mean, or with "none" by its mean absolute value.
        base: What the network adds to: the last "season" (the seasonal naive forecast), the "last" value, or nothing.
        autoregression: Add a linear function of the past for each step ahead.
        decoder_dim: Width of the vector of each step ahead.
        dropout: Share of what the encoder knows that is dropped while training.
        optimizer: Keras optimizer or its name.

    Shape:
        in: `past` (batch, context, num_past); `future` (batch, horizon, num_future), if there are such features
        out: (batch, horizon, quantiles)

    Raises:
        SettingError: an unknown backbone, or a value out of range; the message names the argument.
    """
    forecasting.check_levels(quantiles)
    check(decoder_dim >= 1, "decoder_dim", decoder_dim, "at least 1")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    inputs = {"past": keras.Input((context, num_past), name="past")}
    if num_future:
        inputs["future"] = keras.Input((horizon, num_future), name="future")
    values = inputs["past"][..., 0]  # (batch, context)
    subtracted, divisor = window_scaling(values, scaling, least_scale)  # (batch, 1)
    values = (values - subtracted) / divisor
    x = ops.concatenate([values[..., None], _standardised(inputs["past"][..., 1:], moments, "past")], axis=-1)
    x = _encoder(backbone, num_past)(x)  # (batch, dim)
    if dropout:
        x = layers.Dropout(dropout, name="encoder_dropout")(x)
    x = layers.Dense(horizon * decoder_dim, activation="relu", name="decoder")(x)
    x = ops.reshape(x, (-1, horizon, decoder_dim))
    if num_future:
        known = [each[:known_covariates] for each in moments]
        x = ops.concatenate([x, _standardised(inputs["future"], known, "future")], axis=-1)
    x = layers.Dense(decoder_dim, activation="relu", name="step_ahead")(x)
    x = layers.Dense(len(quantiles), dtype=floatx(), name="deviation")(x)  # (batch, horizon, quantiles)
    values = ops.cast(values, "float32")
    if autoregression:
        # From zero: it begins as the base.
        linear = layers.Dense(horizon, kernel_initializer="zeros", dtype=floatx(), name="autoregression")(values)
        x = x + linear[..., None]
    if base != "none":
        lag = season if base == "season" and season <= context else 1
        x = x + repeated_season(values, lag, horizon)[..., None]
    x = ops.cast(divisor, "float32")[..., None] * x + ops.cast(subtracted, "float32")[..., None]
    x = Quantiles(quantiles, dtype=floatx(), name="quantiles")(x)
    return forecasting.compiled(inputs, x, optimizer, "forecaster")


def _standardised(columns, moments, name):
    """Returns covariates (batch, time, features) less their mean and in standard deviations; those behind stay."""
    mean, deviation = (np.array(each, "float64") for each in moments)
    more = columns.shape[-1] - len(mean)
    if not len(mean):
        return columns
    factor = np.concatenate([1 / deviation, np.ones(more)])
    offset = np.concatenate([-mean / deviation, np.zeros(more)])
    return layers.Rescaling(factor.tolist(), offset.tolist(), name=f"{name}_covariates")(columns)


def _encoder(backbone, input_dim):
    if isinstance(backbone, str):
        build, arguments = choose(series.VARIANTS, backbone, "backbone")
        return build(input_dim, **arguments, name=backbone)
    return backbone if isinstance(backbone, keras.Model) else backbone(input_dim)


def time_series(
    seed,
    saved,
    *,
    where: SeriesSource = SeriesSource(),
    columns: SeriesColumns = SeriesColumns(),
    options: ForecastOptions = ForecastOptions(),
):
    """Reads time series and divides them by time.

    Args:
        seed: Seed of the run, which the data does not depend on.
        saved: `Kept` of an earlier run, which is used again, or None.

    Returns:
        `Splits` of windows, with facts `context`, `horizon`, `num_past`, `num_future`, `season`, `moments`,
        `known_covariates` and `least_scale`.

    Raises:
        KitError: a table that cannot be used; the message names it and the row.
        SettingError: a value out of range, or no such column; the message names the key.
    """
    found = prepare(where=where, columns=columns, options=options)
    assignment = assign(found.names, found.split, Division(), saved)
    return Splits(
        *found.examples,
        facts=found.facts,
        assets=found.assets,
        assignment=pd.DataFrame(assignment),
        settings=found.settings,
    )


RECIPE = Recipe(
    name="forecasting",
    purpose="How will time series go on? Quantiles of the next steps.",
    examples="time series",
    build=forecaster,
    data=time_series,
    backbones={"backbone": series.VARIANTS},
    task=forecasting.task(),
    own_data=forecasting.SERIES,
    stages=Stages(optional_facts=("season", "moments", "known_covariates", "least_scale")),
)
