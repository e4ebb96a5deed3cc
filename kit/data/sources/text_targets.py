"""Targets of labelled texts: a label or a number as text, a list of labels, or several columns of 0 and 1."""

from kit.data.text import is_text

_FLAGS = {"0": False, "0.0": False, "false": False, "no": False, "1": True, "1.0": True, "true": True, "yes": True}


def columns_of(target, names):
    """Returns the column of a target as it was asked for, or several columns as a tuple, given `a,b,c`.

    Args:
        target: Name or number of a column, names with commas between them, or None.
        names: All columns. A column whose own name has a comma is meant where there is one.
    """
    if not isinstance(target, str) or "," not in target or target in names:
        return target
    return tuple(dict.fromkeys(part.strip() for part in target.split(",") if part.strip()))


def said(column):
    """Returns a column, or several, as a message names them: by name, or by number from 1."""
    if isinstance(column, tuple):
        return ", ".join(map(said, column))
    return f"column {column + 1}" if isinstance(column, int) else column


def target_of(row, column, answer):
    """Returns what is to be answered of a row, and what is wrong with it or None.

    Args:
        row: Dictionary from columns to values.
        column: Column of the target, or a tuple of several of 0 and 1, whose names are the labels.
        answer: What is answered, see `kit.data.text_answers.AnswerOptions`: a text may have no label at all where it is
            "labels".

    Returns:
        Text, or a list of labels; and None, or what was expected.
    """
    if isinstance(column, tuple):
        return _flagged({name: row.get(name) for name in column})
    value = row.get(column)
    if hasattr(value, "tolist"):
        value = value.tolist()  # an array, or a number of NumPy
    if isinstance(value, list | tuple | set | frozenset):
        return _listed(sorted(value) if isinstance(value, set | frozenset) else value)
    if _is_nothing(value):
        if answer == "labels" and column in row:
            return [], None
        of_none = "" if answer == "labels" else " (data.answer=labels takes a text without any label)"
        return "", f"an empty {said(column)}; expected a label or a number{of_none}"
    if not isinstance(value, str | int | float):
        return "", f"{str(value)[:60]!a}; expected a label, a list of labels or a number"
    if not is_text(str(value)):
        return "", f"{said(column)} holds characters that are none (lone surrogates); expected text"
    return str(value).strip(), None


def _is_nothing(value):
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _listed(values):
    labels = []
    for value in values:
        is_label = isinstance(value, str | int) and not isinstance(value, bool)
        label = str(value).strip()
        if not is_label or not label or not is_text(label):
            return [], f"{value!a} in a list of labels; expected texts that are not empty"
        labels.append(label)
    return list(dict.fromkeys(labels)), None


def _flagged(row):
    labels = []
    for name, value in row.items():
        flag = _FLAGS.get(str(value).strip().lower())
        if flag is None:
            return [], f"column {name}: {str(value)[:60]!a}; expected 0 or 1"
        labels += [str(name)] if flag else []
    return labels, None
