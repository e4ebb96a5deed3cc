"""A CSV file that names image files and their classes: columns `path`, `label` and, if given, `split`."""

import os
import unicodedata

import numpy as np

from kit.data.sources import Images, as_columns
from kit.data.split_names import EXPECTED, split_named
from kit.errors import KitError

LAYOUT = "a .csv file with the columns path, label and perhaps split"


def accepts(path):
    """Tells whether a path is a CSV file."""
    return path.is_file() and path.suffix.lower() == ".csv"


def read(source, needs_classes=True):
    """Returns the paths, classes and, where there is such a column, splits of a CSV file.

    Paths are relative to the file's folder. Classes that are all numbers are in their order, others in that of the
    alphabet. Semicolons and tabs divide columns too, as spreadsheets write them in some countries.

    Args:
        source: The file.
        needs_classes: Refuse images of fewer than two classes.

    Raises:
        KitError: the file cannot be read; the message names the row and what was expected.
    """
    rows, names, others = _rows(source)
    classes = {label for _, _, label, _ in rows}
    numbers = all(label.isdecimal() for label in classes)
    class_names = sorted(classes, key=int) if numbers else sorted(classes)
    if needs_classes and len(class_names) < 2:
        raise KitError(f"{source}: only one class, {class_names[0]!r}; expected at least two")
    index = {name: position for position, name in enumerate(class_names)}
    splits = [split for _, _, _, split in rows]
    if any(splits):
        trained = {label for _, _, label, split in rows if split == "train"}
        for number, _, label, split in rows:
            if label not in trained:
                raise KitError(f"{source}:{number}: class {label!r} of the {split} split is not in the train split")
    return Images(
        paths=[path for _, path, _, _ in rows],
        labels=np.array([index[label] for _, _, label, _ in rows], "int32"),
        class_names=class_names,
        names=names,
        split=np.array(splits, dtype=object) if any(splits) else None,
        columns=as_columns(others),
    )


def _rows(source):
    """Returns line number, file, label and split of each row, its path as it stands there, and its other fields."""
    import csv

    rows, names, others, seen = [], [], [], {}
    try:
        with open(source, encoding="utf-8-sig", newline="") as file:  # a byte-order mark, Windows line ends
            head = file.readline()
            file.seek(0)
            delimiter = next((each for each in ";\t" if each in head and "," not in head), ",")
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            columns = _columns(source, next(reader, []))
            for fields in reader:
                if not any(map(str.strip, fields)):
                    continue
                number = reader.line_num
                if any(map(str.strip, fields[len(columns) :])):
                    raise KitError(
                        f"{source}:{number}: {len(fields)} fields, but {len(columns)} columns; expected quotes around "
                        f"a value with a {delimiter!r} in it"
                    )
                row = dict(zip(columns, map(str.strip, fields), strict=False))
                path, label, split = (row.get(name, "") for name in ("path", "label", "split"))
                for name, value in (("path", path), ("label", label), ("split", split or "split" not in columns)):
                    if not value:
                        raise KitError(f"{source}:{number}: an empty {name}; expected one in every row")
                if split and not split_named(split):
                    raise KitError(f"{source}:{number}: split {split!r}; expected {EXPECTED}")
                found = _file(source.parent, path)
                if found is None:
                    raise KitError(f"{source}:{number}: no such file: {path}; paths are relative to the CSV's folder")
                known = os.path.normpath(found)
                if known in seen:
                    first, name = seen[known]
                    spelt = "" if name == path else f" as {name}"
                    raise KitError(f"{source}:{number}: {path} is in line {first} already{spelt}; expected it once")
                seen[known] = number, path
                rows.append((number, found, unicodedata.normalize("NFC", label), split_named(split) or ""))
                names.append(path)
                others.append({name: row[name] for name in row if name and name not in ("path", "label", "split")})
    except UnicodeDecodeError as error:
        raise KitError(f"{source}: not UTF-8 ({error.reason}); expected UTF-8 text") from None
    except csv.Error as error:
        raise KitError(f"{source}:{reader.line_num}: not a CSV file ({error})") from None
    except OSError as error:
        raise KitError(f"{source}: cannot be read ({error.strerror})") from None
    if not rows:
        raise KitError(f"{source}: no rows; expected {LAYOUT}")
    return rows, names, others


def _columns(source, head):
    """Returns the names of the columns."""
    columns = [name.strip() for name in head]
    for name in ("path", "label"):
        if name not in columns:
            raise KitError(f"{source}: no column {name!r}; expected {LAYOUT}, got {', '.join(columns) or 'none'}")
    for name in ("path", "label", "split"):
        if columns.count(name) > 1:
            raise KitError(f"{source}: {columns.count(name)} columns {name!r}; expected one")
    return columns


def _file(folder, path):
    """Returns the file that a path means, or None.

    A Mac writes é as two characters where others have one, and Windows has other slashes.
    """
    spellings = [path, *(unicodedata.normalize(form, path) for form in ("NFC", "NFD"))]
    spellings += [each.replace("\\", "/") for each in spellings if "\\" in each]
    files = (os.path.join(folder, each) for each in spellings)
    return next((file for file in files if os.path.isfile(file)), None)
