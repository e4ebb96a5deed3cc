"""Plots, each a matplotlib figure made from plain numbers."""

import logging
import math
import warnings

import numpy as np

from kit.errors import KitError, shown
from kit.files import atomic

log = logging.getLogger("kit")

BLUE, ORANGE, GREY, LIGHT = "#2563a8", "#d9762b", "#5c6570", "#d7dce1"


def new_figure(**settings):
    """Returns an empty figure; matplotlib is imported when one is drawn, since most commands draw none."""
    from matplotlib.figure import Figure

    return Figure(**settings)


def save(figure, file, **settings):
    """Writes a figure as PNG, without a line on standard error for each character that matplotlib's font lacks.

    Args:
        figure: matplotlib figure.
        file: Path or file.
        settings: As for matplotlib's `savefig`.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"(?s).*[Gg]lyph .*missing from")
        figure.savefig(file, dpi=110, **settings)


def save_all(figures, folder):
    """Draws figures into a folder; one that cannot be drawn is said and left out, since it is not worth a training.

    Args:
        figures: Name of a file, without its ending, to a function that draws a matplotlib figure.
        folder: An existing folder.

    Raises:
        OSError: a file cannot be written.
    """
    for name, draw in figures.items():
        try:
            with atomic(folder / f"{name}.png") as temporary:
                save(draw(), temporary)
        except (OSError, KitError):  # such as a full disk: what is written again later is not left out for good
            raise
        except Exception as error:  # drawing calls much that is not the kit's, own models among it
            what = shown(f"{type(error).__name__}: {error}")
            log.warning("the figure %r is left out, for it cannot be drawn: %s", name, what)


def learning_curves(history, metric, best_epoch):
    """Draws loss, metric and learning rate over the epochs.

    Args:
        history: Table with a row an epoch: `epoch`, `loss`, `val_loss`, `learning_rate` and the metric's columns.
        metric: Name of the metric, without `val_`.
        best_epoch: Epoch whose weights were kept, from 1.

    Returns:
        A figure with a panel for each of the three.
    """
    panels = [name for name in dict.fromkeys(("loss", metric)) if name in history or f"val_{name}" in history]
    figure = new_figure(figsize=(4 * (len(panels) + 1), 3), layout="constrained")
    axes = figure.subplots(1, len(panels) + 1, squeeze=False)[0]
    marker = "o" if len(history) < 3 else None
    for axis, name in zip(axes, panels, strict=False):
        if name in history:
            axis.plot(history["epoch"], history[name], color=BLUE, marker=marker, label="training")
        if f"val_{name}" in history:
            axis.plot(
                history["epoch"],
                history[f"val_{name}"],
                color=ORANGE,
                marker=marker,
                label="validation",
            )
        if name == "loss":
            for index, other in enumerate(key for key in history if key.endswith("_loss") and key[:4] != "val_"):
                label = other.removesuffix("_loss").replace("_", " ")
                axis.plot(history["epoch"], history[other], color=f"C{index + 2}", marker=marker, label=label)
        axis.set_title(name.replace("_", " "), loc="left", fontsize=11)
        axis.axvline(best_epoch, color=GREY, linewidth=1.2, linestyle=":", label="best epoch")
    axes[0].legend(frameon=False, fontsize=9)
    axes[-1].plot(history["epoch"], history["learning_rate"], color=GREY, marker=marker)
    axes[-1].set_title("learning rate at the epoch's end", loc="left", fontsize=11)
    for axis in axes:
        plain(axis)
        axis.set_xlabel("epoch")
        axis.grid(axis="y", color=LIGHT, linewidth=0.6)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.yaxis.get_major_formatter().set_useOffset(False)  # a number beside the axis would have to be added
    return figure


def over_examples(curve):
    """Draws a score over the number of training examples, and what twice as many would give.

    Args:
        curve: Content of `learning_curve.json`: `score`, `examples`, `scores`, `lows`, `highs`, `doubled`, `value`,
            `low` and `high`.
    """
    figure = new_figure(figsize=(5.2, 3.4), layout="constrained")
    axis = figure.subplots()
    counts, scores, doubled = curve["examples"], curve["scores"], curve["doubled"]
    axis.fill_between(counts, curve["lows"], curve["highs"], color=BLUE, alpha=0.12, linewidth=0)
    axis.plot(counts, scores, color=BLUE, marker="o", label="measured, with the interval of the test split")
    axis.plot([counts[-1], doubled], [scores[-1], curve["value"]], color=ORANGE, linestyle=":")
    ends = [[curve["value"] - curve["low"]], [curve["high"] - curve["value"]]]
    axis.errorbar([doubled], [curve["value"]], ends, color=ORANGE, marker="o", capsize=4, label="estimated")
    axis.set_xscale("log", base=2)
    axis.set_xticks([*counts, doubled], [f"{count:,}" for count in [*counts, doubled]])
    axis.minorticks_off()
    axis.set_xlabel("training examples")
    axis.set_title(curve["score"].replace("_", " "), loc="left", fontsize=11)
    axis.grid(axis="y", color=LIGHT, linewidth=0.6)
    axis.legend(frameon=False, fontsize=8)
    plain(axis)
    return figure


def compared_curves(histories):
    """Draws what was validated in several runs, one panel a value and one line a run.

    Args:
        histories: Name of each run to its history.

    Returns:
        A figure with a panel for every `val_` column.
    """
    names = list(dict.fromkeys(name for history in histories.values() for name in history if name.startswith("val_")))
    names = names or ["loss"]
    figure = new_figure(figsize=(4.5 * len(names), 3.6), layout="constrained")
    for axis, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for index, (run, history) in enumerate(histories.items()):
            if name in history:
                marker = "o" if len(history) < 3 else None
                axis.plot(history["epoch"], history[name], color=f"C{index % 10}", marker=marker, label=run)
        axis.set_title(name.removeprefix("val_").replace("_", " "), loc="left", fontsize=11)
        plain(axis)
        axis.set_xlabel("epoch")
        axis.grid(axis="y", color=LIGHT, linewidth=0.6)
        axis.xaxis.get_major_locator().set_params(integer=True)
    figure.axes[-1].legend(frameon=False, fontsize=8, bbox_to_anchor=(1.02, 1), loc="upper left")
    return figure


def confusion_matrix(matrix, class_names):
    """Draws how often each class was taken for each other one.

    Args:
        matrix: Counts, (true class, predicted class).
        class_names: Name of each class.
    """
    count = len(class_names)
    side = min(max(4.0, 0.45 * count + 1.5), 16)
    figure = new_figure(figsize=(side, side), layout="constrained")
    axis = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if count <= 25:
        for row, column in np.argwhere(matrix > 0):
            axis.text(
                column,
                row,
                int(matrix[row, column]),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if shares[row, column] > 0.5 else "black",
            )
    step = math.ceil(count / 50)
    ticks, names = range(0, count, step), class_names[::step]
    axis.set_xticks(ticks, names, rotation=90 if max(map(len, names)) > 3 else 0, parse_math=False)
    axis.set_yticks(ticks, names, parse_math=False)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    plain(axis)
    return figure


def reliability(table, error):
    """Draws accuracy over confidence: on the diagonal, a prediction of 70 % is right in 70 % of the cases.

    Args:
        table: What `scores.calibration` returned: `confidence`, `accuracy` and `share` of each interval.
        error: Expected calibration error.
    """
    figure = new_figure(figsize=(4, 4), layout="constrained")
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    axis.plot(table["confidence"], table["accuracy"], color=BLUE, linewidth=1)
    axis.scatter(table["confidence"], table["accuracy"], s=20 + 300 * table["share"], color=BLUE, alpha=0.6)
    axis.set_title(f"expected calibration error {error:.3f}", loc="left", fontsize=11)
    axis.set_xlabel("confidence")
    axis.set_ylabel("accuracy")
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    plain(axis)
    return figure


def image_grid(images, captions, columns=6, maps=None):
    """Draws images with a caption over each.

    Args:
        images: uint8 arrays (height, width, 1 or 3).
        captions: A text for each image; lines may be broken in it.
        columns: Images in a row.
        maps: Numbers that are drawn over each image, (height, width), as for `explained_image`; or None.
    """
    rows = math.ceil(len(images) / columns)
    lines = max((caption.count("\n") + 1 for caption in captions), default=1)
    figure = new_figure(figsize=(1.7 * columns, (1.6 + 0.17 * lines) * rows), layout="constrained")
    for axis in (axes := figure.subplots(rows, columns, squeeze=False).ravel()):
        axis.axis("off")
    for index, (axis, image, caption) in enumerate(zip(axes, images, captions, strict=False)):
        if maps is not None:
            _overlay(axis, image, maps[index])
        elif image.shape[-1] == 1:
            axis.imshow(image[..., 0], cmap="gray", vmin=0, vmax=255)
        else:
            axis.imshow(image)
        axis.set_title(caption, fontsize=9)
    return figure


def explained_image(image, caption, maps):
    """Draws an image, and beside it maps of what an answer rests on over it.

    Args:
        image: uint8 (height, width, 1 or 3).
        caption: What was answered.
        maps: Title of each map to its numbers, (height, width): from 0 to 1 where they are only of one kind; else what
            speaks for the answer is positive, what speaks against it negative.
    """
    figure = new_figure(figsize=(2.6 * (1 + len(maps)), 2.9), layout="constrained")
    axes = figure.subplots(1, 1 + len(maps), squeeze=False)[0]
    axes[0].imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=255)
    for axis, (title, values) in zip(axes[1:], maps.items(), strict=True):
        _overlay(axis, image, values)
        axis.set_title(title, fontsize=9, loc="left")
    axes[0].set_title(caption, fontsize=9, loc="left", parse_math=False)
    for axis in axes:
        axis.axis("off")
    return figure


def _overlay(axis, image, values):
    """Draws a pale image, and numbers (height, width) in colours over it."""
    grey = image[..., 0] if image.shape[-1] == 1 else image.mean(-1)
    axis.imshow(grey, cmap="gray", vmin=-128, vmax=383)
    is_signed = values.min() < 0
    size = np.quantile(np.abs(values), 0.995) or np.abs(values).max() or 1.0
    strength = np.clip(np.abs(values) / size, 0, 1)
    kind = {"cmap": "coolwarm", "vmin": -size, "vmax": size} if is_signed else {"cmap": "inferno", "vmin": 0}
    axis.imshow(values, alpha=0.85 * strength if is_signed else 0.25 + 0.55 * strength, **kind)


def histograms(values, columns=4):
    """Draws how numbers are spread, a panel for each kind.

    Args:
        values: What the numbers are to the numbers, (examples,).
        columns: Panels in a row.
    """
    rows = math.ceil(len(values) / columns)
    figure = new_figure(figsize=(2.9 * min(columns, len(values)), 2.3 * rows), layout="constrained")
    axes = figure.subplots(rows, min(columns, len(values)), squeeze=False).ravel()
    for axis in axes[len(values) :]:
        axis.axis("off")
    for axis, (name, numbers) in zip(axes, values.items(), strict=False):
        axis.hist(numbers, bins=min(40, max(10, len(np.unique(numbers)))), color=BLUE)
        axis.set_yscale("symlog", linthresh=10)  # a few that are unlike the others are to be seen
        axis.set_title(name, loc="left", fontsize=10)
        plain(axis)
    return figure


def plain(axis):
    """Takes away what distracts from a plot: two spines and the ticks' marks."""
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.tick_params(labelsize=9, length=0)


