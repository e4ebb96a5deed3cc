"""Text to text: any task as "task: text" and the text to be written of it; T5 and Switch Transformers."""

import dataclasses
import functools
from typing import Literal

from kit.data import prefixed_texts
from kit.data.options import Division, TextOptions, TokenOptions
from kit.data.span_corruption import with_sentinels
from kit.data.task_mixing import Mixing
from kit.data.tokens import Tokenizer
from kit.errors import SettingError, check
from kit.models.text import text_to_text as architectures
from kit.models.text.t5 import target_logits, writing_step
from kit.tasks import text_to_text
from kit.tasks.recipe import Recipe, Stages
from kit.training.decay import sparing
from kit.training.losses import SparseCategoricalCrossentropy
from kit.training.sampling import TeacherForcing
from kit.weights import published
from kit.weights.encoders import text_encoder


def text_to_text_model(
    vocabulary_size,
    pad_id=0,
    *,
    backbone: str = "t5_tiny",
    weights: str | None = None,
    label_smoothing: float = 0.0,
    optimizer="adamw",
):
    """Builds a compiled model that writes one text for another.

    It takes a dictionary of `source` ids, the end's included, and `target` ids, the start's in front, and returns
    logits of what follows each target. `fit` takes labels, the target without its start; padding counts nowhere.

    Args:
        vocabulary_size: Number of tokens.
        pad_id: Id of the token that fills up shorter texts, and with which what is written begins.
        backbone: Variant of an architecture, as `kit list` prints them; or a `keras.Model` of `kit.models.text.t5`.
        weights: Folder of published weights that it begins with, or `hf:OWNER/NAME`.
        label_smoothing: Share of the target that is spread evenly over all tokens.
        optimizer: Keras optimizer or its name.

    Shape:
        in: `source` (batch, source) and `target` (batch, time), integers
        out: logits (batch, time, vocabulary)

    Raises:
        SettingError: an unknown backbone or a value out of range; the message names the argument.
        KitError: published weights that do not fit.
    """
    network = text_encoder(backbone, architectures.VARIANTS, None, vocabulary_size=vocabulary_size, pad_id=pad_id)
    model = TeacherForcing(network.input, target_logits(network, network.output), name="text_to_text_model")
    if weights is not None:
        published.load(model, weights)
    # XLA would compile anew for every length of texts.
    model.compile(
        optimizer=sparing(optimizer, model),
        loss=SparseCategoricalCrossentropy(label_smoothing, ignore_class=pad_id),
        jit_compile=False,
    )
    return model


def texts_to_texts(
    seed,
    saved,
    *,
    source: str = "phrases",
    objective: Literal["tasks", "span_corruption"] = "tasks",
    num_texts: int | None = None,
    tokenizer: str | None = None,
    tokens: TokenOptions = TokenOptions(),
    max_length: int = 128,
    corruption_rate: float = 0.15,
    mean_span: float = 3.0,
    mixing: Mixing = Mixing(),
    texts: TextOptions = TextOptions(),
    division: Division = Division(test_fraction=0.1),
):
    """Reads texts with a task in front and what is to be written of them; or plain texts, for span corruption.

    Args:
        seed: Seed of the run, which the data does not depend on.
        saved: `Kept` of an earlier run, which is used again, or None.
        source: `phrases` (generated, three tasks), a .tsv, .csv or .jsonl file with `task: text` and a target in each
            row, or task, text and target; or a folder of such files with train, dev and test in their names. Of
            span corruption `manual` (the topics of Python's manual), a .txt file whose documents stand between empty
            lines, a folder of .txt files, or a pack of plain texts.
        objective: "tasks" are learned from texts and targets; "span_corruption" is pre-training on plain texts, of
            which spans are left out and to be written.
        num_texts: Number of generated texts; 9000 by default.
        tokenizer: Folder of published weights, or of a run, whose tokenizer is used; by default tokens are learned from
            the training texts.
        max_length: Most tokens of a text, and of what is written, in training; longer ones are left out.
        corruption_rate: Of span corruption: share of the tokens that are left out.
        mean_span: Of span corruption: mean number of tokens of a span.

    Returns:
        `Splits` of pairs of texts, with facts `vocabulary_size` and `pad_id`.

    Raises:
        KitError: a file that cannot be used; the message names it and the line.
        SettingError: a value out of range; the message names the key.
    """
    check(8 <= max_length <= 10_000, "max_length", max_length, "8 to 10000")
    is_plain = (corruption_rate, mean_span) == (0.15, 3.0)
    check(objective != "tasks" or is_plain, "objective", objective, "'span_corruption' with data.corruption_rate")
    check(objective == "tasks" or mixing == Mixing(), "objective", objective, "'tasks' with data.task_rates")
    is_generated = source == "phrases" and objective == "tasks"
    check(num_texts is None or is_generated, "num_texts", num_texts, "none where texts are not generated")
    embeddings = None if saved is None else saved.assets.get("embeddings")

    def learn(training, kept=None):
        nonlocal embeddings
        if embeddings is not None:
            return Tokenizer(saved.assets["tokenizer"])
        if tokenizer is None:
            plain = functools.partial(tokens.learn, at_most=True)
            found = plain(training) if kept is None else kept(dataclasses.asdict(tokens), plain)
            known = with_sentinels(found, is_learned=True)
            embeddings = len(known)
            return known
        known, embeddings = published.tokenizer_of(tokenizer)
        if known.pad_id is None or known.end_id is None:
            raise SettingError("tokenizer", f"the one in {tokenizer} has no padding, or no end of a text")
        return with_sentinels(known)

    if objective == "tasks":
        options = {"num_texts": num_texts, "seed": division.split_seed, "on_bad": texts.on_bad}
        found = prefixed_texts.of_tasks(source, options, mixing, division, saved, learn, max_length)
    else:
        name = "data" if tokenizer is None else tokenizer
        spans = (corruption_rate, mean_span, name)
        found = prefixed_texts.of_spans(source, division, saved, learn, max_length, *spans)
    path = {} if tokenizer is None else {"tokenizer": published.absolute(tokenizer)}
    pad_id = Tokenizer(found.assets["tokenizer"]).pad_id
    return _with(found, {"vocabulary_size": embeddings, "pad_id": pad_id}, {"embeddings": embeddings}, path)


def _with(found, facts, assets, settings):
    """Returns `Splits` with more facts, assets and settings."""
    found.facts |= facts
    found.assets |= assets
    found.settings |= settings
    return found


RECIPE = Recipe(
    name="text_to_text",
    purpose="What is to be written of a text, by the task in front of it?",
    examples="texts to texts",
    build=text_to_text_model,
    data=texts_to_texts,
    backbones={"backbone": architectures.VARIANTS},
    task=text_to_text.task(writing_step),
    stages=Stages(tied_layers={"tokenizer": ("token_embedding", "next_token")}, optional_facts=("pad_id",)),
)
