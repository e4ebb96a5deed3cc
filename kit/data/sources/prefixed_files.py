"""Files of texts to be rewritten: `task: text`, and what is to be written of it; TSV, CSV and JSONL, plain or gzipped.

A source is one file, or a folder whose files have `train`, `dev` or `val`, and `test` in their names: all of a split
together, such as one a task.
"""

import logging
import re

import numpy as np

from kit.data.sources import Pairs, as_columns
from kit.data.sources.text_files import BadRows, candidates, csv_rows, json_rows, lines, plain_name, scalars, splitter
from kit.data.split_names import SPLITS
from kit.data.text import is_text
from kit.errors import KitError, shown

log = logging.getLogger("kit")

LAYOUT = (
    "a .tsv, .csv or .jsonl file with 'task: text' and a target in each row, or a folder of such for train and test"
)
_ENDINGS = (".tsv", ".csv", ".jsonl", ".ndjson")
# Headings, and keys of JSONL, that say what a column is; the first is what messages call it.
_NAMES = {
    "task": ("task", "prefix"),
    "text": ("text", "source", "input", "inputs", "src"),
    "target": ("target", "output", "targets", "tgt"),
}
_PREFIXED = re.compile(r"([^\s:][^:\t]{0,79}):\s+(\S.*)", re.DOTALL)


def accepts(path):
    """Tells whether a path can be read by this module: a table, or a folder with some."""
    if path.is_dir():
        return any(plain_name(each).endswith(_ENDINGS) for each in path.iterdir() if each.is_file())
    return plain_name(path).endswith(_ENDINGS)


def read(source, *, on_bad="error"):
    """Returns the texts and targets of a file or folder, the task of each in the column `task`.

    Args:
        source: Path.
        on_bad: "skip" lists rows that cannot be read and leaves them out; "error" names the first.

    Raises:
        KitError: a file that cannot be used; the message names it, the line and what was expected.
    """
    bad, rows = BadRows(on_bad), []
    for split, path in _files(source):
        before = len(rows)
        for number, fields, columns in _rows(path, bad):
            problem, row = checked(*fields)
            if problem is not None:
                bad.add(path, number, problem)
                continue
            rows.append((*row, f"{path.name}:{number}", split, columns))
        bad.check_any(path, len(rows) - before, "rows of 'task: text', a tab, and the target")
    parts = [split for *_, split, _ in rows]
    return Pairs(
        [f"{task}: {text}" for task, text, *_ in rows],
        [target for _, _, target, *_ in rows],
        [place for _, _, _, place, *_ in rows],
        None if None in parts else np.array(parts, dtype=object),
        bad.told(),
        {**as_columns([columns for *_, columns in rows]), "task": [task for task, *_ in rows]},
    )


def checked(task, text, target):
    """Returns what is wrong with a row, or None, and the row: task, text without it, and target.

    Args:
        task: Name of the task; None where it stands in front of the text.
        text: The text, perhaps with its task in front.
        target: What is to be written.
    """
    parts = [text, target] if task is None else [task, text, target]
    if not all(isinstance(each, str) for each in parts):
        strange = next(each for each in parts if not isinstance(each, str))
        return f"{shown(strange)}; expected texts", None
    if task is None:
        found = _PREFIXED.fullmatch(text.strip())
        if found is None:
            return f"{text.strip()[:40]!r} has no task; expected it in front, such as 'summarize: ...'", None
        task, text = found.groups()
    task, text, target = task.strip().removesuffix(":").rstrip(), text.strip(), target.strip()
    if not target:
        return f"the task {task!r} has no target here; expected the text that is to be written", None
    if not task or not text:
        return f"no {'text' if task else 'task'}; expected 'task: text' and a target", None
    if ":" in task:
        return f"the task {task[:40]!r} has a colon; expected a name without one, which stands behind it", None
    if not is_text(task + text + target):
        return "holds characters that are none (lone surrogates); expected text", None
    return None, (task, text, target)


def _files(source):
    """Returns (split, path) of each file."""
    if not source.is_dir():
        return [(None, source)]
    found = [
        (part, path) for part in SPLITS for path in candidates(source, part) if plain_name(path).endswith(_ENDINGS)
    ]
    if "train" not in {part for part, _ in found}:
        raise KitError(f"{source}: no file with 'train' in its name; expected {LAYOUT}")
    return found


def _rows(path, bad):
    """Yields line, (task or None, text, target) and other columns of each row."""
    if plain_name(path).endswith((".jsonl", ".ndjson")):
        yield from _json_lines(path, bad)
        return
    if plain_name(path).endswith(".csv"):
        found = [(number, fields) for number, fields in csv_rows(path, bad) if fields and any(fields)]
        between = "commas"
    else:
        found = [(number, text) for number, text in lines(path, bad) if text and not text.isspace()]
        split = splitter(path, [text for _, text in found])
        found, between = [(number, split(text)) for number, text in found], "tabs"
    heading = _heading(found[0][1]) if found else None
    if heading is not None:
        log.info("%s: the first line is a heading", path.name)
    for number, fields in found[1:] if heading is not None else found:
        if heading is None:
            if len(fields) not in (2, 3):
                problem = f"{len(fields)} columns between {between}; expected 'task: text' and a target"
                bad.add(path, number, problem)
                continue
            yield number, (None, *fields) if len(fields) == 2 else tuple(fields), {}
            continue
        names, columns = heading
        if len(fields) != len(names):
            bad.add(path, number, f"{len(fields)} columns between {between}; expected {len(names)} as in the heading")
            continue
        own = {name: fields[place] for place, name in enumerate(names) if place not in columns.values()}
        yield number, tuple(fields[columns[key]] if key in columns else None for key in _NAMES), own


def _heading(fields):
    """Returns the names of a first row and the column of each of `_NAMES` that it has; None where it is no heading."""
    names = [each.strip() for each in fields]
    found = {
        key: next(place for place, name in enumerate(names) if name.lower() in known)
        for key, known in _NAMES.items()
        if any(name.lower() in known for name in names)
    }
    return (names, found) if {"text", "target"} <= found.keys() else None


def _json_lines(path, bad):
    for number, row in json_rows(path, bad):
        row = row if isinstance(row, dict) else {}
        keys = {key: next((name for name in known if name in row), None) for key, known in _NAMES.items()}
        if keys["text"] is None or keys["target"] is None:
            missing = "target" if keys["text"] is not None else "text"
            bad.add(path, number, f"has no {missing!r}; expected {{'task': '...', 'text': '...', 'target': '...'}}")
            continue
        fields = tuple(None if name is None else row[name] for name in keys.values())
        yield number, fields, scalars(row, set(keys.values()))
