"""A page that sets several runs side by side: their scores, the settings in which they differ, their curves."""

import html

import pandas as pd

from kit.config import read_toml
from kit.files import read_json, reading, write_text
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
    write_text(
        path,
        page.document(
            title,
            [
                f"<h1>{html.escape(title)}</h1>",
                f'<p class="soft">Scores on the test split. {summary}</p>',
                "<h2>Scores and settings that differ</h2>",
                '<div class="wide">',
                page.table(table),
                "</div>",
                "<h2>Validation, epoch by epoch</h2>",
                page.picture(plots.compared_curves(histories), "curves"),
            ],
        ),
    )
    return table


def differing(settings):
    """Returns the keys whose values are not the same in all of several flat dictionaries, in order."""
    keys = list(dict.fromkeys(key for each in settings for key in each))
    return [key for key in keys if len({repr(each.get(key)) for each in settings}) > 1]
