"""Folders of text files: one folder a class, either directly or inside `train`, `validation` and `test`."""

import numpy as np

from kit.data.sources import Texts
from kit.data.sources.text_tables import MOST_CHARACTERS
from kit.data.split_names import SPLITS, split_named
from kit.data.text import is_text
from kit.errors import KitError

LAYOUT = "a folder of .txt files for each class, directly or inside train/, validation/ and test/"


def accepts(path):
    """Tells whether a path can be read by this module: every folder can, to say what is missing in it."""
    return path.is_dir()


def read(source, *, on_bad="error"):
    """Returns the texts of a folder, the names of their folders as labels.

    Args:
        source: The folder.
        on_bad: "skip" lists files that cannot be read and leaves them out; "error" names the first.

    Raises:
        KitError: there are no texts, or one that cannot be used; the message names it.
    """
    from kit.data.sources.text_files import BadRows

    bad, texts, targets, places, split = BadRows(on_bad), [], [], [], []
    folders = _folders(source)
    parts = {split_named(folder.name): folder for folder in folders if split_named(folder.name)}
    is_divided = "train" in parts and len(parts) == len(folders)
    for part, inside in parts.items() if is_divided else ((None, source),):
        for folder in _folders(inside):
            for path in sorted(folder.rglob("*.txt")):
                text = _text(path, bad)
                if text is not None:
                    texts.append(text)
                    targets.append(folder.name)
                    places.append(path.relative_to(source).as_posix())
                    split.append(part)
    if not texts:
        raise KitError(f"{source}: no texts; expected {LAYOUT}")
    if is_divided:
        order = sorted(range(len(split)), key=lambda row: SPLITS.index(split[row]))
        texts, targets, places, split = ([each[row] for row in order] for each in (texts, targets, places, split))
    return Texts(
        texts, targets, places, split=np.array(split, dtype=object) if is_divided else None, skipped=bad.told()
    )


def _folders(folder):
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _text(path, bad):
    """Returns the text of a file, its line ends as spaces; None where it was left out."""
    try:
        text = " ".join(path.read_bytes().decode("utf-8-sig").split())
    except UnicodeDecodeError as error:
        bad.add(path, 1, f"not UTF-8 ({error.reason}); expected UTF-8 text")
        return None
    except OSError as error:
        raise KitError(f"{path}: cannot be read ({error.strerror})") from None
    problem = None
    if not text or not is_text(text):
        problem = "empty; expected a text"
    elif len(text) > MOST_CHARACTERS:
        problem = f"{len(text):,} characters; expected at most {MOST_CHARACTERS:,}"
    if problem:
        bad.add(path, 1, problem)
        return None
    return text
