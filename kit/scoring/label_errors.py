"""Likely label errors: examples whose label a classifier that has not been trained on them confidently gainsays.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021.
"""

import numpy as np
import pandas as pd

COLUMNS = ["row", "label", "likely", "p(label)", "p(likely)"]
# So many are named of a split, or of all folds together.
MOST = 50
# What is told of those that folds have found.
OF_FOLDS = ["example", "fold", *COLUMNS[1:]]


# Share of a threshold that is enough to be accused: where a model is about equally sure of all examples, half
# of those with a wrong label are below the mean of the others of their class.
_SLACK = 0.9


def confident_joint(probabilities, labels, slack=1.0):
    """Returns how many examples of each label are confidently of each class, (label, class), and the class of each.

    An example is confidently of a class where its probability is at least the mean probability of that class among the
    examples that are labelled so; of several such classes it is of the most probable one.

    Args:
        probabilities: (examples, classes), of a model that has not seen the example: out-of-fold, or of a held-out
            split.
        labels: Class of each example, (examples,).
        slack: Factor of the thresholds; the paper's is 1.

    Returns:
        Counts (classes, classes), and the class that each example is confidently of, -1 where of none, (examples,).
    """
    probabilities, labels = np.asarray(probabilities, "float64"), np.asarray(labels)
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels]
    counts = np.bincount(labels, minlength=classes)
    # A class that nobody is labelled as has no threshold that could be reached.
    thresholds = np.where(counts > 0, np.bincount(labels, own, classes) / np.maximum(counts, 1), np.inf)
    reached = np.where(probabilities >= slack * thresholds - 1e-12, probabilities, -1.0)
    confident = np.where(reached.max(1) >= 0, reached.argmax(1), -1)
    joint = np.zeros((classes, classes), int)
    is_any = confident >= 0
    np.add.at(joint, (labels[is_any], confident[is_any]), 1)
    return joint, confident


def likely(probabilities, labels):
    """Returns the examples that are likely labelled wrongly, the likeliest first.

    They are those that are confidently of another class than their label says, see `confident_joint` (nine tenths of a
    threshold will do), and for which that class is the most probable one; in the order of the margin between both.

    Args:
        probabilities, labels: As for `confident_joint`.

    Returns:
        Table with columns `row`, `label` and `likely` (numbers of classes), and the probability of both.
    """
    probabilities, labels = np.asarray(probabilities, "float64"), np.asarray(labels)
    if not len(labels):
        return pd.DataFrame(columns=COLUMNS)
    _, confident = confident_joint(probabilities, labels, _SLACK)
    rows = np.flatnonzero((confident >= 0) & (confident != labels) & (confident == probabilities.argmax(1)))
    rows = rows[probabilities[rows, confident[rows]] > probabilities[rows, labels[rows]]]
    own, other = probabilities[rows, labels[rows]], probabilities[rows, confident[rows]]
    order = np.argsort(own - other, kind="stable")
    rows = rows[order]
    return pd.DataFrame(
        {
            "row": rows,
            "label": labels[rows],
            "likely": confident[rows],
            "p(label)": own[order],
            "p(likely)": other[order],
        }
    )


def noise_share(probabilities, labels):
    """Returns the estimated share of wrong labels: of the confident joint, each label weighed as often as it occurs."""
    joint, _ = confident_joint(probabilities, labels)
    counts = np.bincount(labels, minlength=len(joint))
    sums = joint.sum(1)
    wrong = np.where(sums > 0, 1 - joint.diagonal() / np.maximum(sums, 1), 0)
    return float((wrong * counts).sum() / max(counts.sum(), 1))


def of_predictions(table, class_names, label="label", prefix="p({})"):
    """Returns the likely label errors of a table of out-of-fold predictions, with names in place of numbers.

    Args:
        table: A row an example: its label, by name, and a column of the probability of each class.
        class_names: Name of each class.
        label: Column of the label.
        prefix: How the columns of probabilities are called, with `{}` for the class.

    Returns:
        The rows of `likely`, each after what the table has beside probabilities, such as `example`.
    """
    numbers = {name: number for number, name in enumerate(class_names)}
    labels = np.array([numbers[str(name)] for name in table[label]], int)
    columns = [prefix.format(name) for name in class_names]
    found = likely(table[columns].to_numpy("float64"), labels)
    return named(found, class_names).assign(
        **{
            name: table[name].to_numpy()[found["row"].to_numpy(int)]
            for name in table.columns
            if name not in (*columns, label)
        }
    )


def named(found, class_names):
    """Returns a table of `likely` with names of classes in place of numbers."""
    names = np.array(class_names, dtype=object)
    return found.assign(**{name: names[found[name].to_numpy(int)] for name in ("label", "likely")})
