"""ROUGE: which of the words of a reference, and of its pairs of words, a text has, and how many in their order.

Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004. Words are lower-case runs of letters and digits of
any script, not stemmed; of precision and recall it is the harmonic mean (F1), from 0 to 100.
"""

import re
import unicodedata
from collections import Counter

import numpy as np

NAMES = ("rouge1", "rouge2", "rougeL")


def corpus_scores(found, references):
    """Returns the mean of ROUGE-1, ROUGE-2 and ROUGE-L over texts.

    Args:
        found: Texts.
        references: Their references.

    Returns:
        Dictionary with `rouge1`, `rouge2` and `rougeL`, each from 0 to 100.
    """
    values = [scores(one, other) for one, other in zip(found, references, strict=True)]
    return {name: float(np.mean([each[name] for each in values])) if values else 0.0 for name in NAMES}


def scores(found, reference):
    """Returns the same of one text. One without words is as its reference where that has none either."""
    one, other = _words(found), _words(reference)
    if not one and not other:
        return dict.fromkeys(NAMES, 100.0)
    values = {"rougeL": _f1(_longest_common(one, other), len(one), len(other))}
    for size in (1, 2):
        counts = [Counter(zip(*(words[start:] for start in range(size)), strict=False)) for words in (one, other)]
        values[f"rouge{size}"] = _f1((counts[0] & counts[1]).total(), counts[0].total(), counts[1].total())
    return values


def _words(text):
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text).lower())


def _f1(common, first, second):
    """Returns the harmonic mean of precision and recall; 0 where there is nothing to count."""
    return 200.0 * common / (first + second) if first + second else 0.0


def _longest_common(one, other):
    """Returns the length of the longest sequence of words that both have in this order, others between them or not."""
    row = [0] * (len(other) + 1)
    for word in one:
        before, row = row, [0]
        for place, each in enumerate(other):
            row.append(before[place] + 1 if word == each else max(before[place + 1], row[place]))
    return row[-1]
