"""Plots of forecasts: series with their splits and intervals, errors by horizon, residuals."""

import numpy as np

from kit.reporting.plots import BLUE, GREY, LIGHT, ORANGE, new_figure, plain

_MOST_POINTS = 4000


def forecasts(panels, step, share):
    """Draws series with the boundaries of their splits, and forecasts with their interval.

    Args:
        panels: List of dictionaries, one a series: `name`; `times` and `values` of the past and the truth; `validation`
            and `test`, the times at which these splits begin; `forecasts`, a list of (times, median, low, high).
        step: Length of a step in words.
        share: Share of the values that the interval is to hold.
    """
    figure = new_figure(figsize=(10.4, 2.5 * len(panels) + 0.5), layout="constrained")
    for number, (axis, panel) in enumerate(
        zip(figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True)
    ):
        axis.plot(panel["times"], panel["values"], color=GREY, linewidth=1.1, label="true")
        for index, (times, median, low, high) in enumerate(panel["forecasts"]):
            first = index == 0
            interval = f"{100 * share:.0f} % interval" if first else None
            axis.fill_between(times, low, high, color=ORANGE, alpha=0.25, linewidth=0, label=interval)
            marker = "o" if len(times) == 1 else None
            label = "forecast" if first else None
            axis.plot(times, median, color=ORANGE, linewidth=1.2, marker=marker, markersize=3, label=label)
        for place, title in ((panel["validation"], "validation"), (panel["test"], "test")):
            if panel["times"][0] < place <= panel["times"][-1]:
                axis.axvline(place, color=BLUE, linewidth=0.9, linestyle=":")
                axis.annotate(
                    title,
                    (place, 1.0),
                    xycoords=("data", "axes fraction"),
                    xytext=(3, -2),
                    fontsize=8,
                    textcoords="offset points",
                    va="top",
                    color=BLUE,
                    bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1},
                )
        axis.set_title(panel["name"], loc="left", fontsize=10, parse_math=False)
        axis.grid(axis="y", color=LIGHT, linewidth=0.6)
        axis.yaxis.get_major_formatter().set_useOffset(False)
        axis.margins(x=0.01)
        plain(axis)
        if number == 0:
            axis.legend(frameon=False, fontsize=8, ncols=3, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    figure.axes[-1].set_xlabel(f"time, in steps of {step}")
    return figure


def error_by_step(tables, title):
    """Draws an error over the steps of the horizon, that of the network with its interval.

    Args:
        tables: What forecasts are called to their table of `kit.scoring.forecasting.by_step`, the network's first.
        title: Column that is drawn.
    """
    figure = new_figure(figsize=(5.6, 3.4), layout="constrained")
    axis = figure.subplots()
    colours = (ORANGE, GREY, BLUE, "#5a9e6f")
    for index, (name, table) in enumerate(tables.items()):
        marker = "o" if len(table) < 20 else None
        axis.plot(
            table["step"],
            table[title],
            color=colours[index],
            marker=marker,
            markersize=3,
            label=name,
            linestyle="-" if index == 0 else "--",
        )
        if index == 0:
            axis.fill_between(
                table["step"],
                table[f"{title} 95 % low"],
                table[f"{title} 95 % high"],
                color=ORANGE,
                alpha=0.2,
                linewidth=0,
            )
    axis.set_xlabel("steps ahead")
    axis.set_ylabel(title)
    axis.set_ylim(bottom=0)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(axis="y", color=LIGHT, linewidth=0.6)
    axis.legend(frameon=False, fontsize=8)
    plain(axis)
    return figure


def residuals(times, error, step):
    """Draws what forecasts of one step ahead are more than the true values, over time, and how they are spread.

    Args:
        times: Time of each, (values,).
        error: Forecast less truth, (values,).
        step: Length of a step in words.
    """
    figure = new_figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots(1, 2, width_ratios=(3, 1), sharey=True)
    rows = np.arange(len(error))
    if len(rows) > _MOST_POINTS:
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:_MOST_POINTS])
    axes[0].scatter(times[rows], error[rows], s=8, color=BLUE, alpha=0.5, linewidths=0)
    axes[0].set_xlabel(f"time, in steps of {step}")
    axes[0].set_ylabel("forecast less truth, one step ahead")
    axes[1].hist(error, bins=min(40, max(8, len(error) // 4)), orientation="horizontal", color=BLUE)
    axes[1].set_xlabel("forecasts")
    axes[0].tick_params(axis="x", rotation=30)
    for axis in axes:
        axis.axhline(0, color=GREY, linewidth=0.8, linestyle=":")
        plain(axis)
    return figure
