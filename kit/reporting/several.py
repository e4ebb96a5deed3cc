"""Statistics over several runs of the same settings, which differ in their seed or fold, a figure, and their page."""

import html
from urllib.parse import quote

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kit.config import read_toml
from kit.files import read_json, reading
from kit.reporting import numbers, page
from kit.reporting.plots import BLUE, GREY, LIGHT, plain
from kit.reporting.statistics import interquartile_mean
from kit.terminal import number

_PARTS = {
    "test": "Test split, the weights that were kept",
    "test_of_last_epoch": "Test split, the weights of the last epoch",
    "validation": "Validation split, the weights that were kept",
}
_PARTS_OF_FOLDS = {
    "test": "Held out folds, the weights that were kept",
    "test_of_last_epoch": "Held out folds, the weights of the last epoch",
    "validation": "Validation splits, the weights that were kept",
}
# The first scores of a recipe say most; all stand in the tables.
_MOST_CARDS = 4


def kind_of(metrics):
    """Returns "folds" or "seeds", whichever the runs of a `metrics.json` differ in."""
    return "folds" if "folds" in metrics else "seeds"


def summarize(found, kind="seeds"):
    """Puts the scores of several runs together, name by name.

    What is no number in every run, such as a signature, is left out, and so are the ends of intervals: those are of one
    run's examples.

    Args:
        found: A dictionary of scores for each run, which may hold others.
        kind: What the runs differ in, "seeds" or "folds".

    Returns:
        Dictionary from each name to what `statistics` returns.
    """
    summary = {}
    for name in found[0]:
        values = [each.get(name) for each in found]
        if all(isinstance(value, dict) for value in values):
            summary[name] = summarize(values, kind)
        elif all(isinstance(value, int | float) for value in values) and not name.endswith(("_low", "_high")):
            summary[name] = statistics(values, kind)
    return summary


def statistics(values, kind="seeds"):
    """Returns mean, standard deviation and interquartile mean (IQM) of a score over runs, with an interval of the IQM.

    The interval is that of the stratified bootstrap (Agarwal et al., "Deep Reinforcement Learning at the Edge of the
    Statistical Precipice", 2021): runs are drawn with replacement within each task, and the percentiles of the IQMs of
    the draws are its ends. Runs of the same settings have one task, which is the only stratum. The episodes or examples
    of a run are not drawn anew: they say how sure one run's score is, not how runs differ.

    Args:
        values: The score of each run.
        kind: What the runs differ in, "seeds" or "folds".

    Returns:
        Dictionary: `mean`, `std` (of a sample), `iqm`, `iqm_low` and `iqm_high` (95 %), and `seeds` or `folds`, the
        values.
    """
    from scipy.stats import bootstrap

    array = np.array(values, "float64")
    low = high = interquartile_mean(array)
    if len(np.unique(array)) > 1:
        drawn = bootstrap((array,), interquartile_mean, method="percentile", rng=np.random.default_rng(0))
        low, high = drawn.confidence_interval
    return {
        "mean": float(array.mean()),
        "std": float(array.std(ddof=1)),
        "iqm": interquartile_mean(array),
        "iqm_low": float(low),
        "iqm_high": float(high),
        kind: list(values),
    }


def table(metrics):
    """Returns the scores of each run.

    Args:
        metrics: Content of `metrics.json` of all.

    Returns:
        Table with a row a run: `run` (its folder), `seed` or `fold`, the scores on the test split, the monitored value,
        epochs and CPU-seconds.
    """
    kind = kind_of(metrics)
    columns = {name: score[kind] for name, score in metrics["test"].items()}
    if "monitored" in metrics:  # nothing is where no epoch was trained
        columns[metrics["monitor"]] = metrics["monitored"][kind]
    columns |= {name: metrics[name][kind] for name in ("epochs", "best_epoch", "train_cpu_seconds")}
    return pd.DataFrame({"run": metrics["folders"], kind.removesuffix("s"): metrics[kind], **columns})


def curves(histories, monitor, kind="seeds"):
    """Draws a value of every run as a thin line, their mean, and a band of a standard deviation on both sides.

    Mean and band end with the shortest run: behind it they would be those of other runs.

    Args:
        histories: History of each run, with a row an epoch.
        monitor: Name of the value.
        kind: What the runs differ in, "seeds" or "folds".
    """
    x, label = ("environment_steps", "steps in the environment")
    if any(x not in history for history in histories):
        x, label = "epoch", "epoch"
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axis = figure.subplots()
    shortest = min(map(len, histories))
    marker = "o" if shortest < 3 else None
    for index, history in enumerate(histories):
        name = f"each of {len(histories)} {kind}" if index == 0 else None
        axis.plot(history[x], history[monitor], color=GREY, alpha=0.5, linewidth=0.8, label=name)
    places = np.mean([history[x][:shortest] for history in histories], 0)
    values = np.array([history[monitor][:shortest] for history in histories])  # (runs, epochs)
    mean, std = values.mean(0), values.std(0, ddof=1)
    axis.fill_between(places, mean - std, mean + std, color=BLUE, alpha=0.15, linewidth=0, label="± standard deviation")
    axis.plot(places, mean, color=BLUE, linewidth=2, marker=marker, label="mean")
    axis.set_title(monitor.removeprefix("val_").replace("_", " ") + ", validation", loc="left", fontsize=11)
    axis.set_xlabel(label)
    axis.grid(axis="y", color=LIGHT, linewidth=0.6)
    axis.legend(frameon=False, fontsize=8, bbox_to_anchor=(1.02, 1), loc="upper left")
    if x == "epoch":
        axis.xaxis.get_major_locator().set_params(integer=True)
    plain(axis)
    return figure


