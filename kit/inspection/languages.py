"""Scripts, languages and odd characters of texts, by light rules: names of letters, and common little words."""

import functools
import re
import unicodedata
from collections import Counter

# Little words that a language is full of and few others have.
_WORDS = {
    "en": "the and of to in is that it was for with as his on be at by this had not are but from or have an they",
    "de": "der die und das ist nicht ein eine den mit von sich des auf für dem im auch an werden aus er hat dass sie",
    "fr": "le la les et des est un une du que dans qui pour pas au sur avec ne se par plus ce sont nous vous aux cette",
    "es": "el la los las que y en un una por con no se para su como más pero sus le ya este muy está del al",
    "it": "il la che di e un una per non con sono del della si da gli le nel alla dei anche più come ha ma questo",
    "pt": "o a que e do da em um uma para com não os no se na por mais as dos como mas ao das foi são você",
    "nl": "de het een en van is dat op te in zijn niet voor met die aan er om ook maar als bij nog naar wordt heeft",
    "sv": "och att det som en på är av för med den till inte har de ett om jag han men var så från vi kan när",
    "da": "og det at en den til er som på de med han af for ikke der var mig sig men et har om vi jeg havde",
    "pl": "i w nie na się że z do to jest o jak ale po co za tak od przez już był tego dla oraz są tym",
    "cs": "a se v na je že to s z do o ve jako za by ale si po podle od jsem byl jeho které také však",
    "tr": "ve bir bu da de için ile çok olarak daha gibi en ama kadar olan sonra ne ben var o ki mi değil her",
}
_LANGUAGES = {name: frozenset(words.split()) for name, words in _WORDS.items()}
# Least little words of a language in a text, and how many more than of the next one, before it is told.
_LEAST, _MORE = 2, 2.0
# Marks that join letters of some scripts and pictures; all other invisible characters are odd.
_JOINERS = {"\u200c", "\u200d", "\ufe0f", "\ufe0e"}
# UTF-8 that was read as Latin-1 or Windows' code page.
_MISREAD = re.compile("[ÃÂ][\u0080-\u00bf]|â[\u0080-\u00bf€][\u0080-\u00bf™œ“”]|Ã[¤¶¼Ÿ©¨ª]|â€")
_LETTERS = re.compile(r"[^\W\d_]+")


@functools.lru_cache(100_000)
def script(character):
    """Returns the script of a letter, such as "Latin" or "Cyrillic"; an empty text for what is no letter."""
    if not character.isalpha():
        return ""
    if character.isascii():
        return "Latin"
    name = unicodedata.name(character, "").split(" ")[0]
    return {"": "", "FULLWIDTH": "Latin", "HALFWIDTH": "Katakana", "MODIFIER": "", "FEMININE": "", "MASCULINE": ""}.get(
        name, "Han" if name == "CJK" else "" if name in ("MATHEMATICAL", "MICRO") else name.capitalize()
    )


def scripts(text):
    """Returns how many letters of each script a text has."""
    if text.isascii():
        return +Counter({"Latin": sum(map(str.isalpha, text))})  # without a script of which there is no letter
    return Counter(name for name in map(script, text) if name)


def language(text):
    """Returns the language of a text in the Latin script by its little words, or None where they do not tell it."""
    words = _LETTERS.findall(text.lower())
    counts = {name: sum(word in known for word in words) for name, known in _LANGUAGES.items()}
    (best, most), (_, next_most) = Counter(counts).most_common(2)
    return best if most >= _LEAST and most >= _MORE * next_most else None


def little_words(name):
    """Returns the little words of a language that `language` tells, by its code."""
    return _LANGUAGES[name]


def odd_characters(text):
    """Returns the odd characters of a text: controls, invisible ones, such as are none, and signs of misreading."""
    found = []
    if not text.isprintable():
        found = [
            character
            for character in text
            if unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp")
            and character not in _JOINERS
        ]
    return found + ["\ufffd"] * text.count("\ufffd") + _MISREAD.findall(text)


def spelled(character):
    """Returns a character as people may read it, such as `U+200B zero width space`."""
    if len(character) > 1:
        return repr(character)
    name = unicodedata.name(character, "control" if unicodedata.category(character) == "Cc" else "none").lower()
    return f"U+{ord(character):04X} {name}"
