"""Tagged words as a table with a heading, such as Kaggle's `Sentence #,Word,POS,Tag`: a word in each row."""

import logging

from kit.data.sources.tag_columns import SENTENCES, TAGS, WORDS, index_of, shown
from kit.data.text import is_text
from kit.errors import KitError, check

log = logging.getLogger("kit")


def sentences(path, rows, columns, bad):
    """Yields line, words, tags, lines of the words, and the other columns, of each sentence of a table.

    A sentence begins where the column that tells sentences apart has another value, or, without such a column, after an
    empty row. Of the other columns the fields of its first row count.

    Args:
        path: The file, for messages.
        rows: Number and fields of each row, the heading first; fields are None where a row cannot be read.
        columns: `TagColumns`.
        bad: `BadRows`.

    Raises:
        SettingError: there is no such column.
        KitError: there is no column of words, or nothing that tells sentences apart.
    """
    rows = iter(rows)
    number, heading = next(rows, (1, None))
    heading = [name.strip() for name in heading or ()]
    word, tag, sentence = _columns(path, number, heading, columns)
    for group in _groups(path, rows, heading, sentence, bad):
        words, tags = [], []
        for number, fields in group:
            try:
                if fields is None:
                    break  # the line was named already
                if len(fields) != len(heading):
                    raise ValueError(f"{len(fields)} columns, expected {len(heading)}: {', '.join(heading)}")
                if not fields[word].strip() or not is_text(fields[word]):
                    raise ValueError("an empty word; expected a word and its tag")
                words.append(fields[word].strip())
                tags += [] if tag is None else columns.named([fields[tag].strip()])
            except ValueError as error:
                bad.add(path, number, error)
                break
        else:
            own = {name: group[0][1][index] for index, name in enumerate(heading) if name and index not in (word, tag)}
            yield group[0][0], words, tags, [number for number, _ in group], own


def _columns(path, number, heading, columns):
    """Returns the positions of words, tags and sentences, the last two perhaps None, and says which they are."""
    # New texts need not have the columns of those that were learned from.
    word = index_of(heading, columns.words, WORDS, "word_column" if columns.needs_tags else None)
    tag = index_of(heading, columns.tags, TAGS, "column") if columns.needs_tags else None
    sentence = index_of(heading, columns.sentences, SENTENCES, "sentence_column" if columns.needs_tags else None)
    for found, kind, usual, key in ((word, "words", "word", "word_column"), (tag, "tags", "tag", "column")):
        if found is None and (kind == "words" or columns.needs_tags):
            named = ", ".join(map(shown, heading[:20])) or "none"
            raise KitError(
                f"{path}:{number}: no column of {kind} among {named}; expected a heading with {usual!r}, or another "
                f"name given as data.{key}"
            )
    if columns.needs_tags:
        check(word != tag, "column", columns.tags, f"another one than that of the words, {heading[word]!r}")
        sentences = "" if sentence is None else f", sentences by {heading[sentence]!r}"
        log.info("%s: words are those of %r, tags of %r%s", path.name, heading[word], heading[tag], sentences)
    return word, tag, sentence


def _groups(path, rows, heading, sentence, bad):
    """Returns the rows of each sentence."""
    groups, current = [[]], None
    for number, fields in rows:
        is_empty = fields is not None and not any(field.strip() for field in fields)
        if is_empty:
            groups += [[]] if sentence is None else []
            continue
        value = fields[sentence].strip() if fields and sentence is not None and len(fields) > sentence else ""
        if value and value != current:
            groups.append([])
            current = value
        groups[-1].append((number, fields))
    if sentence is not None and groups[0]:
        bad.add(path, groups[0][0][0], f"a word before the first {heading[sentence]!r}; expected one in the first row")
        groups[0] = []
    groups = [group for group in groups if group]
    if sentence is None and len(groups) == 1:
        raise KitError(
            f"{path}: nothing tells its sentences apart; expected a column such as {SENTENCES[0]!r} (or another, named "
            "by data.sentence_column), or empty rows between them"
        )
    return groups
