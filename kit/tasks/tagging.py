"""Tagging: a tag for each word, or entities of several; F1, accuracy, CRF decoding, mistakes, predictions."""

import functools
import zlib

import numpy as np
import pandas as pd
import tensorflow as tf
from jsonargparse.typing import PositiveInt

from kit import backend
from kit.blocks import crf
from kit.data import tags
from kit.data.sequences import features_of, tagged_examples, words_of
from kit.data.sources import conllu
from kit.data.text import tokenize
from kit.data.text_inputs import conllu_files, read_sentences
from kit.data.word_cuts import WordCuts
from kit.errors import KitError, check
from kit.reporting import token_plots
from kit.reporting.statistics import Bootstrap
from kit.scoring import classification as scores_of_classes
from kit.scoring import tagging as scores
from kit.scoring.classification import softmax
from kit.tasks.any_length import check_positions, compile_for_all_lengths
from kit.tasks.attention_maps import attention_weights, has_attention
from kit.tasks.recipe import Evaluation, Task, members
from kit.tasks.tag_scores import named, pooled, predictions_of, scored, suspects_of, worst, worst_table
from kit.tasks.text_explanation import tag_explainer
from kit.training.decay import sparing
from kit.training.losses import SparseCategoricalCrossentropy
from kit.training.metrics import Accuracy
from kit.training.parts import ModelOfParts
from kit.training.transfer import put_vectors


def compiled(inputs, logits, mask, head, optimizer, label_smoothing, name):
    """Returns a compiled model with a softmax or a CRF behind logits.

    Args:
        inputs: Inputs of the model.
        logits: (batch, time, tags)
        mask: True at real positions, (batch, time).
        head: "softmax" decides on each tag alone, "crf" on the tags of a sentence together.
        optimizer: Keras optimizer or its name.
        label_smoothing: Share of the target that is spread evenly over all tags; for a softmax.
        name: Name of the model.
    """
    if head == "crf":
        check(not label_smoothing, "label_smoothing", label_smoothing, "0 with a CRF")
        outputs, loss, metrics = crf.CRF(name="crf")(logits, mask=mask), crf.CRFNegativeLogLikelihood(), []
    else:
        outputs, metrics = logits, [Accuracy(ignore_class=-1)]
        loss = SparseCategoricalCrossentropy(label_smoothing, ignore_class=-1)
    model = ModelOfParts(inputs, outputs, name=name)
    # XLA would compile anew for every length of sentences.
    model.compile(optimizer=sparing(optimizer, model), loss=loss, metrics=metrics, jit_compile=False)
    return model


def prepare(model, splits):
    """Puts pretrained vectors into the word embedding, and forbids what no scheme allows in the CRF.

    Sentences that an encoder of pieces has no positions for are refused.
    """
    check_positions(model, splits)
    put_vectors(model, splits, "word_embedding", "model.word_dim")
    if _has_crf(model) and splits.assets["learned_scheme"] != "none":
        model.get_layer("crf").allow(*tags.allowed(splits.assets["tag_names"], splits.assets["learned_scheme"]))


def _has_crf(model):
    return len(model.output.shape) == 4


def _decoded(model, sequences, batch_size, probabilities=True):
    """Returns the predicted labels of each sentence, and the probabilities (words, tags) of each.

    A CRF decodes the best path; its probabilities are marginals.
    """
    return _decoded_together([(model, sequences)], batch_size, probabilities)


def _decoded_together(members, batch_size, probabilities=True):
    """Returns what `_decoded` does, of the mean of several models' outputs.

    Args:
        members: Pairs of a model and the sequences as it is given them: the same sentences, with features of its own.
        batch_size: Sentences in a step.
        probabilities: Return these, too.
    """
    model, sequences = members[0]
    lengths = words_of(sequences)
    labels, shares = [None] * len(sequences), [None] * len(sequences)
    for each, own in members if len(sequences) else ():
        compile_for_all_lengths(each, own.arrays([0])[0])
    for rows in sequences.chunks(batch_size):
        found = [backend.predict_on_batch(each, own.arrays(rows)[0]) for each, own in members]
        outputs = found[0] if len(found) == 1 else np.mean(found, 0)
        if _has_crf(model):
            best, share = _from_potentials(outputs, probabilities)
        else:
            best, share = outputs.argmax(-1), softmax(outputs) if probabilities else None
        for index, row in enumerate(rows):
            labels[row] = best[index, : lengths[row]]
            shares[row] = share[index, : lengths[row]] if probabilities else None
    return labels, shares


@functools.cache
def _compiled(function, num_tags):
    """Compiles a function of potentials once for all models with so many tags."""
    # To look for Python's `if` and `while` in it, of which it has none, takes longer than all else of the first answer.
    signature = [tf.TensorSpec((None, None, num_tags, num_tags))]
    return tf.function(function, input_signature=signature, autograph=False)