def latent_space(codes, labels, class_names):
    """Draws latent vectors on a plane twice: by their two main directions (PCA), and by who is near to whom (t-SNE).

    Args:
        codes: Latent vectors, (examples, latent_dim).
        labels: Class of each, (examples,), or None.
        class_names: Name of each class.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    panels = {}
    if min(codes.shape) >= 2:
        pca = PCA(2).fit(codes)
        share = pca.explained_variance_ratio_.sum()
        panels[f"principal components ({share:.0%} of the variance)"] = pca.transform(codes)
    if len(codes) >= 10:
        perplexity = min(30, (len(codes) - 1) / 3)
        with threadpool_limits(1):  # several wait for each other in busy loops: ten times the time on a busy machine
            panels["t-SNE"] = TSNE(2, perplexity=perplexity, init="random", random_state=0).fit_transform(codes)
    panels = panels or {"latent variable": np.concatenate([codes, np.zeros_like(codes)], 1)[:, :2]}
    figure = new_figure(figsize=(5 * len(panels) + 1.2, 4.4), layout="constrained")
    from matplotlib import colormaps

    shades = colormaps["tab10" if len(class_names) <= 10 else "tab20"].colors
    colours = None if labels is None else [shades[index % len(shades)] for index in labels]
    for axis, (title, places) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        axis.scatter(places[:, 0], places[:, 1], s=10, c=colours or BLUE, alpha=0.7, linewidths=0)
        axis.set_title(title, loc="left", fontsize=11)
        axis.set_xticks([])
        axis.set_yticks([])
        plain(axis)
    if labels is not None:
        shown = np.unique(labels)[:20]
        marks = [figure.axes[-1].scatter([], [], s=20, color=shades[index % len(shades)]) for index in shown]
        names = [class_names[index] for index in shown]
        figure.axes[-1].legend(marks, names, frameon=False, fontsize=8, bbox_to_anchor=(1.0, 1), loc="upper left")
    return figure