def write(folder, metrics=None):
    """Writes `report.html` of the runs in a folder anew, from its `metrics.json` and `config.toml` and their histories.

    Args:
        folder: Folder of finished runs that differ in their seed or fold.
        metrics: Content of `metrics.json` where it is not written yet.

    Returns:
        Path of the page.
    """
    metrics = metrics or read_json(folder / "metrics.json")
    settings = read_toml(folder / "config.toml")
    places = [folder / name for name in metrics["folders"]]
    environment = read_json(places[0] / "environment.json")
    histories = []
    for place in places:
        with reading(place / "history.csv"):
            histories.append(pd.read_csv(place / "history.csv"))
    kind = kind_of(metrics)
    title = f"{page.task(settings['recipe'])}: {len(places)} {kind} — {folder.name}"
    with reading(folder / "metrics.json"):
        cards = list(numbers.over_seeds(metrics["test"]))[:_MOST_CARDS]
        cards += [
            ("best by validation", metrics["best"], ""),
            ("training time of all", numbers.seconds(sum(metrics["train_seconds"][kind])), ""),
        ]
        shown = table(metrics)
        names = _PARTS_OF_FOLDS if kind == "folds" else _PARTS
        parts = {title: _statistics(metrics[name]) for name, title in names.items() if name in metrics}
        pooled = _out_of_fold(folder, metrics) if "out_of_fold" in metrics else []
    chosen = "of the last epoch" if settings.get("train.use_validation") else "of the epoch chosen by validation"
    lines = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="soft">{html.escape(_SAID[kind].format(chosen=chosen))}</p>',
        *([f'<p class="soft">{html.escape(_FORWARD)}</p>'] if kind == "folds" and settings.get("data.time") else []),
        '<div class="cards">',
        *(page.card(*each) for each in cards),
        "</div>",
        *pooled,
        "<h2>Validation, epoch by epoch</h2>",
        page.picture(curves(histories, metrics["monitor"], kind), metrics["monitor"]),
        f"<h2>{kind.capitalize()}</h2>",
        '<div class="wide">',
        page.table(_as_text(shown), [f"{quote(name)}/report.html" for name in metrics["folders"]]),
        "</div>",
    ]
    for name, content in parts.items():
        lines += [f"<h2>{name}</h2>", '<div class="wide">', page.table(content), "</div>"]
    lines += [
        f'<p class="soft">{_INTERVALS}{_OF_FOLDS if kind == "folds" else ""}</p>',
        *page.ending("Repeat these runs", folder, settings, environment),
    ]
    page.save(folder / "report.html", title, lines)
    return folder / "report.html"


_SAID = {
    "seeds": "Scores on the test split, which nothing was chosen on: mean ± standard deviation over runs that differ "
    "in their seed alone, each with the weights {chosen}.",
    "folds": "Cross-validation. Scores on the examples that a run was not trained on and nothing was chosen on: mean "
    "± standard deviation over runs that each hold out another part of the examples, each with the weights {chosen}.",
}
_FORWARD = (
    "Forward chaining: a fold trains on what is earlier than its test part. The earliest examples are tested by none."
)
_INTERVALS = (
    "IQM: interquartile mean over runs, with its stratified bootstrap interval over runs (Agarwal et al., 2021). Of "
    "few runs such an interval is too narrow."
)
_OF_FOLDS = (
    " That holds for folds all the more: they share most of their training examples, so that they differ less than "
    "runs on new data would (Bengio and Grandvalet, 2004). The intervals of out-of-fold scores are over examples."
)


def _out_of_fold(folder, metrics):
    """Returns scores, figures and tables of all folds' predictions together as HTML."""
    scores = dict(metrics["out_of_fold"])
    examples = scores.pop("examples")
    lines = [
        "<h2>Out-of-fold predictions of all folds together</h2>",
        f'<p class="soft">{html.escape(number(examples))} examples, each predicted by the run that did not see it; '
        '<a href="tables/out_of_fold.csv">tables/out_of_fold.csv</a> has them.</p>',
        '<div class="cards">',
        *(page.card(*each) for each in numbers.scores(scores)),
        "</div>",
    ]
    for path in sorted((folder / "plots").glob("*.png")):
        lines += [f"<h2>{page.title_of(path)}</h2>", page.embedded(path)]
    for path in sorted((folder / "tables").glob("[0-9]*.csv")):
        with reading(path):
            content = pd.read_csv(path, keep_default_na=False, na_values=[""])
        lines += [f"<h2>{page.title_of(path)}</h2>", '<div class="wide">', page.table(content), "</div>"]
    return lines


def _statistics(scores):
    """Returns a table with a row a score and a column for each of its statistics, as text."""
    names = {"mean": "mean", "std": "standard deviation", "iqm": "IQM", "iqm_low": "95 % low", "iqm_high": "95 % high"}
    rows = [{"score": name, **{names[key]: score[key] for key in names}} for name, score in scores.items()]
    return _as_text(pd.DataFrame(rows))


def _as_text(frame):
    """Returns a table with numbers and names as people read them."""
    shown = frame.rename(columns=lambda name: name.replace("_", " "))
    for name in shown.columns[1:]:
        shown[name] = [number(value) for value in shown[name].tolist()]
    shown[shown.columns[0]] = shown[shown.columns[0]].str.replace("_", " ")
    return shown


def summary(folder, metrics):
    """Returns the statistics of the test scores of several runs as HTML, for a notebook.

    Args:
        folder: Folder of the runs.
        metrics: Content of its `metrics.json`.
    """
    title, path = f"{folder.name}: {len(metrics['folders'])} {kind_of(metrics)}", str(folder / "report.html")
    return f"<b>{html.escape(title)}</b>{page.table(_statistics(metrics['test']))}<code>{html.escape(path)}</code>"
