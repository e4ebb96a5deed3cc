"""The page of an inspection: findings with pictures and what mends them, then what the data set holds."""

import base64
import html
import io

import pandas as pd

from kit.data.findings import LEVELS
from kit.reporting import page
from kit.terminal import counted, number, printable

_STYLE = """
.finding { background: var(--card); border-left: .3rem solid var(--line); border-radius: .3rem; padding: .7rem 1rem;
  margin: .8rem 0; }
.finding.problem { border-color: #c0392b; } .finding.warning { border-color: #d9762b; }
.finding h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; } .finding p { overflow-wrap: anywhere; }
.level { font-size: .75rem; text-transform: uppercase; letter-spacing: .05em; color: var(--soft); }
.problem .level { color: #c0392b; font-weight: 600; } .warning .level { color: #d9762b; font-weight: 600; }
.pictures { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: .6rem; }
.pictures .group { display: flex; gap: .25rem; padding: .25rem; border: 1px solid var(--line); border-radius: .4rem; }
figure { margin: 0; width: 6.2rem; font-size: .72rem; line-height: 1.25; color: var(--soft); overflow-wrap: anywhere; }
figure img { width: 6.2rem; height: 6.2rem; object-fit: contain; image-rendering: auto; border-radius: .2rem; }
figure img.small { image-rendering: pixelated; }
.finding .wide { margin-top: .5rem; } .finding td, .finding th { white-space: normal; text-align: left; }
details summary { cursor: pointer; color: var(--soft); font-size: .85rem; margin-top: .5rem; }
"""
_SMALL = 48
# Characters of a text in a cell of a table; rows of examples under a finding.
_LONG, _ROWS = 160, 12


def write(inspection, path, command):
    """Writes the page of an inspection.

    Args:
        inspection: `Inspection`.
        path: The file.
        command: What trains on these data.
    """
    title = f"Data of {page.task(inspection.recipe)} — {inspection.source}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="soft">{html.escape(_summary(inspection))}</p>',
        '<div class="cards">',
        *(page.card(name, number(value)) for name, value in inspection.numbers.items()),
        "</div>",
        "<h2>Findings</h2>" if inspection.findings else "",
        *(_finding(each, inspection) for each in inspection.findings),
    ]
    if inspection.transformed:
        parts += [
            f"<h2>Before and after: {html.escape(inspection.transforms)}</h2>",
            '<div class="pictures">',
            *(
                _group([(image, name) for image, name in zip(pair, ("before", "after"), strict=True)])
                for pair in inspection.transformed
            ),
            "</div>",
        ]
    for name, table in inspection.tables.items():
        parts += [f"<h2>{html.escape(name.capitalize())}</h2>", f'<div class="wide">{page.table(_short(table))}</div>']
    for name, draw in inspection.figures.items():
        parts += [f"<h2>{html.escape(name.capitalize())}</h2>", page.picture(draw(), name)]
    parts += ["<h2>Train on these data</h2>", f"<pre>{html.escape(command)}</pre>"]
    page.save(path, title, parts, _STYLE)


def _summary(inspection):
    told = [counted(inspection.count(level), level) for level in LEVELS if inspection.count(level)]
    if not told:
        return "Nothing was found that is wrong with them."
    return f"{', '.join(told)}. Splits are those that training with the same settings of [data] has."


def _finding(finding, inspection):
    """Returns a finding as HTML, with pictures where there are such, else with a table of examples."""
    parts = [
        f'<div class="finding {html.escape(finding.level)}"><span class="level">{html.escape(finding.level)}</span>',
        f"<h3>{html.escape(_sentence(finding.message))}</h3>",
        f"<p>{html.escape(_sentence(finding.advice))}</p>",
    ]
    shown = _pictures(finding, inspection) if inspection.picture and finding.rows else ""
    table = _table(finding)
    if shown and table:
        table = f"<details><summary>names</summary>{table}</details>"
    return "\n".join([*parts, shown, table, "</div>"])


def _sentence(text):
    first = text[:1] if text.startswith("data.") else text[:1].upper()  # the name of a setting stays as it is
    return first + text[1:] + ("" if text.endswith((".", "?")) else ".")


def _table(finding):
    if not finding.examples:
        return ""
    table = pd.DataFrame(finding.examples).fillna("")
    more = f'<p class="soft">and {len(table) - _ROWS:,} more in findings.json</p>' if len(table) > _ROWS else ""
    return f'<div class="wide">{page.table(_short(table[:_ROWS]))}</div>{more}'


def _short(table):
    """Returns a table whose texts are cut where they are long, with what is not printable spelled out."""

    def cut(value):
        if not isinstance(value, str):
            return value
        value = printable(value, also="\n\t")
        return value if len(value) <= _LONG else f"{value[:_LONG]}..."

    return table.map(cut)


def _pictures(finding, inspection):
    """Returns the pictures of a finding's rows as HTML, those of a group beside each other in a frame."""
    groups = [_group([(inspection.picture(row), inspection.caption(row)) for row in rows]) for rows in finding.rows]
    return f'<div class="pictures">{"".join(groups)}</div>'


def _group(pictures):
    """Returns pictures with captions beside each other in a frame, as HTML."""
    found = []
    for image, caption in pictures:
        buffer = io.BytesIO()
        is_small = max(image.size) <= 2 * _SMALL
        kind = "PNG" if is_small else "JPEG"
        image.save(buffer, kind, **({} if is_small else {"quality": 85}))
        data = base64.b64encode(buffer.getvalue()).decode()
        style = ' class="small"' if max(image.size) <= _SMALL else ""
        found.append(
            f'<figure><img{style} alt="{html.escape(caption)}" src="data:image/{kind.lower()};base64,{data}">'
            f"{html.escape(caption)}</figure>"
        )
    return f'<div class="group">{"".join(found)}</div>'
