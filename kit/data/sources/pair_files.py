"""Files of sentences and their translations: two parallel files, TSV and JSONL, plain or gzipped.

A source is one file, or a folder with the files of each split, named after it: `train`, `dev` or `val`, and `test`.
Parallel files end in their language: `train.en` and `train.de`; either of the two may be given for both.
"""

import numpy as np

from kit.data.sources import Pairs
from kit.data.sources.text_files import SPLIT_NAMES, candidates, json_rows, lines, plain_name
from kit.data.text import is_text
from kit.errors import KitError, check

LAYOUT = (
    "a .tsv or .jsonl file of pairs, or one of two parallel files (corpus.en and corpus.de), or a folder of such files "
    "for train, val and test"
)
_TABLES = (".tsv", ".jsonl", ".ndjson")


def accepts(path):
    """Tells whether a path can be read by this module: every file and folder can, to say what is missing in it."""
    return True


def read(source, *, source_locale="en", target_locale="de"):
    """Returns the pairs of a file or folder.

    Args:
        source: Path.
        source_locale: Locale of the source side; its language is the ending of parallel files and a key of JSONL.
        target_locale: Locale of the target side.

    Raises:
        KitError: a file that cannot be used; the message names it, the line and what was expected.
    """
    endings = tuple(str(name).replace("-", "_").split("_")[0].lower() for name in (source_locale, target_locale))
    parts = _files(source, endings) if source.is_dir() else {None: _one(source, endings)}
    sources, targets, places, split = [], [], [], []
    for part, files in parts.items():
        found = 0
        for number, first, second in _pairs(files, endings):
            sources.append(first)
            targets.append(second)
            places.append(f"{files[0].name}:{number}")
            split.append(part)
            found += 1
        if not found:
            raise KitError(f"{files[0]}: no sentences; expected sentences and their translations")
    return Pairs(sources, targets, places, None if None in parts else np.array(split, dtype=object))


def _files(folder, endings):
    """Returns the files of each split in a folder: a table, or one for each side."""
    found = {}
    for part in SPLIT_NAMES:
        known = (*(f".{ending}" for ending in endings), *_TABLES)
        files = [path for path in candidates(folder, part) if plain_name(path).endswith(known)]
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
    name = plain_name(path)
    if name.endswith(_TABLES):
        return (path,)
    check(endings[0] != endings[1], "target_locale", endings[1], f"another language than {endings[0]}")
    packed = path.name.lower().endswith(".gz")
    stem = path.name.removesuffix(".gz") if packed else path.name
    base, dot, ending = stem.rpartition(".")
    if not dot or ending.lower() not in endings:
        raise KitError(f"{path}: ends neither in .{endings[0]} nor in .{endings[1]}; expected {LAYOUT}")
    both = []
    for wanted in endings:
        options = [path.with_name(f"{base}.{wanted}{packing}") for packing in (".gz" if packed else "", ".gz", "")]
        beside = next((option for option in options if option.is_file()), None)
        if beside is None:
            raise KitError(f"{path}: there is no {options[0].name} beside it; expected one file for each language")
        both.append(beside)
    return tuple(both)


def _pairs(files, endings):
    """Yields line, source and target of each pair."""
    if len(files) == 2:
        return _parallel(*files)
    if plain_name(files[0]).endswith(".tsv"):
        return _tsv(files[0])
    return _json_lines(files[0], endings)


def _parallel(first, second):
    both = [list(lines(path)) for path in (first, second)]
    if len(both[0]) != len(both[1]):
        raise KitError(
            f"{first.name} has {len(both[0]):,} lines, {second.name} has {len(both[1]):,} ({first.parent}); expected "
            "as many of each, the translation in the same line"
        )
    for (number, source), (_, target) in zip(*both, strict=True):
        yield from _sound(first, number, source, target, f"{second}:{number}")


def _tsv(path):
    for number, text in lines(path):
        fields = text.split("\t")
        if not text.strip():
            continue
        if len(fields) != 2:
            raise KitError(
                f"{path}:{number}: {len(fields)} columns, expected 2 between tabs: a sentence, its translation"
            )
        yield from _sound(path, number, *fields, f"{path}:{number}")


def _json_lines(path, endings):
    """An object a line: {"source": ..., "target": ...}, or with languages as keys, or these in "translation"."""
    for number, row in json_rows(path):
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
            raise KitError(
                f"{path}:{number}: expected {{{endings[0]!r}: '...', {endings[1]!r}: '...'}} or "
                "{'source': '...', 'target': '...'}"
            )
        yield from _sound(path, number, row[keys[0]], row[keys[1]], f"{path}:{number}")


def _sound(path, number, source, target, other):
    """Yields a pair unless both sides are empty.

    Raises:
        KitError: one side is empty, or holds no text.
    """
    source, target = source.strip(), target.strip()
    if not source and not target:
        return
    if not source or not target:
        place = f"{path}:{number}" if not source else other
        raise KitError(
            f"{place}: empty, but its {'translation' if not source else 'source'} is not; expected a sentence"
        )
    if not is_text(source + target):
        raise KitError(f"{path}:{number}: holds characters that are none (lone surrogates); expected text")
    yield number, source, target
