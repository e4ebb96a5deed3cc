"""Classical models beside a network of texts: TF-IDF with logistic regression, or with ridge regression of numbers."""

import dataclasses
import logging
import time

import numpy as np

from kit.data.labelled_texts import whole_texts
from kit.data.split_names import SPLITS
from kit.scoring import multi_label, regression
from kit.tasks import baseline_scores as scores

log = logging.getLogger("kit")

NAME = "TF-IDF with logistic regression"
_TRIED = 500  # texts that tell how long all of them take


def of_label(splits, settings, seconds):
    """Returns the scores of TF-IDF with logistic regression on the test split, or None where it takes too long.

    Args:
        splits: `Splits` of texts.
        settings: Settings of `[evaluate]`.
        seconds: CPU-seconds of the network's training, which it may take at most.

    Returns:
        Dictionary: `name`, `accuracy` with its interval, `macro_f1`, and `cpu_seconds` of fitting and answering.
    """
    names = splits.assets["class_names"]

    def scored(model, splits):
        return scores.of_classes(names, splits.test.target("label"), model.predict(_texts(splits.test)))

    return _beside(NAME, _classifier, splits, lambda examples: examples.target("label"), scored, settings, seconds)


def of_labels(splits, settings, seconds):
    """Returns the scores of one logistic regression for each label, with a threshold chosen on the validation split."""
    name = "TF-IDF with logistic regression of each label"

    def scored(model, splits):
        threshold = 0.5
        if len(splits.validation):
            own = model.predict_proba(_texts(splits.validation))
            threshold = multi_label.best_threshold(own.ravel(), splits.validation.target("labels").ravel())
        answered = model.predict_proba(_texts(splits.test)) >= threshold
        return scores.of_several(splits.assets["class_names"], splits.test.target("labels"), answered, settings)

    return _beside(name, _classifiers, splits, lambda examples: examples.target("labels"), scored, settings, seconds)


def of_number(splits, settings, seconds):
    """Returns the scores of TF-IDF with ridge regression on the test split."""

    def scored(model, splits):
        predicted = model.predict(_texts(splits.test))
        return regression.scores(splits.test.extra("number"), predicted, settings["bootstrap_samples"])

    name = "TF-IDF with ridge regression"
    return _beside(name, _ridge, splits, lambda examples: examples.extra("number"), scored, settings, seconds)


def _beside(name, fitted, splits, targets, scored, settings, seconds):
    """Returns name, scores and CPU-seconds of a model, None where it is not asked for, takes too long or cannot be.

    Args:
        name: What it is called.
        fitted: Function `(texts, targets)` that returns the model.
        splits: `Splits` of texts.
        targets: Function from examples to what is to be learned of each.
        scored: Function from the model and the splits, with a row a text, to its scores.
        settings: Settings of `[evaluate]`.
        seconds: CPU-seconds that it may take at most.
    """
    if not settings.get("baseline"):
        return None
    splits = _of_texts(splits)
    targets = targets(splits.train)
    try:
        texts = _texts(splits.train)
        if len(texts) > 2 * _TRIED:
            rows = np.random.default_rng(0).permutation(len(texts))[:_TRIED]
            if targets.ndim == 1:
                rows[:2] = np.unique(targets, return_index=True)[1][:2]  # two classes at least
            began = time.process_time()
            fitted([texts[row] for row in rows], targets[rows])
            expected = (time.process_time() - began) * len(texts) / _TRIED
            if expected > seconds:
                log.info("baseline: %s would take about %.0f CPU-seconds, longer than the training", name, expected)
                return None
        began = time.process_time()
        found = scored(fitted(texts, targets), splits)
        spent = time.process_time() - began
    except ValueError as error:  # scikit-learn's, such as of texts without a word; it is not worth the training
        log.info("baseline: %s cannot be fitted (%s)", name, " ".join(str(error).split())[:150])
        return None
    score, value = next(iter(found.items()))
    log.info("baseline  %s  %s %.4f after %.1f CPU-seconds", name, score.replace("_", " "), value, spent)
    return {"name": name, **found, "cpu_seconds": round(spent, 2)}


def _of_texts(splits):
    """Returns splits with one example for each text, of those that are read in windows."""
    parts = {name: whole_texts(getattr(splits, name))[0] for name in SPLITS}
    return dataclasses.replace(splits, **parts)


def _texts(examples):
    """Returns the texts, of pairs both in one."""
    first = list(examples.extra("text"))
    if "second_text" not in examples.extras:
        return first
    return [f"{one} ⁂ {other}" for one, other in zip(first, examples.extra("second_text"), strict=True)]


def _classifier(texts, labels):
    from sklearn.linear_model import LogisticRegression

    return _fitted(LogisticRegression(C=10.0, max_iter=300), texts, labels)


def _classifiers(texts, labels):
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    return _fitted(OneVsRestClassifier(LogisticRegression(C=10.0, max_iter=300)), texts, labels)


def _ridge(texts, numbers):
    from sklearn.linear_model import Ridge

    return _fitted(Ridge(), texts, numbers)


def _fitted(model, texts, targets):
    import warnings

    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b|⁂")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged matters little here
        return make_pipeline(words, model).fit(texts, targets)
