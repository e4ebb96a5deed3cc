"""The page of a run: one HTML file that needs no network, made from the files of the run folder alone."""

import base64
import html
import io
import shlex
import struct

import pandas as pd

from kit.config import read_toml
from kit.files import read_json, reading, write_text
from kit.reporting import numbers, plots

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2126; --soft: #5c6570; --line: #d7dce1; --back: #fff; --card: #f5f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8ea; --soft: #9aa3ad; --line: #3a4149; --back: #16191d; --card: #1f2429; }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); margin: 0 auto;
  max-width: 75rem; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2.5rem 0 .6rem; }
p { margin: .3rem 0; } a { color: inherit; } .soft { color: var(--soft); } p code { overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(10.5rem, 46%), 1fr)); gap: .6rem;
  margin: .8rem 0; }
.card { background: var(--card); border-radius: .5rem; padding: .6rem .9rem; min-width: 0; overflow-wrap: anywhere; }
.card b { display: block; font-size: 1.35rem; line-height: 1.35; } .card b.long { font-size: 1.05rem; }
.card span { color: var(--soft); font-size: .85rem; } .card:first-child b { color: #2563a8; }
@media (prefers-color-scheme: dark) { .card:first-child b { color: #7db0e8; } }
.hint, .advice { border-left: .3rem solid #d9762b; padding: .4rem .8rem; background: var(--card); }
.advice { border-color: #2563a8; margin: 0; list-style: none; } .advice li { margin: .45rem 0; max-width: 60rem; }
.advice code { background: var(--back); border-radius: .25rem; padding: .05rem .3rem; overflow-wrap: anywhere; }
.row { display: flex; flex-wrap: wrap; gap: 0 2.5rem; align-items: flex-start; }
.row section { max-width: 100%; min-width: 0; }
@media (min-width: 60rem) { .figures { flex-wrap: nowrap; } }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .7rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } thead th { color: var(--soft); font-weight: 500; }
td.text { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 8rem; } td.text a { white-space: nowrap; }
td.text, th.text { text-align: left; }
td.text:first-child, td.text.short { min-width: 0; overflow-wrap: normal; }
.settings td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
details { margin: 1rem 0; } summary { cursor: pointer; font-size: 1.1rem; font-weight: 700; }
img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: .4rem; }
@media (max-width: 40rem) { .wide img { max-width: 60rem; } }
pre { background: var(--card); padding: .7rem .9rem; border-radius: .5rem; overflow-x: auto; font-size: .85rem; }
"""
# A picture of more pixels than this is not made smaller on a narrow screen, where it could not be read: it is moved.
_NARROW = 520
# Pixels that a page is wide at most, without its margins, and those between two figures.
_PAGE, _GAP = 1168, 40
# Share of their width by which figures are made smaller at most in order to stand in one row.
_SMALLER = 0.08
# Characters of a number that fit into a card in large letters.
_CARD = 11


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
        cards, notes = _cards(metrics), [*hints(metrics), *_advice(metrics, _curve(folder))]
    title = f"{task(settings['recipe'])} — {folder.name}"
    averaged = metrics.get("averaged_epochs", 0)  # of a run that does not tell whose weights were kept
    last = "those of the last epoch, trained on the validation split too"
    chosen = last if settings.get("train.use_validation") else "those of the best epoch by validation"
    weights = metrics.get("chosen", f"the mean of the last {averaged} epochs" if averaged else chosen)
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        '<p class="soft">Scores on the test split, which nothing was chosen on. '
        f"The weights are {html.escape(weights)}.</p>",
        '<div class="cards">',
        *(card(*each) for each in cards),
        "</div>",
        *notes,
        *_baseline(metrics),
        *(
            f'<p class="soft">{html.escape(numbers.label(name))}: <code>{html.escape(value)}</code></p>'
            for name, value in metrics["test"].items()
            if isinstance(value, str)
        ),
    ]
    parts += _figures(folder)
    parts += ['<div class="row">']
    for path in (*sorted((folder / "tables").glob("*.csv")), *sorted((folder / "samples").glob("*.csv"))):
        with reading(path):
            content = pd.read_csv(path, keep_default_na=False, na_values=[""])  # `None` may be the name of a class
        parts += [f'<section><h2>{title_of(path)}</h2><div class="wide">', table(content), "</div></section>"]
    parts += ["</div>", *ending("Repeat this run", folder, settings, environment)]
    save(folder / "report.html", title, parts)
    return folder / "report.html"


def _baseline(metrics):
    """Returns in a sentence each, as HTML, what classical models give on the same division, where some were fitted."""
    found = metrics.get("baseline")
    return [_classical(each) for each in (found, *found.get("others", ()))] if found else []


def _classical(found):
    known = {name: value for name, value in found.items() if name not in ("name", "cpu_seconds", "others")}
    every = list(numbers.scores(known))
    with_interval = [f"{html.escape(name)} {value} ({interval})" for name, value, interval in every if interval]
    scores = with_interval or [f"{html.escape(name)} {value}" for name, value, _ in every]
    seconds = f"{found['cpu_seconds']:,.1f} CPU-seconds"
    return f"<p>Beside it, {html.escape(found['name'])}: {', '.join(scores)} after {seconds}.</p>"


def embedded(path):
    """Returns a PNG file as HTML that needs no other file."""
    content = path.read_bytes()
    with reading(path):
        return _png(content, title_of(path))


def _figures(folder):
    """Returns the figures of a run folder as HTML, side by side where there is room."""
    found = []
    for path in sorted((folder / "plots").glob("*.png")):
        content, name = path.read_bytes(), title_of(path)
        with reading(path):
            found.append((_width(content), f"<section><h2>{name}</h2>{_png(content, name)}</section>"))
    for path in sorted((folder / "samples").glob("*.gif")):
        content = path.read_bytes()
        data = base64.b64encode(content).decode()
        shown = f'<img alt="one epoch after the other" src="data:image/gif;base64,{data}">'
        with reading(path):
            width = int.from_bytes(content[6:8], "little")  # the GIF's header
        found.append((width, f"<section><h2>While it trained</h2>{shown}</section>"))
    return _in_rows(found)


def gallery(pictures):
    """Returns PNGs as HTML, side by side where there is room.

    Args:
        pictures: Name of each, which is its title, to its bytes.
    """
    titles = {name: html.escape(name.replace("_", " ")) for name in pictures}
    shown = {name: _png(content, titles[name]) for name, content in pictures.items()}
    return _in_rows(
        [
            (_width(content), f"<section><h2>{titles[name]}</h2>{shown[name]}</section>")
            for name, content in pictures.items()
        ]
    )


def _in_rows(figures):
    """Returns figures, pairs of width and HTML, in rows."""
    rows = in_rows([width for width, _ in figures])
    return [f'<div class="row figures">{"".join(figures[index][1] for index in row)}</div>' for row in rows]


def in_rows(widths):
    """Returns rows of figures: each is filled with the next ones that fit into it, made a little smaller at most.

    Args:
        widths: Width of each figure in pixels, in the order in which they are read.

    Returns:
        Lists of positions, one a row.
    """
    left, rows = list(range(len(widths))), []
    while left:
        room, row = _PAGE * (1 + _SMALLER), []
        for index in left:
            if not row or widths[index] <= room:
                row.append(index)
                room -= widths[index] + _GAP
        rows.append(row)
        left = [index for index in left if index not in row]
    return rows


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
        "<details><summary>Settings</summary>",
        '<div class="wide settings">',
        _rows(settings),
        "</div></details>",
        "<details><summary>Environment</summary>",
        '<div class="wide settings">',
        _rows(environment),
        "</div></details>",
    ]


def picture(figure, name):
    """Returns a figure as HTML that needs no other file.

    Args:
        figure: matplotlib figure.
        name: What stands in its place where it cannot be seen.
    """
    buffer = io.BytesIO()
    plots.save(figure, buffer, format="png")
    return _png(buffer.getvalue(), html.escape(name))


def _png(content, name):
    """Returns a PNG as HTML that needs no other file, as large as it is where there is room.

    Args:
        content: Bytes of the PNG.
        name: What stands in its place where it cannot be seen, escaped.
    """
    width = _width(content)
    shape = "wide" if width > _NARROW else "plot"
    data = base64.b64encode(content).decode()
    return f'<div class="{shape}"><img alt="{name}" width="{width}" src="data:image/png;base64,{data}"></div>'


def _width(content):
    """Returns the width of a PNG in pixels, which stands in its header."""
    return struct.unpack(">I", content[16:20])[0]


def card(name, value, more=""):
    """Returns a number at the top of a page, with its name and what is to be said of it, as HTML; all is escaped."""
    below = f"<br>{html.escape(more)}" if more else ""
    size = ' class="long"' if len(value) > _CARD else ""
    return f'<div class="card"><b{size}>{html.escape(value)}</b><span>{html.escape(name)}{below}</span></div>'


def _curve(folder):
    """Returns in a sentence what twice as many training examples would give, where that was estimated; else nothing."""
    path = folder / "learning_curve.json"
    if not path.exists():
        return ""
    curve = read_json(path)
    with reading(path):
        name, ends = str(curve["score"]), (curve["scores"][-1], curve["value"], curve["low"], curve["high"])
        before, value, low, high = (numbers.score(name, float(each)) for each in ends)
        interval = f"95 % interval {low.removesuffix(' %')} to {high}"
        more = f"Twice as many training examples ({int(curve['doubled']):,})"
        if curve["value"] <= curve["scores"][-1]:
            return f"{more} would hardly change {numbers.label(name)}: about {value} ({interval}), now {before}."
        return (
            f"{more} would give {numbers.label(name)} of about {value} ({interval}) if the curve goes on as it does; "
            f"now it is {before}."
        )


def _advice(metrics, curve=""):
    """Returns "what to try next" as HTML; all is escaped. Runs from before there was such advice have none.

    Args:
        metrics: Content of `metrics.json`.
        curve: One more finding, or nothing.
    """
    lines = [f"<li>{html.escape(curve)}</li>"] if curve else []
    for entry in metrics.get("advice", []):
        settings = " ".join(f"<code>{html.escape(str(each))}</code>" for each in entry["settings"])
        lines.append(f"<li>{html.escape(str(entry['finding']))} {settings}</li>")
    if not lines:
        return []
    return ["<h2>What to try next</h2>", '<ul class="advice">', *lines, "</ul>"]


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
    """Returns name, value and what is to be said of it, of what stands at the top."""
    count, exact = numbers.count(metrics["params"])
    epochs, best = metrics["epochs"], metrics["best_epoch"]
    return [
        *numbers.scores(metrics["test"]),
        ("parameters", count, exact),
        *([("training", "none", "")] if not epochs else _of_training(metrics, epochs, best)),
    ]


def _of_training(metrics, epochs, best):
    return [
        ("best epoch", f"{best:,} of {epochs:,}", ""),
        ("training time", numbers.seconds(metrics["train_seconds"]), ""),
        ("training examples a second", f"{metrics['examples_per_second']:,.0f}", ""),
    ]


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
