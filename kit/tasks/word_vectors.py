"""Word vectors: which words stand near which; words that are used alike, sums of words, files of vectors."""

import difflib
import re

import keras
import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt

from kit import backend
from kit.data.skip_grams import IGNORED, words_in
from kit.data.text_inputs import read_lines
from kit.errors import KitError
from kit.reporting import token_plots
from kit.reporting.statistics import share_interval
from kit.tasks.recipe import Evaluation, Task
from kit.training.decay import sparing
from kit.training.losses import BinaryCrossentropy
from kit.training.parts import ModelOfParts

_PASSED_OVER = 30  # most frequent words, which are used with all others
_SHOWN, _DRAWN = 24, 80  # words in the table and in the map


def compiled(inputs, logits, optimizer, name):
    """Returns a compiled model from a word and others to logits (batch, words).

    Args:
        inputs: Its inputs, by name.
        logits: (batch, words)
        optimizer: Keras optimizer or its name.
        name: Name of the model.
    """
    model = ModelOfParts(inputs, logits, name=name)
    model.compile(optimizer=sparing(optimizer, model), loss=BinaryCrossentropy(ignore_class=IGNORED))
    return model


def vectors_of(model):
    """Returns the vector of each word, (words, dim); that of id 1 is the first."""
    return keras.ops.convert_to_numpy(model.get_layer("word_embedding").embeddings)[1:].astype("float32")


def evaluate(model, examples, assets, *, batch_size: PositiveInt = 1024):
    """Scores word vectors on a split, whose random words were drawn once.

    Args:
        model: The skip-gram model.
        examples: `Examples` of the split.
        assets: The assets of the data.
        batch_size: Words in a step.

    Returns:
        `Evaluation` with the cross-entropy in nats of a near or random word; `pair_accuracy`, with its interval
        (Wilson's): how often a near word has a larger product than the first random word drawn beside it, and what
        frequency alone makes of that (`frequency_accuracy`); and the number of such pairs.
    """
    losses, right, by_frequency = [], [], []
    options = (examples.transform or examples.whole.transform).options
    width, count = 2 * options.window, options.negatives
    counts = np.concatenate([[0], assets["counts"]])
    for start in range(0, len(examples), batch_size):
        inputs, labels = examples.arrays(np.arange(start, min(start + batch_size, len(examples))))
        if examples.transform is not None:  # of the training split nothing is drawn yet
            import tensorflow as tf

            inputs, labels = examples.transform(tf.constant(start, tf.int64), inputs, labels)
            inputs, labels = {name: np.asarray(value) for name, value in inputs.items()}, labels.numpy()
        logits = backend.predict_on_batch(model, inputs).astype("float64")
        told = labels != IGNORED
        losses.append(np.logaddexp(0, np.where(labels == 1, -logits, logits))[told])
        first = slice(width, None, count)  # the first random word beside each near one
        is_pair = (labels[:, :width] == 1) & (labels[:, first] == 0)
        right.append((logits[:, :width] > logits[:, first])[is_pair])
        others = counts[inputs["others"]]
        same = (others[:, :width] == others[:, first])[is_pair]
        by_frequency.append((others[:, :width] > others[:, first])[is_pair] + 0.5 * same)
    losses, right, by_frequency = (np.concatenate(each) for each in (losses, right, by_frequency))
    low, high = share_interval(int(right.sum()), len(right))
    metrics = {
        "cross_entropy": float(losses.mean()),
        "pair_accuracy": float(right.mean()),
        "pair_accuracy_low": float(low),
        "pair_accuracy_high": float(high),
        "frequency_accuracy": float(by_frequency.mean()),
        "pairs": len(right),
    }
    words, vectors = assets["words"], _unit(vectors_of(model))
    shown = range(min(_PASSED_OVER, max(len(words) - _SHOWN, 0)), len(words))[:_SHOWN]
    table = pd.DataFrame(
        {"word": [words[row] for row in shown], "used like": [_alike(vectors, words, row) for row in shown]}
    )
    drawn = range(min(_PASSED_OVER, max(len(words) - _DRAWN, 0)), len(words))[:_DRAWN]
    figures = {"2_map_of_words": lambda: token_plots.word_map([words[row] for row in drawn], _plane(vectors[drawn]))}
    return Evaluation(metrics, {"1_words_that_are_used_alike": table}, figures if len(drawn) > 2 else {})


