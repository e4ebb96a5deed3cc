"""Translations given in Python: a list of (sentence, translation), or a dictionary of such lists for each split."""

import numpy as np

from kit.data.sources import Pairs
from kit.data.text import is_text
from kit.errors import KitError

LAYOUT = "a list of (sentence, translation), or a dictionary of such lists for train, validation and test"


def read(source, *, source_locale=None, target_locale=None):
    """Returns the pairs of what was given.

    Args:
        source: `GivenData`.
        source_locale, target_locale: Not needed: the order says which side is which.

    Raises:
        KitError: a pair that cannot be; the message names it.
        SettingError: something else was given.
    """
    parts = source.parts(LAYOUT)
    sources, targets, places, split = [], [], [], []
    for name, part in parts.items():
        for row, pair in enumerate(part):
            place = f"{name or 'pair'}:{row}"
            is_pair = isinstance(pair, tuple | list) and len(pair) == 2
            if not is_pair or not all(isinstance(each, str) and each.strip() and is_text(each) for each in pair):
                raise KitError(f"data: {place}: {str(pair)[:60]!a}; expected (sentence, translation), two texts")
            sources.append(pair[0].strip())
            targets.append(pair[1].strip())
            places.append(place)
            split.append(name)
    if not sources:
        raise KitError("data: no pairs of sentences")
    return Pairs(sources, targets, places, None if None in parts else np.array(split, dtype=object))
