"""Answers of a served run: the rows of a prediction's table as JSON holds them, pictures included."""

import base64
import math
import numbers
from pathlib import Path

_KINDS = {".png": "image/png", ".gif": "image/gif"}


def records(table):
    """Returns the rows of a table as dictionaries that JSON can hold; a number that is none becomes null."""
    columns = {name: [_plain(value) for value in table[name].tolist()] for name in table.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(value):
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    return str(value)


def with_pictures(rows, key="image"):
    """Returns rows whose `file`, where they have one, is replaced by the picture in it, as a URL that holds it."""
    return [{name: value for name, value in row.items() if name != "file"} | _picture(row, key) for row in rows]


def _picture(row, key):
    return {key: data_url(row["file"])} if "file" in row else {}


def data_url(path):
    """Returns a picture of the disk as a URL that holds it, which a page can show and anything can decode."""
    path = Path(path)
    return f"data:{_KINDS[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"
