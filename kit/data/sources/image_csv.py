"""A CSV file that names image files and their classes: columns `path`, `label` and, if given, `split`."""

import numpy as np

from kit.data.sources import Images
from kit.data.splits import SPLITS
from kit.errors import KitError

LAYOUT = "a .csv file with the columns path, label and perhaps split"
_SPLIT_NAMES = {**{name: name for name in SPLITS}, "val": "validation", "valid": "validation", "dev": "validation"}


def accepts(path):
    """Tells whether a path is a CSV file."""
    return path.is_file() and path.suffix.lower() == ".csv"


def read(source, needs_classes=True):
    """Returns the paths, classes and, where there is such a column, splits of a CSV file.

    Paths are relative to the file's folder. Classes that are all numbers are in their order, others in that of the
    alphabet.

    Args:
        source: The file.
        needs_classes: Refuse images of fewer than two classes.

    Raises:
        KitError: the file cannot be read; the message names the row and what was expected.
    """
    rows = _rows(source)
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
        paths=[str(source.parent / path) for _, path, _, _ in rows],
        labels=np.array([index[label] for _, _, label, _ in rows], "int32"),
        class_names=class_names,
        names=[path for _, path, _, _ in rows],
        split=np.array(splits, dtype=object) if any(splits) else None,
    )


def _rows(source):
    """Returns line number, path, label and split of each row."""
    import csv

    rows, seen = [], {}
    try:
        with open(source, encoding="utf-8-sig", newline="") as file:  # a byte-order mark, Windows line ends
            reader = csv.DictReader(file)
            columns = [str(name).strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            for name in ("path", "label"):
                if name not in columns:
                    raise KitError(
                        f"{source}: no column {name!r}; expected {LAYOUT}, got {', '.join(columns) or 'none'}"
                    )
            for row in reader:
                number = reader.line_num
                path, label, split = (str(row.get(name) or "").strip() for name in ("path", "label", "split"))
                for name, value in (("path", path), ("label", label), ("split", split or "split" not in columns)):
                    if not value:
                        raise KitError(f"{source}:{number}: an empty {name}; expected one in every row")
                if split and split.lower() not in _SPLIT_NAMES:
                    raise KitError(f"{source}:{number}: split {split!r}; expected {', '.join(SPLITS)}")
                if path in seen:
                    raise KitError(f"{source}:{number}: {path} is in line {seen[path]} already; expected it once")
                if not (source.parent / path).is_file():
                    raise KitError(f"{source}:{number}: no such file: {path}; paths are relative to the CSV's folder")
                seen[path] = number
                rows.append((number, path, label, _SPLIT_NAMES.get(split.lower(), "")))
    except UnicodeDecodeError as error:
        raise KitError(f"{source}: not UTF-8 ({error.reason}); expected UTF-8 text") from None
    except csv.Error as error:
        raise KitError(f"{source}: not a CSV file ({error})") from None
    except OSError as error:
        raise KitError(f"{source}: cannot be read ({error.strerror})") from None
    if not rows:
        raise KitError(f"{source}: no rows; expected {LAYOUT}")
    return rows
