"""Scores of what is right or wrong in pieces: tags, entities, classes; with bootstrap intervals.

Counts are arrays (examples, classes, 3): how many an example has of each class that are right, predicted, and true.
"""

import numpy as np
import pandas as pd


def softmax(logits):
    """Returns probabilities over the last axis of an array of logits."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def bootstrap(counts, score, samples, seed=0):
    """Returns the 95 % interval of a score over examples drawn with replacement.

    Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979.

    Args:
        counts: What each example adds, (examples, ...).
        score: Function from sums over examples (samples, ...) to scores (samples, ...).
        samples: Number of draws.
        seed: Seed of the draws.

    Returns:
        Lower and upper end, shaped as the score of one sample.
    """
    random, total = np.random.default_rng(seed), len(counts)
    flat = counts.reshape(total, -1).astype("float64")
    size, scores = max(1, 10_000_000 // total), []  # few at a time, for memory
    for start in range(0, samples, size):
        number = min(size, samples - start)
        drawn = random.integers(0, total, (number, total))
        times = np.stack([np.bincount(each, minlength=total) for each in drawn])  # (samples, examples)
        scores.append(score((times @ flat).reshape(number, *counts.shape[1:])))
    return tuple(np.quantile(np.concatenate(scores), (0.025, 0.975), axis=0))


def interquartile_mean(values, axis=-1):
    """Returns the mean of the middle half; a value at the border counts in part.

    Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", 2021.

    Args:
        values: Numbers; of an array of several axes those along one of them.
        axis: That axis.
    """
    values = np.sort(np.moveaxis(np.asarray(values, "float64"), axis, -1))
    ends = np.arange(values.shape[-1] + 1) / values.shape[-1]
    shares = np.clip(np.minimum(ends[1:], 0.75) - np.maximum(ends[:-1], 0.25), 0, None)
    found = (values * shares).sum(-1) / shares.sum()
    return float(found) if found.ndim == 0 else found


def share_interval(right, total):
    """Returns the 95 % interval of a share; that of 20 out of 20 reaches down to 0.84.

    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927. Drawing with replacement would
    find no doubt where nothing is wrong.

    Args:
        right: How many are counted.
        total: Out of how many, at least 1.
    """
    from scipy.stats import binomtest

    return tuple(map(float, binomtest(int(right), int(total)).proportion_ci(0.95, "wilson")))


def confusion_f1(matrices):
    """Returns F1 (..., classes) of confusion matrices (..., true, predicted)."""
    diagonal = np.diagonal(matrices, axis1=-2, axis2=-1)
    return 2 * diagonal / np.maximum(matrices.sum(-2) + matrices.sum(-1), 1)


def bootstrap_confusion_f1(matrix, samples):
    """Returns the 95 % interval of each class's F1 over examples drawn with replacement, as `bootstrap` does.

    Args:
        matrix: Confusion matrix (true, predicted).
        samples: Number of draws.

    Returns:
        Lower and upper ends, (classes,) each.
    """
    random, total = np.random.default_rng(0), matrix.sum()
    size, found = max(1, 10_000_000 // matrix.size), []  # few at a time, for memory
    for start in range(0, samples, size):
        drawn = random.multinomial(total, matrix.ravel() / total, min(size, samples - start))
        found.append(confusion_f1(drawn.reshape(-1, *matrix.shape)))
    return tuple(np.quantile(np.concatenate(found), (0.025, 0.975), axis=0))


def calibration(confidences, right, bins=15):
    """Returns how far confidence and accuracy are apart: the expected calibration error.

    Guo et al., "On Calibration of Modern Neural Networks", 2017.

    Args:
        confidences: Probability of each prediction, (examples,).
        right: Whether it is right, (examples,).
        bins: Number of intervals of equal width from 0 to 1.

    Returns:
        The error, and a table with `confidence`, `accuracy` and `share` of each interval that is not empty.
    """
    place = np.minimum((confidences * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    filled = counts > 0
    table = pd.DataFrame(
        {
            "confidence": np.bincount(place, confidences, bins)[filled] / counts[filled],
            "accuracy": np.bincount(place, right, bins)[filled] / counts[filled],
            "share": counts[filled] / len(confidences),
        }
    )
    return float((table["share"] * (table["confidence"] - table["accuracy"]).abs()).sum()), table


def temperature(logits, labels, lowest=0.1, highest=10.0):
    """Returns the temperature under which labels are most probable: probabilities are softmax(logits / temperature).

    Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2.

    Args:
        logits: (examples, classes).
        labels: Class of each example, (examples,).
        lowest: Least temperature that is looked at.
        highest: Greatest temperature that is looked at.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    logits = np.asarray(logits, "float64")
    examples, classes = logits.shape
    # As if each class had been seen once more for every example: few examples without a mistake prove no certainty.
    share = 1 / (examples + classes)
    wanted = share * logits.sum(1) + (1 - classes * share) * logits[np.arange(examples), labels]

    def cross_entropy(logarithm):
        scale = np.exp(-logarithm)
        return float((logsumexp(logits * scale, axis=1) - wanted * scale).mean())

    found = minimize_scalar(cross_entropy, bounds=(np.log(lowest), np.log(highest)), method="bounded")
    return round(float(np.exp(found.x)), 4)


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


def per_class(title, names, counts, samples):
    """Returns a table with precision, recall and F1 of each class, the latter with its 95 % interval.

    Args:
        title: Heading of the classes.
        names: Name of each class.
        counts: (examples, classes, 3).
        samples: Draws behind each interval.
    """
    total = counts.sum(0)
    low, high = bootstrap(counts, f1, samples)
    return pd.DataFrame(
        {
            title: list(names),
            "true": total[:, 2],
            "precision": precision(total),
            "recall": recall(total),
            "f1": f1(total),
            "f1 95 % low": low,
            "f1 95 % high": high,
        }
    )
