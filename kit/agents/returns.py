"""Returns of evaluation episodes: metrics, tables, learning curves and other figures, and videos (GIF)."""

import numpy as np
import pandas as pd

from kit.agents.evaluation import EvaluationEpisodes
from kit.errors import SettingError
from kit.files import as_path
from kit.reporting import samples
from kit.reporting.plots import BLUE, GREY, LIGHT, ORANGE, new_figure, plain
from kit.reporting.statistics import interquartile_mean


def evaluate_episodes(examples, act, name="value"):
    """Plays the evaluation episodes of a split, and returns metrics, tables and figures of their returns.

    Args:
        examples: `EvaluationEpisodes` of the split.
        act: Function from observations to actions and the value of the states.
        name: Name of that value among the metrics.

    Returns:
        Metrics: mean, standard deviation, extremes and interquartile mean of the returns, mean length, mean value of
        the states, and number of episodes; tables; and figures.

    Raises:
        SettingError: the split has no episodes.
    """
    if not isinstance(examples, EvaluationEpisodes):
        raise SettingError("split", "the training split has no episodes of its own; expected 'validation' or 'test'")
    returns, lengths, values = examples.play(act)
    table = pd.DataFrame({"episode": examples.numbers, "return": returns, "length": lengths, "mean value": values})
    metrics = {
        "return": float(returns.mean()),
        "return_std": float(returns.std()),
        "return_min": float(returns.min()),
        "return_max": float(returns.max()),
        "return_iqm": interquartile_mean(returns),
        "length": float(lengths.mean()),
        name: float(values.mean()),
        "episodes": len(returns),
    }
    return metrics, {"1_episodes": table}, {"3_returns_of_episodes": lambda: returns_figure(returns)}


def training_figure(history, window=5):
    """Draws learning curves of an agent over the steps in its environment.

    Args:
        history: Table with a row an epoch.
        window: Epochs of the rolling mean of returns.

    Returns:
        A figure of returns, values, exploration (or entropy) and loss.
    """
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    x, label = history["epoch"], "epoch"
    if "environment_steps" in history:
        x, label = history["environment_steps"], "steps in the environment"
    figure = new_figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.subplots(2, 2)
    marker = "o" if len(history) < 3 else None
    panels = (
        ("returns", (("return", "while exploring", GREY), ("val_return", "greedy, validation", ORANGE))),
        ("values", (("q_value", "of actions drawn", GREY), ("val_value", "of states in validation", ORANGE))),
        ("share of actions at random", (("exploration", None, BLUE),))
        if "exploration" in history
        else ("entropy of the policy", (("entropy", None, BLUE),)),
        ("loss", (("loss", None, BLUE), ("policy_loss", "of the policy", GREY), ("value_loss", "of values", ORANGE))),
    )
    for axis, (title, lines) in zip(axes.ravel(), panels, strict=True):
        for name, meaning, colour in lines:
            if name in history:
                axis.plot(x, history[name], color=colour, marker=marker, label=meaning, linewidth=1)
        axis.set_title(title, loc="left", fontsize=11)
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axis.grid(axis="y", color=LIGHT, linewidth=0.6)
        plain(axis)
        axis.set_xlabel(label)
    rolling = history["val_return"].rolling(window, min_periods=1)
    axes[0, 0].plot(x, rolling.mean(), color=BLUE, linewidth=2, label=f"mean of {window} epochs")
    deviation = rolling.std().fillna(0)
    axes[0, 0].fill_between(
        x, rolling.mean() - deviation, rolling.mean() + deviation, color=BLUE, alpha=0.15, linewidth=0
    )
    for axis in axes.ravel():
        if axis.get_legend_handles_labels()[0]:
            axis.legend(frameon=False, fontsize=8)
    return figure


def returns_figure(values):
    """Draws the returns of episodes, least first.

    Args:
        values: Return of each episode.
    """
    figure = new_figure(figsize=(5, 3), layout="constrained")
    axis = figure.subplots()
    axis.plot(np.arange(1, len(values) + 1), np.sort(values), color=BLUE, marker="o", markersize=2, linewidth=1)
    axis.axhline(interquartile_mean(values), color=GREY, linewidth=0.8, linestyle=":", label="interquartile mean")
    axis.set_xlabel("episodes, least first")
    axis.set_title("return", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=8)
    plain(axis)
    return figure


class Video:
    """Video of episodes: frames, thinned out evenly so that there are never too many, written as an animated GIF.

    Args:
        path: Animated GIF to write, new; or None.
        most: Frames to keep, at most.

    Raises:
        SettingError: the path cannot be written; the message names `video`.
    """

    def __init__(self, path=None, most=600):
        self.path, self.most, self.every, self.offered, self.frames = path, most, 1, 0, []
        if path is not None:
            self.path = path = as_path(path, "video")
            if path.suffix != ".gif" or path.exists() or not path.absolute().parent.is_dir():
                raise SettingError("video", f"expected a new .gif file in a folder that exists, got {str(path)!r}")

    def add(self, draw):
        """Offers a frame by a function that draws it, uint8 (height, width, 3); it is called for those kept."""
        if self.offered % self.every == 0:
            self.frames.append(draw())
        self.offered += 1
        if len(self.frames) > self.most:
            self.frames, self.every = self.frames[::2], 2 * self.every

    def write(self, frames_per_second):
        """Writes the animated GIF, as fast as the environment is meant to be seen."""
        samples.write_film(self.path, self.frames, self.every / frames_per_second)
