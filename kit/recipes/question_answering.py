"""Extractive question answering: which span of a passage answers a question, or does none?"""

import dataclasses
import logging

import keras
import numpy as np
from keras import layers, ops
from keras.config import floatx

from kit.blocks.masking import hidden_where_false
from kit.blocks.sequence_pooling import sequence_pooling
from kit.data import sources
from kit.data.options import Division, TextOptions, TokenOptions
from kit.data.overlap import overlap
from kit.data.question_windows import WindowOptions, question_examples
from kit.data.sources import phrase_questions, question_files
from kit.data.splits import Splits, assign
from kit.data.tokens import Tokenizer
from kit.errors import KitError, check
from kit.models import text
from kit.tasks import question_answering
from kit.tasks.any_length import check_positions
from kit.tasks.recipe import Recipe, Stages
from kit.weights import published
from kit.weights.encoders import text_encoder

log = logging.getLogger("kit")

BACKBONES = {name: variant for name, variant in text.OF_TOKENS.items() if name != "bag_of_ngrams"} | text.VARIANTS


def question_answerer(
    vocabulary_size,
    *,
    pad_id=0,
    backbone: str = "bigru",
    weights: str | None = None,
    embedding_dim: int = 128,
    question_features: bool = True,
    embedding_dropout: float = 0.1,
    dropout: float = 0.1,
    optimizer="adamw",
):
    """Builds a compiled network that finds the span of a passage which answers a question.

    It takes question and passage in one sequence and returns logits of the first and the last token of the answer; the
    start of the sequence stands for "no answer" (Devlin et al., "BERT", 2019, section 4.3).

    Args:
        vocabulary_size: Number of tokens.
        pad_id: Id of padding.
        backbone: Variant of an architecture, as `kit list` prints them; or a `keras.Model` from [sequence (batch, time,
            dim), mask (batch, time)] to (batch, time, dim), or from `ids` and `segments`; or a function that returns
            the first for an `input_dim`.
        weights: Folder of published weights for the backbone, with `config.json`, `model.safetensors` and the
            tokenizer; or `hf:OWNER/NAME`, which is fetched.
        embedding_dim: Width of a token's embedding, of backbones that have none of their own.
        question_features: Tell such backbones of each token whether it is in the other text, too, and give each a
            weighted mean of the question's embeddings (Weissenborn et al., "Making Neural QA as Simple as Possible but
            not Simpler", 2017).
        embedding_dropout: Share of the embedding that is dropped while training.
        dropout: Share of the backbone's output that is dropped while training.
        optimizer: Keras optimizer or its name.

    Shape:
        in: `ids` (batch, time), `segments` (batch, time), 0 for the question and 1 for the passage
        out: (batch, 2, time), logits of the first and the last token; very low outside of the passage

    Raises:
        SettingError: an unknown backbone, or a value out of range; the message names the argument.
        KitError: published weights that do not fit.
    """
    check(embedding_dim >= 1, "embedding_dim", embedding_dim, "at least 1")
    for key, value in (("embedding_dropout", embedding_dropout), ("dropout", dropout)):
        check(0 <= value < 1, key, value, "a number from 0 to below 1")
    ids, segments = (keras.Input((None,), dtype="int32", name=name) for name in ("ids", "segments"))
    mask = ops.not_equal(ids, pad_id)
    facts = {"vocabulary_size": vocabulary_size, "pad_id": pad_id, "embedding_dim": embedding_dim}
    backbone = text_encoder(backbone, BACKBONES, weights, **facts)
    if isinstance(backbone.input, dict):
        x = backbone({"ids": ids, "segments": segments})
    else:
        tokens = layers.Embedding(vocabulary_size, embedding_dim, name="token_embedding")(ids)
        x = tokens + layers.Embedding(2, embedding_dim, name="segment_embedding")(segments)
        if question_features:
            x = x + layers.Embedding(2, embedding_dim, name="match_embedding")(_in_other_text(ids, segments, mask))
            is_asked = ops.logical_and(mask, ops.equal(segments, 0))
            asked = sequence_pooling(tokens, is_asked, "attention", name="question_pool")  # (batch, dim)
            x = x + layers.Dense(embedding_dim, name="question")(asked)[:, None]
        x = backbone([layers.Dropout(embedding_dropout, name="embedding_dropout")(x), mask])
        x = layers.Dense(x.shape[-1], activation="gelu", name="head")(x)
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    x = layers.Dense(2, dtype=floatx(), name="logits")(x)  # (batch, time, 2)
    # Of the second segment all but the mark at its end are the passage; the first position stands for "no answer".
    behind = ops.pad(segments[:, 1:], ((0, 0), (0, 1)))
    is_start = ops.equal(ops.cumsum(ops.ones_like(ids), axis=1), 1)
    open_to = ops.logical_or(ops.equal(segments * behind, 1), is_start)
    x = ops.transpose(x, (0, 2, 1)) + hidden_where_false(open_to)[:, None, :]
    inputs = {"ids": ids, "segments": segments}
    return question_answering.compiled(inputs, x, optimizer, "question_answerer")


