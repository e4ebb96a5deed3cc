"""Columns of words and tags (CoNLL): a word and its tags in each line, an empty line after each sentence."""

import logging
import re
from collections import Counter

from kit.data.sources import tagged_table
from kit.data.sources.tag_columns import is_heading, number_of
from kit.data.sources.text_files import blocks, fields_between_tabs, lines
from kit.errors import KitError, SettingError

log = logging.getLogger("kit")

# A comment before a sentence; `#tag` and, between tabs, `#` are words.
_COMMENT = re.compile("#+(?: |$)")
_JSON = re.compile(r"\s*(?:\{\s*\"|\[\s*[\[{]|[\[{]\s*$)")


def read(path, columns, bad):
    """Yields line, words, tags and lines of the words of each sentence of a file.

    What begins with "# " before a sentence is a comment, unless it has as many columns as the file and a tag that
    stands elsewhere, too; inside a sentence it is a word.

    Args:
        path: The file.
        columns: `TagColumns`.
        bad: `BadRows`.

    Raises:
        KitError: the file is of another form.
        SettingError: a column that does not exist.
    """
    rows = [row for row in _rows(path, bad) if not (row[1] or "").startswith("-DOCSTART-")]
    plain = [row for row in rows if row[2] and not _COMMENT.match(row[1])]
    if plain and _JSON.match(plain[0][1]):
        raise KitError(f"{path}:{plain[0][0]}: looks like JSON; expected columns, or a .jsonl with an object a line")
    if plain and is_heading(plain[0][2], columns):
        table = [(number, None if text is None else fields) for number, text, fields in rows if number >= plain[0][0]]
        yield from tagged_table.read(path, table, columns, bad)
        return
    rows, width = _trimmed(rows, plain, columns)
    word, tag = _positions(path, width, columns)
    counts = Counter(fields[tag].strip() for _, _, fields in plain if len(fields) >= width)
    _check_end(path, rows[-1:], width, tag, counts, bad)
    comments = 0
    for block in blocks(rows):
        while block and _is_comment(*block[0][1:], width, tag, counts):
            block.pop(0)
            comments += 1
        words, tags = [], []
        for number, text, fields in block:
            if text is None:
                break  # the line was named already
            try:
                _check(fields, width, word, tag, columns)
                words.append(fields[word].strip())
                tags += columns.named([fields[tag].strip()]) if columns.needs_tags else []
            except ValueError as error:
                bad.add(path, number, error)
                break
        else:
            if words:
                yield block[0][0], words, tags, [number for number, *_ in block]
    if comments and columns.needs_tags:
        log.info("%s: %s lines that begin with '# ' before sentences are comments", path.name, f"{comments:,}")


def _rows(path, bad):
    """Returns number, text and fields of each line: between tabs or, without any, between spaces; or none."""
    found = list(lines(path, bad))
    tabbed = dict(fields_between_tabs(path, [(number, text) for number, text in found if text and "\t" in text]))
    return [
        (number, text, (tabbed.get(number) or re.split(" +", text.strip(" "))) if text and text.strip() else [])
        for number, text in found
    ]


def _trimmed(rows, plain, columns):
    """Returns the rows without columns at the end that are empty everywhere, and how many columns most have."""
    counts = Counter(len(fields) for _, _, fields in plain)
    width = before = counts.most_common(1)[0][0] if counts else 1
    whole = [fields for _, _, fields in plain if len(fields) == before]
    while width > 1 + columns.needs_tags and not any(fields[width - 1].strip() for fields in whole):
        width -= 1
    if width == before:
        return rows, width
    return [(number, text, fields[:width] if len(fields) == before else fields) for number, text, fields in rows], width


def _positions(path, width, columns):
    """Returns the positions of words and tags among so many columns."""
    found = []
    for key, given, usual in (("word_column", columns.words, 1), ("column", columns.tags, -1)):
        is_asked = given is not None and (columns.needs_tags or number_of(given) is not None)
        number = number_of(given) if is_asked else usual
        if number is None:
            raise SettingError(key, f"expected the number of a column of {path.name}, got {given!r}")
        position = number - 1 if number > 0 else width + number
        if width > 1 and not (number and 0 <= position < width):
            raise SettingError(key, f"expected at most {width}, the columns of {path.name}, got {number}")
        found.append(min(position, width - 1))
    if width > 1 and columns.needs_tags and found[0] == found[1]:
        raise SettingError(
            "column",
            f"expected another column of {path.name} than {found[0] + 1}, that of the words",
        )
    return found


def _is_comment(text, fields, width, tag, counts):
    """Tells whether the first line of a sentence is a comment."""
    if text is None or not _COMMENT.match(text):
        return False
    return len(fields) != width or (width > 1 and not counts[fields[tag].strip()])


def _check(fields, width, word, tag, columns):
    """Raises ValueError for a row that is not a word and its tags."""
    least = 1 + columns.needs_tags
    if len(fields) != max(width, least):
        what = "a word and its tags" if columns.needs_tags else "as in most lines"
        hint = " (a table between commas or semicolons is named .csv)" if re.search("[,;]", fields[0]) else ""
        raise ValueError(
            f"{len(fields)} column{'s' * (len(fields) > 1)}, expected {max(width, least)}: {what}{hint * (width == 1)}"
        )
    is_word = fields[word].strip()
    if not is_word or (columns.needs_tags and not fields[tag].strip()):
        raise ValueError(f"an empty {'tag' if is_word else 'word'}; expected a word and its tag")


def _check_end(path, last, width, tag, counts, bad):
    """Notes a file that ends in the middle of a tag: a last line that is not closed must be whole."""
    for number, _, fields in last:
        if width > 1 and len(fields) == width:
            end = fields[tag].strip()
            others = [other for other in counts if other.startswith(end) and other != end]
            if counts[end] == 1 and others:
                bad.add(path, number, f"the file ends in the tag {end!r}, and {others[0]!r} is known; is it whole?")
