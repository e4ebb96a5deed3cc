"""Splits of a data set under inspection, divided as training divides it, or why training would refuse it."""

import pandas as pd

from kit.data.findings import Finding
from kit.data.splits import assign
from kit.errors import KitError, SettingError


def divided(read, division, advice, labels=None, class_names=None):
    """Divides examples as training does.

    Args:
        read: `Images`, `Sentences` or `Pairs` of `kit.data.sources`.
        division: `Division`.
        advice: What to do where training would refuse them.
        labels, class_names: Class of each example, and the name of each class; None where there are none.

    Returns:
        Table as `kit.data.splits.assign` returns it, and a list of findings; where they cannot be divided all are
        taken for training examples, but those that the source itself has in a split.

    Raises:
        SettingError: a setting that cannot be; that is no fault of the data.
    """
    names = read.names
    try:
        return assign(names, read.split, division, None, read, labels=labels, class_names=class_names), []
    except SettingError:
        raise
    except KitError as error:
        split = "train" if read.split is None else read.split
        table = pd.DataFrame({"example": names, "split": split}, dtype=object)
        return table, [Finding("cannot_be_divided", "problem", str(error), advice, len(names))]