def _from_potentials(potentials, probabilities):
    """Returns the best paths, and the marginals or None, of a batch of potentials."""
    num_tags = potentials.shape[-1]
    best = _compiled(crf.viterbi, num_tags)(potentials).numpy()
    return best, _compiled(crf.marginals, num_tags)(potentials).numpy() if probabilities else None


def validate(model, examples, assets):
    """Returns what `fit` cannot compute batch by batch: entity-level F1, and the accuracy of a CRF's best paths."""
    if assets["learned_scheme"] == "none" and not _has_crf(model):
        return {}
    predicted, _ = _decoded(model, examples, 128, probabilities=False)
    gold = examples.target("tag")
    right = sum(int((one == other).sum()) for one, other in zip(predicted, gold, strict=True))
    values = {"accuracy": right / max(int(words_of(examples).sum()), 1)}
    if assets["learned_scheme"] != "none":
        names = np.array(assets["tag_names"], dtype=object)
        counts, _ = scores.entity_counts(named(gold, names), named(predicted, names), assets["learned_scheme"])
        values["f1"] = scores.f1(counts.sum((0, 1)))
    return values


def evaluate(
    model,
    examples,
    assets,
    *,
    bootstrap: Bootstrap = Bootstrap(),
    batch_size: PositiveInt = 128,
):
    """Scores a tagger on a split.

    Args:
        model: The tagger.
        examples: `Examples` of the split, as `tagged_examples` makes them.
        assets: The assets of the data.
        batch_size: Sentences in a step.

    Returns:
        `Evaluation` with entity-level F1, precision and recall (strict: both ends and the type), where tags mark
        entities; the accuracy of tags; where they mark none, the mean F1 of the tags that occur or were predicted, and
        how many do neither where there are such; and, where the words were cut out of texts by rules learned from such,
        `text_f1`, that of tags for the texts alone, and `text_words_f1`, that of the words which are found in them.
    """
    names = np.array(assets["tag_names"], dtype=object)
    scheme = assets["learned_scheme"]
    gold = examples.target("tag")
    predicted, shares = _decoded(model, examples, batch_size)
    found = scored(gold, predicted, names, scheme, bootstrap.bootstrap_samples)
    metrics, tables, figures = found.metrics, found.tables, found.figures
    of_texts = _of_texts(model, examples, assets, gold, batch_size, bootstrap.bootstrap_samples)
    metrics |= {name: float(value) for name, value in of_texts.items()}
    rows = worst(examples, gold, predicted, shares)
    if len(rows):
        tables["2_sentences_with_the_worst_errors"] = worst_table(examples, gold, predicted, shares, names, rows)
    figures |= _attention_figures(model, examples, assets)
    return Evaluation(
        metrics,
        tables,
        figures,
        lambda: predictions_of(examples, gold, predicted, shares, names),
        suspects=suspects_of(examples, gold, shares, names),
    )


def _of_texts(model, examples, assets, gold, batch_size, samples):
    """Returns F1 of tags, with its interval, and of words where a model is given the texts instead of the words."""
    texts = examples.extra("texts") if "texts" in examples.extras and assets.get("word_cuts") else []
    known = [row for row, text in enumerate(texts) if text is not None]
    if not known:
        return {}
    cut = WordCuts(**assets["word_cuts"])
    found = [cut(texts[row][0]) for row in known]
    sequences = tagged_examples([words for words, _ in found], features_of(assets))
    predicted, _ = _decoded(model, sequences, batch_size, probabilities=False)
    words = examples.extra("words")
    counts = np.zeros((len(known), 2, 3), int)
    for number, (row, each, labels) in enumerate(zip(known, found, predicted, strict=True)):
        pairs = scores.aligned((words[row], texts[row][1]), each)
        right = sum(int(gold[row][one] == labels[other]) for one, other in pairs)
        counts[number] = [[same, len(labels), len(gold[row])] for same in (right, len(pairs))]
    low, high = scores.intervals(counts[:, 0], samples)
    tags_f1, words_f1 = scores.f1(counts.sum(0))
    return {"text_f1": tags_f1, "text_f1_low": low, "text_f1_high": high, "text_words_f1": words_f1}


def _attention_figures(model, examples, assets):
    """Returns a heat map of each attention layer, on one sentence of moderate length."""
    if not has_attention(model):
        return {}
    row = int(np.argmin(np.abs(words_of(examples) - 12)))
    inputs = examples.arrays([row])[0]
    weights = attention_weights(model, inputs)
    words = features_of(assets).shown(inputs["ids"][0])[0] if "ids" in inputs else examples.extra("words")[row]
    return {
        f"3_attention_of_{name.removesuffix('_attention')}": lambda each=each: token_plots.attention(each[0], words)
        for name, each in weights.items()
    }


