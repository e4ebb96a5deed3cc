"""Plots of tables' columns: what each is worth, what the answer is along its values, and which a step looks at."""

import numpy as np

from kit.reporting.plots import BLUE, GREY, LIGHT, ORANGE, new_figure, plain

_MOST_COLUMNS, _MOST_LETTERS = 30, 28


def _short(name):
    name = str(name)
    return name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…"


def worth(columns, kept, by):
    """Draws what columns are worth as bars, the best first; those that are left out in grey.

    Args:
        columns: Name of each column to its worth.
        kept: Names of those that are kept.
        by: What the worth is, for the axis.
    """
    names = list(columns)[:_MOST_COLUMNS]
    return importance({name: (columns[name],) * 3 for name in names}, by, set(kept))


def importance(columns, label, kept=None):
    """Draws a bar for each column, with its interval.

    Args:
        columns: Name to value, low and high, in the order in which they are drawn from above.
        label: What the values are.
        kept: Names that are drawn in colour; None is all.
    """
    names = list(columns)[:_MOST_COLUMNS]
    figure = new_figure(figsize=(6, 0.9 + 0.24 * len(names)), layout="constrained")
    axis = figure.subplots()
    values, lows, highs = np.array([columns[name] for name in names]).T
    colours = [BLUE if kept is None or name in kept else LIGHT for name in names]
    spots = np.arange(len(names))[::-1]
    axis.barh(spots, values, color=colours, height=0.7)
    if (highs > lows).any():
        axis.hlines(spots, lows, highs, color=ORANGE, linewidth=1.5)
    axis.axvline(0, color=GREY, linewidth=0.8)
    axis.set_yticks(spots, [_short(name) for name in names])
    axis.set_xlabel(label)
    plain(axis)
    return figure


def partial_dependence(curves, label):
    """Draws what the answer is on average where a column has each of its values.

    Args:
        curves: Name of each column to its values, numbers or texts, and the answers (values, outputs).
        label: What the answer is.
    """
    columns = min(len(curves), 3)
    lines = -(-len(curves) // columns)
    figure = new_figure(figsize=(3 * columns, 2.5 * lines), layout="constrained")
    axes = np.atleast_1d(figure.subplots(lines, columns, sharey=True)).ravel()
    for axis, (name, (values, answers)) in zip(axes, curves.items(), strict=False):
        if isinstance(values[0], str):
            spots = np.arange(len(values))
            axis.plot(spots, answers, "o", color=BLUE, markersize=4)
            axis.set_xticks(spots, [_short(each)[:14] for each in values], rotation=60, ha="right", fontsize=7)
        else:
            axis.plot(values, answers, color=BLUE)
            axis.locator_params(axis="x", nbins=4)
        axis.set_xlabel(_short(name))
        plain(axis)
    for axis in axes[:: max(columns, 1)]:
        axis.set_ylabel(label)
    for axis in axes[len(curves) :]:
        axis.axis("off")
    return figure


def masks(weights, names, rows):
    """Draws how much each step of a network looks at each column, a panel a step.

    Args:
        weights: (steps, rows, columns)
        names: Name of each column.
        rows: Name of each row.
    """
    steps, count, _ = weights.shape
    used = np.argsort(-weights.sum((0, 1)), kind="stable")[:_MOST_COLUMNS]
    used = np.sort(used)
    figure = new_figure(figsize=(1.2 + steps * max(2.0, 0.16 * len(used)), 1.6 + 0.22 * count), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, steps, sharey=True))
    for step, axis in enumerate(axes):
        shown = axis.imshow(weights[step][:, used], vmin=0, vmax=1, cmap="Blues", aspect="auto")
        axis.set_title(f"step {step + 1}", fontsize=9)
        axis.set_xticks(np.arange(len(used)), [_short(names[column]) for column in used], rotation=90, fontsize=7)
        axis.tick_params(length=0)
    axes[0].set_yticks(np.arange(count), [_short(row) for row in rows], fontsize=7)
    figure.colorbar(shown, ax=axes, fraction=0.03, label="weight")
    return figure
