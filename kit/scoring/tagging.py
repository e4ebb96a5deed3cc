"""Scores of tags and entities: precision, recall and F1, with bootstrap intervals.

Counts are arrays (examples, classes, 3): how many an example has of each class that are right, predicted, and true.
"""

import difflib
from collections import Counter

import numpy as np
import pandas as pd

from kit.reporting.statistics import bootstrap, f1_interval, wider


def entity_counts(gold, predicted, scheme):
    """Counts entities sentence by sentence, strictly: an entity is right if both ends and its type are.

    Returns:
        Array (sentences, types, 3) of right, predicted and true entities, and the names of the types.
    """
    from seqeval.scheme import IOB2, IOBES, Entities

    read = IOBES if scheme == "BIOES" else IOB2
    both = [
        [{entity.to_tuple()[1:] for entity in sentence} for sentence in Entities(each, read).entities]
        for each in (gold, predicted)
    ]
    kinds = sorted({kind for each in both for sentence in each for kind, _, _ in sentence})
    numbers = {kind: number for number, kind in enumerate(kinds)}
    counts = np.zeros((len(gold), len(kinds), 3), int)
    for row, (true, found) in enumerate(zip(*both, strict=True)):
        for column, entities in enumerate((true & found, found, true)):
            for kind, _, _ in entities:
                counts[row, numbers[kind], column] += 1
    return counts, kinds


def tag_counts(gold, predicted, num_tags):
    """Returns the same as `entity_counts` for tags of single words."""
    counts = np.zeros((len(gold), num_tags, 3), int)
    for row, (true, found) in enumerate(zip(gold, predicted, strict=True)):
        for column, labels in enumerate((true[true == found], found, true)):
            counts[row, :, column] = np.bincount(labels, minlength=num_tags)
    return counts


def aligned(gold, found):
    """Aligns words of one text that were found in different ways, as the evaluation of CoNLL 2018 does.

    Words are the same where they stand in the same place. Those that one token stands for have no places of their own;
    they are compared, with what the other side has in that token's place, by how they are written.

    Args:
        gold: (words, places): the (start, end) of each in the text, the same for words that one token stands for.
        found: The same.

    Returns:
        List of pairs, the number of a word in `gold` and that of the same word in `found`.
    """
    both = gold[1], found[1]
    shared = [place for places in both for place, count in Counter(places).items() if count > 1]
    regions = []
    for start, end in sorted(shared):
        if regions and start < regions[-1][1]:
            regions[-1] = regions[-1][0], max(end, regions[-1][1])
        else:
            regions.append((start, end))

    def inside(places, region):
        return [row for row, (start, end) in enumerate(places) if region[0] <= start and end <= region[1]]

    pairs, compared = [], [set(), set()]
    for region in regions:
        rows = [inside(places, region) for places in both]
        forms = [[words[row].lower() for row in each] for (words, _), each in zip((gold, found), rows, strict=True)]
        for one, other, size in difflib.SequenceMatcher(None, *forms, autojunk=False).get_matching_blocks():
            pairs += [(rows[0][one + step], rows[1][other + step]) for step in range(size)]
        for each, more in zip(compared, rows, strict=True):
            each.update(more)
    rest = [
        {place: row for row, place in enumerate(places) if row not in rows}
        for places, rows in zip(both, compared, strict=True)
    ]
    return sorted([*pairs, *((row, rest[1][place]) for place, row in rest[0].items() if place in rest[1])])


def precision(counts):
    """Returns the share of what was predicted that is right; counts (..., 3)."""
    return counts[..., 0] / np.maximum(counts[..., 1], 1)


def recall(counts):
    """Returns the share of what is true that was found; counts (..., 3)."""
    return counts[..., 0] / np.maximum(counts[..., 2], 1)


def f1(counts):
    """Returns the harmonic mean of precision and recall; counts (..., 3)."""
    return 2 * counts[..., 0] / np.maximum(counts[..., 1] + counts[..., 2], 1)


def f1_of_each(counts):
    """Returns `f1`, but NaN where nothing is predicted and nothing true."""
    return np.where(counts[..., 1] + counts[..., 2] > 0, f1(counts), np.nan)


def intervals(counts, samples):
    """Returns the 95 % interval of F1: sentences drawn with replacement, or Wilson's where that is wider.

    Args:
        counts: (examples, ..., 3).
        samples: Draws behind each interval.

    Returns:
        Lower and upper end, NaN where nothing is predicted and nothing true.
    """
    right, predicted, true = np.moveaxis(counts.sum(0), -1, 0)
    ends = wider(bootstrap(counts, f1_of_each, samples), f1_interval(right, predicted + true - 2 * right))
    return tuple(np.where(predicted + true > 0, end, np.nan) for end in ends)


def per_class(title, names, counts, samples):
    """Returns a table with precision, recall and F1 of each class, the latter with its 95 % interval.

    What the split says nothing of, such as the recall of a class without examples, is left empty.

    Args:
        title: Heading of the classes.
        names: Name of each class.
        counts: (examples, classes, 3).
        samples: Draws behind each interval.
    """
    total = counts.sum(0)
    low, high = intervals(counts, samples)
    return pd.DataFrame(
        {
            title: list(names),
            "true": total[:, 2],
            "precision": np.where(total[:, 1] > 0, precision(total), np.nan),
            "recall": np.where(total[:, 2] > 0, recall(total), np.nan),
            "f1": f1_of_each(total),
            "f1 95 % low": low,
            "f1 95 % high": high,
        }
    )
