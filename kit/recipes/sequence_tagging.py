"""Sequence tagging: which tag has each word of a sentence? Parts of speech, named entities and the like."""

import functools
import zlib
from pathlib import Path
from typing import Literal

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from jsonargparse.typing import PositiveInt
from keras import layers, ops

from kit.blocks import crf
from kit.blocks.attention import Attention
from kit.blocks.embedding import token_embedding
from kit.config import renamed
from kit.data import sources, tags
from kit.data.sequences import Sequences
from kit.data.sources import phrases
from kit.data.splits import SPLITS, Splits, assign
from kit.data.text import Features
from kit.data.text_inputs import read_sentences
from kit.data.vectors import read as read_vectors
from kit.errors import KitError, SettingError, check, choose
from kit.files import as_path
from kit.models import text
from kit.reporting import plots
from kit.reporting.statistics import bootstrap
from kit.scoring import tagging as scores
from kit.scoring.classification import softmax
from kit.tasks.recipe import Evaluation, Recipe, Stages, Task
from kit.training.losses import SparseCategoricalCrossentropy
from kit.training.metrics import Accuracy

# The end of a variant's name tells its head.
ENCODERS = text.VARIANTS | {f"{name}_crf": variant for name, variant in text.VARIANTS.items()}


@renamed(encoder="backbone")
def sequence_tagger(
    vocabulary_size,
    num_tags,
    *,
    backbone: str = "bilstm_crf",
    head: Literal["auto", "softmax", "crf"] = "auto",
    word_dim: int = 64,
    feature_dim: int = 16,
    character_dim: int = 32,
    character_units: int = 64,
    character_encoder: Literal["cnn", "lstm"] = "cnn",
    word_dropout: float = 0.1,
    dropout: float = 0.4,
    label_smoothing: float = 0.0,
    optimizer="adamw",
):
    """Builds a compiled sequence tagger.

    With a softmax it returns logits, with a CRF potentials, which `kit.blocks.crf.viterbi` decodes. `fit` takes ids,
    padded with 0, and labels, padded with -1: padded positions count nowhere.

    Args:
        vocabulary_size: Number of words, ids 0 (padding) and 1 (unknown) included; or a dictionary from feature to
            number of ids: `word`, `characters`, and any other name with one id a word.
        num_tags: Number of tags.
        backbone: Variant of an architecture, as `kit list` prints them; or a `keras.Model` from [sequence (batch, time,
            dim), mask (batch, time)] to (batch, time, dim); or a function that returns one for an `input_dim`.
        head: "softmax" decides on each tag alone, "crf" on the tags of a sentence together; "auto" is "crf" if the
            encoder's name ends in `_crf`.
        word_dim: Width of a word's embedding; 0 leaves words out.
        feature_dim: Width of the embedding of each other feature, such as a suffix.
        character_dim: Width of a character's embedding.
        character_units: Width of what is made of a word's characters.
        character_encoder: What makes a vector of a word's characters.
        word_dropout: Share of the words replaced by the unknown one while training.
        dropout: Share of the embedding, and of the encoder's output, that is dropped while training.
        label_smoothing: Share of the target that is spread evenly over all tags; for a softmax.
        optimizer: Keras optimizer or its name.

    Shape:
        in: ids (batch, time), or a dictionary of them; `characters` (batch, time, characters)
        out: logits (batch, time, num_tags), or potentials (batch, time, num_tags, num_tags)

    Raises:
        SettingError: an unknown backbone or a value out of range; the message names the argument.
    """
    check(num_tags >= 2, "num_tags", num_tags, "at least 2")
    check(head in ("auto", "softmax", "crf"), "head", head, "'auto', 'softmax' or 'crf'")
    check(character_encoder in ("cnn", "lstm"), "character_encoder", character_encoder, "'cnn' or 'lstm'")
    check(character_units % 2 == 0, "character_units", character_units, "an even number")
    for key, value in (("word_dropout", word_dropout), ("dropout", dropout)):
        check(0 <= value < 1, key, value, "a number from 0 to below 1")
    check(word_dim >= 0, "word_dim", word_dim, "at least 0")
    for key, value in (
        ("feature_dim", feature_dim),
        ("character_dim", character_dim),
        ("character_units", character_units),
    ):
        check(value >= 2, key, value, "at least 2")
    sizes = vocabulary_size if isinstance(vocabulary_size, dict) else {"word": vocabulary_size}
    check(word_dim or set(sizes) - {"word"}, "word_dim", word_dim, "at least 1 where words are the only feature")
    inputs = {
        name: keras.Input((None, None) if name == "characters" else (None,), dtype="int32", name=name) for name in sizes
    }
    first = next(name for name in (*sizes, "characters") if name != "characters" or len(sizes) == 1)
    known = ops.not_equal(inputs[first], 0)
    mask = ops.any(known, axis=-1) if first == "characters" else known  # (batch, time)
    x = token_embedding(
        inputs,
        sizes,
        word_dim=word_dim,
        feature_dim=feature_dim,
        character_dim=character_dim,
        character_units=character_units,
        character_encoder=character_encoder,
        word_dropout=word_dropout,
    )
    if dropout:
        x = layers.Dropout(dropout, name="embedding_dropout")(x)
    if isinstance(backbone, str):
        build, arguments = choose(ENCODERS, backbone, "backbone")
        backbone = build(x.shape[-1], **arguments, name=backbone)
    elif not isinstance(backbone, keras.Model):
        backbone = backbone(x.shape[-1])
    x = backbone([x, mask])
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    x = layers.Dense(num_tags, dtype="float32", name="logits")(x)
    if head == "auto":
        head = "crf" if backbone.name.endswith("_crf") else "softmax"
    if head == "crf":
        check(not label_smoothing, "label_smoothing", label_smoothing, "0 with a CRF")
        x = crf.CRF(name="crf")(x, mask=mask)
    model = keras.Model(inputs if isinstance(vocabulary_size, dict) else inputs["word"], x, name="sequence_tagger")
    if head == "crf":
        loss, metrics = crf.CRFNegativeLogLikelihood(), []
    else:
        loss, metrics = SparseCategoricalCrossentropy(label_smoothing, ignore_class=-1), [Accuracy(ignore_class=-1)]
    # XLA would compile anew for every length of sentences.
    model.compile(optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=False)
    return model


