"""Scores of predicted tags, their tables and figures, and those of several folds together."""

import numpy as np
import pandas as pd

from kit.data import tags
from kit.data.sequences import words_of
from kit.reporting import plots, statistics
from kit.scoring import label_errors
from kit.scoring import tagging as scores
from kit.scoring.classification import macro_f1
from kit.tasks.recipe import Evaluation


def named(labels, names):
    return [list(names[each]) for each in labels]


def scored(gold, predicted, names, scheme, samples):
    """Returns the `Evaluation` of predicted tags.

    Args:
        gold, predicted: Number of the tag of each word of each sentence.
        names: Name of each tag, an array of objects.
        scheme: How tags mark entities, or "none".
        samples: Draws behind each interval.
    """
    metrics, tables = {}, {}
    if scheme != "none":
        counts, kinds = scores.entity_counts(named(gold, names), named(predicted, names), scheme)
        low, high = scores.intervals(counts.sum(1), samples)
        low, high = (0.0, 1.0) if np.isnan(low) else (low, high)
        total = counts.sum((0, 1))
        metrics |= {"f1": scores.f1(total), "f1_low": low, "f1_high": high}
        metrics |= {"precision": scores.precision(total), "recall": scores.recall(total)}
        tables["1_per_entity_type"] = scores.per_class("entity", kinds, counts, samples)
    counts = scores.tag_counts(gold, predicted, len(names))
    metrics |= _accuracy(counts.sum(1), samples)
    if scheme == "none":
        metrics |= macro_f1(scores.f1_of_each(counts.sum(0)), names)
        tables["1_per_tag"] = scores.per_class("tag", names, counts, samples)
    matrix_names, matrix = _confusion(gold, predicted, names, scheme)
    figures = {"2_confusion_matrix": lambda: plots.confusion_matrix(matrix, matrix_names)}
    metrics = {name: value if isinstance(value, int) else float(value) for name, value in metrics.items()}
    return Evaluation(metrics, tables, figures)


def _accuracy(counts, samples):
    """Returns the share of right tags with its interval: of sentences drawn, or Wilson's where that is wider."""
    right, _, true = counts.sum(0)
    drawn = statistics.bootstrap(counts, scores.recall, samples)
    low, high = statistics.wider(drawn, statistics.share_interval(right, true))
    return {"accuracy": scores.recall(counts.sum(0)), "accuracy_low": low, "accuracy_high": high}


def _confusion(gold, predicted, names, scheme):
    """Returns names and counts (true, predicted) of tags, or of entity types word by word."""
    kinds = [tags.split(name)[1] or "O" for name in names] if scheme != "none" else list(names)
    shown = list(dict.fromkeys(kinds))
    number = np.array([shown.index(kind) for kind in kinds])
    matrix = np.zeros((len(shown), len(shown)), int)
    np.add.at(matrix, (number[np.concatenate(gold)], number[np.concatenate(predicted)]), 1)
    return shown, matrix


def predictions_of(examples, gold, predicted, shares, names):
    """Returns a table with a row a word: its number in the sentence, `token`, `label`, `prediction`, `probability`."""
    lengths = words_of(examples)
    chosen = [share[np.arange(len(best)), best] for share, best in zip(shares, predicted, strict=True)]
    return pd.DataFrame(
        {
            "word": np.concatenate([np.arange(1, length + 1) for length in lengths]),
            "token": [word for words in examples.extra("words") for word in words],
            "label": names[np.concatenate(gold)],
            "prediction": names[np.concatenate(predicted)],
            "probability": np.concatenate(chosen),
        },
        index=np.repeat(np.arange(len(examples)), lengths),
    )


def pooled(predictions, assets, settings):
    """Scores the predictions of all folds together; each fold may have learned tags that others have not."""
    known = dict.fromkeys([*assets["tag_names"], *predictions["label"], *predictions["prediction"]])
    numbers = {name: number for number, name in enumerate(known)}
    rows = _rows_of_examples(predictions)
    gold, predicted = (
        [values[each] for each in rows]
        for values in (predictions[name].map(numbers).to_numpy() for name in ("label", "prediction"))
    )
    names = np.array(list(known), dtype=object)
    return scored(gold, predicted, names, assets["learned_scheme"], settings["bootstrap_samples"])


def _rows_of_examples(predictions):
    """Returns the rows of each example of a table of several folds, in which those of an example follow each other."""
    keys = predictions[["fold", "example"]].to_numpy(dtype=object)
    changes = np.flatnonzero((keys[1:] != keys[:-1]).any(1)) + 1
    return np.split(np.arange(len(predictions)), changes)


def suspects_of(examples, gold, shares, names):
    """Returns the words that are likely tagged wrongly, the likeliest first; see `kit.scoring.label_errors.likely`.

    Returns:
        Table with the number of the sentence in the split as `row`, of the word in the sentence, from 1, and `token`.
    """
    lengths = words_of(examples)
    if not lengths.sum():
        return None
    found = label_errors.named(label_errors.likely(np.concatenate(shares), np.concatenate(gold)), names)
    words = found["row"].to_numpy(int)
    sentences = np.repeat(np.arange(len(examples)), lengths)[words]
    places = words - (np.cumsum(lengths) - lengths)[sentences]
    texts = examples.extra("words")
    tokens = [texts[sentence][place] for sentence, place in zip(sentences, places, strict=True)]
    table = found.assign(row=sentences)
    table.insert(1, "word", places + 1)
    table.insert(2, "token", tokens)
    return table


def worst(examples, gold, predicted, shares):
    """Returns the rows of the sentences in which the model was surest of what is wrong, the worst first."""
    regret = np.zeros(len(examples))
    for row, (true, found, share) in enumerate(zip(gold, predicted, shares, strict=True)):
        wrong = np.flatnonzero(true != found)
        words = np.arange(len(true))
        regret[row] = -np.log(np.maximum(share[words, true][wrong], 1e-9)).sum()
    rows = np.argsort(-regret, kind="stable")[:20]
    return rows[regret[rows] > 0]


def worst_table(examples, gold, predicted, shares, names, rows):
    table = []
    sentences = examples.extra("words")
    for row in rows:
        shown = []
        for word, true, found, share in zip(sentences[row], gold[row], predicted[row], shares[row], strict=True):
            wrong = true != found
            shown.append(f"{word} [{names[found]} {share[found]:.0%}, is {names[true]}]" if wrong else word)
        table.append({"errors": int((gold[row] != predicted[row]).sum()), "sentence": " ".join(shown)})
    return pd.DataFrame(table)
