"""Inputs of a finished forecaster: the last steps of its series, and rows of a later table."""

import dataclasses
import logging
import os

import numpy as np

from kit.data import sources
from kit.data.forecast_windows import features
from kit.data.series import SeriesSet, regular
from kit.data.series_columns import Roles, SeriesColumns
from kit.data.time_steps import Grid, read_times
from kit.errors import KitError

log = logging.getLogger("kit")


@dataclasses.dataclass
class Continued:
    """Series of which the next steps are to be forecast.

    Args:
        names: Name of each series.
        grid: `Grid` of their times.
        begin: Step on the grid of the first one that is forecast, (series,).
        inputs: What the network is given, by name, (series, steps, features).
    """

    names: list
    grid: Grid
    begin: np.ndarray
    inputs: dict


def continued(inputs, assets):
    """Returns `Continued`: the series of training where there are no inputs, else those of a table.

    Rows of a table with a value are the past; those behind the last value tell what is known in advance. Before its
    first row stand the last steps that the run has kept of a series.

    Args:
        inputs: Nothing, the path of a table, or a table of pandas; also a list with one of these.
        assets: The assets of the data.

    Raises:
        KitError: a table that cannot be used, or steps that are missing; the message names them.
    """
    inputs = inputs if isinstance(inputs, list | tuple) else [] if inputs is None else [inputs]
    if len(inputs) > 1:
        raise KitError(f"predict: {len(inputs)} inputs; expected one table, of all series")
    kept = _kept(assets)
    if not inputs:
        if kept is None:
            raise KitError("predict: the run has kept no last steps; expected a table with the past of the series")
        if assets["known"]:
            names = ", ".join(map(repr, assets["known"]))
            raise KitError(
                f"predict: expected a table with {assets['time']!r} and {names}, which are known in advance, for the "
                f"next {assets['horizon']} steps"
            )
        parts = {name: part | {"origin": part["end"]} for name, part in kept.items()}
    else:
        parts = _of_table(inputs[0], assets, kept or {})
    return _windows(parts, assets)


def _grid(assets):
    return Grid(**assets["grid"])


def _kept(assets):
    """Returns the steps that a run has kept of each series: `first`, `end`, and its columns by name; or None."""
    last = assets["last_steps"]
    if last is None:
        return None
    widths = {"known": len(assets["known"]), "past": len(assets["past"])}
    found = {}
    for number, (name, end) in enumerate(zip(assets["series_names"], last["end"], strict=True)):
        target = np.array(last["target"][number], "float64")
        columns = {
            key: np.array(last[key][number], "float64").reshape(len(target), size) for key, size in widths.items()
        }
        observed = np.array(last["observed"][number], bool)
        found[name] = {"first": end - len(target), "end": end, "target": target, "observed": observed, **columns}
    return found


def _of_table(source, assets, kept):
    """Returns the parts of each series of a table, those of the run before them."""
    table, origin = sources.read(_named(source), "series", {})
    frame, name = table.frame, getattr(origin, "name", "the table")
    wanted = [assets["time"], *([assets["series"]] if assets["series"] else []), *assets["known"]]
    lacking = [each for each in wanted if each not in frame]
    targets = [each for each in assets["targets"] if each in frame]
    if targets and len(targets) < len(assets["targets"]):
        lacking += [each for each in assets["targets"] if each not in frame]
    if targets:
        lacking += [each for each in assets["past"] if each not in frame]
    elif not assets["known"]:
        lacking += assets["targets"][:1]
    if lacking:
        known = ", ".join(frame.columns)[:200]
        raise KitError(f"{name}: no column {lacking[0]!r}; expected the columns of training, it has {known}")
    for each in assets["past"]:
        if each not in frame:
            frame = frame.assign(**{each: np.nan})
    roles = Roles(
        assets["time"],
        assets["series"],
        *(tuple(assets[key]) for key in ("targets", "known", "past")),
        assets["time_format"],
    )
    columns = SeriesColumns(gaps=assets["gaps"], missing=assets["missing"])
    times, _ = read_times(frame[roles.time], table.places, roles.time, roles.time_format)
    found = regular(frame, table.places, roles, columns, times, _grid(assets), keeps_future=True)
    parts = {}
    for number, (series, start) in enumerate(zip(found.names, found.offsets, strict=False)):
        rows = slice(start, start + found.lengths[number])
        own = {key: getattr(found, key)[rows] for key in ("target", "observed", "known", "past")}
        own |= {"first": int(found.first[number]), "end": int(found.first[number] + found.lengths[number])}
        parts[series] = _joined(series, own, kept.get(series), assets)
    return parts


