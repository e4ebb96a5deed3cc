"""The page of a study: its best trial, how it was found, and what each setting has to do with the score."""

import html
import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from kit.reporting import page, plots
from kit.terminal import duration, number

# The importance of a setting, told from fewer trials, is chance.
_FEWEST_TRIALS = 8
_BESIDE = (
    "trial",
    "state",
    "score",
    "best_epoch",
    "epochs",
    "seconds",
    "cpu_seconds",
    "memory_mb",
    "folder",
    "message",
)


def write(folder, summary, trials, curves):
    """Writes `report.html` of a study.

    Args:
        folder: Its folder.
        summary: Content of `summary.json`: `recipe`, `monitor`, `mode`, `best`, `best_trial`, `score`, `saved_epochs`,
            `saved_seconds`, and `hints` where there are.
        trials: Table with a row a trial: `trial`, `state`, `score`, what it cost, and a column for each setting.
        curves: Number of a trial to the monitored value of each epoch.

    Returns:
        Path of the page.
    """
    scored = trials[trials["state"] != "failed"]
    # A trial that was trained on in another one counts once, as it ended.
    final = scored.drop_duplicates("folder", keep="last")
    settings = [name for name in trials.columns if name not in _BESIDE and final[name].notna().any()]
    weights = importance(final, settings)
    figures = {
        "History of the best": lambda: history(scored, summary["monitor"], summary["mode"]),
        "Score over each setting": lambda: slices(final, settings, summary["monitor"], summary["mode"]),
        **({"Importance of each setting": lambda: bars(weights)} if weights is not None else {}),
        "All settings of all trials": lambda: parallel_coordinates(
            final, settings, summary["monitor"], summary["mode"]
        ),
        "Validation, epoch by epoch": lambda: learning_curves(curves, summary["best_trial"], summary["monitor"]),
    }
    title = f"{summary['recipe'].replace('_', ' ').capitalize()}: search of settings — {folder.name}"
    cards = [
        (f"best {summary['monitor']}", number(summary["score"])),
        ("trials", f"{len(trials)}"),
        ("stopped early", f"{(trials['state'] == 'stopped').sum()}"),
        ("failed", f"{(trials['state'] == 'failed').sum()}"),
        ("time of all trials", duration(scored["seconds"].sum())),
        ("saved by stopping", f"{summary['saved_epochs']} epochs, {duration(summary['saved_seconds'])}"),
    ]
    command = f"kit train {summary['recipe']} --config {folder / 'best.toml'}"
    shown = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in summary["best"].values()]
    best = pd.DataFrame({"setting": list(summary["best"]), "value": shown})
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        '<p class="soft">Scores on the validation split; the test split was not looked at.</p>',
        '<div class="cards">',
        *(page.card(*each) for each in cards),
        "</div>",
        *page.hints(summary),
        f"<h2>Settings of the best trial ({html.escape(str(summary['best_trial']))})</h2>",
        f'<div class="wide">{page.table(best)}</div>',
        f"<pre>{html.escape(command)}</pre>",
    ]
    for name, draw in figures.items():
        parts += [f"<h2>{name}</h2>", page.picture(draw(), name)]
    ranked = trials.sort_values("score", ascending=summary["mode"] == "min", na_position="last")
    shown = ranked.drop(columns=["folder", "cpu_seconds", "message"] if trials["message"].isna().all() else ["folder"])
    shown = shown.assign(seconds=shown["seconds"].map(lambda value: "-" if pd.isna(value) else f"{value:.1f}"))
    parts += ["<h2>Trials, the best first</h2>", f'<div class="wide">{page.table(_as_text(shown))}</div>']
    page.save(folder / "report.html", title, parts)
    return folder / "report.html"


def summary(folder, monitor, score, count, best):
    """Returns the best trial of a study as HTML, for a notebook.

    Args:
        folder: Folder of the study.
        monitor: Name of the value that it went by.
        score: That of the best trial.
        count: Number of trials.
        best: Settings of the best trial.
    """
    title = f"{folder.name}: best {monitor} {number(score)} of {count} trials"
    values = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in best.values()]
    shown = pd.DataFrame({"setting": list(best), "value": values})
    path = html.escape(str(folder / "report.html"))
    return f"<b>{html.escape(title)}</b>{page.table(shown)}<code>{path}</code>"


