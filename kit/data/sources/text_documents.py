"""Plain text: a file, or a folder of .txt files; what stands between empty lines is a document of its own in a file.

In a folder each file is a document, and `train`, `dev` and `test` in the names of files or folders tell their split.
"""

import numpy as np

from kit.data.image_files import is_hidden
from kit.data.sources import Documents
from kit.data.sources.text_files import lines, plain_name
from kit.data.split_names import splits_in
from kit.data.text import is_text
from kit.errors import KitError

LAYOUT = "a .txt file, or a folder of .txt files"
_ENDINGS = (".txt", ".md", ".rst")
# Bytes of a document that are read at once; a longer one is several.
_LONGEST = 1 << 22


def accepts(path):
    """Tells whether a path can be read by this module: every file and folder can, to say what is missing in it."""
    return True


def read(source):
    """Returns the documents of a file or folder.

    Args:
        source: Path.

    Raises:
        KitError: a file that is no text, or nothing to read; the message names it.
    """
    found = list(documents(source))
    texts, places, split = map(list, zip(*found, strict=True))
    is_divided = all(split) and "train" in split
    return Documents(texts, places, np.array(split, dtype=object) if is_divided else None)


def documents(source):
    """Yields text, place and split, or None, of each document of a file or folder, one after the other.

    Args:
        source: Path.

    Raises:
        KitError: a file that is no text, or nothing to read; the message names it.
    """
    if source.is_file():
        yield from ((text, f"{source.name}:{number}", None) for number, text in enumerate(_of_file(source), 1))
        return
    files = sorted(path for path in source.rglob("*") if path.is_file() and plain_name(path).endswith(_ENDINGS))
    files = [path for path in files if not is_hidden(path.name)]
    if not files:
        raise KitError(f"{source}: no texts; expected {LAYOUT}")
    for path in files:
        place, found = path.relative_to(source).as_posix(), False
        parts = splits_in(place)
        for number, text in enumerate(_of_lines(path)):
            found = found or bool(text.strip())
            _check(path, text, [text])
            yield text, f"{place} part {number + 1}" if number else place, parts[0] if len(parts) == 1 else None
        _check(path, "", [found] if found else [])


def _of_lines(path):
    """Yields the lines of a file in one text, or in several where they are very long."""
    block, size, before = [], 0, 0
    for number, line in lines(path, longest=_LONGEST):
        if number == before or size > _LONGEST:
            yield "\n".join(block)
            block, size = [], 0
        block.append(line)
        size, before = size + len(line) + 1, number
    yield "\n".join(block)


def _of_file(path):
    """Yields what stands between empty lines of a file; one empty line at its beginning or end is no such.

    What is very long comes in parts.
    """
    block, empty, is_first, any_text, size, before = [], [], True, False, 0, 0
    for number, line in lines(path, longest=_LONGEST):
        if not line.strip():
            empty.append(line)
            continue
        if block and (number == before or size > _LONGEST):
            yield _checked(path, block)
            block, size = [], 0
        if empty and not (is_first and len(empty) == 1):
            if block:
                yield _checked(path, block)
            block, size = [], 0
        elif empty:
            block += empty
        block.append(line)
        empty, is_first, any_text = [], False, True
        size, before = size + len(line) + 1, number
    if not any_text:
        _check(path, "", [])
    yield _checked(path, block + (empty if len(empty) == 1 else []))


def _checked(path, block):
    text = "\n".join(block)
    _check(path, text, [text])
    return text


def _check(path, text, found):
    if not found:
        raise KitError(f"{path}: empty; expected text")
    if "\0" in text or not is_text(text):
        raise KitError(f"{path}: holds characters that are none; expected text")
