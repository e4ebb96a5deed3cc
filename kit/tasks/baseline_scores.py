"""Scores of a classical model beside a network: of classes, and of several labels, with their intervals."""

import numpy as np

from kit.reporting.statistics import bootstrap, f1_interval, share_interval, wider
from kit.scoring import classification, multi_label


def of_classes(names, labels, answers):
    """Returns accuracy with its interval and macro-F1 of answered classes (examples,)."""
    matrix = np.zeros((len(names), len(names)), int)  # (true, predicted)
    np.add.at(matrix, (labels, answers), 1)
    right = int(matrix.diagonal().sum())
    low, high = share_interval(right, len(labels))
    found = classification.macro_f1(classification.confusion_f1(matrix), names)
    return {
        "accuracy": right / len(labels),
        "accuracy_low": float(low),
        "accuracy_high": float(high),
        "macro_f1": float(found["macro_f1"]),
    }


def of_several(names, true, answered, settings):
    """Returns micro- and macro-F1 of answered labels (examples, labels), the former with its interval."""
    each = multi_label.counts(true, answered)
    sums = each.sum((0, 1))
    draws = bootstrap(each.sum(1), multi_label.f1_of, settings["bootstrap_samples"])
    low, high = wider(draws, f1_interval(sums[0], sums[1:].sum()))
    found = classification.macro_f1(multi_label.f1_of(each.sum(0)), names)
    return {
        "micro_f1": float(np.nan_to_num(multi_label.f1_of(sums))),
        "micro_f1_low": float(low),
        "micro_f1_high": float(high),
        "macro_f1": float(found["macro_f1"]),
    }
