"""Text files of the sources: lines of plain or gzipped UTF-8 files, and the split that a file's name says."""

import gzip
import json
import re
import zlib

from kit.errors import KitError

# Words of a file's name that tell its split; `latest` is none.
SPLIT_NAMES = {
    "train": r"(?<![a-z])train(ing)?(?![a-z])",
    "validation": r"(?<![a-z])(dev(el|elopment)?|val(id|idation)?)(?![a-z])",
    "test": r"(?<![a-z])test(ing)?(?![a-z])",
}
_NO_DATA = (".md", ".html", ".xml", ".pdf", ".py", ".json")


def plain_name(path):
    """Returns a file's name in lower case, without .gz."""
    return path.name.lower().removesuffix(".gz")


def candidates(folder, part):
    """Returns the files of a folder whose name tells that they are of a split, sorted by name."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    pattern = SPLIT_NAMES[part]
    return [
        path for path in files if re.search(pattern, path.name.lower()) and not path.name.lower().endswith(_NO_DATA)
    ]


def lines(path):
    """Yields number and text of each line of a file.

    Raises:
        KitError: the file cannot be read or is no UTF-8; the message names file and line.
    """
    number = 0
    try:
        with (gzip.open if path.name.endswith(".gz") else open)(path, "rb") as file:
            for number, line in enumerate(file, 1):
                text = line.decode("utf-8").rstrip("\r\n")
                yield number, text.removeprefix("\ufeff") if number == 1 else text
    except UnicodeDecodeError as error:
        raise KitError(f"{path}:{number}: not UTF-8 ({error.reason}); expected UTF-8 text") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise KitError(f"{path}: damaged ({error}); expected a gzip file") from None
    except OSError as error:
        raise KitError(f"{path}: cannot be read ({error.strerror})") from None


def json_rows(path):
    """Yields number and value of each line of a JSONL file that is not empty.

    Raises:
        KitError: a line that is no JSON; the message names file and line.
    """
    for number, text in lines(path):
        if text.strip():
            try:
                yield number, json.loads(text)
            except (ValueError, RecursionError) as error:
                raise KitError(f"{path}:{number}: not valid JSON ({error})") from None
