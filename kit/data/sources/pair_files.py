"""Files of sentences and their translations: two parallel files, TSV, CSV and JSONL, plain or gzipped.

A source is one file, or a folder with the files of each split, named after it: `train`, `dev` or `val`, and `test`.
Parallel files end in their language, `train.en` and `train.de`, or have it, or `src` and `tgt`, as a word in their
name: `src-train.txt` and `tgt-train.txt`; either of the two may be given for both.
"""

import contextlib
import logging
import re
from collections import Counter

import numpy as np

from kit.data.sources import Pairs, as_columns
from kit.data.sources.text_files import (
    BadRows,
    candidates,
    csv_rows,
    json_rows,
    lines,
    plain_name,
    scalars,
    splitter,
)
from kit.data.split_names import SPLITS
from kit.data.text import is_text
from kit.errors import KitError, check

log = logging.getLogger("kit")

LAYOUT = (
    "a .tsv, .csv or .jsonl file of pairs, or one of two parallel files (corpus.en and corpus.de, src.txt and "
    "tgt.txt), or a folder of such files for train, val and test"
)
_TABLES = (".tsv", ".csv", ".jsonl", ".ndjson")
# Words of the names of parallel files, and headings of tables, that say which side is which.
_SIDES = (("src", "tgt"), ("src", "trg"), ("source", "target"))
_SOURCES = {"source", "src", "sentence", "source_text", "source text", "source sentence", "input", "original"}
_TARGETS = {"target", "tgt", "trg", "translation", "target_text", "target text", "target sentence", "output"}


def accepts(path):
    """Tells whether a path can be read by this module: every file and folder can, to say what is missing in it."""
    return True


def read(source, *, source_locale="en", target_locale="de", on_bad="error"):
    """Returns the pairs of a file or folder.

    Args:
        source: Path.
        source_locale: Locale of the source side; its language is the ending of parallel files and a key of JSONL.
        target_locale: Locale of the target side.
        on_bad: "skip" lists pairs that cannot be read and leaves them out; "error" names the first.

    Raises:
        KitError: a file that cannot be used; the message names it, the line and what was expected.
    """
    locales, bad = (source_locale, target_locale), BadRows(on_bad)
    endings = tuple(str(name).replace("-", "_").split("_")[0].lower() for name in locales)
    parts = _files(source, endings) if source.is_dir() else {None: _one(source, endings)}
    sources, targets, places, split, others = [], [], [], [], []
    for part, files in parts.items():
        found = 0
        for number, first, second, own in _pairs(files, locales, endings, bad):
            sources.append(first)
            targets.append(second)
            places.append(f"{files[0].name}:{number}")
            split.append(part)
            others.append(own)
            found += 1
        bad.check_any(files[0], found, "sentences and their translations")
    split = None if None in parts else np.array(split, dtype=object)
    return Pairs(sources, targets, places, split, bad.told(), as_columns(others))


def _files(folder, endings):
    """Returns the files of each split in a folder: a table, or one for each side."""
    found = {}
    for part in SPLITS:
        named = candidates(folder, part)
        known = (*(f".{ending}" for ending in endings), *_TABLES)
        files = [path for path in named if plain_name(path).endswith(known)]
        files = files or [path for path in named if any(_others(path, endings))]
        if not files:
            continue
        found[part] = _one(files[0], endings)
        others = [path for path in files if path not in found[part]]
        if others:
            raise KitError(
                f"{folder}: {files[0].name} and {others[0].name} both look like the {part} split; expected one"
            )
    if "train" not in found:
        raise KitError(f"{folder}: no file with 'train' in its name that ends in .{endings[0]}; expected {LAYOUT}")
    return found


def _one(path, endings):
    """Returns a table as (path,), or both of two parallel files of which one is given."""
    if plain_name(path).endswith(_TABLES):
        return (path,)
    check(endings[0] != endings[1], "target_locale", endings[1], f"another language than {endings[0]}")
    first_missing = None
    for side, others in enumerate(_others(path, endings)):
        for name in others:
            packings = [f"{name}.gz", name] if path.name.lower().endswith(".gz") else [name, f"{name}.gz"]
            beside = next((path.with_name(each) for each in packings if path.with_name(each).is_file()), None)
            if beside is not None:
                return (path, beside) if side == 0 else (beside, path)
            first_missing = first_missing or packings[0]
    if first_missing is None:
        raise KitError(
            f"{path}: ends neither in .{endings[0]} nor in .{endings[1]}, and has no src or tgt in its name; expected "
            f"{LAYOUT}"
        )
    raise KitError(f"{path}: there is no {first_missing} beside it; expected one file for each language")


def _others(path, endings):
    """Returns the names, without .gz, that the other file may have: where a path is of the source, of the target.

    A side is told by the ending, or by a word of the name: the language, or `src` and `tgt` and the like.
    """
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    base, dot, ending = name.rpartition(".")
    found = [[], []]
    if dot and ending.lower() in endings:
        side = endings.index(ending.lower())
        found[side].append(f"{base}.{endings[1 - side]}")
        return found
    for pair in (endings, *_SIDES):
        places = [list(re.finditer(rf"(?<![a-z]){re.escape(word)}(?![a-z])", name, re.IGNORECASE)) for word in pair]
        for side in (0, 1):
            if len(places[side]) == 1 and not places[1 - side]:
                start, end = places[side][0].span()
                other = pair[1 - side].upper() if name[start:end].isupper() else pair[1 - side]
                found[side].append(f"{name[:start]}{other}{name[end:]}")
    return found


