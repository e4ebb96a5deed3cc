"""Scores of tags and entities: precision, recall and F1, with bootstrap intervals.

Counts are arrays (examples, classes, 3): how many an example has of each class that are right, predicted, and true.
"""

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
