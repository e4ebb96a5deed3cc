"""Interactions given in Python: tuples of user, item and perhaps rating and time, or a table of pandas or Arrow."""

import pandas as pd

from kit.data.sources import interaction_tables, tables
from kit.errors import SettingError

LAYOUT = (
    "a list of (user, item), (user, item, rating) or (user, item, rating, time), or a table of pandas or Arrow with "
    "columns user, item and perhaps rating and time"
)
_ROLES = ("user", "item", "rating", "time")


def read(source, *, user=None, item=None, rating=None, time=None, items=None, users=None):
    """Returns the `Interactions` of what was given.

    Args:
        source: `GivenData`.
        user, item, rating, time: Columns of a table, as of a file.
        items, users: Paths of tables of features, or None.

    Raises:
        KitError: a value that cannot be used; the message names its row.
        SettingError: something else was given, or there is no such column.
    """
    asked = {"user": user, "item": item, "rating": rating, "time": time}
    frame = _frame(source.content)
    found = tables.joined([(None, "data", frame)], "data", interaction_tables.identifiers(user, item))
    if found.split is not None:
        raise SettingError("source", "has a column `split`; expected none, since data.division divides interactions")
    return interaction_tables.of_table(found, "data", asked, items, users)


def _frame(content):
    if hasattr(content, "to_pandas"):
        content = content.to_pandas()
    if isinstance(content, pd.DataFrame):
        return content.rename(columns=str).reset_index(drop=True)
    if isinstance(content, dict) and content.keys() & {"train", "validation", "test"}:
        raise SettingError("source", f"got splits; expected {LAYOUT}, which data.division divides")
    if isinstance(content, str) or not hasattr(content, "__iter__"):
        raise SettingError("source", f"got {type(content).__name__}; expected {LAYOUT}")
    rows = list(content)
    sizes = {len(row) if isinstance(row, tuple | list) else 0 for row in rows}
    if len(sizes) != 1 or not sizes <= {2, 3, 4}:
        raise SettingError("source", f"got rows of {sorted(sizes)} values; expected {LAYOUT}")
    return pd.DataFrame(rows, columns=list(_ROLES[: sizes.pop()]))