def tagged_sentences(
    seed,
    saved,
    *,
    source: str = "phrases",
    column: int | str | None = None,
    locale: str | None = None,
    num_sentences: int | None = None,
    scheme: Literal["auto", "none", "BIO", "BIOES", "IOB1", "BILOU"] = "auto",
    target_scheme: Literal["BIO", "BIOES"] = "BIO",
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    max_length: int = 1000,
    features: tuple[str, ...] = ("word", "characters", "shape", "prefix2", "prefix3", "suffix2", "suffix3"),
    min_count: int = 2,
    lowercase: bool = True,
    max_characters: int = 16,
    vectors: str | None = None,
    max_vectors: int | None = None,
):
    """Reads tagged sentences and divides them into training, validation and test split.

    Args:
        seed: Seed of the division and of generated sentences.
        saved: Assignment of an earlier run that is used again, or None.
        source: `phrases` (generated), `tfds:NAME`, or a file of columns (CoNLL), CoNLL-U or JSONL; or a folder of such
            files with train, dev and test in their names.
        column: What the tags are: number of a column (from 1, or from the end), name of a CoNLL-U field such as upos or
            xpos, or key of a JSONL or TFDS entry; by default the last column, upos, `tags`.
        locale: Language of generated sentences, such as de_CH; en by default.
        num_sentences: Number of generated sentences; 4000 by default.
        scheme: How the tags mark entities; "auto" finds out, "none" takes every tag as it is.
        target_scheme: How the model is to mark entities.
        validation_fraction: Share of the sentences not in the test split that becomes the validation split.
        test_fraction: Share of the sentences that becomes the test split, where the source has none.
        max_length: Words that a sentence may have.
        features: What the model sees of a word: word, characters, case, shape, prefix1 to prefix5, suffix1 to suffix5.
        min_count: What occurs less often in the training sentences is unknown.
        lowercase: Make words and affixes lower-case.
        max_characters: Characters of a word that are looked at; of longer ones the first and the last.
        vectors: Text file of pretrained word vectors (word2vec or GloVe).
        max_vectors: Number of vectors that are read; 100000 by default.

    Returns:
        `Splits` of `Sequences`, with facts `vocabulary_size` and `num_tags`.

    Raises:
        KitError: a file that cannot be used; the message names it and the line.
        SettingError: a value out of range; the message names the key.
    """
    check(1 <= max_length <= 10_000, "max_length", max_length, "1 to 10000")
    module, place = sources.find(source, "sentences")
    if module is phrases:
        found = module.read(place, column, locale=locale or "en", num_sentences=num_sentences or 4000, seed=seed)
    else:
        for key, value in (("locale", locale), ("num_sentences", num_sentences)):
            check(value is None, key, value, "none where sentences are not generated")
        found = module.read(place, column)
    check(vectors is not None or max_vectors is None, "max_vectors", max_vectors, "none without data.vectors")
    for row, words in enumerate(found.words):
        if len(words) > max_length:
            raise KitError(
                f"{found.place(row, 0)}: a sentence of {len(words):,} words, expected at most {max_length:,} "
                "(data.max_length)"
            )
    scheme = _scheme(found, scheme)
    learned = target_scheme if scheme != "none" else "none"
    named = [tags.convert(each, scheme, learned) for each in found.tags] if scheme != "none" else found.tags
    names = [
        f"{each} {zlib.crc32(chr(9).join([*words, *written]).encode()):08x}"
        for each, words, written in zip(found.places, found.words, found.tags, strict=True)
    ]
    assignment = assign(names, found.split, validation_fraction, test_fraction, seed, saved)
    if saved is None and found.split is None:
        _move_unknown_tags(assignment, found.tags)
    rows = [np.flatnonzero(assignment["split"] == name) for name in SPLITS]
    tag_names = {tag for row in rows[0] for tag in named[row]}
    if scheme != "none":
        tag_names |= set(tags.all_tags({tags.split(tag)[1] for tag in tag_names - {"O"}}, learned))
    tag_names = sorted(tag_names, key=lambda tag: (tag != "O", tag))
    check(len(tag_names) >= 2, "source", str(place), "at least two different tags in the training sentences")
    numbers = {tag: number for number, tag in enumerate(tag_names)}
    for row in np.concatenate(rows[1:]):
        for word, tag in enumerate(named[row]):
            if tag not in numbers:
                raise KitError(
                    f"{found.place(row, word)}: the tag {found.tags[row][word]!r} is not in the training sentences; "
                    "expected one that is"
                )
    known_words, matrix = [], None
    if vectors is not None:
        check("word" in features, "features", list(features), "'word' among them where there are vectors")
        known_words, matrix = _read_vectors(vectors, lowercase, max_vectors or 100_000)
    encoder = Features.learn(
        (word for row in rows[0] for word in found.words[row]),
        features,
        min_count=min_count,
        lowercase=lowercase,
        max_characters=max_characters,
        known_words=known_words,
    )
    parts = [
        Sequences(
            [found.words[row] for row in part],
            encoder,
            [[numbers[tag] for tag in named[row]] for row in part],
        )
        for part in rows
    ]
    settings = {"source": str(place)}
    if vectors is not None:
        settings["vectors"] = str(Path(vectors).expanduser().resolve())
    return Splits(
        *parts,
        facts={
            "vocabulary_size": encoder.sizes(),
            "num_tags": len(tag_names),
            "vectors": None if matrix is None else (encoder.rows(known_words), matrix),
        },
        assets={
            "tag_names": tag_names,
            "scheme": scheme,
            "learned_scheme": learned,
            "features": encoder.to_json(),
        },
        assignment=assignment,
        settings=settings,
        monitors=(*(("val_f1",) if scheme != "none" else ()), "val_accuracy", "val_loss"),
    )


