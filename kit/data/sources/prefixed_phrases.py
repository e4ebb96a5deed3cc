"""Three tasks of generated phrases, told apart by the prefix alone: into German, into French, and in which language?"""

from collections import Counter

import numpy as np

from kit.data.sources import Pairs, phrase_pairs
from kit.errors import check

NAMES = ("phrases",)

_LOCALES = {"German": "de", "French": "fr"}
_LANGUAGE = "language"


def read(source, *, num_texts=9000, seed=0):
    """Returns texts of three tasks, a third of each; none of a task is in two splits.

    Args:
        source: `phrases`.
        num_texts: Number of texts of all tasks together.
        seed: Seed of all that is drawn.

    Raises:
        SettingError: a number out of range.
    """
    check(600 <= num_texts <= 1_000_000, "num_texts", num_texts, "600 to 1000000")
    share, rows = num_texts // len((*_LOCALES, _LANGUAGE)), []
    by_language = {"English": {}}
    for number, (language, locale) in enumerate(_LOCALES.items()):
        pairs = phrase_pairs.read("phrases", target_locale=locale, num_sentences=share, seed=2 * seed + number)
        for place, (text, target, split) in enumerate(zip(pairs.sources, pairs.targets, pairs.split, strict=True), 1):
            task = f"translate English to {language}"
            rows.append((task, text, target, f"{source}:{locale}:{place}", split))
            by_language["English"].setdefault(text, split)
            by_language.setdefault(language, {}).setdefault(target, split)
    rows += _languages(by_language, share, source, np.random.default_rng((seed, 17)))
    return Pairs(
        [f"{task}: {text}" for task, text, *_ in rows],
        [target for _, _, target, *_ in rows],
        [place for *_, place, _ in rows],
        np.array([split for *_, split in rows], dtype=object),
        columns={"task": [task for task, *_ in rows]},
    )


def _languages(by_language, count, source, random):
    """Returns rows of phrases and their languages: those of one language alone, and with words in it."""
    counts, rows = Counter(text for found in by_language.values() for text in found), []
    for language, found in by_language.items():
        own = [text for text in found if counts[text] == 1 and sum(map(str.isalpha, text)) >= 6]
        chosen = random.permutation(len(own))[: count // len(by_language)]
        for place, row in enumerate(chosen, 1):
            text = own[row]
            rows.append((_LANGUAGE, text, language, f"{source}:{_LANGUAGE}:{language}:{place}", found[text]))
    return rows
