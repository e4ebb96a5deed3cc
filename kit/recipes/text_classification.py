"""Text classification: which of several classes does a text, or a pair of texts, belong to?"""

import logging
from typing import Literal

import keras
import numpy as np
from keras import layers, ops

from kit.blocks.sequence_pooling import sequence_pooling
from kit.data import label_checks, sources
from kit.data.columns import Dense
from kit.data.findings import tell
from kit.data.labelled_texts import text_examples
from kit.data.options import Division, TextOptions, TokenOptions
from kit.data.overlap import overlap
from kit.data.sources import phrase_languages, text_folder, text_tables
from kit.data.splits import Splits, assign, divided
from kit.data.text_classes import classes_of
from kit.data.tokens import Tokenizer
from kit.errors import check, choose
from kit.models import text
from kit.tasks import classification, text_classification
from kit.tasks.recipe import Recipe, Stages
from kit.weights import published

log = logging.getLogger("kit")

BACKBONES = text.OF_TOKENS | text.VARIANTS


def text_classifier(
    vocabulary_size,
    num_classes,
    *,
    num_texts=1,
    pad_id=0,
    backbone: str = "text_cnn",
    weights: str | None = None,
    pooling: Literal["mean", "max", "attention", "first"] = "mean",
    embedding_dim: int = 128,
    embedding_dropout: float = 0.3,
    dropout: float = 0.3,
    label_smoothing: float = 0.0,
    optimizer="adamw",
):
    """Builds a compiled text classifier.

    It takes ids of tokens and, of pairs of texts, segments; it returns logits.

    Args:
        vocabulary_size: Number of tokens.
        num_classes: Number of classes.
        num_texts: 1, or 2 for pairs of texts.
        pad_id: Id of padding.
        backbone: Variant of an architecture, as `kit list` prints them; or a `keras.Model` from [sequence (batch, time,
            dim), mask (batch, time)] to (batch, time, dim), or from `ids` and `segments`; or a function that returns
            the first for an `input_dim`.
        weights: Folder of published weights for the backbone, with `config.json`, `model.safetensors` and the
            tokenizer; or `hf:OWNER/NAME`, which is fetched.
        pooling: What becomes of the sequence; "first" is its first position, "attention" a learned mean.
        embedding_dim: Width of a token's embedding, of backbones that have none of their own.
        embedding_dropout: Share of it that is dropped while training.
        dropout: Share of the pooled features that is dropped while training.
        label_smoothing: Share of the target that is spread evenly over all classes.
        optimizer: Keras optimizer or its name.

    Shape:
        in: `ids` (batch, time) and, of pairs, `segments` (batch, time)
        out: (batch, num_classes), logits

    Raises:
        SettingError: an unknown backbone, or a value out of range; the message names the argument.
        KitError: published weights that do not fit.
    """
    check(num_classes >= 2, "num_classes", num_classes, "at least 2")
    check(num_texts in (1, 2), "num_texts", num_texts, "1 or 2")
    check(embedding_dim >= 1, "embedding_dim", embedding_dim, "at least 1")
    for key, value in (("embedding_dropout", embedding_dropout), ("dropout", dropout)):
        check(0 <= value < 1, key, value, "a number from 0 to below 1")
    inputs = {"ids": keras.Input((None,), dtype="int32", name="ids")}
    if num_texts == 2:
        inputs["segments"] = keras.Input((None,), dtype="int32", name="segments")
    ids = inputs["ids"]
    segments = inputs.get("segments", ops.zeros_like(ids))
    mask = ops.not_equal(ids, pad_id)
    if isinstance(backbone, str):
        build, arguments = choose(BACKBONES, backbone, "backbone")
        if backbone in text.OF_TOKENS:
            backbone = build(vocabulary_size, pad_id, **arguments, name=backbone)
        else:
            backbone = build(embedding_dim, **arguments, name=backbone)
    elif not isinstance(backbone, keras.Model):
        backbone = backbone(embedding_dim)
    if weights is not None:
        published.load(backbone, weights)
    if isinstance(backbone.input, dict):
        x = backbone({"ids": ids, "segments": segments})
    else:
        x = layers.Embedding(vocabulary_size, embedding_dim, name="token_embedding")(ids)
        if num_texts == 2:
            x = x + layers.Embedding(2, embedding_dim, name="segment_embedding")(segments)
        x = backbone([layers.Dropout(embedding_dropout, name="embedding_dropout")(x), mask])
    x = sequence_pooling(x, mask, pooling)
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    x = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return classification.compiled(keras.Model(inputs, x, name="text_classifier"), optimizer, label_smoothing)


