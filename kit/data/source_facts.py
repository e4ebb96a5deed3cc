"""Facts of a data set's training split: numbers of examples, classes and words, sizes; nothing is decoded or learned.

Settings go by them, so that they look at neither validation nor test split: the data are divided as training will.
"""

import itertools
import logging

import numpy as np

from kit import config, terminal
from kit.data import sources
from kit.data.image import header_sizes
from kit.data.labelled_tables import TableSource
from kit.data.options import Division
from kit.data.splits import assign
from kit.data.text_answers import AnswerOptions, answers_of

# Headers of so many images tell the sizes of all.
_HEADERS = 500


def _training_rows(read, data, labels=None, class_names=None):
    """Returns the numbers of the training examples, as the settings of `[data]` divide what was read."""
    division = _record(Division, data)
    table = assign(read.names, read.split, division, None, read, labels=labels, class_names=class_names)
    return np.flatnonzero(table["split"] == "train")


def of_images(data, given=None, needs_classes=True):
    """Returns facts of images as a dictionary: `examples`, `classes`, `side`, `is_of_one_size`, `channels`.

    Args:
        data: Settings of `[data]`.
        given: Images that were given in Python, or None.
        needs_classes: Read as training does that asks for classes.

    Raises:
        KitError: a source that cannot be used.
    """
    read, _ = sources.read(
        data["source"] if given is None else given, "images", data | {"needs_classes": needs_classes}
    )
    rows = _training_rows(read, data, read.labels, read.class_names)
    if read.paths is None:
        height, width, channels = read.pixels.shape[1:]
        sizes, is_grey = [(height, width)], channels == 1
    else:
        places = np.linspace(0, len(rows) - 1, min(len(rows), _HEADERS)).astype(int)
        sizes, is_grey = header_sizes([read.paths[row] for row in rows[places]])
    if data["color_mode"] != "auto":
        is_grey = data["color_mode"] == "grayscale"
    return {
        "examples": len(rows),
        "classes": len(read.class_names),
        "side": int(np.median([min(size) for size in sizes])),
        "is_of_one_size": len(set(sizes)) == 1,
        "channels": 1 if is_grey else 3,
    }


def of_sentences(data, given=None):
    """Returns facts of tagged sentences as a dictionary: `examples`, `tokens`, `words`, `length`."""
    read, _ = sources.read(data["source"] if given is None else given, "sentences", data)
    rows = _training_rows(read, data)
    return {"examples": len(rows)} | _of_texts([read.words[row] for row in rows])


def of_pairs(data, given=None):
    """Returns facts of pairs of sentences as a dictionary: `examples`, `tokens`, `words`, `length`."""
    read, _ = sources.read(data["source"] if given is None else given, "pairs", data)
    rows = _training_rows(read, data)
    sides = [side[row].split() for side in (read.sources, read.targets) for row in rows]
    return {"examples": len(rows)} | _of_texts(sides)


def of_tables(data, given=None):
    """Returns facts of a table as a dictionary: `examples`, `columns`, `answer`, `classes`.

    Args:
        data: Settings of `[data]`.
        given: Table that was given in Python, or None.

    Raises:
        KitError: a table that cannot be used.
    """
    with terminal.log_quiet(logging.WARNING):  # the training says what is answered
        where = _record(TableSource, data | ({} if given is None else {"source": given}))
        table, origin = where.read()
        options = _record(AnswerOptions, data)
        table, targets, kind = where.answers(table, origin, options.stated)
        answers = answers_of(targets, AnswerOptions(kind, options.separator), origin)
        rows = _training_rows(table, data, **answers.classes)
    return {
        "examples": len(rows),
        "columns": len(table.frame.columns),
        "answer": answers.kind,
        "classes": len(answers.names),
    }


def _record(kind, data):
    """Returns an option record as the settings of `[data]` state it."""
    return kind(**{key: value for key, value in data.items() if key in config.names_of(kind)})


def _of_texts(texts):
    lengths = np.array([len(words) for words in texts])
    return {
        "tokens": int(lengths.sum()),
        "words": len(set(itertools.chain.from_iterable(texts))),
        "length": int(np.percentile(lengths, 99)),
    }