def _as_text(frame):
    """Returns a table with numbers as people read them and `-` for what is missing."""
    frame = frame.copy()
    for name in frame:
        if name not in ("trial", "state", "seconds"):
            frame[name] = [
                "-" if pd.isna(value) else f"{value:.4g}" if isinstance(value, float) else str(value)
                for value in frame[name]
            ]
    return frame


def importance(trials, settings):
    """Returns how much of the score's variation each setting explains, by a random forest.

    Each column is permuted in turn; how much worse the forest then predicts the scores is its importance (Breiman,
    "Random Forests", 2001).

    Args:
        trials: Table with a row a trial and the column `score`.
        settings: Columns that hold settings.

    Returns:
        Series of shares that add up to 1, the largest first; None for too few trials, or scores that do not differ.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    if len(trials) < _FEWEST_TRIALS or not settings or trials["score"].nunique() < 2:
        return None
    # Trials that were ended sooner score lower for that reason alone: the forest is told.
    columns = [*settings, "epochs"]
    inputs = np.stack([_positions(trials[name])[0] for name in columns], 1)  # (trials, settings + 1)
    forest = RandomForestRegressor(200, random_state=0, min_samples_leaf=2).fit(inputs, trials["score"])
    found = permutation_importance(forest, inputs, trials["score"], n_repeats=10, random_state=0)
    shares = pd.Series(np.maximum(found.importances_mean, 0), columns)[settings]
    if shares.sum() == 0:
        return None
    return (shares / shares.sum()).sort_values(ascending=False)


def _positions(column):
    """Returns the values of a setting as numbers, -1 for missing ones, and the names of the ticks where it has some."""
    is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if is_number:
        return column.fillna(-1).to_numpy(float), None
    names = sorted(column.dropna().astype(str).unique())
    codes = [names.index(str(value)) if not _is_missing(value) else -1 for value in column]
    return np.array(codes, float), names


def _is_missing(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


def _is_log(values):
    """Whether values are spread over so many orders of magnitude that a logarithm shows them better."""
    return len(values) > 1 and values.min() > 0 and values.max() / values.min() > 20


def history(trials, monitor, mode):
    """Draws the score of each trial, and the best so far."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axis = figure.subplots()
    for state, color in (("stopped", plots.LIGHT), ("completed", plots.BLUE)):
        part = trials[trials["state"] == state]
        axis.scatter(part["trial"], part["score"], s=22, color=color, label=state, zorder=2)
    best = trials["score"].cummax() if mode == "max" else trials["score"].cummin()
    axis.step(trials["trial"], best, where="post", color=plots.ORANGE, label="best so far")
    axis.set_xlabel("trial")
    axis.set_title(monitor, loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9)
    axis.xaxis.get_major_locator().set_params(integer=True)
    plots.plain(axis)
    return figure


def slices(trials, settings, monitor, mode):
    """Draws the score over each setting, a panel a setting; the best trial is marked."""
    columns = min(len(settings), 3)
    rows = math.ceil(len(settings) / columns)
    figure = Figure(figsize=(3.6 * columns, 3 * rows), layout="constrained")
    best = trials["score"].idxmax() if mode == "max" else trials["score"].idxmin()
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axis in axes[len(settings) :]:
        axis.axis("off")
    for axis, name in zip(axes, settings, strict=False):
        part = trials[~trials[name].map(_is_missing)]
        positions, names = _positions(part[name])
        color = [plots.ORANGE if index == best else plots.BLUE for index in part.index]
        axis.scatter(positions, part["score"], s=24, color=color, alpha=0.8)
        if names is not None:
            axis.set_xticks(range(len(names)), names, rotation=20 if max(map(len, names)) > 8 else 0, parse_math=False)
            axis.set_xlim(-0.5, len(names) - 0.5)
        elif part[name].nunique() <= 4 and (part[name] % 1 == 0).all():
            axis.set_xticks(sorted(part[name].unique()))
            axis.margins(x=0.15)
        elif _is_log(positions):
            axis.set_xscale("log")
            axis.xaxis.set_minor_formatter(NullFormatter())
        else:
            axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.set_title(name, loc="left", fontsize=10)
        plots.plain(axis)
        axis.grid(axis="y", color=plots.LIGHT, linewidth=0.6)
    for axis in axes[::columns]:
        axis.set_ylabel(monitor, fontsize=9)
    return figure