def _unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _alike(vectors, words, row, count=5):
    """Returns the words whose vectors are nearest to a word's, with their cosines, as text."""
    cosines = vectors @ vectors[row]
    nearest = [other for other in np.argsort(-cosines, kind="stable")[: count + 1] if other != row][:count]
    return ", ".join(f"{words[other]} {cosines[other]:.2f}" for other in nearest)


def _plane(vectors):
    """Returns the two principal components of vectors, (words, 2)."""
    centred = vectors - vectors.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    return left[:, :2] * sizes[:2]


def predict(model, inputs, assets, *, top_k: PositiveInt = 10):
    """Finds words that are used like others.

    Args:
        model: The skip-gram model.
        inputs: Words, and files with some in each line. Of several words the mean of their vectors is taken; those
            behind a minus between spaces are taken away: `paris - france + italy`.
        assets: The assets of the data that the model was trained on.
        top_k: Number of words for each line.

    Returns:
        Table with a row a word that is found: `input`, `unknown` (words of the input without a vector), `word` and
        `cosine`, the nearest first; words of the input are left out.

    Raises:
        KitError: a line without a word that has a vector.
    """
    words, vectors = assets["words"], _unit(vectors_of(model))
    ids = {word: row for row, word in enumerate(words)}
    rows = [(text, place) for text, place in zip(*read_lines(inputs), strict=True) if text.strip()]
    if not rows:
        raise KitError("inputs: no words")
    found = []
    for text, place in rows:
        total, own, unknown = np.zeros(vectors.shape[1], "float32"), set(), []
        for sign, part in _terms(text):
            for word in words_in(part, assets["lowercase"]):
                if word in ids:
                    total += sign * vectors[ids[word]]
                    own.add(ids[word])
                else:
                    unknown.append(word)
        if not own:
            near = difflib.get_close_matches(unknown[0], words, 1) if unknown else []
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise KitError(f"{place}: no word of {text.strip()!r} has a vector; expected one of {len(words):,}{hint}")
        cosines = vectors @ _unit(total)
        nearest = [row for row in np.argsort(-cosines, kind="stable")[: top_k + len(own)] if row not in own][:top_k]
        known = {"input": text, "unknown": " ".join(unknown)}
        found += [known | {"word": words[row], "cosine": float(cosines[row])} for row in nearest]
    return pd.DataFrame(found, columns=["input", "unknown", "word", "cosine"])


def _terms(text):
    """Yields the sign and the text of each part of a sum of words; signs stand between spaces."""
    sign = 1
    for part in re.split(r"(?:^|\s)([+-])(?=\s|$)", text):
        if part in ("+", "-"):
            sign = 1 if part == "+" else -1
        elif part.strip():
            yield sign, part


def show(predictions, is_terminal):
    """Returns the words of each input in one line, and those that have no vector."""
    lines = []
    for (text, unknown), rows in predictions.groupby(["input", "unknown"], sort=False):
        note = f"  (no vector: {unknown})" if unknown else ""
        lines.append(f"{text}{note}  {', '.join(f'{row.word} {row.cosine:.2f}' for row in rows.itertuples())}")
    return "\n".join(lines)


def task():
    """Returns the `Task` of word vectors."""
    return Task(
        monitors={"val_loss": "min"},
        evaluate=evaluate,
        predict=predict,
        show=show,
        inputs="text",
        usage='--text "list"',
        draws=(),
    )
