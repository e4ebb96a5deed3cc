"""Plain texts given in Python: a list of texts, or a dictionary of such lists for each split."""

import numpy as np

from kit.data.sources import Documents
from kit.data.text import is_text
from kit.errors import KitError

LAYOUT = "a list of texts, or a dictionary of such lists for train, validation and test"


def read(source):
    """Returns the documents of what was given.

    Args:
        source: `GivenData`.

    Raises:
        KitError: a text that cannot be; the message names it.
        SettingError: something else was given.
    """
    texts, places, split = [], [], []
    for name, part in source.parts(LAYOUT).items():
        for row, text in enumerate(part):
            place = f"{name or 'text'}:{row}"
            if not isinstance(text, str) or not text.strip() or not is_text(text):
                raise KitError(f"data: {place}: {str(text)[:60]!a}; expected a text that is not empty")
            texts.append(text)
            places.append(place)
            split.append(name)
    if not texts:
        raise KitError("data: no texts")
    return Documents(texts, places, None if None in split else np.array(split, dtype=object))
