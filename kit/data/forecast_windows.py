"""Windows of time series for forecasts: division by time, lengths by rule, examples with their past and future."""

import dataclasses
import logging

import numpy as np

from kit.data.columns import Dense
from kit.data.examples import Examples
from kit.data.time_steps import calendar
from kit.data.window_columns import Windows
from kit.errors import KitError, SettingError, check

log = logging.getLogger("kit")

# The usual context, in horizons and seasons; and the largest share of the training part that it takes.
_HORIZONS, _SEASONS, _SHARE = 2, 2, 3
_MOST_VALIDATED = 10_000  # windows that are looked at after every epoch
LONGEST = 60  # steps of a season that is a horizon


@dataclasses.dataclass(frozen=True)
class ForecastOptions:
    """How far forecasts reach, what they look back on, and how the series are divided by time.

    The last steps are the test split, those before them the validation split; all series are divided at the same times.
    No seed has a part in it.

    Args:
        horizon: Steps that are forecast; by default a season of up to 60 steps, or 12.
        context: Steps that a forecast looks back on; by default twice the season or the horizon, the larger, and at
            most a third of the training part.
        season: Steps after which a season begins anew, which MASE and the seasonal naive forecast go by; 1 is none. By
            default the calendar and the autocorrelation of the training part tell.
        calendar: The network is told hour, weekday, month and the like, whichever the steps are of.
        stride: Steps between the windows of training.
        validation_fraction: Share of the rows before the test split that is the validation split.
        test_fraction: Share of the rows that is the test split.
        split_seed: Seed of generated series; what is read from a file is divided by time alone.

    Raises:
        SettingError: a value out of range.
    """

    horizon: int | None = None
    context: int | None = None
    season: int | None = None
    calendar: bool = True
    stride: int = 1
    validation_fraction: float = 0.15
    test_fraction: float = 0.2
    split_seed: int = 0

    def __post_init__(self):
        for key, most in (("horizon", 10_000), ("context", 100_000), ("season", 100_000)):
            value = getattr(self, key)
            check(value is None or 1 <= value <= most, key, value, f"1 to {most} steps")
        check(1 <= self.stride <= 100_000, "stride", self.stride, "1 to 100000 steps")
        for key in ("validation_fraction", "test_fraction"):
            check(0 < getattr(self, key) < 1, key, getattr(self, key), "a share between 0 and 1")
        seed = self.split_seed
        check(0 <= seed < 2**31, "split_seed", seed, "a whole number from 0 to 2147483647")


@dataclasses.dataclass(frozen=True)
class Division:
    """Steps of the grid at which the splits begin.

    Args:
        validation: First step of the validation split; what is earlier is for training.
        test: First step of the test split.
    """

    validation: int
    test: int


@dataclasses.dataclass(frozen=True)
class Origins:
    """Series and their division by time, which the windows of forecasts are cut from; for scores and figures.

    Args:
        series: `SeriesSet`.
        division: `Division`.
    """

    series: object
    division: Division


def divided(series, horizon, options):
    """Returns the `Division` of series: by rows, each part holds a horizon at least.

    Raises:
        KitError: the series are too short.
    """
    steps = np.sort(series.steps)
    end = int(steps[-1]) + 1

    def cut(fraction, end):
        inside = steps[steps < end]
        if not len(inside):
            return end - horizon
        place = min(max(len(inside) - round(fraction * len(inside)), 0), len(inside) - 1)
        return min(int(inside[place]), end - horizon)

    test = cut(options.test_fraction, end)
    validation = cut(options.validation_fraction, test)
    if validation <= steps[0]:
        raise KitError(
            f"the series have {end - int(steps[0]):,} steps; expected more than {3 * horizon:,}, a horizon "
            f"(data.horizon={horizon}) for each of validation and test and some to train on"
        )
    return Division(validation, test)


def usual_horizon(season):
    """Returns the horizon where none is stated."""
    return season if 1 < season <= LONGEST else 12


