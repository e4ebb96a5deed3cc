"""Learning-rate range test: its curve as a figure, and as lines of text for a terminal."""

import numpy as np
from matplotlib.figure import Figure

from kit.reporting.plots import plain


def figure(table, learning_rate):
    """Draws the loss over the learning rate.

    Args:
        table: Table with `learning_rate` and the smoothed `loss`, step by step.
        learning_rate: The suggested rate.
    """
    drawn = Figure(figsize=(7, 4), layout="constrained")
    axis = drawn.subplots()
    axis.plot(table["learning_rate"], table["loss"])
    axis.axvline(learning_rate, color="C1", linestyle="--", label=f"suggested: {learning_rate:.1e}")
    axis.set_xscale("log")
    axis.set_xlabel("learning rate")
    axis.set_ylabel("training loss, smoothed")
    plain(axis)
    axis.legend(frameon=False)
    return drawn


def lines(table, rows=16, width=40):
    """Returns the curve as lines of text, a bar a rate.

    Args:
        table: As for `figure`.
        rows: Number of lines.
        width: Characters of the longest bar.
    """
    chosen = table.iloc[np.unique(np.linspace(0, len(table) - 1, rows).round().astype(int))]
    low, high = table["loss"].min(), table["loss"].iloc[: len(table) // 2].max()
    found = []
    for rate, loss in zip(chosen["learning_rate"], chosen["loss"], strict=True):
        bar = "━" * max(1, round(width * min(1.0, (loss - low) / max(high - low, 1e-12))))
        found.append(f"{rate:8.1e}  {loss:8.4f}  {bar}")
    return "\n".join(found)
