"""Labelled texts given in Python: lists of (text, label) or (text, second text, label), tables, or such for each split.

A table is one of pandas, or of Arrow, or what else has `to_pandas`.
"""

import numpy as np

from kit.data.sources import Texts, by_split
from kit.data.sources.text_tables import MOST_CHARACTERS, chosen
from kit.data.text import is_text
from kit.errors import KitError, SettingError

LAYOUT = (
    "a list of (text, label) or (text, second text, label), a table of pandas or Arrow, or a dictionary of such for "
    "train, validation and test"
)


def read(source, *, text=None, second_text=None, target=None):
    """Returns the texts of what was given.

    Args:
        source: `GivenData`.
        text, second_text, target: Columns of a table, as of a file.

    Raises:
        KitError: a text that cannot be; the message names it.
        SettingError: something else was given, or there is no such column.
    """
    content = source.content
    parts = by_split(content) if isinstance(content, dict) else {None: content}
    if not parts.keys() & {None, "train"}:
        raise SettingError("source", f"no training texts; expected {LAYOUT}")
    asked = {"text": text, "second_text": second_text, "target": target}
    texts, second, targets, places, split = [], [], [], [], []
    for name, part in parts.items():
        for row, (first, other, answer) in enumerate(_rows(part, asked)):
            place = f"{name or 'text'}:{row}"
            for each in (first, other) if other is not None else (first,):
                if not isinstance(each, str) or not each.strip() or not is_text(each):
                    raise KitError(f"data: {place}: {str(each)[:60]!a}; expected a text that is not empty")
                if len(each) > MOST_CHARACTERS:
                    raise KitError(f"data: {place}: {len(each):,} characters; expected at most {MOST_CHARACTERS:,}")
            if str(answer).strip().lower() in ("", "none", "nan", "<na>"):
                raise KitError(f"data: {place}: an empty label; expected a label or a number")
            texts.append(first.strip())
            second.append(other if other is None else other.strip())
            targets.append(str(answer).strip())
            places.append(place)
            split.append(name)
    if not texts:
        raise KitError("data: no texts")
    if len({each is None for each in second}) > 1:
        raise KitError(f"data: {places[second.index(None)]}: no second text, which others have")
    return Texts(
        texts,
        targets,
        places,
        second=None if second[0] is None else second,
        split=None if None in parts else np.array(split, dtype=object),
    )


def _rows(part, asked):
    """Yields text, second text or None, and target of each row."""
    if hasattr(part, "to_pandas"):
        part = part.to_pandas()
    if hasattr(part, "iterrows"):
        from pathlib import Path

        rows = part.to_dict("records")
        roles = chosen(Path("data"), list(part.columns), rows[:1000], asked)
        for row in rows:
            yield row[roles["text"]], row.get(roles.get("second_text")), row[roles["target"]]
        return
    if any(value is not None for value in asked.values()):
        key = next(key for key, value in asked.items() if value is not None)
        raise SettingError(key, f"expected none where texts are given as a list, got {asked[key]!r}")
    if isinstance(part, str) or not hasattr(part, "__iter__"):
        raise SettingError("source", f"got {type(part).__name__}; expected {LAYOUT}")
    for row, each in enumerate(part):
        if not isinstance(each, tuple | list) or len(each) not in (2, 3):
            raise KitError(
                f"data: text:{row}: {str(each)[:60]!r}; expected (text, label) or (text, second text, label)"
            )
        yield (each[0], None, each[1]) if len(each) == 2 else tuple(each)