def usual_context(series, season, horizon, division):
    """Returns the context where none is stated, and the reason."""
    wanted = max(_SEASONS * season, _HORIZONS * horizon)
    trained = np.minimum(division.validation - series.first, series.lengths)
    room = max(int(np.median(trained[trained > 0])) // _SHARE, 1) if (trained > 0).any() else wanted
    found = max(min(wanted, room, int(trained.max()) - horizon), 1)
    return found, f"season {season}, horizon {horizon}" + (", as far as the series go" if found < wanted else "")


def long_enough(series, context, horizon, short):
    """Returns the series that have context and horizon.

    Args:
        series: `SeriesSet`.
        context, horizon: Steps.
        short: "error", or "skip" to say and leave out those that are shorter.

    Raises:
        KitError: one is shorter; the message names it.
    """
    fits = series.lengths >= context + horizon
    if fits.all():
        return series
    worst = int(np.argmin(series.lengths))
    what = f"{series.names[worst]!r} has {series.lengths[worst]:,} steps"
    if short == "error" or not fits.any():
        raise KitError(
            f"{what}; expected at least {context + horizon:,}, a context of {context:,} and a horizon of {horizon:,} "
            f"(data.context, data.horizon; data.short=skip leaves such series out: {(~fits).sum():,})"
        )
    log.info("%d series shorter than %d steps are left out, such as %s", (~fits).sum(), context + horizon, what)
    return series.take(np.flatnonzero(fits))


def features(series, uses_calendar, tells_missing):
    """Returns what a network is given: float32 (rows, features) of the past, and of the future.

    The first column of the past is the target; then come covariates known in advance, other covariates, whether each
    value was there, and features of the calendar. The future has those known in advance, and the calendar's.

    Args:
        series: `SeriesSet`.
        uses_calendar: There are features of the calendar.
        tells_missing: It is told whether each value was there.
    """
    _, dates = calendar(series.grid, series.steps) if uses_calendar else ([], np.zeros((len(series.target), 0)))
    told = [series.observed[:, None]] if tells_missing else []
    past = [series.target[:, None], series.known, series.past, *told, dates]
    return tuple(np.concatenate(parts, 1).astype("float32") for parts in (past, [series.known, dates]))


def moments(series, end):
    """Returns mean and standard deviation of each covariate in the training part, those known in advance first.

    Args:
        series: `SeriesSet`.
        end: Step on the grid that is behind the training part.
    """
    chosen = np.concatenate([series.known, series.past], 1)[series.steps < end]
    if not chosen.shape[1]:
        return [], []
    mean, deviation = chosen.mean(0), chosen.std(0)
    changes = deviation > 1e-9 * np.maximum(np.abs(mean), 1e-30)
    return mean.tolist(), np.where(changes, deviation, 1.0).tolist()


def starts_of(series, context, horizon, division, stride):
    """Returns, for each split, the row at which each window begins, and the number of its series.

    A window belongs to the split that all of its future is in. Those whose future lies in two are left out.
    """
    found = {"train": [], "validation": [], "test": []}
    for number, (offset, first, length) in enumerate(zip(series.offsets, series.first, series.lengths, strict=False)):
        begin = np.arange(max(length - context - horizon + 1, 0))
        origin = first + begin + context  # step of the first one that is forecast
        last = origin + horizon - 1
        parts = {
            "train": last < division.validation,
            "validation": (origin >= division.validation) & (last < division.test),
            "test": origin >= division.test,
        }
        for name, inside in parts.items():
            chosen = begin[inside]
            if name == "train":
                chosen = chosen[::-1][::stride][::-1]
            found[name].append(np.stack([offset + chosen, np.full(len(chosen), number)], 1))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def forecast_examples(series, division, context, horizon, options, scale, tells_missing):
    """Returns the `Examples` of training, validation and test split.

    Args:
        series: `SeriesSet`.
        division: `Division`.
        context, horizon: Steps.
        options: `ForecastOptions`.
        scale: What the errors of each series are divided by in the loss, (series,).
        tells_missing: The network is told which values were there.

    Raises:
        KitError: a split has no window.
    """
    past, future = features(series, options.calendar, tells_missing)
    chosen = starts_of(series, context, horizon, division, options.stride)
    there = np.concatenate([[0], np.cumsum(series.observed)])
    for name, rows in chosen.items():
        begin = rows[:, 0]
        is_told = there[begin + context + horizon] > there[begin + context]
        is_told &= there[begin + context] > there[begin]
        chosen[name] = rows[is_told]
        if not is_told.any():
            raise KitError(
                f"no window of context {context} and horizon {horizon} has its future in the {name} split; expected "
                "longer series, or a smaller data.context or data.horizon"
            )
    every = -(-len(chosen["validation"]) // _MOST_VALIDATED)
    if every > 1:
        chosen["validation"] = chosen["validation"][::every]
        log.info("of the windows of the validation split every %d. is looked at, %d", every, len(chosen["validation"]))
    everything = np.concatenate(list(chosen.values()))
    begin, owner = everything.T
    weights = np.where(series.observed, 1.0 / scale[series.owners], 0.0).astype("float32")
    inputs = {"past": Windows(past, begin, context)}
    if future.shape[1]:
        inputs["future"] = Windows(future, begin + context, horizon)
    target = series.target.astype("float32")[:, None]
    whole = Examples(
        inputs,
        {"target": Windows(target, begin + context, horizon)},
        weights=Windows(weights, begin + context, horizon),
        extras={"series": Dense(owner), "row": Dense(begin + context)},
        is_named=True,
        reference=Origins(series, division),
    )
    sizes = np.cumsum([0, *map(len, chosen.values())])
    return [whole.take(np.arange(*sizes[number : number + 2])) for number in range(3)]


def check_precision(series):
    """Raises KitError for a series whose changes are lost in the 32 bits in which networks count."""
    for name, start, length in zip(series.names, series.offsets, series.lengths, strict=False):
        values = series.target[start : start + length]
        step, size = np.abs(np.diff(values)), np.abs(values).max()
        step = step[step > 0]
        if len(step) and np.median(step) < 2e-6 * size:
            raise KitError(
                f"{name!r} changes by {np.median(step):.3g} a step around {size:.6g}, which 32 bits hardly tell apart; "
                "expected numbers without so large an offset (subtract it)"
            )


def check_lengths(horizon, context, season, division, series):
    """Raises SettingError for a horizon, context or season that is longer than what it is to be learned from."""
    trained = int((np.minimum(division.validation - series.first, series.lengths)).max())
    if context + horizon > trained:
        raise SettingError(
            "context",
            f"expected context ({context}) and horizon ({horizon}) together to be at most the {trained:,} steps of the "
            "training part",
        )
    check(season < trained, "season", season, f"fewer than the {trained:,} steps of the training part")