def _move_unknown_tags(assignment, written):
    """Puts sentences with a tag that no drawn training sentence has into the training split."""
    drawn = assignment["split"].to_numpy(dtype=object).copy()
    known = {tag for row in np.flatnonzero(drawn == "train") for tag in written[row]}
    for row in np.flatnonzero(drawn != "train"):
        if not known.issuperset(written[row]):
            drawn[row] = "train"
            known.update(written[row])
    assignment["split"] = drawn


def _scheme(found, scheme):
    """Returns the scheme of the tags, after checking every one of them."""
    try:
        if scheme == "auto":
            scheme = tags.detect(found.tags)
        elif scheme != "none":
            tags.validate(found.tags, scheme)
    except tags.TagError as error:
        raise KitError(f"{found.place(error.sentence, error.word)}: {error} (data.scheme)") from None
    return scheme


def _read_vectors(path, lowercase, max_words):
    path = as_path(path, "vectors")
    if not path.is_file():
        raise SettingError("vectors", f"no file {str(path)!r}; expected a text file of word vectors")
    return read_vectors(path, lowercase=lowercase, max_words=max_words)


def prepare(model, splits):
    """Puts pretrained vectors into the word embedding, and forbids what no scheme allows in the CRF."""
    if splits.facts["vectors"] is not None:
        rows, matrix = splits.facts["vectors"]
        layer = next((layer for layer in model.layers if layer.name == "word_embedding"), None)
        width, dim = matrix.shape[1], layer.output_dim if layer else 0
        check(dim == width, "model.word_dim", dim, f"{width}, the width of the vectors")
        embeddings = layer.embeddings
        values = keras.ops.convert_to_numpy(embeddings).copy()
        values[rows] = matrix
        embeddings.assign(values)
    if _has_crf(model) and splits.assets["learned_scheme"] != "none":
        model.get_layer("crf").allow(*tags.allowed(splits.assets["tag_names"], splits.assets["learned_scheme"]))


