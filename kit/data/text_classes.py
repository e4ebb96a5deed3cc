"""Classes of labelled texts: their names, in order, and the number of each text's class."""

import numpy as np

from kit.errors import KitError, SettingError


def classes_of(targets, source):
    """Returns the names of the classes, those that are whole numbers in their order, and the class of each text.

    Args:
        targets: Label of each text.
        source: Where they come from, for messages.

    Raises:
        KitError: there is one class alone.
        SettingError: almost every text has a label of its own.
    """
    names = sorted(set(targets))
    if all(name.removeprefix("-").isdecimal() for name in names):
        names.sort(key=int)
    if len(names) < 2:
        raise KitError(f"{source}: only one class, {names[0]!r}; expected at least two")
    if len(names) > max(len(targets) // 2, 2):
        raise SettingError(
            "target", f"{len(names):,} different labels of {len(targets):,} texts; expected classes that occur again"
        )
    numbers = {name: number for number, name in enumerate(names)}
    return names, np.array([numbers[target] for target in targets], "int32")
