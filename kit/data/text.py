"""Word tokenisation, and features of words (word, characters, case, shape, affixes) as ids."""

import functools
import re
import unicodedata
from collections import Counter

import numpy as np

from kit.errors import check

PADDING, UNKNOWN = 0, 1
_RESERVED = 2
_REPEATED = re.compile(r"(.)\1{4,}")
FEATURES = (
    "word",
    "characters",
    "case",
    "shape",
    *(f"{side}{length}" for side in ("prefix", "suffix") for length in range(1, 6)),
)


@functools.cache
def _token_pattern():
    """Addresses, mentions, ordinals, numbers with separators, words with apostrophes and hyphens, and other signs.

    Python's `\\w` knows no combining marks, without which many scripts fall to pieces.
    """
    marks = "".join(chr(code) for code in range(0x300, 0x20000) if unicodedata.category(chr(code))[0] == "M")
    word = rf"[\w{marks}]"
    return re.compile(
        rf"https?://\S+|{word}+(?:[.+\-]{word}+)*@{word}+(?:\.{word}+)+|[@#]{word}+|\d+(?:st|nd|rd|th)\b|"
        rf"\d+(?:[.,:/]\d+)*|[^\W\d]{word}*(?:['’\-]{word}+)*|[^\w\s]"
    )


def is_text(text):
    """Tells whether a text can be written: a lone half of a surrogate pair, or a byte that was no UTF-8, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def tokenize(text):
    """Finds the words, numbers and signs of a text.

    Args:
        text: Text.

    Returns:
        List of tokens, and list of (start, end) of each in the text, in characters.
    """
    matches = list(_token_pattern().finditer(text))
    return [match.group() for match in matches], [match.span() for match in matches]


def case(word):
    """Returns how a word is written: lower, upper, initial (one letter), title, mixed, number, digits or sign."""
    if word.isdigit():
        return "number"
    if any(character.isdigit() for character in word):
        return "digits"
    if not any(character.isalpha() for character in word):
        return "sign"
    if word.islower():
        return "lower"
    if word.isupper():
        return "upper" if len(word) > 1 else "initial"
    return "title" if word[0].isupper() and word[1:].islower() else "mixed"


def shape(word):
    """Returns a word with letters as X or x and digits as d, at most four of a kind in a row: McGraw-2 → XxXxxx-d."""
    kinds = ["X" if c.isupper() else "x" if c.islower() else "d" if c.isdigit() else c for c in word]
    return _REPEATED.sub(r"\1\1\1\1", "".join(kinds))


def _values(name, words, lowercase):
    """Returns the value of a feature of each word; of `characters` the word, whose characters are the values."""
    if name == "characters":
        return words
    if name in ("case", "shape"):
        return map(case if name == "case" else shape, words)
    if lowercase:
        words = [word.lower() for word in words]
    if name == "word":
        return words
    length = int(name[-1])
    return [word[:length] for word in words] if name.startswith("prefix") else [word[-length:] for word in words]


class Features:
    """Turns words into ids, feature by feature; id 0 is padding and 1 is unknown.

    Args:
        vocabularies: Feature to its values, the most frequent first; the first has id 2.
        lowercase: Make words and affixes lower-case first.
        max_characters: Characters of a word that are looked at; of longer ones the first and the last.
    """

    def __init__(self, vocabularies, lowercase, max_characters):
        self.vocabularies = vocabularies
        self.lowercase = lowercase
        self.max_characters = max_characters
        self._ids = {
            name: {value: index for index, value in enumerate(values, _RESERVED)}
            for name, values in vocabularies.items()
        }

    @classmethod
    def learn(cls, words, names, *, min_count=2, lowercase=True, max_characters=16, known_words=()):
        """Collects the vocabularies of training words.

        Args:
            words: Training words, one after the other.
            names: Features, some of `FEATURES`.
            min_count: What occurs less often is unknown.
            lowercase: Make words and affixes lower-case first.
            max_characters: Characters of a word that are looked at.
            known_words: Words that are in the vocabulary in any case, such as those with a pretrained vector.

        Raises:
            SettingError: an unknown feature, or a number out of range.
        """
        check(len(names) and len(set(names)) == len(names), "features", list(names), "one or more names, each once")
        for name in names:
            check(name in FEATURES, "features", name, f"some of {', '.join(FEATURES)}")
        check(min_count >= 1, "min_count", min_count, "at least 1")
        check(2 <= max_characters <= 1000, "max_characters", max_characters, "2 to 1000")
        types = Counter(words)
        counts = list(types.values())
        vocabularies = {}
        for name in names:
            totals = Counter()
            for value, count in zip(_values(name, list(types), lowercase), counts, strict=True):
                for each in value if name == "characters" else (value,):
                    totals[each] += count
            kept = [value for value, count in totals.most_common() if count >= min_count]
            if name == "word":
                kept = list(dict.fromkeys([*kept, *known_words]))
            vocabularies[name] = kept
        return cls(vocabularies, lowercase, max_characters)

    def sizes(self):
        """Returns the number of ids of each feature."""
        return {name: len(values) + _RESERVED for name, values in self.vocabularies.items()}

    def rows(self, words):
        """Returns the ids of words that are in the vocabulary in any case."""
        return np.array([self._ids["word"][word] for word in words])

    def encode(self, words):
        """Returns the ids of words.

        Shape:
            each feature: (words,); characters: (words, max_characters)
        """
        return {name: self._encode(name, ids.get, words) for name, ids in self._ids.items()}

    def _encode(self, name, id_of, words):
        values = _values(name, words, self.lowercase)
        if name != "characters":
            return np.array([id_of(value, UNKNOWN) for value in values], "int32")
        longest, end = self.max_characters, self.max_characters // 2
        table = np.zeros((len(words), longest), "int32")
        for row, word in zip(table, words, strict=True):
            if len(word) > longest:
                word = word[: longest - end] + word[-end:]
            row[: len(word)] = [id_of(character, UNKNOWN) for character in word]
        return table

    def to_json(self):
        return {
            "vocabularies": self.vocabularies,
            "lowercase": self.lowercase,
            "max_characters": self.max_characters,
        }
