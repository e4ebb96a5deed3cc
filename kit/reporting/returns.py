"""What an agent earned: how it changed while it learned, how episodes differ, and films of them."""

import numpy as np
from matplotlib.figure import Figure

from kit.reporting.plots import BLUE, GREY, LIGHT, ORANGE, plain
from kit.reporting.scores import interquartile_mean


def training(history, window=5):
    """Draws how the training of an agent went.

    Args:
        history: Table with a row an epoch.
        window: Epochs of the rolling mean of returns.

    Returns:
        A figure of returns, values, exploration and loss.
    """
    x, label = history["epoch"], "epoch"
    if "environment_steps" in history:
        x, label = history["environment_steps"], "steps in the environment"
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.subplots(2, 2)
    marker = "o" if len(history) < 3 else None
    panels = (
        ("returns", (("return", "while exploring", GREY), ("val_return", "greedy, validation", ORANGE))),
        ("values", (("q_value", "of actions drawn", GREY), ("val_value", "of states in validation", ORANGE))),
        ("share of actions at random", (("exploration", None, BLUE),)),
        ("loss", (("loss", None, BLUE),)),
    )
    for axis, (title, lines) in zip(axes.ravel(), panels, strict=True):
        for name, meaning, colour in lines:
            if name in history:
                axis.plot(x, history[name], color=colour, marker=marker, label=meaning, linewidth=1)
        axis.set_title(title, loc="left", fontsize=11)
        axis.grid(axis="y", color=LIGHT, linewidth=0.6)
        plain(axis)
        axis.set_xlabel(label)
    rolling = history["val_return"].rolling(window, min_periods=1)
    axes[0, 0].plot(x, rolling.mean(), color=BLUE, linewidth=2, label=f"mean of {window} epochs")
    spread_of = rolling.std().fillna(0)
    axes[0, 0].fill_between(
        x, rolling.mean() - spread_of, rolling.mean() + spread_of, color=BLUE, alpha=0.15, linewidth=0
    )
    for axis in axes[0]:
        axis.legend(frameon=False, fontsize=8)
    return figure


def spread(values):
    """Draws the returns of episodes, least first.

    Args:
        values: Return of each episode.
    """
    figure = Figure(figsize=(5, 3), layout="constrained")
    axis = figure.subplots()
    axis.plot(np.arange(1, len(values) + 1), np.sort(values), color=BLUE, marker="o", markersize=2, linewidth=1)
    axis.axhline(interquartile_mean(values), color=GREY, linewidth=0.8, linestyle=":", label="interquartile mean")
    axis.set_xlabel("episodes, least first")
    axis.set_title("return", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=8)
    plain(axis)
    return figure


class Film:
    """Frames of play, thinned out evenly so that there are never too many.

    Args:
        most: Frames to keep, at most.
    """

    def __init__(self, most):
        self.most, self.every, self.seen, self.frames = most, 1, 0, []

    def add(self, frame):
        """Takes a frame, uint8 (height, width, 3), if it is its turn."""
        if self.seen % self.every == 0:
            self.frames.append(frame)
        self.seen += 1
        if len(self.frames) > self.most:
            self.frames, self.every = self.frames[::2], 2 * self.every
