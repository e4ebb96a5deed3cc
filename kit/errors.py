"""Errors that a user can mend: one line that names the key or the file and what was expected."""

import contextlib
import difflib
import math
import re

# Colours and the like, which libraries put into the messages that ours quote.
_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Greatest whole number of 32 bits, with which TensorFlow counts.
_MOST = 2**31 - 1


class KitError(ValueError):
    """A mistake in what the kit was given; its message is one line meant for the user."""

    def __init__(self, message):
        super().__init__(_ESCAPE_SEQUENCE.sub("", message))


class Unavailable(KitError):
    """Temporary failure, such as a full disk or a locked folder: retrying may succeed."""


class SettingError(KitError):
    """A setting that cannot be: names the key, what was expected and what was given.

    Args:
        key: The setting's name, dotted where the table is known (`train.epochs`).
        problem: What was expected and what was given.
    """

    def __init__(self, key, problem):
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem


def check(condition, key, value, expected):
    """Raises SettingError naming `key` unless `condition` holds."""
    if not condition:
        raise SettingError(key, f"expected {expected}, got {shown(value)}")


def shown(value):
    """Returns a value as a message shows it: in one line, and not all of what is very long."""
    try:
        text = re.sub(r"\s*\n\s*", " ", repr(value))
    except ValueError:  # Python writes no number of more than 4,300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= 300 else f"{text[:300]}..."


def check_numbers(value, key):
    """Raises SettingError for a number, also in a list, that is not finite, or that 32 bits do not hold."""
    if isinstance(value, list | tuple):
        for each in value:
            check_numbers(each, key)
    elif isinstance(value, float):
        check(math.isfinite(value), key, value, "a finite number")
    elif isinstance(value, int):
        check(-_MOST <= value <= _MOST, key, value, f"a whole number of at most {_MOST}")


def closest(name, names):
    """Returns "; did you mean 'x'?" for the known name nearest to a misspelt one, or the list of all names."""
    names = sorted(map(str, names))
    match = difflib.get_close_matches(str(name), names, 1, 0.6)
    if match:
        return f"; did you mean {match[0]!r}?"
    return f"; choose from {', '.join(names)}" if names else ""


def guess(name, names):
    """Returns "; did you mean 'x'?" for the known name nearest to a misspelt one, or nothing where none is near."""
    hint = closest(name, names)
    return hint if "did you mean" in hint else ""


def choose(table, name, key):
    """Looks a name up in a table of named things, or raises SettingError with the nearest name."""
    if not isinstance(name, str) or name not in table:
        raise SettingError(key, f"unknown name {name!r}{closest(name, table)}")
    return table[name]


@contextlib.contextmanager
def table(name):
    """Puts a table's name before the key of any SettingError raised inside: `dropout` becomes `model.dropout`."""
    try:
        yield
    except SettingError as error:
        if "." in error.key:
            raise
        raise SettingError(f"{name}.{error.key}", error.problem) from None
