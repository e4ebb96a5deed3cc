"""Scores of classifiers: F1 of confusion matrices, calibration error, temperature scaling."""

import numpy as np
import pandas as pd


def softmax(logits):
    """Returns probabilities over the last axis of an array of logits."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


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