def _in_other_text(ids, segments, mask):
    """Returns 1 for each token that is in the other text, too, and 0 for others, (batch, time)."""
    same = ops.equal(ids[:, :, None], ids[:, None, :])  # (batch, time, time)
    other = ops.not_equal(segments[:, :, None], segments[:, None, :])
    both = ops.logical_and(mask[:, :, None], mask[:, None, :])
    found = ops.any(ops.logical_and(ops.logical_and(same, other), both), axis=2)
    return ops.cast(found, "int32")


def asked_questions(
    seed,
    saved,
    *,
    source: str = "phrases",
    num_questions: int | None = None,
    unanswerable: float | None = None,
    tokenizer: str | None = None,
    tokens: TokenOptions = TokenOptions(),
    windows: WindowOptions = WindowOptions(),
    texts: TextOptions = TextOptions(),
    division: Division = Division(),
):
    """Reads questions with passages and answers, and divides them into training, validation and test split.

    Questions about one passage stay in one split.

    Args:
        seed: Seed of the run, which the data does not depend on.
        saved: `Kept` of an earlier run, which is used again, or None.
        source: `phrases` (generated: when, where, who, how much), `tfds:squad`, SQuAD's JSON (1.1 or 2.0), a .jsonl
            file of {question, context, answers: {text, answer_start}}, or a folder of such files with train, dev and
            test in their names. In Python also a list of such dictionaries, or a dictionary of lists for train,
            validation and test.
        num_questions: Number of generated questions; 6000 by default.
        unanswerable: Share of the generated questions that their passage does not answer; 0.15 by default.
        tokenizer: Folder of published weights, or of a run, whose tokenizer is used; by default tokens are learned from
            the training texts.

    Returns:
        `Splits` of windows of questions and passages, with facts `vocabulary_size` and `pad_id`.

    Raises:
        KitError: a file that cannot be used; the message names it and the question.
        SettingError: a value out of range; the message names the key.
    """
    module, origin = sources.find(source, "questions")
    options = {"on_bad": texts.on_bad} if module is question_files else {}
    generated = {"num_questions": num_questions, "unanswerable": unanswerable}
    if module is phrase_questions:
        options = {key: value for key, value in generated.items() if value is not None} | {"seed": division.split_seed}
    else:
        for key, value in generated.items():
            check(value is None, key, value, "none where questions are not generated")
    found = module.read(origin, **options)
    assignment = assign(found.names, found.split, _whole_passages(found, division), saved, found)
    split = assignment["split"].to_numpy()
    training = np.flatnonzero(split == "train")
    if not any(found.answers[row] for row in training):
        raise KitError(f"{origin}: no training question has an answer; expected some to learn from")
    if saved is not None:
        known, embeddings = Tokenizer(saved.assets["tokenizer"]), saved.assets["embeddings"]
    elif tokenizer is not None:
        known, embeddings = published.tokenizer_of(tokenizer)
    else:
        passages = dict.fromkeys(found.passages[row] for row in training)
        known = tokens.learn([*passages, *(found.questions[row] for row in training)], at_most=True)
        embeddings = len(known)
    examples, cut, lost = question_examples(found.questions, found.passages, known, windows, found.answers, found.ids)
    log.info("%s questions in %s windows", f"{len(split):,}", f"{len(examples):,}")
    for count, what in (
        (cut, "questions are longer than data.max_question_length and cut"),
        (lost, "questions have no answer that is whole in one window (data.max_length, data.stride)"),
    ):
        if count:
            log.info("%s %s", f"{count:,}", what)
    of_window = split[examples.extra("number")]
    path = {} if tokenizer is None else {"tokenizer": published.absolute(tokenizer)}
    return Splits(
        *(examples.take(np.flatnonzero(of_window == name)) for name in ("train", "validation", "test")),
        facts={"vocabulary_size": embeddings, "pad_id": known.pad_id},
        assets={
            "tokenizer": known.to_json(),
            "embeddings": embeddings,
            **dataclasses.asdict(windows),
            "has_unanswerable": any(not found.answers[row] for row in training),
            "skipped": found.skipped,
        },
        assignment=assignment,
        settings={"source": str(origin)} | path,
        overlap=overlap(
            list(zip(found.questions, found.passages, strict=True)),
            split,
            "questions",
            [tuple(each) for each in found.answers],
            "with other answers",
        ),
    )


def _whole_passages(found, division):
    """Returns how questions are divided: those about one passage together, where nothing else is asked for."""
    numbers = {passage: f"passage {number}" for number, passage in enumerate(dict.fromkeys(found.passages), 1)}
    found.columns["passage"] = [numbers[passage] for passage in found.passages]
    if division.group is not None or division.time is not None or division.split_files:
        return division
    if found.split is not None:
        parts = {(passage, part) for passage, part in zip(found.passages, found.split, strict=True)}
        if len(parts) > len(numbers):
            log.info("the splits of the source itself have %d passages in common", len(parts) - len(numbers))
            return division
    return dataclasses.replace(division, group="passage")


RECIPE = Recipe(
    name="question_answering",
    purpose="Which span of a passage answers a question?",
    examples="questions",
    build=question_answerer,
    data=asked_questions,
    backbones={"backbone": BACKBONES},
    task=question_answering.task(),
    stages=Stages(
        prepare=check_positions,
        tied_layers={"tokenizer": ("*token_embedding",)},
        optional_facts=("pad_id",),
    ),
)
