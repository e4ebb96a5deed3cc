"""Texts that a finished model is given: texts, files of them, or lists of words."""

import re
from pathlib import Path

from kit.data.sources import tagged_files
from kit.data.text import is_text, tokenize
from kit.errors import KitError
from kit.files import as_path


def read_lines(inputs):
    """Returns the lines of what a user gave, and where each stands, such as `notes.txt:3`.

    Args:
        inputs: A text, a file (`pathlib.Path`), or a list of these.

    Raises:
        KitError: something else, or a file that cannot be read.
    """
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    if not isinstance(inputs, list | tuple) or not all(isinstance(item, str | Path) for item in inputs):
        raise KitError("inputs: expected a text, a file, or a list of texts and files")
    found, places = [], []
    for item in inputs:
        text = _text_of(item) if isinstance(item, Path) else item
        if not is_text(text):
            raise KitError(f"inputs: holds characters that are none: {text[:40]!a}; expected text")
        rows = re.split("\r\n|\n|\r", text)
        rows = rows[:-1] if isinstance(item, Path) and not rows[-1] else rows
        found += rows
        places += [f"{item if isinstance(item, Path) else 'text'}:{number}" for number in range(1, len(rows) + 1)]
    return found, places


def read_sentences(inputs, tokenized=False):
    """Finds the sentences in what a user gave.

    Args:
        inputs: A text, a file (`pathlib.Path`), or a list of these, with a sentence in each line; or a list of lists of
            words. Of files of tagged sentences (.conll, .conllu, .jsonl) the words are taken.
        tokenized: The words of texts stand between spaces already.

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
        elif isinstance(item, Path) and item.name.lower().removesuffix(".gz").endswith(_TAGGED):
            found = [(words, None) for words in tagged_files.read(as_path(item, "inputs")).words]
        else:
            text = _text_of(item) if isinstance(item, Path) else item
            if not is_text(text):
                raise KitError(f"inputs: holds characters that are none: {text[:40]!a}; expected text")
            found = [_split(line) if tokenized else tokenize(line) for line in re.split("\r\n|\n|\r", text)]
        sentences += [words for words, _ in found]
        places += [place for _, place in found]
    return sentences, None if None in places else places


_TAGGED = (".conll", ".conllu", ".jsonl")


def _split(line):
    matches = list(re.finditer(r"\S+", line))
    return [match.group() for match in matches], [match.span() for match in matches]


def _text_of(path):
    try:
        return as_path(path, "inputs").read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise KitError(f"{path}: not UTF-8; expected a text file") from None
    except OSError as error:
        raise KitError(f"{path}: cannot be read ({error.strerror}); expected a text file") from None