def _has_crf(model):
    return len(model.output.shape) == 4


def _decoded(model, sequences, batch_size, probabilities=True):
    """Returns the predicted labels of each sentence, and the probabilities (words, tags) of each.

    A CRF decodes the best path; its probabilities are marginals.
    """
    labels, shares = [None] * len(sequences), [None] * len(sequences)
    for rows in sequences.chunks(batch_size):
        outputs = model.predict_on_batch(sequences.arrays(rows)[0])
        if _has_crf(model):
            best, share = _from_potentials(outputs, probabilities)
        else:
            best, share = outputs.argmax(-1), softmax(outputs) if probabilities else None
        for place, row in enumerate(rows):
            length = sequences.lengths[row]
            labels[row] = best[place, :length]
            shares[row] = share[place, :length] if probabilities else None
    return labels, shares


@functools.cache
def _compiled(function, num_tags):
    """Compiles a function of potentials once for all models with so many tags."""
    return tf.function(function, input_signature=[tf.TensorSpec((None, None, num_tags, num_tags))])


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
    gold = examples.label_rows()
    right = sum(int((one == other).sum()) for one, other in zip(predicted, gold, strict=True))
    values = {"accuracy": right / max(int(examples.lengths.sum()), 1)}
    if assets["learned_scheme"] != "none":
        names = np.array(assets["tag_names"], dtype=object)
        counts, _ = scores.entity_counts(_named(gold, names), _named(predicted, names), assets["learned_scheme"])
        values["f1"] = scores.f1(counts.sum((0, 1)))
    return values


