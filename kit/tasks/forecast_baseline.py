"""Forecasts beside those of a network: the last value, the last season, and ridge regression on lags."""

import dataclasses
import logging
import time

import numpy as np

from kit.scoring import forecasting as scores

log = logging.getLogger("kit")

NAME = "ridge regression on lags"
_MOST_WINDOWS, _MOST_LAGS = 20_000, 400


@dataclasses.dataclass
class Window:
    """Forecasts of a split: what is true, and of what each is.

    Args:
        examples: `Examples` of the origins that are looked at.
        series: `SeriesSet` that they are of.
        division: Steps at which the splits begin.
        rows: Row of the series at which each forecast begins, (windows,).
        owners: Number of the series of each, (windows,).
        origins: Step on the grid at which each begins, (windows,).
        true: True values, (windows, horizon).
        there: Whether each is known.
        scale: What MASE divides by, (windows,).
    """

    examples: object
    series: object
    division: object
    rows: np.ndarray
    owners: np.ndarray
    origins: np.ndarray
    true: np.ndarray
    there: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, examples, assets, stride=1):
        """Returns those of a split, from every origin that is so many steps behind the one before."""
        series = examples.reference.series
        origins = series.steps[examples.extra("row")]
        examples = examples.take(np.flatnonzero((origins - origins.min()) % stride == 0))
        rows, owners = examples.extra("row"), examples.extra("series")
        every = rows[:, None] + np.arange(assets["horizon"])
        scale = np.array([np.nan if each is None else each for each in assets["scales"]], "float64")
        return cls(
            examples,
            series,
            examples.reference.division,
            rows,
            owners,
            series.steps[rows],
            series.target[every],
            series.observed[every],
            scale[owners],
        )

    def errors(self, predicted):
        """Returns what each value adds to the scores; see `kit.scoring.forecasting.errors_of`."""
        return scores.errors_of(self.true, self.there, predicted, self.scale)

    def repeated(self, season):
        """Returns the seasonal naive forecast, of a season of 1 the naive one, (windows, horizon)."""
        return scores.repeated(
            self.series.target, self.rows, self.series.offsets[self.owners], season, self.true.shape[1]
        )

    def times(self, rows):
        """Returns the times of rows of the series."""
        return self.series.grid.times(self.series.steps[rows])


def of_lags(splits, settings, seconds):
    """Returns the scores of ridge regression on lags on the test split, or None where it is not asked for.

    A step ahead is a linear function of the past, which is scaled as the network's is, and of what is known in advance
    of that step; its penalty is chosen by the error of leaving windows of the training split out one at a time.

    Args:
        splits: `Splits` of windows.
        settings: Settings of `[evaluate]`.
        seconds: CPU-seconds of the network's training.

    Returns:
        Dictionary: `name`, `mase`, `mae`, `rmse` and `smape` with their intervals, and `cpu_seconds`.
    """
    if not settings.get("baseline"):
        return None
    from threadpoolctl import threadpool_limits

    began = time.process_time()
    assets, stride = splits.assets, settings["stride"]
    window = Window.of(splits.test, assets, stride)
    with threadpool_limits(1):
        predicted = _ridge(splits.train, window, assets)
    spent = time.process_time() - began
    block = -(-assets["horizon"] // stride)
    found = scores.scores(window.errors(predicted), window.origins, settings["bootstrap_samples"], block)
    score, value = next(iter(found.items()))
    log.info("baseline  %s  %s %.4f after %.1f CPU-seconds", NAME, score, value, spent)
    return {"name": NAME, **found, "cpu_seconds": round(spent, 2)}


def _ridge(train, window, assets):
    """Returns forecasts of ridge regressions, one a step ahead, (windows, horizon)."""
    from sklearn.linear_model import RidgeCV
    from sklearn.preprocessing import StandardScaler

    learned = Window.of(train, assets)
    told = np.flatnonzero(learned.there.all(1))
    told = told if len(told) else np.arange(len(learned.rows))
    told = told[:: -(-len(told) // _MOST_WINDOWS)]
    lags = min(assets["context"], _MOST_LAGS)
    series = window.series
    past, place, scale = _lags(series.target, learned.rows[told], lags, assets["least_scale"])
    tested, test_place, test_scale = _lags(series.target, window.rows, lags, assets["least_scale"])
    true = (learned.true[told] - place) / scale
    future = train.inputs["future"].flat if "future" in train.inputs else np.zeros((len(series.target), 0))
    predicted = np.zeros_like(window.true)
    for step in range(predicted.shape[1]):
        own = np.concatenate([past, future[learned.rows[told] + step]], 1)
        scaler = StandardScaler().fit(own)
        model = RidgeCV(alphas=np.logspace(-2, 4, 13)).fit(scaler.transform(own), true[:, step])
        shown = np.concatenate([tested, future[window.rows + step]], 1)
        predicted[:, step] = model.predict(scaler.transform(shown))
    return predicted * test_scale + test_place


def _lags(values, rows, count, least):
    """Returns the past of windows less its last value and divided by its spread, (windows, lags); and these two."""
    past = values[rows[:, None] + np.arange(-count, 0)]
    place = past[:, -1:]
    spread = np.maximum(np.abs(past - past.mean(1, keepdims=True)).mean(1, keepdims=True), least)
    return (past - place) / spread, place, spread
