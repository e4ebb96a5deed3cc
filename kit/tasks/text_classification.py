"""Classification of texts, and a classical baseline on the same division: TF-IDF with logistic regression."""

import dataclasses
import logging
import time

import numpy as np

from kit.data.labelled_texts import text_examples
from kit.data.text_inputs import read_parts
from kit.data.tokens import Tokenizer
from kit.reporting.statistics import share_interval
from kit.scoring import classification as scores
from kit.tasks import classification, text_class_explanation

log = logging.getLogger("kit")

NAME = "TF-IDF with logistic regression"
_TRIED = 500  # texts that tell how long all of them take
_SHOWN = 300  # characters of a text in a table of mistakes


@dataclasses.dataclass(frozen=True)
class Beside(classification.AsItIs):
    """A text as it is, and a classical classifier beside the network.

    Args:
        baseline: Fit TF-IDF with logistic regression to the same training texts, and score it beside the network where
            that takes less CPU time than the training took.
    """

    baseline: bool = True


def task():
    """Returns the `Task` of classification of texts; see `kit.tasks.classification`."""
    made = classification.task(
        _read,
        "texts",
        views=Beside(),
        inputs="text",
        baseline=baseline,
        describe=_described,
        **text_class_explanation.functions(),
    )
    return dataclasses.replace(made, parts=lambda assets: ("text", "second text")[: assets["num_texts"]])


def _described(examples, rows):
    """Returns the texts of examples, the beginning of long ones, as columns of a table."""
    columns = {name: examples.extra(name) for name in examples.extras}
    return {
        name.replace("_", " "): [text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..." for text in values[rows]]
        for name, values in columns.items()
    }


def _read(inputs, assets, batch_size):
    """Returns the texts that a user gave, and a function that returns batches of their ids."""
    parts = read_parts(inputs, assets["num_texts"])
    examples, _ = text_examples(parts, Tokenizer(assets["tokenizer"]), assets["max_length"])

    def batches():
        for start in range(0, len(examples), batch_size):
            yield examples.arrays(np.arange(start, min(start + batch_size, len(examples))))[0]

    return [" | ".join(each) for each in zip(*parts, strict=True)], batches


def baseline(splits, settings, seconds):
    """Returns the scores of TF-IDF with logistic regression on the test split, or None where it takes too long.

    Args:
        splits: `Splits` of texts.
        settings: Settings of `[evaluate]`.
        seconds: CPU-seconds of the network's training, which it may take at most.

    Returns:
        Dictionary: `name`, `accuracy` with its interval, `macro_f1`, and `cpu_seconds` of fitting and answering.
    """
    if not settings.get("baseline"):
        return None
    try:
        return _baseline(splits, seconds)
    except ValueError as error:  # scikit-learn's, such as of texts without a word; it is not worth the training
        log.info("baseline: %s cannot be fitted (%s)", NAME, " ".join(str(error).split())[:150])
        return None


def _baseline(splits, seconds):
    texts, labels = _texts(splits.train), splits.train.target("label")
    if len(texts) > 2 * _TRIED:
        rows = np.random.default_rng(0).permutation(len(texts))[:_TRIED]
        rows[:2] = np.unique(labels, return_index=True)[1][:2]  # two classes at least
        began = time.process_time()
        _fitted([texts[row] for row in rows], labels[rows])
        expected = (time.process_time() - began) * len(texts) / _TRIED
        if expected > seconds:
            log.info("baseline: %s would take about %.0f CPU-seconds, longer than the training", NAME, expected)
            return None
    began = time.process_time()
    model = _fitted(texts, labels)
    answers = model.predict(_texts(splits.test))
    spent = time.process_time() - began
    kept = _scores(splits.assets["class_names"], splits.test.target("label"), answers)
    log.info("baseline  %s  accuracy %.4f after %.1f CPU-seconds", NAME, kept["accuracy"], spent)
    return {"name": NAME, **kept, "cpu_seconds": round(spent, 2)}


def _scores(names, labels, answers):
    matrix = np.zeros((len(names), len(names)), int)  # (true, predicted)
    np.add.at(matrix, (labels, answers), 1)
    right = int(matrix.diagonal().sum())
    low, high = share_interval(right, len(labels))
    found = scores.macro_f1(scores.confusion_f1(matrix), names)
    return {
        "accuracy": right / len(labels),
        "accuracy_low": float(low),
        "accuracy_high": float(high),
        "macro_f1": float(found["macro_f1"]),
    }


def _texts(examples):
    """Returns the texts, of pairs both in one."""
    first = list(examples.extra("text"))
    if "second_text" not in examples.extras:
        return first
    return [f"{one} ⁂ {other}" for one, other in zip(first, examples.extra("second_text"), strict=True)]


def _fitted(texts, labels):
    import warnings

    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b|⁂")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged matters little here
        return make_pipeline(words, LogisticRegression(C=10.0, max_iter=300)).fit(texts, labels)
