"""Scores of several labels: F1 of each and of all, average precision, Hamming loss, thresholds, with intervals."""

import numpy as np
import pandas as pd

from kit.reporting.statistics import bootstrap, f1_interval, percentiles, share_interval, wider
from kit.scoring import classification, label_errors

# Numbers of drawn examples and labels that the intervals of the mean average precision may look at, and fewest draws.
_MOST_DRAWN, _FEWEST_DRAWS = 200_000_000, 100


def sigmoid(logits):
    """Returns probabilities of logits, each label by itself."""
    logits = np.asarray(logits, "float64")
    return np.where(logits >= 0, 1, np.exp(-np.abs(logits))) / (1 + np.exp(-np.abs(logits)))


def counts(true, answered):
    """Returns how often each label is right, answered wrongly, and missed, per example: (examples, labels, 3)."""
    true, answered = np.asarray(true, bool), np.asarray(answered, bool)
    return np.stack([true & answered, ~true & answered, true & ~answered], -1).astype("float64")


def f1_of(sums):
    """Returns F1 of sums of `counts` (..., 3); NaN where nothing is true or answered."""
    right, wrong, missed = np.moveaxis(sums, -1, 0)
    whole = 2 * right + wrong + missed
    return np.where(whole > 0, 2 * right / np.maximum(whole, 1), np.nan)


def average_precision(probabilities, true):
    """Returns the average precision of each label, (labels,); NaN of one that no example has.

    Args:
        probabilities: (examples, labels)
        true: Whether each example has each label, (examples, labels).
    """
    from sklearn.metrics import average_precision_score

    return np.array(
        [
            average_precision_score(has, own) if has.any() else np.nan
            for has, own in zip(np.asarray(true, bool).T, probabilities.T, strict=True)
        ]
    )


def scores(names, true, answered, probabilities, samples):
    """Returns the scores of all labels together, with 95 % intervals.

    Args:
        names: Name of each label.
        true: Whether each example has each label, (examples, labels).
        answered: Whether each was answered, (examples, labels).
        probabilities: (examples, labels)
        samples: Draws behind each interval.

    Returns:
        Name to number: `micro_f1`, `macro_f1` (of the labels that are true or answered), `mean_average_precision` (of
        the labels that an example has), `subset_accuracy` (of all labels of an example), each with its interval,
        `hamming_loss` (share of wrong answers over all labels), and `cross_entropy`.
    """
    each = counts(true, answered)  # (examples, labels, 3)
    sums = each.sum(0)
    of_label = f1_of(sums)
    right, wrong = sums[:, 0].sum(), sums[:, 1:].sum()
    ends = wider(bootstrap(each.sum(1), f1_of, samples), f1_interval(right, wrong))
    metrics = _with_ends("micro_f1", np.nan_to_num(f1_of(sums.sum(0))), ends)
    found = classification.macro_f1(of_label, names)
    ends = bootstrap(each, lambda drawn: _mean(f1_of(drawn)), samples)
    metrics |= _with_ends("macro_f1", found.pop("macro_f1"), ends) | found
    precision = float(_mean(average_precision(probabilities, true)))
    if not np.isnan(precision):  # of a split in which no example has any label it says nothing
        ends = _precision_interval(probabilities, true, samples)
        metrics |= _with_ends("mean_average_precision", precision, ends)
    exact = int((np.asarray(true, bool) == answered).all(1).sum())
    metrics |= _with_ends("subset_accuracy", exact / len(true), share_interval(exact, len(true)))
    clipped = np.clip(probabilities, 1e-12, 1 - 1e-12)
    entropy = -np.where(np.asarray(true, bool), np.log(clipped), np.log1p(-clipped)).mean()
    return metrics | {"hamming_loss": float(wrong / true.size), "cross_entropy": float(entropy)}


def _mean(values):
    """Returns the mean over the last axis of what is a number; NaN where nothing is."""
    is_number = ~np.isnan(values)
    count = is_number.sum(-1)
    return np.where(count > 0, np.where(is_number, values, 0).sum(-1) / np.maximum(count, 1), np.nan)


def _with_ends(name, value, ends):
    low, high = (float(value if np.isnan(end) else end) for end in ends)
    return {name: float(value), f"{name}_low": low, f"{name}_high": high}


