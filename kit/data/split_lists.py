"""Published divisions: text files that list the names of a split's examples, such as `testing_list.txt`."""

import logging
import unicodedata

import numpy as np

from kit.data.sources.text_files import lines
from kit.data.split_names import EXPECTED, SPLITS, UNUSED, split_named, splits_in
from kit.errors import KitError, SettingError, closest
from kit.files import as_path

log = logging.getLogger("kit")


def listed(files, ids, given=None, left_out=()):
    """Returns the split of each example that lists of names tell.

    Examples in no list are training examples where no list is of these, and "unused" else. A name is that of an
    example, with or without its ending, or the end of its path, or a longer path that ends in it; what follows white
    space, such as the path of a mask, is left out.

    Args:
        files: Path of each list. A word of its name says of which split it is, or `SPLIT=` before the path does.
        ids: Name of each example, (examples,).
        given: Splits of the source itself; there must be none.
        left_out: Names of examples that are not there any more, such as damaged images: a list may have them.

    Raises:
        SettingError: the source has splits of its own, or it is not clear of which split a list is.
        KitError: a list that cannot be read, or a name in it that no example has, or that stands there twice; the
            message names file and line.
    """
    if given is not None:
        raise SettingError("split_files", "the source has splits of its own; expected none, or a source without such")
    split = np.full(len(ids), None, dtype=object)
    count_of_ids, ids = len(ids), [*ids, *left_out]
    places, known = {}, _tails(ids)
    lists = _lists(files)
    for part, path in lists.items():
        count = 0
        for number, line in lines(path):
            if not line.strip():
                continue
            place = f"{path}:{number}"
            row = _row(line, known, place, ids)
            if row in places:
                raise KitError(f"{place}: {ids[row]} is in {places[row]} already; expected it once")
            places[row], count = place, count + 1
            if row < count_of_ids:
                split[row] = part
        if not count:
            raise KitError(f"{path}: no names; expected one in each line")
    rest = np.equal(split, None)
    split[rest] = UNUSED if "train" in lists else "train"
    if "train" in lists and rest.any():
        log.info("data.split_files: %s of %s examples are in no list and not used", f"{rest.sum():,}", f"{len(rest):,}")
    return split


def parts_of(files):
    """Returns the names of the splits that lists of names tell."""
    return tuple(_lists(files))


def _lists(files):
    """Returns the path of the list of each split."""
    found = {}
    for file in files:
        part, path = _said(file)
        parts = [part] if part else splits_in(path.name)
        if len(parts) != 1:
            raise SettingError(
                "split_files",
                f"{str(path)!r} looks like {' and like '.join(parts) or 'no split'}; expected {EXPECTED} in its name, "
                f"or before it, as in 'test={path}'",
            )
        if parts[0] in found:
            raise SettingError(
                "split_files", f"{str(found[parts[0]])!r} and {str(path)!r} are both for {parts[0]}; expected one"
            )
        if not path.is_file():
            raise SettingError("split_files", f"no file {str(path)!r}; expected a text file with a name in each line")
        found[parts[0]] = path
    return {part: found[part] for part in SPLITS if part in found}


def _said(file):
    """Returns the split that is said before the path of a list, or None, and the path."""
    said, equals, rest = file.partition("=")
    part = split_named(said) if equals else None
    return part, as_path(rest if part else file, "split_files")


def absolute(file):
    """Returns an item of `data.split_files` with an absolute path."""
    part, path = _said(file)
    return f"{file.partition('=')[0]}={path.resolve()}" if part else str(path.resolve())


def _tails(ids):
    """Returns the row of each end of a name, with and without its ending; of one that is the end of several None.

    A whole name stands before one without its ending, and that before the ends of others.
    """
    ends, short, whole = {}, {}, {}
    for row, name in enumerate(ids):
        parts = _normal(name).split("/")
        for start in range(len(parts)):
            tail = "/".join(parts[start:])
            for key in dict.fromkeys((tail, _without_ending(tail))):
                table = ends if start else whole if key == tail else short
                table[key] = row if table.get(key, row) == row else None
    return ends, short, whole


def _normal(name):
    return unicodedata.normalize("NFC", name.strip()).replace("\\", "/").removeprefix("./").strip("/")


def _without_ending(name):
    stem, dot, ending = name.rpartition(".")
    return stem if dot and stem and "/" not in ending else name


def _row(line, known, place, ids):
    """Returns the row of the example that a line of a list names."""
    ends, short, whole = known
    for text in dict.fromkeys((line, line.split()[0])):
        name = _normal(text)
        parts = name.split("/")
        longer = [(table, "/".join(parts[start:])) for start in range(1, len(parts)) for table in (whole, short)]
        for table, key in ((whole, name), (short, name), (ends, name), *longer):
            if key in table:
                if table[key] is None:
                    raise KitError(f"{place}: {text.strip()!r} names several examples; expected more of the path")
                return table[key]
    raise KitError(
        f"{place}: no example is called {line.strip()[:200]!r}; expected a name such as {ids[0]!r}"
        f"{_guess(line.strip(), ids)}"
    )


def _guess(name, ids):
    """Returns the nearest name as a question, where there are few enough to look through."""
    hint = closest(name[:200], ids) if len(ids) <= 5000 else ""
    return hint if "did you mean" in hint else ""


def tell_of_lists(folder):
    """Says in the log which files in a folder look like a published division that nobody has asked for.

    They are not taken by themselves: what divides the data is to be seen in the settings.

    Args:
        folder: Path of the source.
    """
    found = [path for path in sorted(folder.glob("*.txt")) if len(splits_in(path.name)) == 1 and path.is_file()]
    if found:
        shown = ", ".join(f'"{path}"' for path in found)
        log.info("%s looks like a published division, which data.split_files=[%s] takes", found[0].name, shown)