def _named(source):
    if isinstance(source, str | os.PathLike) and os.fspath(source) == "seasons":
        raise KitError("predict: 'seasons' are generated for training; expected a table, or nothing")
    return source


def _joined(name, own, before, assets):
    """Returns the part of a series, with the steps that the run has kept in front of it."""
    there = np.flatnonzero(~np.isnan(own["target"]))
    own["origin"] = own["first"] + int(there[-1]) + 1 if len(there) else None
    if before is None:
        if own["origin"] is None:
            raise KitError(f"{name!r}: no past of it is known; expected rows with a value, {assets['context']} of them")
        return own
    if own["origin"] is None:
        own["origin"] = before["end"]
        begin, end, last = _grid(assets).texts([own["first"], before["end"], own["end"] - 1])
        if not own["first"] <= before["end"] < own["end"]:
            raise KitError(
                f"{name!r}: the table is of {begin} to {last}; expected it to go on at {end}, after training"
            )
        size = before["end"] - own["first"]  # what came before is known better
        own |= {key: own[key][size:] for key in ("target", "observed", "known", "past")} | {"first": before["end"]}
    if own["first"] > before["end"]:
        grid = _grid(assets)
        begin, end = grid.texts([own["first"], before["end"]])
        if own["origin"] - own["first"] >= assets["context"]:
            return own
        if assets["gaps"] == "error":
            raise KitError(
                f"{name!r}: {own['first'] - before['end']:,} steps are missing from {end} to {begin}; expected the "
                f"rows that follow those of training, or {assets['context']} rows (data.context) on their own"
            )
        before = _filled(before, own["first"])
    if own["first"] <= before["first"]:
        return own
    size = own["first"] - before["first"]
    columns = {key: np.concatenate([before[key][:size], own[key]]) for key in ("target", "observed", "known", "past")}
    return {**own, **columns, "first": before["first"]}


def _filled(part, end):
    """Returns a part with its last values repeated up to a step."""
    count = end - part["end"]
    columns = {
        key: np.concatenate([part[key], np.repeat(part[key][-1:], count, 0)]) for key in ("target", "known", "past")
    }
    return {**part, **columns, "observed": np.r_[part["observed"], np.zeros(count, bool)], "end": end}


def _windows(parts, assets):
    """Returns `Continued` of parts, each of which must reach from a context before its origin to the last step."""
    context, horizon, grid = assets["context"], assets["horizon"], _grid(assets)
    columns = {key: [] for key in ("target", "observed", "known", "past")}
    for name, part in parts.items():
        origin = part["origin"]
        if origin - part["first"] < context:
            raise KitError(
                f"{name!r}: {max(origin - part['first'], 0)} steps of its past are known; expected {context} "
                f"(data.context) up to {grid.texts([origin - 1])[0]}"
            )
        start = origin - context - part["first"]
        for key, group in columns.items():
            values = part[key][start : start + context + horizon].astype("float64")
            more = context + horizon - len(values)
            if more and key == "known" and values.shape[1]:
                last = grid.texts([origin + horizon - more - 1, origin + horizon - 1])
                raise KitError(
                    f"{name!r}: {assets['known'][0]!r} is known until {last[0]}; expected it until {last[1]}, for all "
                    f"{horizon} steps that are forecast"
                )
            values = np.concatenate([values, np.zeros((more, *values.shape[1:]))])
            if key != "known":
                values[context:] = 0.0  # nothing of the future but what is known in advance
            group.append(values)
    count = len(parts)
    whole = SeriesSet(
        list(parts),
        grid,
        np.array([part["origin"] - context for part in parts.values()]),
        np.full(count, context + horizon),
        *(np.concatenate(columns[key]) for key in ("target", "observed", "known", "past")),
    )
    past, future = features(whole, assets["calendar"], assets["tells_missing"])
    inputs = {"past": past.reshape(count, context + horizon, -1)[:, :context]}
    if future.shape[1]:
        inputs["future"] = future.reshape(count, context + horizon, -1)[:, context:]
    return Continued(whole.names, grid, whole.first + context, inputs)