def _named(labels, names):
    return [list(names[each]) for each in labels]


def evaluate(
    model,
    examples,
    assets,
    *,
    bootstrap_samples: PositiveInt = 1000,
    batch_size: PositiveInt = 128,
):
    """Scores a tagger on a split.

    Args:
        model: The tagger.
        examples: `Sequences` of the split.
        assets: The assets of the data.
        bootstrap_samples: Draws of sentences with replacement behind each 95 % interval.
        batch_size: Sentences in a step.

    Returns:
        `Evaluation` with entity-level F1, precision and recall (strict: both ends and the type), where tags mark
        entities; the accuracy of tags; and, where they mark none, the mean F1 of the tags that occur.
    """
    names = np.array(assets["tag_names"], dtype=object)
    scheme = assets["learned_scheme"]
    gold = examples.label_rows()
    predicted, shares = _decoded(model, examples, batch_size)
    metrics, tables = {}, {}
    if scheme != "none":
        counts, kinds = scores.entity_counts(_named(gold, names), _named(predicted, names), scheme)
        metrics |= _with_interval("f1", counts.sum(1), scores.f1, bootstrap_samples)
        total = counts.sum((0, 1))
        metrics |= {"precision": scores.precision(total), "recall": scores.recall(total)}
        tables["1_per_entity_type"] = scores.per_class("entity", kinds, counts, bootstrap_samples)
    counts = scores.tag_counts(gold, predicted, len(names))
    metrics |= _with_interval("accuracy", counts.sum(1), scores.recall, bootstrap_samples)
    if scheme == "none":
        total = counts.sum(0)
        metrics["macro_f1"] = scores.f1(total)[total[:, 2] > 0].mean()
        tables["1_per_tag"] = scores.per_class("tag", names, counts, bootstrap_samples)
    worst = _worst(examples, gold, predicted, shares)
    if len(worst):
        tables["2_sentences_with_the_worst_errors"] = _worst_table(examples, gold, predicted, shares, names, worst)
    matrix_names, matrix = _confusion(gold, predicted, names, scheme)
    figures = {"2_confusion_matrix": lambda: plots.confusion_matrix(matrix, matrix_names)}
    figures |= _attention_figures(model, examples)
    return Evaluation({name: float(value) for name, value in metrics.items()}, tables, figures)


def _with_interval(name, counts, score, samples):
    low, high = bootstrap(counts, score, samples)
    return {name: score(counts.sum(0)), f"{name}_low": low, f"{name}_high": high}


def _worst(examples, gold, predicted, shares):
    """Returns the rows of the sentences in which the model was surest of what is wrong, the worst first."""
    regret = np.zeros(len(examples))
    for row, (true, found, share) in enumerate(zip(gold, predicted, shares, strict=True)):
        wrong = np.flatnonzero(true != found)
        words = np.arange(len(true))
        regret[row] = -np.log(np.maximum(share[words, true][wrong], 1e-9)).sum()
    rows = np.argsort(-regret, kind="stable")[:20]
    return rows[regret[rows] > 0]


def _worst_table(examples, gold, predicted, shares, names, rows):
    table = []
    for row in rows:
        shown = []
        for word, true, found, share in zip(
            examples.sentences[row], gold[row], predicted[row], shares[row], strict=True
        ):
            wrong = true != found
            shown.append(f"{word} [{names[found]} {share[found]:.0%}, is {names[true]}]" if wrong else word)
        table.append({"errors": int((gold[row] != predicted[row]).sum()), "sentence": " ".join(shown)})
    return pd.DataFrame(table)


