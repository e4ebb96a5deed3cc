"""Tagged sentences given in Python: a list of (words, tags), or a dictionary of such lists for each split."""

import numpy as np

from kit.data.sources import Sentences
from kit.errors import KitError, check

LAYOUT = "a list of (words, tags), or a dictionary of such lists for train, validation and test"


def read(source, column=None):
    """Returns the sentences of what was given.

    Args:
        source: `GivenData`. Each sentence is a list of words and a list of as many tags.
        column: None; there is nothing to choose.

    Raises:
        KitError: a sentence that cannot be; the message names it.
        SettingError: something else was given.
    """
    check(column is None, "column", column, "none where sentences are given in Python")
    parts = source.parts(LAYOUT)
    words, tags, places, split = [], [], [], []
    for name, part in parts.items():
        for row, sentence in enumerate(part):
            place = f"{name or 'sentence'}:{row}"
            found = _sentence(sentence, place)
            words.append(found[0])
            tags.append(found[1])
            places.append(place)
            split.append(name)
    if not words:
        raise KitError("data: no sentences")
    return Sentences(words, tags, places, None if None in parts else np.array(split, dtype=object))


def _sentence(sentence, place):
    """Returns words and tags of a sentence, after checking them."""
    is_pair = isinstance(sentence, tuple | list) and len(sentence) == 2
    if not is_pair or any(isinstance(each, str) or not hasattr(each, "__iter__") for each in sentence):
        raise KitError(f"data: {place}: {str(sentence)[:60]!r}; expected (words, tags), two lists")
    words, tags = (list(each) for each in sentence)
    for each in (*words, *tags):
        if not isinstance(each, str) or not each:
            raise KitError(f"data: {place}: {each!r}; expected words and tags as text that is not empty")
    if not words or len(words) != len(tags):
        raise KitError(
            f"data: {place}: {len(words)} words and {len(tags)} tags; expected as many of each, at least one"
        )
    return words, tags
