"""Which kind of examples a source holds: images, tagged sentences, pairs of sentences, labelled texts, or tables."""

import gzip
import itertools
import json
import os
import re
import zlib
from pathlib import Path

from kit.data import remote, sources
from kit.data.image_files import ENDINGS, is_hidden
from kit.data.sources import bundled_tables, digits, phrase_languages, phrases, text_tables
from kit.data.sources.text_files import plain_name
from kit.errors import KitError, SettingError

_TAGGED = (".conll", ".conllu", ".iob", ".iob2", ".bio")
_TABLES = (".tsv", ".csv", ".jsonl", ".ndjson")
_TABLES_ALONE = (".parquet", ".arrow", ".feather", ".xlsx")
_COLUMNS, _NUMBERS = 5, 2  # of a file with so many columns, so many of them numbers, rows are answered, not texts
_LINES = 200
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|\.\d+)([eE][+-]?\d+)?")
# Endings of two or three letters that are no languages' names, or seldom meant so.
_NO_LANGUAGES = {
    "txt",
    "md",
    "py",
    "sh",
    "js",
    "css",
    "htm",
    "xml",
    "log",
    "cfg",
    "ini",
    "yml",
    "doc",
    "rtf",
    "tex",
    "bib",
}


def kind_of(source):
    """Returns "labelled images", "sentences", "pairs", "rows" or another kind, by names and files' first lines.

    Args:
        source: What `data.source` may be.

    Raises:
        SettingError: there is no such file or folder, or nothing tells what it holds.
    """
    if not isinstance(source, str | os.PathLike):
        return _of_objects(source)
    if source in digits.NAMES:
        return "labelled images"
    if source in phrases.NAMES:
        return "sentences"
    if source in phrase_languages.NAMES:
        return "labelled texts"
    if source in bundled_tables.NAMES:
        return "rows"
    if str(source).startswith("tfds:"):
        raise KitError(f"inspect: {source!r} does not tell what it holds; name the recipe before it")
    path = remote.local(source)
    if not path.exists():
        sources.find(str(source), "images")  # says what there is instead
    found = _of_folder(path) if path.is_dir() else _of_file(path)
    if found is None:
        raise SettingError(
            "source",
            f"nothing in {str(source)!r} looks like images, tagged sentences, pairs of sentences, labelled texts "
            "or a table; name the recipe before it to hear what it expects",
        )
    return found


def _of_objects(content):
    """Arrays and data sets are images; lists hold sentences with a tag a word, pairs, or texts with an answer."""
    if hasattr(content, "columns"):  # a table of pandas
        return "rows"
    part = next(iter(content.values())) if isinstance(content, dict) and content else content
    first = part[0] if isinstance(part, list) and part else None
    if isinstance(first, tuple | list) and len(first) == 2:
        if not isinstance(first[0], str):
            return "sentences"
        return "pairs" if isinstance(first[1], str) else "labelled texts"
    return "labelled images"


def _of_folder(folder):
    """Looks at the names of files in a folder, images first."""
    files = []
    for _, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        names = [name for name in names if not is_hidden(name)]
        if any(name.lower().endswith(ENDINGS) for name in names):
            has_classes = any(each.is_dir() and not is_hidden(each.name) for each in folder.iterdir())
            return "labelled images" if has_classes else "images"
        files += names
    here = sorted(path for path in folder.iterdir() if path.is_file() and not is_hidden(path.name))
    if any(path.suffix.lower() == ".npz" or "idx3-ubyte" in path.name for path in here):
        return "labelled images"
    for path in sorted(here, key=lambda path: not plain_name(path).endswith(_TAGGED)):
        found = _of_file(path)
        if found in ("sentences", "pairs", "labelled texts", "rows"):
            return found
    inside = [path for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name)]
    has_texts = len(inside) > 1 and all(any(path.rglob("*.txt")) for path in inside)
    return "labelled texts" if has_texts else None


def _of_file(path):
    name = plain_name(path)
    if name.endswith((".npz", "ubyte")):
        return "labelled images"
    if name.endswith(_TAGGED):
        return "sentences"
    if name.endswith(_TABLES_ALONE):
        return "rows"
    if name.endswith(ENDINGS):
        return None
    lines = _first_lines(path)
    if not lines:
        return None
    if name.endswith((".jsonl", ".ndjson")):
        return _of_json(lines)
    if name.endswith((".csv", ".tsv")):
        heading = {word.strip().strip('"').lower() for word in re.split("[,;\t]", lines[0])}
        if {"path", "label"} <= heading:
            return "labelled images"
        if heading & {"tag", "tags", "ner_tags", "pos", "word", "token", "sentence #"}:
            return "sentences"
        if text_tables.is_heading(heading):
            return "labelled texts"
        if _are_rows(lines):
            return "rows"
    filled = [line for line in lines if line.strip()]
    columns = [len(re.split(r"[\t ]+", line.strip())) for line in filled if not line.startswith("#")]
    has_gaps = any(not line.strip() for line in lines[:-1])
    if columns and has_gaps and min(columns) == max(columns) >= 2:
        return "sentences"
    if name.endswith(_TABLES):
        return "pairs"
    ending = name.rpartition(".")[2]
    is_language = re.fullmatch(r"[a-z]{2,3}", ending) and ending not in _NO_LANGUAGES
    if is_language or re.search(r"(?<![a-z])(src|tgt|trg|source|target)(?![a-z])", name):
        return "pairs"
    wide = [count for count in columns if count >= 2]
    return "sentences" if has_gaps and len(wide) > 0.9 * len(columns) and max(columns) <= 12 else None


def _are_rows(lines):
    """Tells a table of many columns, some of them numbers, from texts beside each other."""
    if len(lines) < 2:
        return False
    separator = max(",;\t", key=lines[0].count)
    fields = [each.strip().strip('"') for each in lines[1].split(separator)]
    numbers = sum(bool(_NUMBER.fullmatch(each)) for each in fields)
    return lines[0].count(separator) + 1 >= _COLUMNS and numbers >= _NUMBERS


def _of_json(lines):
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            inner = row.get("translation", row)
            texts = [value for value in inner.values() if isinstance(value, str)] if isinstance(inner, dict) else []
            has_lists = any(isinstance(value, list) and not _are_labels(name, value) for name, value in row.items())
            if not has_lists and text_tables.is_heading({name.lower() for name in row}):
                return "labelled texts"
            return "sentences" if has_lists else "pairs" if len(texts) >= 2 else None
    return None


def _are_labels(name, values):
    """Tells a list of a text's labels from tags of words, and from spans, which are lists or objects themselves."""
    return name.lower() in ("label", "labels") and all(isinstance(value, str) for value in values)


def _first_lines(path):
    """Returns the first lines of a text file; none of one that is no text."""
    try:
        with (gzip.open if path.name.lower().endswith(".gz") else open)(Path(path), "rb") as file:
            found = b"".join(itertools.islice(file, _LINES))
    except (OSError, EOFError, zlib.error):
        return []
    if b"\0" in found:
        return []
    return found.decode("utf-8-sig", errors="replace").splitlines()
