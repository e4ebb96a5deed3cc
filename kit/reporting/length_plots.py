"""Plots of scores by the length of what was scored."""

import numpy as np

from kit.reporting.plots import BLUE, LIGHT, ORANGE, new_figure, plain
from kit.reporting.statistics import share_interval

_BINS = 6


def scores_by_length(lengths, scores, label):
    """Draws the means of scores from 0 to 1 over parts of the examples of equal number, from short to long.

    Args:
        lengths: Length of each example, (examples,).
        scores: Name of each score to its values, (examples,).
        label: What the lengths are.
    """
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, _BINS + 1)))
    place = np.clip(np.searchsorted(edges, lengths, "right") - 1, 0, max(len(edges) - 2, 0))
    parts = [np.flatnonzero(place == number) for number in np.unique(place)]
    middles = [float(np.median(lengths[rows])) for rows in parts]
    figure = new_figure(figsize=(5.2, 3.4), layout="constrained")
    axis = figure.subplots()
    for (name, values), colour in zip(scores.items(), (BLUE, ORANGE), strict=False):
        means = np.array([values[rows].mean() for rows in parts])
        low, high = np.transpose([share_interval(round(values[rows].sum()), len(rows)) for rows in parts])
        ends = np.maximum([means - low, high - means], 0)
        axis.errorbar(middles, means, ends, color=colour, marker="o", capsize=3, linewidth=1, label=name)
    axis.set_xlabel(f"{label}; {len(lengths):,} examples in parts of equal number, with 95 % intervals")
    axis.xaxis.label.set_fontsize(8)
    axis.set_ylim(-0.02, 1.02)
    axis.grid(axis="y", color=LIGHT, linewidth=0.6)
    axis.legend(frameon=False, fontsize=9)
    plain(axis)
    return figure
