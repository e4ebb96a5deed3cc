"""Scores of answers that are spans of a passage: exact match and F1 as SQuAD's evaluation computes them; best spans.

Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text", 2016; with questions that have no
answer: Rajpurkar, Jia and Liang, "Know What You Don't Know: Unanswerable Questions for SQuAD", 2018, whose script this
follows.
"""

import re
import string
from collections import Counter

import numpy as np

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)


def normalized(text):
    """Returns an answer in lower case without punctuation, articles and needless spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer, gold):
    """Tells whether an answer is a right one, both normalised."""
    return normalized(answer) == normalized(gold)


def f1(answer, gold):
    """Returns the F1 of an answer's words against those of a right one, both normalised."""
    found, right = normalized(answer).split(), normalized(gold).split()
    if not found or not right:
        return float(found == right)
    same = sum((Counter(found) & Counter(right)).values())
    return 2 * same / (len(found) + len(right))


def scores(answer, golds):
    """Returns exact match and F1 of an answer, each with the right answer that it is nearest to.

    Args:
        answer: A text, empty for "no answer".
        golds: Right answers; none where there is no answer. Those of articles and punctuation alone count as none.
    """
    golds = [gold for gold in golds if normalized(gold)] or [""]
    return float(max(exact_match(answer, gold) for gold in golds)), max(f1(answer, gold) for gold in golds)


def best_threshold(differences, answered, unanswered):
    """Returns the threshold above which no answer is given, so that the sum of scores is greatest.

    Args:
        differences: By how much each question's score of "no answer" is above that of its best answer.
        answered: Score that each question has with its best answer.
        unanswered: Score that it has with none.

    Returns:
        The threshold, in the middle between two differences; of several equally good ones the nearest to 0.
    """
    order = np.argsort(differences, kind="stable")
    values, answered, unanswered = (np.asarray(each, float)[order] for each in (differences, answered, unanswered))
    totals = np.concatenate([[0], np.cumsum(answered)]) + np.concatenate([np.cumsum(unanswered[::-1])[::-1], [0]])
    places = np.concatenate([[values[0] - 1], (values[1:] + values[:-1]) / 2, [values[-1] + 1]])
    apart = np.concatenate([[True], values[1:] > values[:-1], [True]])  # equal ones are answered alike
    places[0], places[-1] = min(places[0], 0.0), max(places[-1], 0.0)
    best = np.flatnonzero(apart & (totals >= totals[apart].max() - 1e-9))
    return float(places[best[np.argmin(np.abs(places[best]))]])


def best_spans(logits, starts, ends, most, count):
    """Returns the best spans of sequences, by the sum of the logits of their first and last position.

    Args:
        logits: Of the first and of the last position, (sequences, 2, time).
        starts, ends: Positions at which a span may start and end, (sequences, time).
        most: Most positions of a span.
        count: How many spans are returned, the best first.

    Returns:
        Scores (sequences, count), minus infinity where there are fewer spans; first and last position of each; and the
        logarithm of the sum of the exponentials of all scores, (sequences,).
    """
    first, last = (
        np.where(mask, logits[:, side].astype("float64"), -np.inf) for side, mask in enumerate((starts, ends))
    )
    time = first.shape[1]
    most = min(most, time)
    padded = np.pad(last, ((0, 0), (0, most - 1)), constant_values=-np.inf)
    sums = first[:, :, None] + np.lib.stride_tricks.sliding_window_view(padded, most, axis=1)
    sums = sums.reshape(len(sums), -1)  # (sequences, time * most)
    highest = np.maximum(sums.max(1), -1e30)
    with np.errstate(divide="ignore"):
        total = highest + np.log(np.exp(sums - highest[:, None]).sum(1))
    count = min(count, sums.shape[1])
    chosen = np.argpartition(-sums, count - 1, axis=1)[:, :count]
    found = np.take_along_axis(sums, chosen, 1)
    order = np.lexsort((chosen, -found), axis=1)
    chosen, found = np.take_along_axis(chosen, order, 1), np.take_along_axis(found, order, 1)
    return found, chosen // most, chosen // most + chosen % most, total


def closest_sentence(question, passage):
    """Returns the sentence of a passage that has the most words of a question in it, the first of several."""
    asked = set(normalized(question).split())
    sentences = [each for each in re.split(r"(?<=[.!?])\s+|\n+", passage) if each.strip()]
    return max(sentences, key=lambda each: len(asked & set(normalized(each).split())), default="").strip()
