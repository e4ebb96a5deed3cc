"""Scores of answers to questions, their tables and figures, those of several folds together, and a baseline."""

import json
import time

import numpy as np
import pandas as pd

from kit.reporting import length_plots, plots, statistics
from kit.scoring import question_answering as scores
from kit.scoring.classification import calibration
from kit.tasks.recipe import Evaluation

BASELINE = "the sentence that shares most words with the question"
_WORDS = 12  # first words of questions in a table
_MISTAKES = 24
_AROUND = 120  # characters of a passage around an answer


def predictions_of(examples, rows, best):
    """Returns a table with a row a question: itself, its right answers as JSON (`label`), and what was answered.

    Args:
        examples: `Examples` of a split.
        rows: Row of the first window of each question.
        best: Text, probability, first and last character of each answer.
    """
    texts, shares, starts, _ = zip(*best, strict=True)
    golds = [[gold for gold, _ in each] for each in examples.extra("answers")[rows]]
    return pd.DataFrame(
        {
            "question": examples.extra("question")[rows],
            "label": [json.dumps(each, ensure_ascii=False) for each in golds],
            "prediction": texts,
            "probability": shares,
            "start": starts,
            "passage": examples.extra("passage")[rows],
            "tokens": [len(each) for each in examples.extra("spans")[rows]],
        }
    )


def scored(table, samples):
    """Returns the `Evaluation` of a table as `predictions_of` makes it; without passages it has no table of mistakes.

    Args:
        table: The table.
        samples: Draws behind each interval.
    """
    golds = [json.loads(each) for each in table["label"]]
    found = np.array([scores.scores(*each) for each in zip(table["prediction"], golds, strict=True)])
    exact, f1 = found.T
    has_answer = np.array([bool(each) for each in golds])
    metrics = _with_intervals(found, samples)
    if not has_answer.all():
        if has_answer.any():
            of_answered = found[has_answer].mean(0)
            metrics |= {"has_answer_exact_match": of_answered[0], "has_answer_f1": of_answered[1]}
        metrics["no_answer_accuracy"] = exact[~has_answer].mean()
    shares = np.clip(table["probability"].to_numpy("float64"), 0, 1)
    metrics["calibration_error"], bins = calibration(shares, exact)
    error = metrics["calibration_error"]
    tables = {"1_by_question_word": _by_word(table["question"], found, samples)}
    figures = {"4_confidence_and_accuracy": lambda: plots.reliability(bins, error)}
    if "passage" in table:
        wrong = np.flatnonzero(exact == 0)
        worst = wrong[np.argsort(-shares[wrong], kind="stable")][:_MISTAKES]
        if len(worst):
            tables["3_most_confident_mistakes"] = _mistakes(table.iloc[worst], f1[worst])
        lengths = table["tokens"].to_numpy()
        if lengths.min() < lengths.max():
            of_length = {"exact match": exact, "F1": f1}
            figures["5_scores_by_length_of_passage"] = lambda: length_plots.scores_by_length(
                lengths, of_length, "tokens of the passage"
            )
    return Evaluation({name: float(value) for name, value in metrics.items()}, tables, figures)


def _with_intervals(found, samples):
    """Returns the means of exact match and F1 with their intervals, given both of each question, (questions, 2)."""
    counts = np.concatenate([found, np.ones((len(found), 1))], 1)
    drawn = np.transpose(statistics.bootstrap(counts, lambda sums: sums[..., :2] / sums[..., 2:], samples))
    metrics = {}
    for name, values, ends in zip(("exact_match", "f1"), found.T, drawn, strict=True):
        low, high = statistics.wider(ends, statistics.share_interval(round(values.sum()), len(values)))
        metrics |= {name: values.mean(), f"{name}_low": low, f"{name}_high": high}
    return metrics


def _by_word(questions, found, samples):
    """Returns a table with the scores of questions by what they begin with."""
    words = [_first_words(question) for question in questions]
    names, counts = np.unique(words, return_counts=True)
    kept = set(names[np.argsort(-counts, kind="stable")][:_WORDS])
    words = np.array([word if word in kept else "others" for word in words], dtype=object)
    rows = []
    for word in sorted(set(words), key=lambda word: (word == "others", -(words == word).sum(), word)):
        own = _with_intervals(found[words == word], samples)
        rows.append(
            {
                "question": word,
                "questions": int((words == word).sum()),
                "exact match": own["exact_match"],
                "exact match 95 % low": own["exact_match_low"],
                "exact match 95 % high": own["exact_match_high"],
                "f1": own["f1"],
            }
        )
    return pd.DataFrame(rows)


def _first_words(question):
    """Returns the first word of a question in lower case, of "how" with the one behind it."""
    words = scores.normalized(question).split()
    return " ".join(words[: 2 if words[:1] == ["how"] else 1])


def _mistakes(rows, f1):
    return pd.DataFrame(
        {
            "question": rows["question"].to_numpy(),
            "passage": [
                _excerpt(each.passage, each.start, each.prediction, json.loads(each.label))
                for each in rows.itertuples()
            ],
            "right": [" | ".join(dict.fromkeys(json.loads(each))) or "no answer" for each in rows["label"]],
            "answer": [each or "no answer" for each in rows["prediction"]],
            "probability": rows["probability"].to_numpy(),
            "f1": f1,
        }
    )


def _excerpt(passage, start, answer, golds):
    """Returns a passage around an answer, or around a right one where none was given."""
    if start < 0:
        answer = golds[0] if golds else ""
        start = max(passage.find(answer), 0)
    first, last = max(start - _AROUND, 0), start + len(answer) + _AROUND
    dots = "..." * (first > 0), "..." * (last < len(passage))
    return dots[0] + " ".join(passage[first:last].split()) + dots[1]


def pooled(predictions, assets, settings):
    """Scores the predictions of all folds together."""
    return scored(predictions, settings["bootstrap_samples"])


def baseline(splits, settings, seconds):
    """Returns the scores of the sentence of each passage that shares most words with the question, on the test split.

    It never says that there is no answer. As a whole sentence it is seldom a right answer: what counts is its F1.

    Args:
        splits: `Splits` of questions.
        settings: Settings of `[evaluate]`.
        seconds: CPU-seconds of the network's training; it takes less.

    Returns:
        Dictionary: `name`, `exact_match` and `f1` with their intervals, `cpu_seconds` of answering; or None.
    """
    if not settings.get("baseline"):
        return None
    began, test = time.process_time(), splits.test
    _, rows = np.unique(test.extra("number"), return_index=True)
    columns = (test.extra(name)[rows] for name in ("question", "passage", "answers"))
    found = [
        scores.scores(scores.closest_sentence(question, passage), [gold for gold, _ in answers])
        for question, passage, answers in zip(*columns, strict=True)
    ]
    spent = time.process_time() - began
    kept = _with_intervals(np.array(found), settings["bootstrap_samples"])
    return {"name": BASELINE, **{name: float(value) for name, value in kept.items()}, "cpu_seconds": round(spent, 2)}
