"""Files of tagged sentences: columns (CoNLL), CoNLL-U and JSONL, plain or gzipped.

A source is one file, or a folder with one file for each split, named after it: `train`, `dev` or `valid`, and `test`.
"""

import re

import numpy as np

from kit.data.sources import Sentences
from kit.data.sources.text_files import SPLIT_NAMES, candidates, json_rows, lines, plain_name
from kit.data.text import is_text, tokenize
from kit.errors import KitError, SettingError

LAYOUT = "a file of tagged sentences (.conll, .conllu, .jsonl ...), or a folder with train, dev and test files"
# Where a split comes in several forms, the first of these is taken.
_PREFERRED = (".conllu", ".jsonl", ".conll", "")
_CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")


def accepts(path):
    """Tells whether a path can be read by this module: every file and folder can, to say what is missing in it."""
    return True


def read(source, column=None):
    """Returns the sentences of a file or folder.

    Args:
        source: Path.
        column: What the tags are: for columns their number, from 1, or from the end, -1 by default; for CoNLL-U a name
            such as `upos` (default), `xpos` or `feats`; for JSONL a key, by default `tags`.

    Raises:
        KitError: a file that cannot be used; the message names it, the line and what was expected.
        SettingError: a column that does not exist.
    """
    parts = _files(source) if source.is_dir() else {None: source}
    words, tags, places, lines, split = [], [], [], [], []
    for part, path in parts.items():
        found = 0
        for number, sentence, sentence_tags, sentence_lines in _sentences(path, column):
            words.append(sentence)
            tags.append(sentence_tags)
            lines.append(sentence_lines)
            places.append(f"{path.name}:{number}")
            split.append(part)
            found += 1
        if not found:
            raise KitError(f"{path}: no sentences; expected words with tags")
    return Sentences(words, tags, places, None if None in parts else np.array(split, dtype=object), lines)


def _files(folder):
    """Returns the file of each split in a folder."""
    found = {}
    for part in SPLIT_NAMES:
        files = candidates(folder, part)
        ending = next((end for end in _PREFERRED for path in files if plain_name(path).endswith(end)), "")
        files = [path for path in files if plain_name(path).endswith(ending)]
        if len(files) > 1:
            raise KitError(
                f"{folder}: {files[0].name} and {files[1].name} both look like the {part} split; expected one file"
            )
        for other, path in found.items():
            if path in files:
                raise KitError(f"{path}: looks like the {other} and like the {part} split; expected one of them")
        if files:
            found[part] = files[0]
    if "train" not in found:
        raise KitError(f"{folder}: no file with 'train' in its name; expected {LAYOUT}")
    return found


def _sentences(path, column):
    """Yields line, words, tags and lines of the words of each sentence of a file."""
    name = plain_name(path)
    column = None if column is None else str(column)
    if name.endswith((".jsonl", ".ndjson")):
        return _json_lines(path, column or "tags")
    if name.endswith(".conllu"):
        column = (column or "upos").lower()
        if column not in _CONLLU:
            raise SettingError("column", f"expected one of {', '.join(_CONLLU[2:])}, got {column!r}")
        return _conllu(path, _CONLLU.index(column))
    try:
        number = int(column or -1)
    except ValueError:
        raise SettingError("column", f"expected the number of a column of {path.name}, got {column!r}") from None
    if number in (0, 1):
        raise SettingError("column", f"expected 2 or more, or -1 for the last, got {number}; column 1 holds the words")
    return _columns(path, number)


def _blocks(path, is_comment):
    """Yields the lines between empty ones as lists of (number, text)."""
    block = []
    for number, text in lines(path):
        if not text.strip():
            if block:
                yield block
            block = []
        elif not is_comment(text):
            block.append((number, text))
    if block:
        raise KitError(
            f"{path}:{block[-1][0]}: the last sentence is not closed; expected an empty line after it "
            "(is the file whole?)"
        )


def _columns(path, column):
    """Columns between tabs or, without any, between spaces; a word alone in a line has too few."""
    width, index = None, column - 1 if column > 0 else column
    for block in _blocks(path, lambda text: text.startswith("-DOCSTART-")):
        words, tags = [], []
        for number, text in block:
            fields = text.split("\t") if "\t" in text else re.split(" +", text.strip(" "))
            width = width or len(fields)
            if len(fields) != max(width, 2):
                raise KitError(
                    f"{path}:{number}: {len(fields)} column{'s' * (len(fields) > 1)}, expected {max(width, 2)}: "
                    "a word and its tags"
                )
            if not -width < index < width:
                raise SettingError("column", f"expected at most {width}, the columns of {path.name}, got {column}")
            word, tag = fields[0].strip(), fields[index].strip()
            if not word or not tag:
                raise KitError(f"{path}:{number}: an empty {'tag' if word else 'word'}; expected a word and its tag")
            words.append(word)
            tags.append(tag)
        yield block[0][0], words, tags, [number for number, _ in block]


