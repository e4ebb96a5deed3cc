"""Scores of classifiers: F1 of confusion matrices, calibration error, temperature scaling."""

import logging

import numpy as np
import pandas as pd

from kit.reporting.statistics import f1_interval, percentiles, wider

log = logging.getLogger("kit")

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.1, 10.0
# So many times the loss of guessing is far above it; overconfidence alone seldom gets there.
_FAR_ABOVE = 3


def softmax(logits):
    """Returns probabilities over the last axis of an array of logits."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def confusion_f1(matrices):
    """Returns F1 (..., classes) of confusion matrices (..., true, predicted); NaN where neither true nor predicted."""
    return _share(2 * np.diagonal(matrices, axis1=-2, axis2=-1), matrices.sum(-2) + matrices.sum(-1))


def macro_f1(scores, names):
    """Returns metrics: the mean F1 of the classes that are true or predicted, as scikit-learn has it.

    A class that is neither is left out: its 0 would be that of mistakes that nobody made. How many are is a metric of
    its own, where there are such, and the log names them.

    Args:
        scores: F1 of each class, NaN of those that are neither true nor predicted.
        names: Name of each class.
    """
    left_out = [str(name) for name, score in zip(names, scores, strict=True) if np.isnan(score)]
    if not left_out:
        return {"macro_f1": float(scores.mean())}
    shown = ", ".join(left_out[:5]) + (f" and {len(left_out) - 5} more" if len(left_out) > 5 else "")
    log.info("macro-F1 leaves out what is not in the split and was never predicted: %s", shown)
    mean = float(np.nanmean(scores)) if len(left_out) < len(scores) else 0.0
    return {"macro_f1": mean, "macro_f1_classes_left_out": len(left_out)}


def confusion_f1_interval(matrix, samples):
    """Returns the 95 % interval of each class's F1: examples drawn with replacement, or Wilson's where that is wider.

    Args:
        matrix: Confusion matrix (true, predicted).
        samples: Number of draws.

    Returns:
        Lower and upper ends, (classes,) each; NaN of classes neither true nor predicted.
    """
    random, total = np.random.default_rng(0), matrix.sum()
    size, found = max(1, 10_000_000 // matrix.size), []  # few at a time, for memory
    for start in range(0, samples, size):
        drawn = random.multinomial(total, matrix.ravel() / total, min(size, samples - start))
        found.append(confusion_f1(drawn.reshape(-1, *matrix.shape)))
    right = matrix.diagonal()
    wrong = matrix.sum(0) + matrix.sum(1) - 2 * right
    ends = wider(percentiles(np.concatenate(found)), f1_interval(right, wrong))
    return tuple(np.where(right + wrong > 0, end, np.nan) for end in ends)


def precision_and_recall(matrix):
    """Returns both of each class; precision is NaN where nothing was predicted, recall where nothing is true.

    Args:
        matrix: Confusion matrix (true, predicted).
    """
    return _share(matrix.diagonal(), matrix.sum(0)), _share(matrix.diagonal(), matrix.sum(1))


def _share(parts, wholes):
    return np.where(wholes > 0, parts / np.maximum(wholes, 1), np.nan)


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


def hints(history, best_epoch, labels, num_classes, unit="class", temperature=None):
    """Returns what tells that a classifier has learned nothing, or not what it should: a sentence each.

    Args:
        history: Table with a row an epoch: `val_loss`, and `val_accuracy` where it was computed.
        best_epoch: Epoch whose weights were kept, from 1.
        labels: Class of each validation example, (examples,).
        num_classes: Number of classes.
        unit: What an answer is called.
        temperature: The temperature that was fitted to the validation split, if any.
    """
    found = []
    commonest = np.bincount(labels).max() / len(labels)
    accuracy = history["val_accuracy"].max() if "val_accuracy" in history else np.inf
    if commonest < 1 and accuracy <= commonest + 1e-6:  # Keras counts with 32 bits
        found.append(
            f"the best val_accuracy, {accuracy:.4f}, is no better than to answer always with the commonest {unit} "
            f"({commonest:.4f}): nothing was learned; try a lower optimizer.learning_rate (kit train "
            "--find-learning-rate), a smaller train.batch_size or more train.epochs"
        )
    loss, guessing = history["val_loss"].iloc[best_epoch - 1], np.log(max(num_classes, 2))
    if loss > _FAR_ABOVE * guessing:
        found.append(
            f"val_loss {loss:,.4g} is far above that of guessing, {guessing:.4f}: the training ran away, or is sure of "
            "its mistakes; try a lower optimizer.learning_rate or optimizer.global_clipnorm=1"
        )
    if temperature is not None and not 1.01 * LOWEST_TEMPERATURE < temperature < 0.99 * HIGHEST_TEMPERATURE:
        found.append(
            f"the temperature of the probabilities, {temperature:g}, is at its bound ({LOWEST_TEMPERATURE:g} to "
            f"{HIGHEST_TEMPERATURE:g}): they say little of how often the answers are right"
        )
    return found


def temperature(logits, labels, lowest=LOWEST_TEMPERATURE, highest=HIGHEST_TEMPERATURE):
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
