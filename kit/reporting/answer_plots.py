"""Plots of answers that are numbers, or several labels: true against predicted, residuals, F1 and pairs of labels."""

import numpy as np

from kit.reporting.plots import BLUE, GREY, LIGHT, ORANGE, new_figure, plain

_MOST_POINTS, _MOST_LABELS = 5000, 40


def true_and_predicted(true, predicted, interval=None):
    """Draws predicted numbers over true ones: on the diagonal both are equal.

    Args:
        true, predicted: (examples,) each; of many a few thousand are drawn.
        interval: Lowest and highest predicted quantile, (examples,) each, which are drawn as lines; or None.
    """
    figure = new_figure(figsize=(4.4, 4.4), layout="constrained")
    axis = figure.subplots()
    rows = _some(len(true))
    ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
    axis.plot(ends, ends, color=GREY, linewidth=0.8, linestyle=":")
    if interval is not None:
        axis.vlines(true[rows], interval[0][rows], interval[1][rows], color=LIGHT, linewidth=0.6, zorder=0)
    axis.scatter(true[rows], predicted[rows], s=10, color=BLUE, alpha=0.4, linewidths=0)
    axis.set_xlabel("true")
    axis.set_ylabel("predicted")
    plain(axis)
    return figure


def residuals(true, predicted):
    """Draws what predicted numbers are more than the true ones, over the predicted ones, and how they are spread."""
    figure = new_figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots(1, 2, width_ratios=(2, 1), sharey=True)
    rows, error = _some(len(true)), predicted - true
    axes[0].scatter(predicted[rows], error[rows], s=10, color=BLUE, alpha=0.4, linewidths=0)
    axes[0].set_xlabel("predicted")
    axes[0].set_ylabel("predicted less true")
    axes[1].hist(error, bins=40, orientation="horizontal", color=BLUE)
    axes[1].set_xlabel("examples")
    for axis in axes:
        axis.axhline(0, color=GREY, linewidth=0.8, linestyle=":")
        plain(axis)
    return figure


def _some(count):
    """Returns row numbers of at most a few thousand examples, drawn once for all."""
    if count <= _MOST_POINTS:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:_MOST_POINTS])


def f1_of_labels(table):
    """Draws F1 of each label with its interval, the commonest labels where there are many.

    Args:
        table: Table with columns `label`, `f1`, `f1 95 % low`, `f1 95 % high`, and the number of examples in second
            place.
    """
    counts = table.columns[1]
    shown = table.sort_values(counts, ascending=False)[:_MOST_LABELS][::-1]
    names = [f"{name} ({count:,})" for name, count in zip(shown["label"], shown[counts], strict=True)]
    figure = new_figure(figsize=(6, 0.22 * len(shown) + 1), layout="constrained")
    axis = figure.subplots()
    low, high = (shown[f"f1 95 % {end}"].to_numpy(float) for end in ("low", "high"))
    places, values = np.arange(len(shown)), shown["f1"].to_numpy(float)
    axis.hlines(places, low, high, color=LIGHT, linewidth=4)
    axis.scatter(values, places, s=18, color=ORANGE, zorder=3)
    axis.set_yticks(places, names, parse_math=False)
    axis.set_xlim(-0.02, 1.02)
    axis.set_xlabel("F1, with its 95 % interval")
    plain(axis)
    return figure


def label_pairs(true, predicted, names):
    """Draws how often each label comes with each other one, in truth and as predicted.

    Args:
        true, predicted: Whether each example has each label, (examples, labels).
        names: Name of each label; of many the commonest are drawn.
    """
    order = np.argsort(-true.sum(0), kind="stable")[:_MOST_LABELS]
    side = max(3.0, 0.22 * len(order) + 1.2)
    figure = new_figure(figsize=(2 * side, side), layout="constrained")
    shown = [names[row] for row in order]
    for axis, title, values in zip(figure.subplots(1, 2), ("true", "predicted"), (true, predicted), strict=True):
        chosen = values[:, order].astype(float)
        together = chosen.T @ chosen
        shares = together / np.maximum(together.diagonal()[:, None], 1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axis.set_title(f"{title}: share with the row's label that has the column's", loc="left", fontsize=9)
        axis.set_xticks(range(len(shown)), shown, rotation=90, parse_math=False)
        axis.set_yticks(range(len(shown)), shown, parse_math=False)
        plain(axis)
    return figure