def _conllu(path, column):
    """Universal Dependencies: of a multi-word token its words are taken, empty nodes are passed over."""
    for block in _blocks(path, lambda text: text.startswith("#")):
        words, tags, lines = [], [], []
        for number, text in block:
            fields = text.split("\t")
            if len(fields) != len(_CONLLU):
                raise KitError(f"{path}:{number}: {len(fields)} columns, expected the 10 of CoNLL-U between tabs")
            if not fields[0].isdecimal():
                if re.fullmatch(r"\d+[-.]\d+", fields[0]):  # 3-4: a multi-word token; 3.1: an empty node
                    continue
                raise KitError(f"{path}:{number}: the word's number is {fields[0]!r}, expected 3, 3-4 or 3.1")
            if int(fields[0]) != len(words) + 1:
                raise KitError(
                    f"{path}:{number}: word number {fields[0]}, expected {len(words) + 1}: "
                    "is an empty line missing, or a word?"
                )
            if not fields[1].strip() or not fields[column].strip():
                empty = "tag" if fields[1].strip() else "word"
                raise KitError(f"{path}:{number}: an empty {empty}; expected a word and its tag")
            words.append(fields[1])
            tags.append(fields[column])
            lines.append(number)
        if words:
            yield block[0][0], words, tags, lines


def _json_lines(path, key):
    """An object a line: {"tokens": [...], "tags": [...]} or {"text": "...", "entities": [[start, end, type], ...]}."""
    for number, row in json_rows(path):
        if isinstance(row, dict) and isinstance(row.get("tokens"), list) and isinstance(row.get(key), list):
            words, tags = row["tokens"], row[key]
            if not all(isinstance(item, str) and item.strip() for item in (*words, *tags)):
                raise KitError(f"{path}:{number}: expected texts in 'tokens' and {key!r}, none of them empty")
            if len(words) != len(tags):
                raise KitError(f"{path}:{number}: {len(words)} tokens, but {len(tags)} {key}; expected as many")
        elif isinstance(row, dict) and isinstance(row.get("text"), str) and isinstance(row.get("entities"), list):
            words, tags = _from_spans(path, number, row["text"], row["entities"])
        else:
            raise KitError(
                f"{path}:{number}: expected {{'tokens': [...], {key!r}: [...]}} or "
                "{'text': '...', 'entities': [[start, end, type], ...]}"
            )
        if not is_text("".join([*words, *tags])):
            raise KitError(f"{path}:{number}: holds characters that are none (lone surrogates); expected text")
        if words:
            yield number, list(words), list(tags), [number] * len(words)


def _from_spans(path, number, text, entities):
    """Returns words and BIO tags of a text with entities given in characters."""
    found = []
    for entity in entities:
        try:
            if isinstance(entity, dict):
                start, end, kind = entity["start"], entity["end"], entity["label"]
            else:
                start, end, kind = entity
            sound = type(start) is type(end) is int and isinstance(kind, str) and kind.strip()
        except (KeyError, TypeError, ValueError):
            sound = False
        if not sound or not 0 <= start < end <= len(text):
            raise KitError(
                f"{path}:{number}: expected [start, end, type] within the text in 'entities', got {entity!r}"
            )
        found.append((start, end, kind))
    words, tags, position = [], [], 0
    for start, end, kind in sorted(found):
        inside = tokenize(text[start:end])[0]
        if start < position or not inside:
            raise KitError(
                f"{path}:{number}: the entity {[start, end, kind]!r} ({text[start:end]!r}) overlaps another or "
                "holds no word; expected words of its own"
            )
        between = tokenize(text[position:start])[0]  # cut at the entity, so that it begins and ends with words
        words += [*between, *inside]
        tags += ["O"] * len(between) + [f"B-{kind}"] + [f"I-{kind}"] * (len(inside) - 1)
        position = end
    rest = tokenize(text[position:])[0]
    return words + rest, tags + ["O"] * len(rest)
