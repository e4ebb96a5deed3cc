"""Classical models beside a network of tables: histogram gradient boosting, and logistic or ridge regression."""

import logging
import time
import warnings

import numpy as np

from kit.scoring import regression
from kit.tasks.baseline_scores import of_classes, of_several

log = logging.getLogger("kit")

_MOST_ROWS = 200_000  # training rows that they are fitted to
_MOST_ORDINAL = 255  # categories of more values are numbers to gradient boosting


def of_label(splits, settings, seconds):
    """Returns the scores of both models on the test split: of gradient boosting, and under `others` of the linear one.

    Args:
        splits: `Splits` of a table.
        settings: Settings of `[evaluate]`.
        seconds: CPU-seconds of the network's training; they may take longer.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    names = splits.assets["class_names"]

    def scored(model, rows):
        return of_classes(names, splits.test.target("label"), model.predict(rows))

    boosting = HistGradientBoostingClassifier(random_state=0, early_stopping=False)
    linear = LogisticRegression(max_iter=500)
    return _both(splits, settings, "label", boosting, (linear, "logistic regression"), scored)


def of_labels(splits, settings, seconds):
    """Returns the scores of one model for each label, which is given where it is more probable than not."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    def scored(model, rows):
        answered = model.predict_proba(rows) >= 0.5
        return of_several(splits.assets["class_names"], splits.test.target("labels"), answered, settings)

    boosting = OneVsRestClassifier(HistGradientBoostingClassifier(random_state=0, early_stopping=False))
    linear = OneVsRestClassifier(LogisticRegression(max_iter=500))
    return _both(splits, settings, "labels", boosting, (linear, "logistic regression of each label"), scored)


def of_number(splits, settings, seconds):
    """Returns the scores of gradient boosting and of ridge regression."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import Ridge

    mean, deviation = splits.assets["mean"], splits.assets["deviation"]

    def scored(model, rows):
        predicted = np.ravel(model.predict(rows)) * deviation + mean
        return regression.scores(splits.test.extra("number"), predicted, settings["bootstrap_samples"])

    boosting = HistGradientBoostingRegressor(random_state=0, early_stopping=False)
    return _both(splits, settings, "number", boosting, (Ridge(), "ridge regression"), scored)


def _both(splits, settings, target, boosting, linear, scored):
    if not settings.get("baseline"):
        return None
    train = splits.train
    rows = np.arange(len(train))
    if len(rows) > _MOST_ROWS:
        rows = np.sort(np.random.default_rng(0).permutation(len(rows))[:_MOST_ROWS])
    part = "" if len(rows) == len(train) else f", fitted to {len(rows):,} rows"
    answers = train.target(target)[rows]
    answers = answers[:, 0] if target == "number" else answers
    linear, name = linear
    kinds = ((boosting, "gradient boosting", _ordinal), (linear, name, _one_hot))
    found = [
        _fitted(model, f"{name}{part}", as_rows, train, rows, answers, splits, scored) for model, name, as_rows in kinds
    ]
    found = [each for each in found if each is not None]
    if not found:
        return None
    return found[0] | ({"others": found[1:]} if found[1:] else {})


def _fitted(model, name, as_rows, train, rows, answers, splits, scored):
    """Returns name, scores and CPU-seconds of a model; None where it cannot be fitted."""
    began = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged matters little here
            columns, categories = as_rows(train, splits.facts)
            if categories is not None and hasattr(model, "categorical_features"):
                model.set_params(categorical_features=categories)
            model.fit(columns[rows], answers)
            found = scored(model, as_rows(splits.test, splits.facts)[0])
    except ValueError as error:  # scikit-learn's; it is not worth the training
        log.info("baseline: %s cannot be fitted (%s)", name, " ".join(str(error).split())[:150])
        return None
    spent = time.process_time() - began
    score, value = next(iter(found.items()))
    log.info("baseline  %s  %s %.4f after %.1f CPU-seconds", name, score.replace("_", " "), value, spent)
    return {"name": name, **found, "cpu_seconds": round(spent, 2)}


def _ordinal(examples, facts):
    """Returns numbers and ids of categories beside each other, (rows, columns), and which columns are categories."""
    parts, categories = [], []
    if "numbers" in examples.inputs:
        parts.append(examples.input("numbers"))
        categories += [False] * parts[0].shape[1]
    if "categories" in examples.inputs:
        parts.append(examples.input("categories").astype("float32"))
        categories += [size <= _MOST_ORDINAL for size in facts["category_sizes"]]
    if "words" in examples.inputs:
        parts.append(_counts(examples, facts).toarray().astype("float32"))
        categories += [False] * parts[-1].shape[1]
    return np.concatenate(parts, 1), categories


def _one_hot(examples, facts):
    """Returns numbers, a column of 0 and 1 for each category, and counts of words, as a sparse matrix."""
    from scipy import sparse

    parts = []
    if "numbers" in examples.inputs:
        parts.append(sparse.csr_matrix(examples.input("numbers")))
    if "categories" in examples.inputs:
        ids = examples.input("categories")
        for column, size in enumerate(facts["category_sizes"]):
            ones = (np.ones(len(ids), "float32"), (np.arange(len(ids)), ids[:, column]))
            parts.append(sparse.csr_matrix(ones, shape=(len(ids), size)))
    if "words" in examples.inputs:
        parts.append(_counts(examples, facts))
    return sparse.hstack(parts).tocsr(), None


def _counts(examples, facts, most=256):
    """Returns how often each of so many groups of hashed words is in a row, sparse."""
    from scipy import sparse

    words = examples.input("words")
    rows, places = np.nonzero(words)
    ones = (np.ones(len(rows), "float32"), (rows, words[rows, places] % most))
    return sparse.csr_matrix(ones, shape=(len(words), most))
