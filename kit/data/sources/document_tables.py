"""Plain texts in JSONL: a document in each line, such as {"text": "..."}, in a file, or in one for each split."""

import numpy as np

from kit.data.sources import Documents
from kit.data.sources.text_files import candidates, json_rows, plain_name
from kit.data.split_names import SPLITS, split_named
from kit.data.text import is_text
from kit.errors import KitError, shown

LAYOUT = "a .jsonl file with a `text` in each line, or a folder of such files for each split"
_ENDINGS = (".jsonl", ".ndjson")
_NAMES = ("text", "content", "document", "body", "story", "article")


def accepts(path):
    """Tells whether a path is such a file, or a folder with one for training."""
    return bool(_files_of(path)) if path.is_dir() else plain_name(path).endswith(_ENDINGS)


def read(source):
    """Returns the documents of a file or folder.

    Args:
        source: Path.

    Raises:
        KitError: a line without a text, or nothing to read; the message names file and line.
    """
    texts, places, split = map(list, zip(*documents(source), strict=True))
    is_divided = all(split) and "train" in split
    return Documents(texts, places, np.array(split, dtype=object) if is_divided else None)


def documents(source):
    """Yields text, place and split, or None, of each document, one after the other; a `split` in a line tells it, too.

    Args:
        source: Path.

    Raises:
        KitError: as `read`.
    """
    for part, path in (_files_of(source) if source.is_dir() else {None: source}).items():
        is_empty = True
        for number, row in json_rows(path):
            text = _text_of(path, number, row)
            is_empty = False
            told = row.get("split") if isinstance(row, dict) and part is None else None
            yield text, f"{path.name}:{number}", part or (split_named(told) if isinstance(told, str) else None)
        if is_empty:
            raise KitError(f"{path}: empty; expected {LAYOUT}")


def _files_of(folder):
    found = {}
    for part in SPLITS:
        files = [path for path in candidates(folder, part) if plain_name(path).endswith(_ENDINGS)]
        if files:
            found[part] = files[0]
    return found if "train" in found else {}


def _text_of(path, number, row):
    """Returns the text of a line: a string, or the value of a usual key of an object."""
    found = row if isinstance(row, str) else None
    if isinstance(row, dict):
        found = next((row[name] for name in _NAMES if isinstance(row.get(name), str)), None)
    if found is None:
        raise KitError(f"{path}:{number}: {shown(row)} has no text; expected an object such as {{'text': '...'}}")
    if not found.strip() or "\0" in found or not is_text(found):
        what = "an empty text" if not found.strip() else "a text with characters that are none"
        raise KitError(f"{path}:{number}: {what}; expected text")
    return found
