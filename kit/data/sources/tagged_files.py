"""Files of tagged sentences: columns (CoNLL), CoNLL-U, tables (CSV) and JSONL, plain or gzipped.

A source is one file, or a folder with one file for each split, named after it: `train`, `dev` or `valid`, and `test`.
"""

import numpy as np

from kit.data.sources import Sentences, as_columns, conllu, tagged_columns, tagged_json, tagged_table
from kit.data.sources.tag_columns import TagColumns
from kit.data.sources.text_files import BadRows, candidates, csv_rows, json_rows, plain_name
from kit.data.split_names import SPLITS
from kit.data.text import tokenize
from kit.errors import KitError

LAYOUT = "a file of tagged sentences (.conll, .conllu, .csv, .jsonl ...), or a folder with train, dev and test files"
# Where a split comes in several forms, the first of these is taken.
_PREFERRED = (".conllu", ".jsonl", ".conll", "")
_JSONL = (".jsonl", ".ndjson")
# Endings of files that hold words with or without tags, rather than texts.
ENDINGS = (".conll", ".conllu", ".iob", ".iob2", ".bio", ".tsv", ".csv", *_JSONL)


def accepts(path):
    """Tells whether a path can be read by this module: every file and folder can, to say what is missing in it."""
    return True


def read(source, column=None, *, word_column=None, sentence_column=None, tag_names=(), on_bad="error"):
    """Returns the sentences of a file or folder.

    Args:
        source: Path.
        column: What the tags are: for columns their number, from 1, or from the end, -1 by default; for CoNLL-U a name
            such as `upos` (default), `xpos` or `feats`; for a table the name of a column, for JSONL a key, by default a
            usual one such as `tags`.
        word_column: What the words are, in the same way; the first column by default.
        sentence_column: Column of a table that tells sentences apart.
        tag_names: Names of tags that are numbers, that of 0 first.
        on_bad: "skip" lists sentences that cannot be read and leaves them out; "error" names the first.

    Raises:
        KitError: a file that cannot be used; the message names it, the line and what was expected.
        SettingError: a column that does not exist.
    """
    asked = (None if each is None else str(each) for each in (column, word_column, sentence_column))
    columns, bad = TagColumns(*asked, tuple(tag_names)), BadRows(on_bad)
    parts = _files(source) if source.is_dir() else {None: source}
    words, tags, places, lines, split, texts, others = [], [], [], [], [], [], []
    for part, path in parts.items():
        found = 0
        for number, sentence, sentence_tags, sentence_lines, own, *text in _sentences(path, columns, bad):
            words.append(sentence)
            tags.append(sentence_tags)
            lines.append(sentence_lines)
            places.append(f"{path.name}:{number}")
            split.append(part)
            texts.append(text[0] if text else None)
            others.append(own)
            found += 1
        bad.check_any(path, found, "words with tags")
    split = None if None in parts else np.array(split, dtype=object)
    texts = conllu.known_texts(texts, places)
    field = conllu.field_of(columns.tags) if any(is_conllu(path) for path in parts.values()) else None
    return Sentences(words, tags, places, split, lines, texts, field, bad.told(), as_columns(others))


def is_conllu(path):
    """Tells whether a path is read as CoNLL-U."""
    return plain_name(path).endswith(".conllu")


def read_words(path, word_column=None, sentence_column=None, cut=tokenize):
    """Yields the words of each sentence of a file, and their places in its text or None; tags are not needed.

    Args:
        path: The file.
        word_column, sentence_column: See `read`; where the file has no such column, usual ones are looked for.
        cut: Function from a text to its words and the (start, end) of each.

    Raises:
        KitError: a file that cannot be used; the message names it, the line and what was expected.
    """
    asked = (None if each is None else str(each) for each in (None, word_column, sentence_column))
    columns, bad = TagColumns(*asked, needs_tags=False), BadRows()
    if not plain_name(path).endswith(_JSONL):
        for _, words, *_ in _sentences(path, columns, bad):
            yield words, None
        return
    for number, row in json_rows(path):
        try:
            yield tagged_json.words_of(row, columns, cut)
        except ValueError as error:
            bad.add(path, number, error)


def _files(folder):
    """Returns the file of each split in a folder."""
    found = {}
    for part in SPLITS:
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


def _sentences(path, columns, bad):
    """Yields line, words, tags, lines of the words, other columns and, of CoNLL-U, the text of each sentence."""
    name = plain_name(path)
    if name.endswith(_JSONL):
        return tagged_json.sentences(path, columns, bad)
    if name.endswith(".csv"):
        return tagged_table.sentences(path, csv_rows(path, bad), columns, bad)
    if is_conllu(path):
        return conllu.sentences(path, columns, bad)
    return tagged_columns.sentences(path, columns, bad)
