"""Columns of a table, or keys of an object, that hold words, tags and sentences; and the names of numbered tags."""

import dataclasses

from kit.errors import SettingError, guess

# Usual names, in lower case; of several that there are the first is taken.
WORDS = ("tokens", "words", "token", "word", "form")
TAGS = (
    "tags",
    "ner_tags",
    "tag",
    "ner_tag",
    "ner",
    "labels",
    "label",
    "iob",
    "bio",
    "pos_tags",
    "upos",
    "pos",
)
SENTENCES = ("sentence #", "sentence#", "sentence", "sentence_id", "sentence id", "sent_id", "sentence_idx")


@dataclasses.dataclass(frozen=True)
class TagColumns:
    """Columns, or keys, of words, tags and sentences in a file of tagged sentences, and the names of numbered tags.

    Args:
        tags: Column of the tags: a number from 1 or from the end, or a name; None is the usual one.
        words: Column of the words.
        sentences: Column that tells sentences apart, in a table with a heading.
        tag_names: Names of tags that are numbers, that of 0 first.
        needs_tags: Files without tags are refused.
    """

    tags: str | None = None
    words: str | None = None
    sentences: str | None = None
    tag_names: tuple = ()
    needs_tags: bool = True

    def named(self, tags):
        """Returns tags as text, numbers by their names.

        Raises:
            ValueError: a tag that is neither a text nor a number, or a number without a name.
        """
        return [self._named(tag) for tag in tags]

    def _named(self, tag):
        is_number = (type(tag) is int and tag >= 0) or (self.tag_names and isinstance(tag, str) and _is_number(tag))
        if not is_number and not (isinstance(tag, str) and tag.strip()):
            raise ValueError(f"the tag {shown(tag)}; expected a text, or a number from 0")
        if not self.tag_names or not is_number:
            if self.tag_names and tag not in self.tag_names:
                raise ValueError(f"the tag {shown(tag)}; expected a number, or one of data.tag_names")
            return str(tag)
        if int(tag) >= len(self.tag_names):
            raise ValueError(f"the tag {shown(tag)}; expected at most {len(self.tag_names) - 1} (data.tag_names)")
        return self.tag_names[int(tag)]


def _is_number(text):
    return text.isdecimal() and len(text) < 10


def shown(value):
    """Returns a value for a message, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # a number of more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."


def index_of(heading, given, usual, key):
    """Returns the position of a column in a heading, or None where none is given and none has a usual name.

    Args:
        heading: Names of the columns.
        given: Name or number (from 1, or from the end) that was asked for, or None.
        usual: Usual names.
        key: The setting's name; without one what is given may be missing, and usual names are looked for.

    Raises:
        SettingError: there is no such column.
    """
    names = [name.strip().lower() for name in heading]
    number = None if given is None else number_of(given)
    if key is None and (number is None or abs(number) > len(names)) and (given or "").strip().lower() not in names:
        given = None
    if given is None:
        return next((names.index(name) for name in usual if name in names), None)
    if given.strip().lower() in names:
        return names.index(given.strip().lower())
    if number is None or not 1 <= abs(number) <= len(names):
        columns = ", ".join(map(shown, heading[:20]))
        raise SettingError(key, f"no column {shown(given)} among {columns}{guess(given, heading)}")
    return number - 1 if number > 0 else len(names) + number


def number_of(given):
    """Returns the number that a text writes, or None."""
    text = str(given).strip()
    return int(text) if _is_number(text.removeprefix("-")) else None


def is_heading(fields, columns):
    """Tells whether the fields of a first row are the names of columns, rather than a word with its tag."""
    names = [field.strip().lower() for field in fields]
    is_known = [
        str(given).lower() in names if given is not None and number_of(given) is None else set(usual) & set(names)
        for given, usual in ((columns.words, WORDS), (columns.tags, TAGS))
    ]
    return len(names) > 1 and len(set(names)) == len(names) and all(is_known)
