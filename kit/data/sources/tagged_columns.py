"""Columns of words and tags (CoNLL): a word and its tags in each line, an empty line after each sentence."""

import bisect
import logging
import re
from collections import Counter

from kit.data.sources import tagged_table
from kit.data.sources.tag_columns import is_heading, number_of, shown
from kit.data.sources.text_files import blocks, lines, splitter
from kit.errors import KitError, SettingError

log = logging.getLogger("kit")

# A comment before a sentence; `#tag` and, between tabs, `#` are words.
_COMMENT = re.compile("#+(?: |$)")
_JSON = re.compile(r"\s*(?:\{\s*\"|\[\s*[\[{]|[\[{]\s*$)")


def sentences(path, columns, bad):
    """Yields line, words, tags, lines of the words, and the document, of each sentence of a file.

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
    rows, starts = [], []  # of documents
    for number, text in lines(path, bad):
        if (text or "").startswith("-DOCSTART-"):
            starts.append(number)
        else:
            rows.append((number, text))
    split = _splitter(path, rows)
    plain = [text for _, text in rows if text and not text.isspace() and not _COMMENT.match(text)]
    _check_form(path, rows, plain)
    if plain and is_heading(split(plain[0]), columns):
        start = next(row for row, (_, text) in enumerate(rows) if text == plain[0])
        table = ((number, None if text is None else split(text)) for number, text in rows[start:])
        yield from tagged_table.sentences(path, table, columns, bad)
        return
    split, width = _trimmed(split, plain, columns)
    word, tag = _positions(path, width, columns)
    is_comment = _comments(rows, plain, split, width, tag)
    _check_end(path, rows, plain, split, width, tag, bad)
    least, comments = max(width, 1 + columns.needs_tags), 0
    for block in blocks(rows):
        start = next((row for row, (_, text) in enumerate(block) if not is_comment(text)), len(block))
        comments += start
        words, tags = [], []
        for number, text in block[start:]:
            if text is None:
                break  # the line was named already
            fields = split(text)
            try:
                if len(fields) != least or not fields[word].strip() or (columns.needs_tags and not fields[tag].strip()):
                    raise ValueError(_problem(fields, width, least, word, columns))
                words.append(fields[word].strip())
                tags += columns.named([fields[tag].strip()]) if columns.tag_names else [fields[tag].strip()]
            except ValueError as error:
                bad.add(path, number, error)
                break
        else:
            if words:
                before = bisect.bisect(starts, block[0][0])
                own = {"document": f"line {starts[before - 1]}"} if before else {}
                yield block[start][0], words, tags, [number for number, _ in block[start:]], own
    if comments and columns.needs_tags:
        log.info("%s: %s lines that begin with '# ' before sentences are comments", path.name, f"{comments:,}")


def _splitter(path, rows):
    """Returns the function that cuts a line into fields, between tabs or, without any, between spaces."""
    at_tabs = splitter(path, [text for _, text in rows if text and "\t" in text])

    def split(text):
        if "\t" in text:
            return at_tabs(text)
        return [field for field in text.split(" ") if field]

    return split


def _check_form(path, rows, plain):
    """Raises KitError for a file of another form than columns."""
    if plain and _JSON.match(plain[0]):
        number = next(number for number, text in rows if text == plain[0])
        raise KitError(f"{path}:{number}: looks like JSON; expected columns, or a .jsonl with an object a line")


def _trimmed(split, plain, columns):
    """Returns `split` without columns at the end that are empty everywhere, and how many columns most lines have."""
    counts = Counter(len(split(text)) for text in plain)
    width = before = counts.most_common(1)[0][0] if counts else 1

    def is_empty(column):
        found = (split(text) for text in plain)
        return not any(fields[column].strip() for fields in found if len(fields) == before)

    while width > 1 + columns.needs_tags and is_empty(width - 1):
        width -= 1
    if width == before:
        return split, width

    def cut(text):
        fields = split(text)
        return fields[:width] if len(fields) == before else fields

    return cut, width


def _comments(rows, plain, split, width, tag):
    """Returns the function that tells whether the first line of a sentence is a comment."""
    tags = set()
    if width > 1 and any(text and _COMMENT.match(text) for _, text in rows):
        tags = {fields[tag].strip() for fields in map(split, plain) if len(fields) == width}

    def is_comment(text):
        if text is None or not _COMMENT.match(text):
            return False
        fields = split(text)
        return len(fields) != width or (width > 1 and fields[tag].strip() not in tags)

    return is_comment


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


def _problem(fields, width, least, word, columns):
    """Returns in words why a row is not a word and its tags."""
    if len(fields) == least:
        return f"an empty {'tag' if fields[word].strip() else 'word'}; expected a word and its tag"
    what = "a word and its tags" if columns.needs_tags else "as in most lines"
    is_table = width == 1 and re.search("[,;]", fields[0])
    hint = " (a table between commas or semicolons is named .csv)" if is_table else ""
    return f"{len(fields)} column{'s' * (len(fields) > 1)}, expected {least}: {what}{hint}"


def _check_end(path, rows, plain, split, width, tag, bad):
    """Notes a file that ends in the middle of a tag: a last line that is not closed must be whole."""
    number, text = rows[-1] if rows else (0, None)
    fields = split(text) if text and plain and text is plain[-1] else []
    if width == 1 or len(fields) != width:
        return
    end = fields[tag].strip()
    if end == "O":
        return
    counts = Counter(fields[tag].strip() for fields in map(split, plain) if len(fields) == width)
    others = [other for other in counts if other.startswith(end) and other != end]
    if counts[end] == 1 and others:
        bad.add(path, number, f"the file ends in the tag {end!r}, and {shown(others[0])} is known; is it whole?")
