"""Time series given in Python: a table of pandas or Arrow, or a dictionary of columns."""

from kit.data.sources import tables

LAYOUT = "a table of pandas or Arrow with a column of times, or a dictionary of columns"


def read(source):
    """Returns the table of what was given; a series of pandas with times as its index becomes one with two columns.

    Args:
        source: `GivenData`.

    Raises:
        KitError: a table that cannot be used; the message names the row.
        SettingError: something else was given.
    """
    return tables.given(with_times(source.content), LAYOUT)


def with_times(content):
    """Returns a table whose times are a column, given one that has them as its index; anything else as it is."""
    import pandas as pd

    if isinstance(content, pd.Series):
        content = content.to_frame(content.name or "value")
    if isinstance(content, pd.DataFrame) and isinstance(content.index, pd.DatetimeIndex | pd.PeriodIndex):
        index = content.index.to_timestamp() if isinstance(content.index, pd.PeriodIndex) else content.index
        name = content.index.name or "time"
        return content.set_axis(index, axis=0).rename_axis(name).reset_index()
    return content
