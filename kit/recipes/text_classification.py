"""Text classification: a label, several labels or a number that belong to a text, or to a pair of texts."""

import dataclasses
import functools
from typing import Literal

import keras
import numpy as np
from keras import layers, ops

from kit.blocks.sequence_pooling import sequence_pooling
from kit.data import label_checks, packed_examples, packed_tokens, word_vectors
from kit.data.columns import Dense
from kit.data.findings import tell
from kit.data.labelled_texts import Lengths, TextSource, text_examples
from kit.data.options import Division, TextOptions, TokenOptions, VectorOptions
from kit.data.overlap import overlap
from kit.data.source_files import SourceFiles
from kit.data.splits import Splits, assign, divided
from kit.data.text_answers import OTHERS, AnswerOptions, answers_of, balanced, check_learned, columns_of
from kit.data.text_augmentation import TextAugmentation
from kit.data.tokens import Tokenizer
from kit.errors import check
from kit.models import text
from kit.tasks import text_classification
from kit.tasks.answers import answering, check_answer
from kit.tasks.any_length import check_positions
from kit.tasks.recipe import Recipe, Stages
from kit.training.transfer import put_vectors
from kit.weights import published
from kit.weights.encoders import text_encoder

BACKBONES = text.OF_TOKENS | text.VARIANTS


def text_classifier(
    vocabulary_size,
    num_classes,
    *,
    num_texts=1,
    pad_id=0,
    answer="label",
    positive_weights=None,
    backbone: str = "text_cnn",
    weights: str | None = None,
    pooling: Literal["mean", "max", "attention", "first"] = "mean",
    embedding_dim: int = 128,
    embedding_dropout: float = 0.3,
    dropout: float = 0.3,
    label_smoothing: float = 0.0,
    loss: Literal["mse", "mae", "huber", "quantile"] | None = None,
    quantiles: tuple[float, ...] | None = None,
    optimizer="adamw",
):
    """Builds a compiled model that answers to a text with a label, several, or a number.

    It takes ids of tokens and, of pairs of texts, segments; it returns logits, or a standardised number.

    Args:
        vocabulary_size: Number of tokens.
        num_classes: Number of classes or labels; 1 of a number.
        num_texts: 1, or 2 for pairs of texts.
        pad_id: Id of padding.
        answer: "label", "labels" or "number".
        positive_weights: Factor of the loss of a text that has a label, for each of several labels; None is 1.
        backbone: Variant of an architecture, as `kit list` prints them; or a `keras.Model` from [sequence (batch, time,
            dim), mask (batch, time)] to (batch, time, dim), or from `ids` and `segments`; or a function that returns
            the first for an `input_dim`.
        weights: Folder of published weights for the backbone, with `config.json`, `model.safetensors` and the
            tokenizer; or `hf:OWNER/NAME`, which is fetched.
        pooling: What becomes of the sequence; "first" is its first position, "attention" a learned mean.
        embedding_dim: Width of a token's embedding, of backbones that have none of their own.
        embedding_dropout: Share of it that is dropped while training.
        dropout: Share of the pooled features that is dropped while training.
        label_smoothing: Share of the target that is spread evenly over all classes; of several labels, over yes and no.
        loss: Loss of a number: "mse", its default, squared error; "mae", absolute; "huber", squared up to an error of
            one standard deviation of the training texts, absolute beyond; "quantile", several quantiles, of which the
            median is the answer.
        quantiles: Levels of the quantiles, 0.5 among them; by default 0.05, 0.5 and 0.95.
        optimizer: Keras optimizer or its name.

    Shape:
        in: `ids` (batch, time) and, of pairs, `segments` (batch, time)
        out: (batch, num_classes), logits; of a number (batch, 1), or (batch, quantiles)

    Raises:
        SettingError: an unknown backbone, or a value out of range; the message names the argument.
        KitError: published weights that do not fit.
    """
    head = {"dropout": dropout, "label_smoothing": label_smoothing, "loss": loss, "quantiles": quantiles}
    check_answer(answer, num_classes, **head)
    check(num_texts in (1, 2), "num_texts", num_texts, "1 or 2")
    check(embedding_dim >= 1, "embedding_dim", embedding_dim, "at least 1")
    check(0 <= embedding_dropout < 1, "embedding_dropout", embedding_dropout, "a number from 0 to below 1")
    inputs = {"ids": keras.Input((None,), dtype="int32", name="ids")}
    if num_texts == 2:
        inputs["segments"] = keras.Input((None,), dtype="int32", name="segments")
    ids = inputs["ids"]
    segments = inputs.get("segments", ops.zeros_like(ids))
    mask = ops.not_equal(ids, pad_id)
    facts = {"vocabulary_size": vocabulary_size, "pad_id": pad_id, "embedding_dim": embedding_dim}
    backbone = text_encoder(backbone, BACKBONES, weights, **facts)
    if isinstance(backbone.input, dict):
        x = backbone({"ids": ids, "segments": segments})
    else:
        x = layers.Embedding(vocabulary_size, embedding_dim, name="token_embedding")(ids)
        if num_texts == 2:
            x = x + layers.Embedding(2, embedding_dim, name="segment_embedding")(segments)
        x = backbone([layers.Dropout(embedding_dropout, name="embedding_dropout")(x), mask])
    x = sequence_pooling(x, mask, pooling)
    head |= {"positive_weights": positive_weights, "optimizer": optimizer}
    return answering(inputs, x, "text_classifier", answer, num_classes, **head)