def predict(model, inputs, assets, *, tokenized: bool = False, batch_size: PositiveInt = 128):
    """Tags texts.

    Args:
        model: The tagger, or an `Ensemble` of such, whose logits or CRF scores are averaged.
        inputs: A text, a file (`pathlib.Path`), or a list of these, with a sentence in each line; or a list of
            sentences that are lists of words already. Of files of sentences (.conll, .conllu, .tsv, .csv, .jsonl ...)
            the words are taken, with tags or without. Words of texts are found by the rules learned from the training
            texts, or else by the kit's own.
        assets: The assets of the data that the model was trained on.
        tokenized: The words of texts stand between spaces already.
        batch_size: Sentences in a step.

    Returns:
        Table with a row a word: `sentence` (from 1), `token`, `tag`, `probability`, and for texts `start` and `end` of
        the token in its line, in characters; words that are written as one, such as `de le` for `du`, share its own.
        Where all inputs are files of CoNLL-U, and the model has learned a field of such, `attrs["conllu"]` of the table
        holds their text with the tags in that field.

    Raises:
        KitError: no words, or a file that cannot be read.
    """
    cut = WordCuts(**assets["word_cuts"]) if assets.get("word_cuts") else tokenize
    columns = assets.get("word_column"), assets.get("sentence_column")
    sentences, spans = read_sentences(inputs, tokenized, *columns, cut)
    if not any(sentences):
        raise KitError("no words to tag; expected a text with at least one")
    chosen = [words for words in sentences if words]
    networks, own = zip(*members(model, assets), strict=True)
    of_each = [tagged_examples(chosen, features_of(each)) for each in own]
    sequences = of_each[0]
    predicted, shares = _decoded_together(list(zip(networks, of_each, strict=True)), batch_size)
    names = np.array(assets["tag_names"], dtype=object)
    written = named(predicted, names)
    if assets["scheme"] != assets["learned_scheme"]:
        written = [tags.convert(each, assets["learned_scheme"], assets["scheme"]) for each in written]
    rows = [row for row, words in enumerate(sentences, 1) if words]
    table = {
        "sentence": np.repeat(rows, words_of(sequences)),
        "token": [word for words in chosen for word in words],
        "tag": [tag for each in written for tag in each],
        "probability": np.concatenate(
            [share[np.arange(len(best)), best] for share, best in zip(shares, predicted, strict=True)]
        ).astype("float64"),
    }
    if spans is not None:
        table["start"], table["end"] = np.array([span for each in spans for span in each]).T
    table, files = pd.DataFrame(table), conllu_files(inputs) if assets.get("field") else None
    if files:
        tagged = iter(table["tag"])
        table.attrs["conllu"] = "".join(conllu.filled(path, assets["field"], tagged) for path in files)
    return table


def show(predictions, is_terminal):
    """Returns predictions for reading: coloured entities or tags on a terminal, else CoNLL columns.

    CoNLL-U files are given back with their other rows and columns.
    """
    if "conllu" in predictions.attrs and not is_terminal:
        return predictions.attrs["conllu"].removesuffix("\n")  # a line end follows what is printed
    shown = []
    for _, rows in predictions.groupby("sentence", sort=False):
        pairs = list(zip(rows["token"], rows["tag"], strict=True))
        if is_terminal:
            shown.append(" ".join(_coloured(token, tag) for token, tag in pairs))
        else:
            shown.append("".join(f"{token}\t{tag}\n" for token, tag in pairs))
    return "\n".join(shown)


def _coloured(token, tag):
    if tag == "O":
        return token
    kind = tags.split(tag)[1] or tag
    colour = 31 + zlib.crc32(kind.encode()) % 6
    return f"\033[1;{colour}m{token}\033[0;2m/{tag}\033[0m"


def hints(history, best_epoch, examples, assets):
    """Returns what tells that nothing was learned; see `kit.scoring.classification.hints`."""
    tags_of_words = np.concatenate(list(examples.target("tag")))
    return scores_of_classes.hints(history, best_epoch, tags_of_words, len(assets["tag_names"]), "tag")


def task():
    """Returns the `Task` of tagging, of examples that `tagged_examples` makes."""
    return Task(
        monitors={"val_f1": "max", "val_accuracy": "max", "val_loss": "min"},
        shares=("val_f1", "val_accuracy"),
        evaluate=evaluate,
        predict=predict,
        validate=validate,
        hints=hints,
        show=show,
        explain=tag_explainer(_decoded, _has_crf, _attention_figures),
        inputs="text",
        pooled=pooled,
        ensemble=("tag_names", "scheme", "learned_scheme"),
    )