def bars(weights):
    """Draws the share of each setting as a bar."""
    figure = Figure(figsize=(7, 0.4 * len(weights) + 0.8), layout="constrained")
    axis = figure.subplots()
    axis.barh(range(len(weights)), weights.to_numpy(), color=plots.BLUE, height=0.6)
    axis.set_yticks(range(len(weights)), weights.index)
    axis.invert_yaxis()
    axis.set_xlabel("share of the differences between scores that it explains", fontsize=9)
    plots.plain(axis)
    return figure


def parallel_coordinates(trials, settings, monitor, mode):
    """Draws each trial as a line over all settings to its score; the darker, the better."""
    names = [*settings, "score"]
    figure = Figure(figsize=(max(6, 1.9 * len(names)), 4), layout="constrained")
    axis = figure.subplots()
    heights, ticks = [], []
    for name in names:
        positions, labels = _positions(trials[name])
        known = positions[~trials[name].map(_is_missing).to_numpy()]
        logarithm = labels is None and name != "score" and _is_log(known)
        scale = np.log10 if logarithm else np.asarray
        low, high = scale(known.min()), scale(known.max())
        with np.errstate(invalid="ignore", divide="ignore"):
            height = (scale(positions) - low) / (high - low) if high > low else np.full(len(positions), 0.5)
        missing = trials[name].map(_is_missing).to_numpy()
        heights.append(np.where(missing, -0.08, height))
        if labels is not None:
            count = max(len(labels) - 1, 1)
            ticks.append([(index / count if len(labels) > 1 else 0.5, label) for index, label in enumerate(labels)])
        else:
            ends = [(0, known.min()), (1, known.max())] if high > low else [(0.5, known.min())]
            ticks.append([(where, f"{value:.3g}") for where, value in ends])
    lines = np.stack(heights, 1)  # (trials, settings + 1)
    order = trials["score"].rank(pct=True, ascending=mode == "max").to_numpy()
    for row in np.argsort(order):
        is_best = order[row] == order.max()
        color = plots.ORANGE if is_best else plots.BLUE
        alpha = 1 if is_best else max(0.08, min(0.5, 4 / len(lines))) + 0.4 * order[row] ** 3
        axis.plot(range(len(names)), lines[row], color=color, alpha=alpha)
    for index, marks in enumerate(ticks):
        axis.axvline(index, color=plots.GREY, linewidth=0.8)
        for where, label in marks:
            axis.text(index + 0.03, where, label, fontsize=8, va="center", parse_math=False)
    axis.set_xticks(range(len(names)), [*settings, monitor], rotation=12, fontsize=9)
    axis.set_yticks([])
    axis.set_xlim(-0.05, len(names) - 0.7)
    for side in ("top", "right", "left", "bottom"):
        axis.spines[side].set_visible(False)
    return figure


def learning_curves(curves, best, monitor):
    """Draws the monitored value of every trial over the epochs, the best trial on top."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axis = figure.subplots()
    for trial, curve in curves.items():
        marker = "o" if len(curve) < 3 else None
        if trial != best:
            axis.plot(range(1, len(curve) + 1), curve, color=plots.BLUE, alpha=0.3, linewidth=0.9, marker=marker)
    curve = curves[best]
    axis.plot(
        range(1, len(curve) + 1),
        curve,
        color=plots.ORANGE,
        label=f"trial {best}",
        marker="o" if len(curve) < 3 else None,
    )
    axis.set_xlabel("epoch")
    axis.set_title(monitor, loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9)
    axis.xaxis.get_major_locator().set_params(integer=True)
    plots.plain(axis)
    return figure
