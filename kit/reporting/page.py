"""The page of a run: one HTML file that needs no network, made from the files of the run folder alone."""

import base64
import html
import io
import shlex
import struct

import pandas as pd

from kit.config import read_toml
from kit.files import read_json, reading, write_text
from kit.reporting import plots
from kit.terminal import number, with_intervals

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2126; --soft: #5c6570; --line: #d7dce1; --back: #fff; --card: #f5f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8ea; --soft: #9aa3ad; --line: #3a4149; --back: #16191d; --card: #1f2429; }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); margin: 0 auto;
  max-width: 62rem; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.5rem 0 .6rem; }
p { margin: .3rem 0; } a { color: inherit; } .soft { color: var(--soft); }
.cards { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1.2rem 0; }
.card { background: var(--card); border-radius: .5rem; padding: .6rem .9rem; min-width: 8rem; flex: 1; }
.card b { display: block; font-size: 1.35rem; } .card span { color: var(--soft); font-size: .85rem; }
.hint { border-left: .3rem solid #d9762b; padding: .4rem .8rem; background: var(--card); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .7rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } thead th { color: var(--soft); font-weight: 500; }
td.text { white-space: normal; } td.text a { white-space: nowrap; } td.text, th.text { text-align: left; }
.settings td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; background: #fff; border-radius: .4rem; }
@media (max-width: 40rem) { .wide img { max-width: none; width: 44rem; } }
pre { background: var(--card); padding: .7rem .9rem; border-radius: .5rem; overflow-x: auto; font-size: .85rem; }
"""


def write(folder, metrics=None):
    """Writes `report.html` of a run folder anew from `metrics.json`, `config.toml`, `tables/` and `plots/`.

    Args:
        folder: Run folder of a finished run.
        metrics: Content of `metrics.json` where it is not written yet.

    Returns:
        Path of the page.
    """
    metrics = metrics or read_json(folder / "metrics.json")
    settings = read_toml(folder / "config.toml")
    environment = read_json(folder / "environment.json")
    with reading(folder / "metrics.json"):
        cards, notes = _cards(metrics), hints(metrics)
    title = f"{task(settings['recipe'])} — {folder.name}"
    averaged = metrics.get("averaged_epochs", 0)
    last = "those of the last epoch, trained on the validation split too"
    chosen = last if settings.get("train.use_validation") else "those of the best epoch by validation"
    weights = f"the mean of the last {averaged} epochs" if averaged else chosen
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        '<p class="soft">Scores on the test split, which nothing was chosen on. '
        f"The weights are {html.escape(weights)}.</p>",
        '<div class="cards">',
        *(card(*each) for each in cards),
        "</div>",
        *notes,
        *(
            f'<p class="soft">{html.escape(name.replace("_", " "))}: <code>{html.escape(value)}</code></p>'
            for name, value in metrics["test"].items()
            if isinstance(value, str)
        ),
    ]
    for path in sorted((folder / "plots").glob("*.png")):
        parts += [f"<h2>{title_of(path)}</h2>", embedded(path)]
    for path in sorted((folder / "samples").glob("*.gif")):
        data = base64.b64encode(path.read_bytes()).decode()
        parts += [
            "<h2>While it trained</h2>",
            f'<img alt="one epoch after the other" src="data:image/gif;base64,{data}">',
        ]
    for path in sorted((folder / "tables").glob("*.csv")):
        with reading(path):
            content = pd.read_csv(path, keep_default_na=False, na_values=[""])  # `None` may be the name of a class
        parts += [
            f"<h2>{title_of(path)}</h2>",
            '<div class="wide">',
            table(content),
            "</div>",
        ]
    parts += ending("Repeat this run", folder, settings, environment)
    save(folder / "report.html", title, parts)
    return folder / "report.html"


def embedded(path):
    """Returns a PNG file as HTML that needs no other file."""
    content = path.read_bytes()
    with reading(path):
        width, height = struct.unpack(">II", content[16:24])  # the PNG's header
    data, name = base64.b64encode(content).decode(), title_of(path)
    shape = "wide" if width > 2 * height else "plot"
    return f'<div class="{shape}"><img alt="{name}" src="data:image/png;base64,{data}"></div>'


def task(recipe):
    """Returns the name of a recipe as a title has it."""
    return recipe.upper() if len(recipe) <= 3 else recipe.replace("_", " ").capitalize()  # GAN, DQN


def ending(title, folder, settings, environment):
    """Returns what a page ends with: the command that repeats it, settings and environment."""
    recipe, path = settings["recipe"], folder / "config.toml"
    command = f"kit train {recipe} --config {shlex.quote(str(path))}"
    given = [
        name for name, key in (("data", "data.source"), ("model", "model.backbone")) if settings.get(key) == "given"
    ]
    if given:
        again = ", ".join(f"{name}=..." for name in given)
        command = f"kit.train({recipe!r}, config={str(path)!r}, {again})"
    return [
        f"<h2>{html.escape(title)}</h2>",
        f"<pre>{html.escape(command)}</pre>",
        "<h2>Settings</h2>",
        '<div class="wide settings">',
        _rows(settings),
        "</div>",
        "<h2>Environment</h2>",
        '<div class="wide settings">',
        _rows(environment),
        "</div>",
    ]


def picture(figure, name):
    """Returns a figure as HTML that needs no other file.

    Args:
        figure: matplotlib figure.
        name: What stands in its place where it cannot be seen.
    """
    buffer = io.BytesIO()
    plots.save(figure, buffer, format="png")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<div class="wide"><img alt="{html.escape(name)}" src="data:image/png;base64,{data}"></div>'


def card(name, value, more=""):
    """Returns a number at the top of a page, with its name and what is to be said of it, as HTML; all is escaped."""
    below = f"<br>{html.escape(more)}" if more else ""
    return f'<div class="card"><b>{html.escape(value)}</b><span>{html.escape(name)}{below}</span></div>'


def hints(summary):
    """Returns what a training or a study has to say against its own result or its data, as HTML; all is escaped."""
    told = [*summary.get("hints", []), *(f"Data: {found}" for found in summary.get("data_findings", []))]
    return [f'<p class="hint">{html.escape(str(hint))}</p>' for hint in told]


def save(path, title, parts, style=""):
    """Writes a whole HTML document with the style of the kit, which needs no network.

    Args:
        path: The file.
        title: Title of the document, not escaped yet.
        parts: Its lines, HTML in which all that a file has said is escaped.
        style: More rules of CSS, for what this document alone shows.
    """
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}{style}</style></head>"
        f"<body>{chr(10).join(parts)}</body></html>\n"
    )
    write_text(path, text, errors="backslashreplace")


def _cards(metrics):
    """Returns name, value and interval of what stands at the top."""
    cards = list(with_intervals(metrics["test"]))
    cards += [
        ("parameters", number(metrics["params"]), ""),
        ("epochs (best)", f"{metrics['epochs']} ({metrics['best_epoch']})", ""),
        ("training time", f"{metrics['train_seconds']:,.0f} s", ""),
        ("examples/s", f"{metrics['examples_per_second']:,.0f}", ""),
    ]
    return cards


def title_of(path):
    """`2_confusion_matrix.png` is shown as "Confusion matrix"; the digit orders the sections."""
    return html.escape(path.stem.partition("_")[2].replace("_", " ").capitalize())


def table(frame, links=None):
    """Returns a table as HTML; text stands on the left and may be broken, numbers on the right.

    Args:
        frame: The table.
        links: What the first cell of each row leads to, in order; or None.
    """
    texts = [not pd.api.types.is_numeric_dtype(frame[name]) for name in frame]

    def row(cells, tag, link=None):
        shown = []
        for index, (cell, text) in enumerate(zip(cells, texts, strict=True)):
            shown_cell = "" if pd.isna(cell) else f"{cell:.3f}" if isinstance(cell, float) else str(cell)
            value = html.escape(shown_cell)
            if link and index == 0:
                value = f'<a href="{html.escape(link)}">{value}</a>'
            kind = ' class="text"' if text else ""
            shown.append(f"<{tag}{kind}>{value}</{tag}>")
        return f"<tr>{''.join(shown)}</tr>"

    rows = frame.itertuples(index=False)
    body = "".join(row(cells, "td", link) for cells, link in zip(rows, links or [None] * len(frame), strict=True))
    return f"<table><thead>{row(frame.columns, 'th')}</thead><tbody>{body}</tbody></table>"


def _rows(values):
    rows = "".join(
        f"<tr><td>{html.escape(str(key))}</td><td>{html.escape(str(value))}</td></tr>" for key, value in values.items()
    )
    return f"<table>{rows}</table>"


def summary(folder, metrics):
    """Returns what stands at the top of a run's page as HTML, for a notebook.

    Args:
        folder: Run folder.
        metrics: Content of its `metrics.json`.
    """
    cards = pd.DataFrame(_cards(metrics), columns=["test split", "value", "interval"])
    return f"<b>{html.escape(folder.name)}</b>{table(cards)}<code>{html.escape(str(folder / 'report.html'))}</code>"
