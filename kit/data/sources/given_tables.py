"""Tables given in Python: one of pandas or Arrow, a dictionary of lists, or such for each split."""

from kit.data.sources import tables

LAYOUT = "a table of pandas or Arrow, a dictionary of columns, or a dictionary of such for train, validation and test"


def read(source, *, missing=()):
    """Returns the table of what was given.

    Args:
        source: `GivenData`.
        missing: Texts that stand where nothing is known.

    Raises:
        KitError: a table that cannot be used; the message names the row.
        SettingError: something else was given.
    """
    found = tables.given(source.content, LAYOUT)
    return tables.Table(found.frame.replace(list(missing), None), found.places, found.split) if missing else found