def _confusion(gold, predicted, names, scheme):
    """Returns names and counts (true, predicted) of tags, or of entity types word by word."""
    kinds = [tags.split(name)[1] or "O" for name in names] if scheme != "none" else list(names)
    shown = list(dict.fromkeys(kinds))
    number = np.array([shown.index(kind) for kind in kinds])
    matrix = np.zeros((len(shown), len(shown)), int)
    np.add.at(matrix, (number[np.concatenate(gold)], number[np.concatenate(predicted)]), 1)
    return shown, matrix


def _attention_figures(model, examples):
    """Returns a heat map of each attention layer, on one sentence of moderate length."""
    encoder = next((layer for layer in model.layers if isinstance(layer, keras.Model)), None)
    attention = [layer for layer in encoder.layers if isinstance(layer, Attention)] if encoder else []
    if not attention:
        return {}
    row = int(np.argmin(np.abs(examples.lengths - 12)))
    inputs = examples.arrays([row])[0]
    to_encoder = keras.Model(model.inputs, encoder._inbound_nodes[-1].arguments.keras_tensors)
    to_weights = keras.Model(encoder.inputs, [layer.output[1] for layer in attention])
    weights = to_weights.predict_on_batch(to_encoder.predict_on_batch(inputs))
    weights = weights if isinstance(weights, list) else [weights]
    words = examples.sentences[row]
    return {
        f"3_attention_of_{layer.name.removesuffix('_attention')}": lambda each=each: plots.attention(each[0], words)
        for layer, each in zip(attention, weights, strict=True)
    }


def predict(model, inputs, assets, *, tokenized: bool = False, batch_size: PositiveInt = 128):
    """Tags texts.

    Args:
        model: The tagger.
        inputs: A text, a file (`pathlib.Path`), or a list of these, with a sentence in each line; or a list of
            sentences that are lists of words already. Of files of tagged sentences (.conll, .conllu, .jsonl) the words
            are taken.
        assets: The assets of the data that the model was trained on.
        tokenized: The words of texts stand between spaces already.
        batch_size: Sentences in a step.

    Returns:
        Table with a row a word: `sentence` (from 1), `token`, `tag`, `probability`, and for texts `start` and `end` of
        the token in its line, in characters.

    Raises:
        KitError: no words, or a file that cannot be read.
    """
    sentences, places = read_sentences(inputs, tokenized)
    if not any(sentences):
        raise KitError("no words to tag; expected a text with at least one")
    features = Features(**assets["features"])
    sequences = Sequences([words for words in sentences if words], features)
    predicted, shares = _decoded(model, sequences, batch_size)
    names = np.array(assets["tag_names"], dtype=object)
    written = _named(predicted, names)
    if assets["scheme"] != assets["learned_scheme"]:
        written = [tags.convert(each, assets["learned_scheme"], assets["scheme"]) for each in written]
    rows = [row for row, words in enumerate(sentences, 1) if words]
    table = {
        "sentence": np.repeat(rows, sequences.lengths),
        "token": [word for words in sequences.sentences for word in words],
        "tag": [tag for each in written for tag in each],
        "probability": np.concatenate(
            [share[np.arange(len(best)), best] for share, best in zip(shares, predicted, strict=True)]
        ).astype("float64"),
    }
    if places is not None:
        table["start"], table["end"] = np.array([place for each in places for place in each]).T
    return pd.DataFrame(table)


def show(predictions, is_terminal):
    """Returns predictions for reading: coloured entities or tags on a terminal, else CoNLL columns."""
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


RECIPE = Recipe(
    name="sequence_tagging",
    purpose="Which tag has each word of a sentence?",
    build=sequence_tagger,
    data=tagged_sentences,
    backbones={"backbone": ENCODERS},
    task=Task(
        monitors={"val_f1": "max", "val_accuracy": "max", "val_loss": "min"},
        evaluate=evaluate,
        predict=predict,
        validate=validate,
        show=show,
        inputs="text",
    ),
    stages=Stages(prepare=prepare, tied_layers={"tag_names": ("logits", "crf"), "features": ("*_embedding",)}),
)