def _precision_interval(probabilities, true, samples):
    """Returns the 95 % interval of the mean average precision: examples drawn with replacement."""
    random, (total, labels) = np.random.default_rng(0), probabilities.shape
    samples = min(samples, max(_MOST_DRAWN // (total * labels), _FEWEST_DRAWS))
    order = np.argsort(-probabilities, axis=0, kind="stable")  # (examples, labels)
    sorted_true = np.take_along_axis(np.asarray(true, "float64"), order, 0)
    draws = np.empty(samples)
    for row in range(samples):
        times = np.bincount(random.integers(0, total, total), minlength=total).astype("float64")
        weights = times[order]
        hits = weights * sorted_true
        precision = np.cumsum(hits, 0) / np.maximum(np.cumsum(weights, 0), 1)
        own = hits.sum(0)
        is_there = own > 0
        draws[row] = ((precision * hits).sum(0)[is_there] / own[is_there]).mean() if is_there.any() else np.nan
    return percentiles(draws)


def per_label(names, true, answered, probabilities, thresholds, units, samples):
    """Returns a table with precision, recall, F1 with its interval, average precision and threshold of each label."""
    sums = counts(true, answered).sum(0)
    right, wrong, missed = sums.T
    random = np.random.default_rng(0)
    cells = np.stack([right, wrong, missed, len(true) - sums.sum(1)], 1) / len(true)  # (labels, 4)
    drawn = np.stack([random.multinomial(len(true), cell / cell.sum(), samples)[:, :3] for cell in cells], 1)
    ends = wider(percentiles(f1_of(drawn)), f1_interval(right, wrong + missed))
    low, high = (np.where(sums.sum(1) > 0, end, np.nan) for end in ends)
    return pd.DataFrame(
        {
            "label": names,
            units: np.asarray(true).sum(0).astype(int),
            "answered": np.asarray(answered).sum(0).astype(int),
            "precision": np.where(right + wrong > 0, right / np.maximum(right + wrong, 1), np.nan),
            "recall": np.where(right + missed > 0, right / np.maximum(right + missed, 1), np.nan),
            "f1": f1_of(sums),
            "f1 95 % low": low,
            "f1 95 % high": high,
            "average precision": average_precision(probabilities, true),
            "threshold": thresholds,
        }
    )


def best_threshold(probabilities, true):
    """Returns the probability from which on an answer is yes, so that F1 is greatest; one half where nothing is true.

    Lewis, "Evaluating and Optimizing Autonomous Text Classification Systems", 1995.

    Args:
        probabilities: (answers,)
        true: Whether each is true, (answers,).
    """
    true = np.asarray(true, bool)
    if not true.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    own = probabilities[order]
    right, answered = np.cumsum(true[order]), np.arange(1, len(own) + 1)
    f1 = 2 * right / (answered + true.sum())
    f1[:-1][own[:-1] == own[1:]] = -1  # equal ones are answered alike
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    below = np.append(own[1:], 0.0)
    # Of cuts that are equally good the one nearest to one half, in the middle between two answers.
    cuts = np.clip(0.5, below[best], own[best])
    middles = (below[best] + own[best]) / 2
    chosen = int(np.abs(cuts - 0.5).argmin())
    return round(float(middles[chosen]), 6)


def thresholds(probabilities, true):
    """Returns the thresholds that are best on a split: `threshold` for all labels, and `thresholds`, one for each.

    A label that no example has keeps the common one.
    """
    one = best_threshold(probabilities.ravel(), np.asarray(true).ravel())
    own = [
        best_threshold(each, has) if has.any() else one
        for each, has in zip(probabilities.T, np.asarray(true, bool).T, strict=True)
    ]
    return {"threshold": one, "thresholds": own}


def likely_errors(probabilities, true, names):
    """Returns the labels that examples are likely wrongly said to have or not, the likeliest first.

    Each label by itself is a question of two classes; see `kit.scoring.label_errors.likely`.

    Args:
        probabilities: (examples, labels), of a model that has not seen the examples.
        true: Whether each example is said to have each label, (examples, labels).
        names: Name of each label.

    Returns:
        Table as `kit.scoring.label_errors.likely` returns it; `label` and `likely` are such as `spam: no`.
    """
    parts = []
    for column, name in enumerate(names):
        own = probabilities[:, column]
        found = label_errors.likely(np.stack([1 - own, own], 1), np.asarray(true)[:, column].astype(int))
        parts.append(label_errors.named(found, [f"{name}: no", f"{name}: yes"]))
    found = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    order = np.argsort((found["p(label)"] - found["p(likely)"]).to_numpy(float), kind="stable")
    return found.iloc[order].reset_index(drop=True)


def hints(history, assets):
    """Returns what tells that nothing was learned of several labels: a sentence each.

    Args:
        history: Table with a row an epoch, with `val_micro_f1`.
        assets: Among them, where thresholds were chosen, the number of `different_answers` to the validation split.
    """
    advice = (
        "nothing was learned; try another optimizer.learning_rate (kit train --find-learning-rate), a smaller "
        "train.batch_size or more train.epochs"
    )
    if assets.get("different_answers") == 1:
        return [f"all validation examples get the same labels: {advice}"]
    if history["val_micro_f1"].max() == 0:
        return [f"no label was ever given to the validation examples with a probability above one half: {advice}"]
    return []
