"""Texts that a finished model is given: texts, files of them, or lists of words."""

import re
from pathlib import Path

from kit.data.sources import tagged_files, text_files
from kit.data.text import is_text, tokenize
from kit.errors import KitError
from kit.files import as_path


def read_lines(inputs, tabs=False):
    """Returns the lines of what a user gave, and where each stands, such as `notes.txt:3`.

    Args:
        inputs: A text, a file (`pathlib.Path`), or a list of these; of a .jsonl file the `text` or `source` of each
            object.
        tabs: A line of a .tsv file may have tabs.

    Raises:
        KitError: something else, or a file that cannot be read.
    """
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    if not isinstance(inputs, list | tuple) or not all(isinstance(item, str | Path) for item in inputs):
        raise KitError("inputs: expected a text, a file, or a list of texts and files")
    found, places = [], []
    for item in inputs:
        is_json = isinstance(item, Path) and text_files.plain_name(item).endswith((".jsonl", ".ndjson"))
        rows = list(_texts(as_path(item, "inputs"))) if is_json else list(enumerate(_lines(item), 1))
        if isinstance(item, Path) and text_files.plain_name(item).endswith(".tsv") and not tabs:
            for number, text in rows:
                if "\t" in text:
                    raise KitError(f"{item}:{number}: columns between tabs; expected a sentence alone in each line")
        found += [text for _, text in rows]
        places += [f"{item if isinstance(item, Path) else 'text'}:{number}" for number, _ in rows]
    return found, places


def read_parts(inputs, num_texts):
    """Returns the texts that a user gave; of pairs the first ones, and the second ones.

    Args:
        inputs: As for `read_lines`; pairs are tuples of two texts, or stand in a line with a tab between them. Empty
            lines are passed over.
        num_texts: 1, or 2 for pairs.

    Raises:
        KitError: something else, an empty text, or a file that cannot be read.
    """
    if num_texts == 2 and isinstance(inputs, list | tuple) and all(isinstance(each, tuple) for each in inputs):
        rows, places = list(inputs), [f"inputs: {number}" for number in range(1, len(inputs) + 1)]
    else:
        for number, each in enumerate(inputs if isinstance(inputs, list | tuple) else [inputs], 1):
            if isinstance(each, str) and not each.strip():
                raise KitError(f"inputs: text {number} is empty")
        lines = [(line, place) for line, place in zip(*read_lines(inputs, num_texts > 1), strict=True) if line.strip()]
        rows = [(line,) if num_texts == 1 else tuple(line.split("\t")) for line, _ in lines]
        places = [place for _, place in lines]
    for place, row in zip(places, rows, strict=True):
        if len(row) != num_texts:
            raise KitError(f"{place}: {len(row)} texts; expected {num_texts}, with a tab between them")
        if not all(isinstance(each, str) and each.strip() and is_text(each) for each in row):
            raise KitError(f"{place}: an empty text; expected {'a text' if num_texts == 1 else 'two texts'}")
    if not rows:
        raise KitError("inputs: no texts")
    return [list(each) for each in zip(*rows, strict=True)]


def conllu_files(inputs):
    """Returns the files of what a user gave where all of it is files of CoNLL-U, else None."""
    given = [inputs] if isinstance(inputs, str | Path) else inputs
    is_all = all(isinstance(item, Path) and tagged_files.is_conllu(item) for item in given)
    return [as_path(item, "inputs") for item in given] if is_all else None


def read_sentences(inputs, tokenized=False, word_column=None, sentence_column=None, cut=tokenize):
    """Finds the sentences in what a user gave.

    Args:
        inputs: A text, a file (`pathlib.Path`), or a list of these, with a sentence in each line; or a list of lists of
            words. Of files of sentences (.conll, .conllu, .tsv, .csv, .jsonl ...) the words are taken, with tags or
            without.
        tokenized: The words of texts stand between spaces already.
        word_column, sentence_column: Columns or keys of such files, where they are not the usual ones.
        cut: Function from a text to its words and the (start, end) of each, where they do not stand between spaces.

    Returns:
        Words of each sentence; and (start, end) of each word in its line, in characters, or None where there are words
        that were given as such.

    Raises:
        KitError: something else, or a file that cannot be read.
    """
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    if not isinstance(inputs, list | tuple) or not all(isinstance(item, str | Path | list | tuple) for item in inputs):
        raise KitError("inputs: expected a text, a file, or a list of texts, files or lists of words")
    sentences, places = [], []
    for item in inputs:
        if isinstance(item, list | tuple):
            for word in item:
                if not isinstance(word, str) or not word.strip() or not is_text(word):
                    raise KitError(f"inputs: expected words, texts that are not empty, got {word!r}")
            found = [(list(item), None)]
        elif isinstance(item, Path) and text_files.plain_name(item).endswith(tagged_files.ENDINGS):
            found = list(tagged_files.read_words(as_path(item, "inputs"), word_column, sentence_column, cut))
        else:
            found = [_split(line) if tokenized else cut(line) for line in _lines(item)]
        sentences += [words for words, _ in found]
        places += [place for _, place in found]
    return sentences, None if None in places else places


def _split(line):
    matches = list(re.finditer(r"\S+", line))
    return [match.group() for match in matches], [match.span() for match in matches]


def _texts(path):
    """Yields line and text of each object of a JSONL file."""
    for number, row in text_files.json_rows(path):
        text = next((row[key] for key in ("text", "source") if isinstance(row, dict) and key in row), None)
        if not isinstance(text, str) or not is_text(text):
            raise KitError(f"{path}:{number}: expected {{'text': '...'}} or {{'source': '...'}}")
        yield number, text


def _lines(item):
    """Returns the lines of a text or a file."""
    if isinstance(item, Path):
        if text_files.plain_name(item).endswith(".json"):
            raise KitError(f"{item}: JSON; expected a text with a sentence in each line, or a .jsonl file")
        return [text for _, text in text_files.lines(as_path(item, "inputs"))]
    if not is_text(item):
        raise KitError(f"inputs: holds characters that are none: {item[:40]!a}; expected text")
    return text_files.split_lines(item)
