"""Phrases and their languages: dates, spans of time, quantities, places and languages as twelve languages write them.

They are Babel's copy of the Unicode Common Locale Data Repository (CLDR): real, and in every installation.
"""

import re

import numpy as np

from kit.data.sources import Texts
from kit.data.sources import phrase_pairs as phrases
from kit.errors import check

NAMES = ("languages",)
_LOCALES = ("cs", "da", "de", "en", "es", "fi", "fr", "it", "nl", "pl", "pt", "sv")


def read(source, *, num_texts=6000, seed=0):
    """Returns phrases, the name of their language in English as label; none is of two languages.

    Args:
        source: `languages`.
        num_texts: Number of phrases of all languages together.
        seed: Seed of all that is drawn.

    Raises:
        SettingError: a number out of range.
    """
    check(240 <= num_texts <= 200_000, "num_texts", num_texts, "240 to 200000")
    from babel import Locale

    random, english = np.random.default_rng((seed, 11)), Locale("en")
    of_words = {}
    share = -(-num_texts // len(_LOCALES))
    for name in _LOCALES:
        locale, found = Locale(name), set()
        for text in phrases.in_words(locale, random):
            found.add(text)
            if len(found) == share + share // 4:  # some are those of another language
                break
        for text in sorted(found):
            words = " ".join(re.findall(r"\w+", text.lower()))
            of_words.setdefault(words, []).append((english.languages[name], text))
    of_language = {}
    for rows in of_words.values():
        if len(rows) == 1:
            of_language.setdefault(rows[0][0], []).append(rows[0][1])
    texts, targets = [], []
    for language, own in sorted(of_language.items()):
        kept = [own[row] for row in random.permutation(len(own))[:share]]
        texts += kept
        targets += [language] * len(kept)
    order = random.permutation(len(texts))[:num_texts]
    return Texts(
        [texts[row] for row in order],
        [targets[row] for row in order],
        [f"{source}:{number}" for number in range(1, len(order) + 1)],
    )