def labelled_texts(
    seed,
    saved,
    *,
    source: str = "languages",
    text: int | str | None = None,
    second_text: int | str | None = None,
    target: int | str | None = None,
    num_texts: int | None = None,
    tokenizer: str | None = None,
    tokens: TokenOptions = TokenOptions(),
    max_length: int = 128,
    class_weights: Literal["none", "balanced"] = "none",
    texts: TextOptions = TextOptions(),
    division: Division = Division(),
):
    """Reads labelled texts and divides them into training, validation and test split.

    Args:
        seed: Seed of the run, which the data does not depend on.
        saved: `Kept` of an earlier run, which is used again, or None.
        source: `languages` (phrases in twelve languages, generated), `tfds:NAME`, a .csv, .tsv or .jsonl file with
            columns of texts and labels, a folder of such files with train, dev and test in their names, or a folder
            with a folder of .txt files for each class. In Python also a list of (text, label) or (text, second text,
            label), a table of pandas or Arrow, or a dictionary of these for train, validation and test.
        text: Column of the texts: its name, or its number from 1, or from the end as -1; by default a usual name such
            as text or sentence1.
        second_text: Column of the second texts of pairs; by default a usual name such as sentence2, where there is one.
        target: Column of the labels; by default a usual name such as label or category.
        num_texts: Number of generated texts; 6000 by default.
        tokenizer: Folder of published weights whose tokenizer is used; by default tokens are learned from the training
            texts.
        max_length: Most tokens of an example; what is longer is cut.
        class_weights: "balanced" makes rare classes count as much as frequent ones in the loss.

    Returns:
        `Splits` of labelled texts, with facts `vocabulary_size`, `num_classes`, `num_texts` and `pad_id`.

    Raises:
        KitError: a file that cannot be used; the message names it and the line.
        SettingError: a value out of range; the message names the key.
    """
    check(8 <= max_length <= 100_000, "max_length", max_length, "8 to 100000")
    module, origin = sources.find(source, "texts")
    columns = {"text": text, "second_text": second_text, "target": target}
    options = {}
    if module is phrase_languages:
        options = {"seed": division.split_seed, **({} if num_texts is None else {"num_texts": num_texts})}
    else:
        check(num_texts is None, "num_texts", num_texts, "none where texts are not generated")
    if module in (phrase_languages, text_folder):
        for key, value in columns.items():
            check(value is None, key, value, "none where texts are in no table")
    else:
        options |= columns
    if module in (text_folder, text_tables):
        options["on_bad"] = texts.on_bad
    found = module.read(origin, **options)
    class_names, labels = classes_of(found.targets, origin)
    assignment = assign(found.names, found.split, division, saved, found, labels=labels, class_names=class_names)
    if saved is not None:
        known, embeddings = Tokenizer(saved.assets["tokenizer"]), saved.assets["embeddings"]
    elif tokenizer is not None:
        known, embeddings = published.tokenizer_of(tokenizer)
    else:
        training = np.flatnonzero(assignment["split"] == "train")
        known = tokens.learn((part[row] for part in found.parts for row in training), at_most=True)
        embeddings = len(known)
    examples, cut = text_examples(found.parts, known, max_length, labels)
    if cut:
        log.info(
            "%s of %s texts are longer than %d tokens and cut (data.max_length)",
            f"{cut:,}",
            f"{len(labels):,}",
            max_length,
        )
    keys = list(zip(*found.parts, strict=True))
    train, *held_out = divided(examples, assignment)
    if class_weights == "balanced":
        counts = np.bincount(train.target("label"), minlength=len(class_names))
        of_classes = (counts.sum() / (len(class_names) * np.maximum(counts, 1))).astype("float32")
        train.weights = Dense(of_classes[labels])
    path = {} if tokenizer is None else {"tokenizer": published.absolute(tokenizer)}
    return Splits(
        train,
        *held_out,
        facts={
            "vocabulary_size": embeddings,
            "num_classes": len(class_names),
            "num_texts": len(found.parts),
            "pad_id": known.pad_id,
        },
        assets={
            "class_names": class_names,
            "tokenizer": known.to_json(),
            "embeddings": embeddings,
            "max_length": max_length,
            "num_texts": len(found.parts),
            "skipped": found.skipped,
        },
        assignment=assignment,
        settings={"source": str(origin)} | path,
        findings=tell(label_checks.check(labels, class_names, assignment["split"], "texts")),
        overlap=overlap(keys, assignment["split"], "texts", found.targets),
    )


RECIPE = Recipe(
    name="text_classification",
    purpose="Which of several classes does a text, or a pair of texts, belong to?",
    examples="labelled texts",
    build=text_classifier,
    data=labelled_texts,
    backbones={"backbone": BACKBONES},
    task=text_classification.task(),
    stages=Stages(
        tied_layers={"class_names": ("logits",), "tokenizer": ("*token_embedding", "*ngram*_embedding")},
        optional_facts=("num_texts", "pad_id"),
        presets={
            "text_cnn": {"pooling": "max"},
            **{name: {"pooling": "attention"} for name in ("bilstm", "bigru")},
            **{name: {"dropout": 0.1} for name in text.OF_TOKENS if name != "bag_of_ngrams"},
        },
    ),
)
