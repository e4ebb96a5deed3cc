"""A page that sets several runs side by side: their scores, the settings in which they differ, their curves."""

import hashlib
import html

import pandas as pd

from kit.config import read_toml
from kit.errors import KitError
from kit.files import read_json, reading
from kit.reporting import page, plots
from kit.terminal import number


def write(folders, path):
    """Writes one HTML file about several finished runs of a recipe.

    Args:
        folders: Run folders.
        path: File to write.

    Returns:
        Table with a row a run: its name, its test scores, the settings that are not the same in all runs.
    """
    settings = [read_toml(folder / "config.toml") for folder in folders]
    metrics = [read_json(folder / "metrics.json") for folder in folders]
    _check_scorers(folders, [values["test"] for values in metrics])
    histories = {}
    for folder in folders:
        with reading(folder / "history.csv"):
            histories[folder.name] = pd.read_csv(folder / "history.csv")
    rows = []
    for folder, values in zip(folders, metrics, strict=True):
        with reading(folder / "metrics.json"):
            scores = {
                name: number(value)
                for name, value in values["test"].items()
                if not name.endswith(("_low", "_high")) and not isinstance(value, str)
            }
            more = {name: number(values[name]) for name in ("params", "epochs", "best_epoch")}
            rows.append({"run": folder.name, **scores, **more, "train CPU-s": number(values["train_cpu_seconds"])})
    table = pd.DataFrame(rows).fillna("-").rename(columns=lambda name: name.replace("_", " "))
    different = differing(settings)
    for key in different:
        table[key] = [str(each.get(key, "-")) for each in settings]
    recipe = settings[0].get("recipe", "")
    title = f"{recipe.replace('_', ' ').capitalize()}: {len(folders)} runs"
    summary = (
        "They differ in " + ", ".join(f"<code>{html.escape(key)}</code>" for key in different)
        if different
        else "Their settings are the same."
    )
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="soft">Scores on the test split. {summary}</p>',
        "<h2>Scores and settings that differ</h2>",
        '<div class="wide">',
        page.table(table),
        "</div>",
        "<h2>Validation, epoch by epoch</h2>",
        page.picture(plots.compared_curves(histories), "curves"),
    ]
    page.save(path, title, parts)
    return table


def _check_scorers(folders, scores):
    """Raises KitError where distances were measured by networks that are not the same, so that they do not compare."""
    for name in [name for name in scores[0] if name.endswith("frechet_distance")]:
        key = name.removesuffix("frechet_distance") + "scorer"
        found = [score.get(key) or _scorer_of(folder) for folder, score in zip(folders, scores, strict=True)]
        for folder, scorer in zip(folders, found, strict=True):
            if scorer != found[0]:
                raise KitError(
                    f"{folders[0]} and {folder}: their distances were measured by other networks, {found[0]} and "
                    f"{scorer}; expected runs on the same data and data.split_seed"
                )


def _scorer_of(folder):
    """Returns a name for the network that measured an early run, which learned from that run's training images."""
    path = folder / "assets" / "splits.csv"
    path = path if path.exists() else path.with_suffix(".json")  # of more examples than are listed
    with reading(path):
        return f"one of {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


def differing(settings):
    """Returns the keys whose values are not the same in all of several flat dictionaries, in order."""
    keys = list(dict.fromkeys(key for each in settings for key in each))
    return [key for key in keys if len({repr(each.get(key)) for each in settings}) > 1]
