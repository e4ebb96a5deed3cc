"""Texts to be rewritten, given in Python: a list of ("task: text", target), or such lists for each split."""

import numpy as np

from kit.data.sources import Pairs
from kit.data.sources.prefixed_files import checked
from kit.errors import KitError

LAYOUT = 'a list of ("task: text", target) or (task, text, target), or a dictionary of such for train, validation, test'


def read(source):
    """Returns the texts and targets of what was given, the task of each in the column `task`.

    Args:
        source: `GivenData`.

    Raises:
        KitError: a row that cannot be; the message names it.
        SettingError: something else was given.
    """
    rows = []
    for name, part in source.parts(LAYOUT).items():
        for number, row in enumerate(part):
            if not isinstance(row, tuple | list) or len(row) not in (2, 3):
                raise KitError(f"data: {name or 'row'}:{number}: {str(row)[:60]!a}; expected ('task: text', target)")
            problem, found = checked(*((None, *row) if len(row) == 2 else row))
            if problem is not None:
                raise KitError(f"data: {name or 'row'}:{number}: {problem}")
            rows.append((*found, f"{name or 'row'}:{number}", name))
    if not rows:
        raise KitError("data: no texts")
    parts = [part for *_, part in rows]
    return Pairs(
        [f"{task}: {text}" for task, text, *_ in rows],
        [target for _, _, target, *_ in rows],
        [place for *_, place, _ in rows],
        None if None in parts else np.array(parts, dtype=object),
        columns={"task": [task for task, *_ in rows]},
    )