def _pairs(files, locales, endings, bad):
    """Yields line, source, target and other columns of each pair."""
    name = plain_name(files[0])
    if len(files) == 2:
        return _parallel(*files, bad)
    if name.endswith((".jsonl", ".ndjson")):
        return _json_lines(files[0], endings, bad)
    if name.endswith(".csv"):
        found = [(number, fields) for number, fields in csv_rows(files[0], bad) if fields and any(fields)]
    else:
        found = [(number, text) for number, text in lines(files[0], bad) if text and not text.isspace()]
        split = splitter(files[0], [text for _, text in found])
        found = [(number, split(text)) for number, text in found]
    return _table(files[0], found, locales, endings, bad)


def _parallel(first, second, bad):
    both = [list(lines(path, bad)) for path in (first, second)]
    if len(both[0]) != len(both[1]):
        raise KitError(
            f"{first.name} has {len(both[0]):,} lines, {second.name} has {len(both[1]):,} ({first.parent}); expected "
            "as many of each, the translation in the same line"
        )
    for (number, source), (_, target) in zip(*both, strict=True):
        if source is not None and target is not None:
            yield from _sound(first, number, source, target, second, bad)


def _table(path, rows, locales, endings, bad):
    """A sentence and its translation in each row; a heading may say which columns these are."""
    heading = _heading(rows[0][1], locales, endings) if rows else None
    body = rows if heading is None else rows[1:]
    between = "between commas" if plain_name(path).endswith(".csv") else "between tabs"
    width = Counter(len(fields) for _, fields in body).most_common(1)[0][0] if body else 2
    first, second = heading or (0, 1)
    if heading is not None:
        log.info("%s: the first line is a heading, %r to %r", path.name, *(rows[0][1][column] for column in heading))
    if width > 2:
        for column in (first, second):
            if all(fields[column].strip().isdecimal() for _, fields in body if len(fields) == width > column):
                raise KitError(
                    f"{path}:{body[0][0]}: {width} columns, and column {column + 1} holds numbers; expected 2 "
                    f"{between}: a sentence, its translation; or a heading with {endings[0]!r} and {endings[1]!r}"
                )
        left = next(column for column in range(width) if column not in (first, second))
        shown = body[0][1][left] if left < len(body[0][1]) else ""
        log.info(
            "%s: columns %d and %d are sentences and translations; column %d, such as %r, is left out%s",
            *(path.name, first + 1, second + 1, left + 1, shown[:40], ", and others" if width > 3 else ""),
        )
    others = [] if heading is None else [column for column in range(len(rows[0][1])) if column not in heading]
    for number, fields in body:
        if len(fields) != width or width <= max(first, second):
            third = f"; the third is {fields[2][:40]!r}" if len(fields) > 2 == width else ""
            problem = f"{len(fields)} columns, expected {max(width, 2)} {between}: a sentence, its translation{third}"
            bad.add(path, number, problem)
            continue
        own = {rows[0][1][column]: fields[column] for column in others}
        yield from _sound(path, number, fields[first], fields[second], path, bad, own)


def _heading(fields, locales, endings):
    """Returns the columns of source and target where a first row names them, or None."""
    fields = [field.strip().lower() for field in fields]
    sides = [_names(*each) for each in zip(locales, endings, strict=True)]
    for sources, targets in (sides, (_SOURCES, _TARGETS)):
        found = [[row for row, field in enumerate(fields) if field in names] for names in (sources, targets)]
        if found[0] and found[1] and found[0][0] != found[1][0]:
            return found[0][0], found[1][0]
    return None


def _names(locale, language):
    """Returns what a language is called in a heading, in lower case."""
    from babel import Locale, UnknownLocaleError

    names = {language, str(locale).lower().replace("-", "_"), str(locale).lower().replace("_", "-")}
    with contextlib.suppress(UnknownLocaleError, ValueError):
        known = Locale.parse(language)
        names |= {str(known.get_language_name(shown) or language).lower() for shown in ("en", language)}
    return names


def _json_lines(path, endings, bad):
    """An object a line: {"source": ..., "target": ...}, or with languages as keys, or these in "translation"."""
    for number, row in json_rows(path, bad):
        own = scalars(row) if isinstance(row, dict) else {}
        row = row.get("translation", row) if isinstance(row, dict) else {}
        keys = next(
            (
                keys
                for keys in ((endings,) if endings[0] != endings[1] else ()) + (("source", "target"),)
                if isinstance(row, dict) and row.keys() >= set(keys)
            ),
            None,
        )
        if keys is None or not all(isinstance(row[key], str) for key in keys):
            bad.add(
                path,
                number,
                f"expected {{{endings[0]!r}: '...', {endings[1]!r}: '...'}} or {{'source': '...', 'target': '...'}}",
            )
            continue
        own = {name: value for name, value in own.items() if name not in keys}
        yield from _sound(path, number, row[keys[0]], row[keys[1]], path, bad, own)


def _sound(path, number, source, target, other, bad, columns=()):
    """Yields a pair and its other columns, a dictionary, unless a side is empty, or holds no text."""
    source, target = source.strip(), target.strip()
    if not source and not target:
        return
    if not source or not target:
        side = "translation" if not source else "source"
        bad.add(other if source else path, number, f"empty, but its {side} is not; expected a sentence")
    elif not is_text(source + target):
        bad.add(path, number, "holds characters that are none (lone surrogates); expected text")
    else:
        yield number, source, target, dict(columns)