def labelled_texts(
    seed,
    saved,
    *,
    where: TextSource = TextSource(),
    answers: AnswerOptions = AnswerOptions(),
    tokenizer: str | None = None,
    tokens: TokenOptions = TokenOptions(),
    pretrained: VectorOptions = VectorOptions(),
    lengths: Lengths = Lengths(),
    class_weights: Literal["none", "balanced"] = "none",
    augmentation: TextAugmentation = TextAugmentation(),
    texts: TextOptions = TextOptions(),
    division: Division = Division(),
):
    """Reads labelled texts and divides them into training, validation and test split.

    Args:
        seed: Seed of the run, which the data does not depend on.
        saved: `Kept` of an earlier run, which is used again, or None.
        tokenizer: Folder of published weights whose tokenizer is used; by default tokens are learned from the training
            texts.
        class_weights: "balanced" makes rare classes, or labels, count as much as frequent ones in the loss.

    Returns:
        `Splits` of labelled texts, with facts `vocabulary_size`, `num_classes`, `num_texts`, `pad_id`, `answer` and
        `positive_weights`.

    Raises:
        KitError: a file that cannot be used; the message names it and the line.
        SettingError: a value out of range; the message names the key.
    """
    found, origin = where.read(answers.stated, texts.on_bad, division.split_seed)
    wanted = answers_of(found, answers, origin)
    is_balanced = class_weights == "balanced"
    check(not (is_balanced and wanted.kind == "number"), "class_weights", class_weights, "'none' of numbers")
    assignment = assign(found.names, found.split, division, saved, found, **wanted.classes)
    split = assignment["split"].to_numpy(object)
    check_learned(wanted, split, origin)
    is_training, is_packed = split == "train", hasattr(found, "fingerprint")
    if saved is not None:
        known, embeddings = Tokenizer(saved.assets["tokenizer"]), saved.assets["embeddings"]
    elif tokenizer is not None:
        known, embeddings = published.tokenizer_of(tokenizer)
    elif is_packed:
        learn = functools.partial(word_vectors.tokenizer, tokens, pretrained)
        how = [dataclasses.asdict(tokens), pretrained.settings]
        known = packed_tokens.learned(found.parts, found.fingerprint, split, how, learn)
        embeddings = len(known)
    else:
        training = np.flatnonzero(is_training)
        known = word_vectors.tokenizer(tokens, pretrained, (part[row] for part in found.parts for row in training))
        embeddings = len(known)
    vectors = word_vectors.of_tokens(known, tokens, pretrained, tokenizer)
    targets, extras, of_answer = columns_of(wanted, is_training)
    make = packed_examples.text_examples if is_packed else text_examples
    examples, numbers, longer = make(found if is_packed else found.parts, known, lengths, targets, extras)
    lengths.tell(len(examples), len(split), longer)
    keys, same = found.equal if is_packed else (list(zip(*found.parts, strict=True)), found.targets)
    train, *held_out = divided(examples, assignment.iloc[numbers])
    weights = balanced(wanted, is_training) if is_balanced else None
    if weights is not None and wanted.kind == "label":
        train.weights = Dense(weights[wanted.values[numbers]])
    train.changed = augmentation.of(train, known, lengths)
    path = augmentation.paths()
    path |= {} if tokenizer is None else {"tokenizer": published.absolute(tokenizer)}
    return Splits(
        train,
        *held_out,
        facts={
            "vocabulary_size": embeddings,
            "num_classes": len(wanted.names) or 1,
            "num_texts": len(found.parts),
            "pad_id": known.pad_id,
            "answer": wanted.kind,
            "positive_weights": weights if wanted.kind == "labels" else None,
            "vectors": vectors,
        },
        assets={
            "answer": wanted.kind,
            **of_answer,
            "tokenizer": known.to_json(),
            "embeddings": embeddings,
            **dataclasses.asdict(lengths),
            "num_texts": len(found.parts),
            "skipped": found.skipped,
        }
        | augmentation.assets(),
        assignment=assignment,
        settings={"source": str(origin)} | path | pretrained.settings,
        monitors=tuple(text_classification.TASKS[wanted.kind].monitors),
        findings=tell(label_checks.of_answers(wanted, split, "texts")),
        overlap=overlap(keys, split, "texts", same, OTHERS[wanted.kind]),
        files=SourceFiles(found.files, [each.name for each in found.files]) if is_packed else None,
    )


def prepare(model, splits):
    """Refuses texts that an architecture has no positions for, and puts pretrained vectors into the embedding."""
    check_positions(model, splits)
    put_vectors(model, splits, "token_embedding", "model.embedding_dim")


RECIPE = Recipe(
    name="text_classification",
    purpose="Which label, which labels, or which number belongs to a text, or to a pair of texts?",
    backends=("tensorflow", "jax"),
    examples="labelled texts",
    build=text_classifier,
    data=labelled_texts,
    backbones={"backbone": BACKBONES},
    task=text_classification.task(),
    stages=Stages(
        prepare=prepare,
        tied_layers={"class_names": ("logits",), "tokenizer": ("*token_embedding", "*ngram*_embedding")},
        optional_facts=("num_texts", "pad_id", "answer", "positive_weights"),
        presets={
            "text_cnn": {"pooling": "max"},
            **{name: {"pooling": "attention"} for name in ("bilstm", "bigru")},
            **{name: {"dropout": 0.1} for name in text.OF_TOKENS if name != "bag_of_ngrams"},
        },
    ),
)
