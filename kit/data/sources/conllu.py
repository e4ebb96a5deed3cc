"""CoNLL-U files: their tagged words, the texts that these stand in, and the same files with other tags."""

import logging
import re

from kit.data.sources.tag_columns import shown
from kit.data.sources.text_files import blocks, lines
from kit.errors import SettingError

FIELDS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
# 3-4: a token that stands for several words; 3.1: an empty node
_NO_WORD = re.compile(r"\d+[-.]\d+")
_SEVERAL = re.compile(r"(\d{1,9})-(\d{1,9})")
_COMMENT = re.compile(r"#\s*([^=]*[^=\s])\s*(?:=\s*(.*?))?\s*")
# Comments that are about the sentences that follow, too, and those that end with another one.
_OPENING = {"newdoc": ("newdoc id", "newpar id"), "newpar": ("newpar id",)}

log = logging.getLogger("kit")


def field_of(column):
    """Returns the name of the field that holds the tags, or raises SettingError."""
    column = (column or "upos").lower()
    if column not in FIELDS[2:]:
        raise SettingError("column", f"expected one of {', '.join(FIELDS[2:])}, got {column!r}")
    return column


def sentences(path, columns, bad):
    """Yields line, words, tags, lines of the words, comments and text of each sentence of a file.

    Of a token that stands for several words, such as `du` for `de le`, the words are taken; empty nodes are left out.
    Comments are a dictionary, such as `sent_id`; `newdoc id` and `newpar id` are those of the document and paragraph
    that a sentence is in, numbers where they have no id.

    Args:
        path: The file.
        columns: `TagColumns`.
        bad: `BadRows`.
    """
    column, around = FIELDS.index(field_of(columns.tags)), {}
    for block in blocks(lines(path, bad)):
        words, tags, places, rows, text, first = [], [], [], [], None, None
        comments = _comments([line for _, line in block if line and line.startswith("#")], block[0][0], around)
        for number, line in block:
            if line is None:
                break
            if line.startswith("#"):
                text = line.partition("=")[2].strip() if re.match(r"#\s*text\s*=", line) else text
                continue
            first = first or number
            rows.append(line.split("\t"))
            try:
                if not _is_word(rows[-1], len(words) + 1):
                    continue
                word, tag = rows[-1][1], rows[-1][column]
                if not word.strip() or (columns.needs_tags and not tag.strip()):
                    empty = "tag" if word.strip() else "word"
                    raise ValueError(f"an empty {empty}; expected a word and its tag")
            except ValueError as error:
                bad.add(path, number, error)
                break
            words.append(word)
            tags.append(tag)
            places.append(number)
        else:
            if words:
                yield first, words, tags, places, comments, text_of(rows, text)


def _comments(found, number, around):
    """Returns the comments of a sentence as a dictionary.

    Args:
        found: Its lines with comments.
        number: The first line of the sentence, which stands for the id of a document or paragraph that has none.
        around: Ids of document and paragraph of the sentence before; they are changed.
    """
    own = {}
    for line in found:
        match = _COMMENT.fullmatch(line)
        if match is None:
            continue
        key, value = match.groups()
        opened = _OPENING.get(key.removesuffix(" id"))
        if opened:
            for name in opened:
                around.pop(name, None)
            around[opened[0]] = value or f"line {number}"
        elif value is not None and not key.startswith("text"):
            own[key] = value
    return own | around


def _is_word(fields, expected):
    """Tells whether a row is a word, the one with the expected number, and not a multi-word token."""
    if len(fields) != len(FIELDS):
        raise ValueError(f"{len(fields)} columns, expected the 10 of CoNLL-U between tabs")
    if _NO_WORD.fullmatch(fields[0]):
        return False
    if not fields[0].isdecimal():
        raise ValueError(f"the word's number is {shown(fields[0])}, expected 3, 3-4 or 3.1")
    # Python reads no number of more than 4,300 digits.
    if len(fields[0]) > 9 or int(fields[0]) != expected:
        raise ValueError(f"word number {fields[0][:20]}, expected {expected}: is an empty line missing, or a word?")
    return True


def text_of(rows, text=None):
    """Returns the text of a sentence, and where its words stand in it.

    Args:
        rows: Fields of each row.
        text: What the file says that it is; by default it is put together from the words, if the rows tell where none
            is followed by a space.

    Returns:
        (text, places): the (start, end) of each word. Words that a token stands for share its own, unless they are its
        parts, as in `don't`. Places are None where the words are not those of the text; and instead of both there is
        None where nothing tells the text.
    """
    tokens = _tokens(rows)
    if text is None:
        if all(is_followed for *_, is_followed in tokens):
            return None
        text = "".join(token + " " * is_followed for token, _, is_followed in tokens).rstrip()
    # White space in a word may be another one in the text.
    signs = [place for place, character in enumerate(text) if not character.isspace()]
    written = "".join(text[place] for place in signs)
    places, start = [], 0
    for token, words, _ in tokens:
        token, words = "".join(token.split()), ["".join(word.split()) for word in words]
        if not token or not words or not written.startswith(token, start):
            return text, None
        ends = [start + len(token)] * len(words)
        starts = [start] * len(words)
        if "".join(words) == token:
            ends = [start + len("".join(words[: count + 1])) for count in range(len(words))]
            starts = [start, *ends[:-1]]
        places += [(signs[one], signs[other - 1] + 1) for one, other in zip(starts, ends, strict=True)]
        start += len(token)
    return text, places if start == len(written) else None


def _tokens(rows):
    """Returns each token, the words that it stands for, and whether a space follows it."""
    tokens, last = [], 0
    for number, form, *_, misc in rows:
        is_followed = "SpaceAfter=No" not in misc.split("|")
        several = _SEVERAL.fullmatch(number)
        if several:
            last = int(several[2])
            tokens.append((form, [], is_followed))
        elif number.isdecimal() and int(number) <= last:
            tokens[-1][1].append(form)
        elif number.isdecimal():
            tokens.append((form, [form], is_followed))
    return tokens


def known_texts(texts, places):
    """Returns the texts of sentences with the places of their words, and says in the log which do not hold their words.

    Args:
        texts: What `text_of` returned for each sentence, or None.
        places: Where each sentence stands.

    Returns:
        A list with None for each sentence of which the text is not known; or None where all are.
    """
    lost = [place for text, place in zip(texts, places, strict=True) if text and text[1] is None]
    if lost:
        log.warning(
            "%s: the words are not those of the line '# text' before them; so it is in %s of %s sentences, "
            "from which it is not learned where words end",
            *(lost[0], f"{len(lost):,}", f"{len(texts):,}"),
        )
    found = [text if text and text[1] is not None else None for text in texts]
    return found if any(found) else None


def filled(path, column, tags):
    """Returns the text of a file with other tags at its words, and all else as it is.

    Args:
        path: The file.
        column: Name of the field that holds the tags.
        tags: Iterator of the tag of each word.
    """
    index, written = FIELDS.index(column), []
    for _, line in lines(path):
        fields = line.split("\t")
        if len(fields) == len(FIELDS) and fields[0].isdecimal() and not line.startswith("#"):
            fields[index] = next(tags)
        written.append("\t".join(fields))
    # Sentences end in an empty line, the last one too.
    return "\n".join([*written, ""] if not written or written[-1].strip() else written) + "\n"
