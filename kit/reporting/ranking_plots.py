"""Plots of recommenders: scores by the length of the list and by how popular an item is, beside simple ones."""

import numpy as np

from kit.reporting.plots import BLUE, GREY, LIGHT, ORANGE, new_figure, plain

_COLORS = (BLUE, ORANGE, GREY)


def by_length(lengths, scores):
    """Draws hit rate and NDCG over the number of recommended items.

    Args:
        lengths: The numbers, (lengths,).
        scores: Name of a ranking to its hit rates and NDCG, each (lengths,).
    """
    figure = new_figure(figsize=(8, 3.4), layout="constrained")
    for axis, title, row in zip(figure.subplots(1, 2), ("hit rate", "NDCG"), (0, 1), strict=True):
        for color, (name, values) in zip(_COLORS, scores.items(), strict=False):
            axis.plot(lengths, values[row], color=color, marker="o", markersize=4, label=name)
        axis.set_title(title, loc="left", fontsize=11)
        axis.set_xscale("log")
        axis.set_xticks(lengths, [str(each) for each in lengths])
        axis.minorticks_off()
        axis.set_ylim(bottom=0)
        axis.set_xlabel("recommended items")
        axis.grid(axis="y", color=LIGHT, linewidth=0.6)
        plain(axis)
        if not row:
            axis.legend(frameon=False, fontsize=9)
    return figure


def by_popularity(tenths, hits, k):
    """Draws the hit rate of the items of each tenth of the training interactions, the most popular items first.

    Args:
        tenths: Tenth of each held-out item, from 1; 0 where it is in none, (rows,).
        hits: Name of a ranking to whether it has each item among the first k, (rows,).
        k: That number.
    """
    figure = new_figure(figsize=(8, 3.4), layout="constrained")
    axis = figure.subplots()
    width, places = 0.8 / len(hits), np.arange(1, 11)
    counts = np.array([(tenths == each).sum() for each in places])
    for number, (color, (name, values)) in enumerate(zip(_COLORS, hits.items(), strict=False)):
        shares = [values[tenths == each].mean() if (tenths == each).any() else 0.0 for each in places]
        axis.bar(places - 0.4 + width * (number + 0.5), shares, width, color=color, label=name)
    labels = [f"{each}\n({count:,})" for each, count in zip(places, counts, strict=True)]
    axis.set_xticks(places, labels, fontsize=9)
    axis.set_xlabel("tenth of the training interactions, 1 of the most popular items (held-out interactions)")
    axis.set_title(f"hit rate at {k}", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9)
    plain(axis)
    return figure
