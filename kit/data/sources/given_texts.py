"""Labelled texts given in Python: lists of (text, label) or (text, second text, label), tables, or such for each split.

A table is one of pandas, or of Arrow, or what else has `to_pandas`.
"""

import numpy as np

from kit.data.sources import Texts, by_split
from kit.data.sources.text_tables import MOST_CHARACTERS, chosen
from kit.data.sources.text_targets import target_of
from kit.data.text import is_text
from kit.errors import KitError, SettingError

LAYOUT = (
    "a list of (text, label) or (text, second text, label), a table of pandas or Arrow, or a dictionary of such for "
    "train, validation and test"
)


def read(source, *, text=None, second_text=None, target=None, answer="auto"):
    """Returns the texts of what was given.

    Args:
        source: `GivenData`.
        text, second_text, target: Columns of a table, as of a file.
        answer: What is answered; of "labels" a text may have none.

    Raises:
        KitError: a text that cannot be; the message names it.
        SettingError: something else was given, or there is no such column.
    """
    content = source.content
    parts = by_split(content) if isinstance(content, dict) else {None: content}
    if not parts.keys() & {None, "train"}:
        raise SettingError("source", f"no training texts; expected {LAYOUT}")
    asked = {"text": text, "second_text": second_text, "target": target}
    texts, second, targets, places, split, columns = [], [], [], [], [], []
    for name, part in parts.items():
        for row, (first, other, found, column) in enumerate(_rows(part, asked)):
            place = f"{name or 'text'}:{row}"
            for each in (first, other) if other is not None else (first,):
                if not isinstance(each, str) or not each.strip() or not is_text(each):
                    raise KitError(f"data: {place}: {str(each)[:60]!a}; expected a text that is not empty")
                if len(each) > MOST_CHARACTERS:
                    raise KitError(f"data: {place}: {len(each):,} characters; expected at most {MOST_CHARACTERS:,}")
            if str(found.get(column)) == "<NA>":  # of pandas, which has no truth value
                found = {column: None}
            of_row, problem = target_of(found, column, answer)
            if problem:
                raise KitError(f"data: {place}: {problem}")
            texts.append(first.strip())
            second.append(other if other is None else other.strip())
            targets.append(of_row)
            columns.append(column)
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
        label_names=list(columns[0]) if isinstance(columns[0], tuple) else None,
    )


def _rows(part, asked):
    """Yields text, second text or None, a dictionary with the target, and its key or keys of each row."""
    if hasattr(part, "to_pandas"):
        part = part.to_pandas()
    if hasattr(part, "iterrows"):
        from pathlib import Path

        rows = part.to_dict("records")
        roles = chosen(Path("data"), list(part.columns), rows[:1000], asked)
        for row in rows:
            yield row[roles["text"]], row.get(roles.get("second_text")), row, roles["target"]
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
        yield each[0], None if len(each) == 2 else each[1], {"label": each[-1]}, "label"
