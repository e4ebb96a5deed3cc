"""Text files of the sources: lines of plain or gzipped UTF-8 files, and the split that a file's name says."""

import csv
import gzip
import json
import logging
import re
import zlib

from kit.data.split_names import splits_in
from kit.errors import KitError

log = logging.getLogger("kit")

_NO_DATA = (".md", ".html", ".xml", ".pdf", ".py", ".json")
_MOST_SHOWN, _MOST_CHARACTERS = 5, 300


class BadRows:
    """Unreadable rows: the first one is an error, or all are listed and left out.

    Args:
        on_bad: "error" or "skip".

    Attributes:
        messages: A message on each row that was left out; files are named without their folder.
    """

    def __init__(self, on_bad="error"):
        self.skips = on_bad == "skip"
        self.messages = []

    def add(self, path, number, problem):
        """Notes a row of a file, or raises KitError that names it."""
        problem = _short(str(problem))
        if not self.skips:
            raise KitError(f"{path}:{number}: {problem}")
        self.messages.append(f"{path.name}:{number}: {problem}")

    def check_any(self, path, count, expected):
        """Raises KitError where a file has no row that can be read."""
        if not count:
            first = f"; of {len(self.messages):,} bad rows the first: {self.messages[0]}" if self.messages else ""
            raise KitError(f"{path}: no sentences; expected {expected}{first}")

    def told(self):
        """Says in the log how many rows are left out, and returns the messages on them."""
        if self.messages:
            shown = "; ".join(self.messages[:_MOST_SHOWN])
            log.info("texts: %s rows that cannot be read are skipped: %s", f"{len(self.messages):,}", shown)
        return self.messages


def _short(text):
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."


def plain_name(path):
    """Returns a file's name in lower case, without .gz."""
    return path.name.lower().removesuffix(".gz")


def candidates(folder, part):
    """Returns the files of a folder whose name tells that they are of a split, sorted by name."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return [path for path in files if part in splits_in(path.name) and not path.name.lower().endswith(_NO_DATA)]


def split_lines(text):
    """Returns the lines of a text: a line ends in \\n or \\r\\n and in nothing else, in files and elsewhere."""
    return re.split("\r?\n", text)


def lines(path, bad=None, longest=None):
    """Yields number and text of each line of a file; see `split_lines`.

    Args:
        path: The file.
        bad: `BadRows`; where they are left out, the text of a line that is no UTF-8 is None.
        longest: Bytes of a line that is read at once; a longer one comes in parts of the same number. None is any.

    Raises:
        KitError: the file cannot be read or is no UTF-8; the message names file and line.
    """
    bad = bad or BadRows()
    try:
        with (gzip.open if path.name.lower().endswith(".gz") else open)(path, "rb") as file:
            for number, line in enumerate(file, 1) if longest is None else _in_parts(file, longest):
                if line.endswith(b"\n"):
                    line = line[:-1].removesuffix(b"\r")
                try:
                    text = line.decode("utf-8")
                except UnicodeDecodeError as error:
                    bad.add(path, number, f"not UTF-8 ({error.reason}); expected UTF-8 text")
                    text = None
                yield number, text.removeprefix("\ufeff") if number == 1 and text else text
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise KitError(f"{path}: damaged ({error}); expected a gzip file") from None
    except OSError as error:
        raise KitError(f"{path}: cannot be read ({error.strerror})") from None


def _in_parts(file, longest):
    """Yields number and bytes of each line, those of a long one in parts that are whole characters of UTF-8."""
    number, rest = 1, b""
    while line := rest + file.readline(longest):
        is_cut, rest = len(line) >= longest and not line.endswith(b"\n"), b""
        if is_cut:  # the bytes behind the first of a character begin with the bits 10
            end = next((len(line) - back for back in range(1, 5) if line[-back] & 0xC0 != 0x80), len(line))
            line, rest = line[:end], line[end:]
        yield number, line
        number += not is_cut


def blocks(rows):
    """Yields the rows between empty lines as lists; the last one need not be closed.

    Args:
        rows: Tuples of a line's number, its text, or None where it cannot be read, and perhaps more.
    """
    block = []
    for row in rows:
        if row[1] is None or row[1].strip():
            block.append(row)
        elif block:
            yield block
            block = []
    if block:
        yield block


def json_rows(path, bad=None):
    """Yields number and value of each line of a JSONL file that is not empty.

    Args:
        path: The file.
        bad: `BadRows`.

    Raises:
        KitError: a line that is no JSON; the message names file and line.
    """
    bad = bad or BadRows()
    for number, text in lines(path, bad):
        if text is None or not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            bad.add(path, number, f"not valid JSON ({error})")
            continue
        yield number, row


def scalars(row, without=()):
    """Returns those entries of an object that are texts or numbers, without some keys, as other columns of its row."""
    return {name: value for name, value in row.items() if isinstance(value, str | int | float) and name not in without}


def csv_rows(path, bad):
    """Yields line and fields of each row of a CSV file; of a row that cannot be read the fields are None.

    Fields are between commas, semicolons or tabs, whichever there are most of in the first line.
    """
    broken = set()

    def fed():
        for number, text in lines(path, bad):
            if text is None:
                broken.add(number)
            yield f"{text or ''}\n"

    source = fed()
    first = next(source, "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader((line for part in ((first,), source) for line in part), delimiter=delimiter)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise KitError(f"{path}:{reader.line_num}: not a CSV file ({error})") from None
        if any("\n" in field for field in fields):
            bad.add(path, reader.line_num, "a field of several lines; expected one (is a quote not closed?)")
            broken.add(reader.line_num)
        yield reader.line_num, None if reader.line_num in broken else fields


def splitter(path, texts):
    """Returns the function that cuts a line into fields at tabs, and undoes the quotes of a spreadsheet.

    It writes `"` in a field twice and puts the field into quotes. That this was done shows in the whole file: every
    field with a quote is written so, and one has a quote inside, or else every field is in quotes.

    Args:
        path: The file, for the log.
        texts: Its lines.
    """

    def plain(text):
        return text.split("\t")

    def unquoted(text):
        fields = text.split("\t")
        return [each[1:-1].replace('""', '"') if each.startswith('"') else each for each in fields]

    marked = [field for text in texts if '"' in text for field in text.split("\t") if '"' in field]
    quoted = [field for field in marked if _QUOTED.fullmatch(field)]
    is_export = any('""' in field[1:-1] for field in quoted)
    if not is_export and (not quoted or len(quoted) < sum(text.count("\t") + 1 for text in texts)):
        return plain
    if len(quoted) < len(marked):
        log.warning(
            "%s: %s fields are quoted as spreadsheets do it, %s with quotes are not; all are taken as they are",
            *(path.name, f"{len(quoted):,}", f"{len(marked) - len(quoted):,}"),
        )
        return plain
    log.info("%s: the quotes that a spreadsheet put around fields are left out", path.name)
    return unquoted


_QUOTED = re.compile(r'"(?:[^"]|"")*"', re.DOTALL)
