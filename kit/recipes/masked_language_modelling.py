"""Masked language modelling: which tokens of a text were hidden? Pre-training of encoders such as BERT."""

import dataclasses
import functools
import logging

import keras
from keras import ops

from kit.data import packed_pieces, packed_tokens, sources
from kit.data.masked_texts import Masking, masked_splits
from kit.data.options import Division, TokenOptions
from kit.data.sentence_pairs import paired_splits
from kit.data.source_files import SourceFiles
from kit.data.splits import Splits, assign
from kit.data.tokens import Tokenizer
from kit.errors import SettingError, check
from kit.models.text import bert, big_bird, deberta
from kit.tasks import masked_tokens
from kit.tasks.any_length import check_positions
from kit.tasks.recipe import Recipe, Stages
from kit.weights import published
from kit.weights.encoders import text_encoder

log = logging.getLogger("kit")

BACKBONES = {
    **{name: (bert.bert, arguments) for name, arguments in bert.VARIANTS.items()},
    **{name: (big_bird.big_bird, arguments) for name, arguments in big_bird.VARIANTS.items()},
    **{name: (deberta.deberta, arguments) for name, arguments in deberta.VARIANTS.items()},
}


def masked_language_model(
    vocabulary_size,
    *,
    pad_id=0,
    next_sentence=False,
    backbone: str = "bert_tiny",
    weights: str | None = None,
    optimizer="adamw",
):
    """Builds a compiled masked language model: an encoder, a dense layer, and its embedding the other way round.

    Args:
        vocabulary_size: Number of tokens.
        pad_id: Id of padding.
        next_sentence: The network also tells whether the second of two segments follows the first.
        backbone: Variant of an architecture, as `kit list` prints them; or a `keras.Model` from `ids` and `segments`
            whose layer `token_embedding` is reversible.
        weights: Folder of published weights that the encoder begins with, or `hf:OWNER/NAME`.
        optimizer: Keras optimizer or its name.

    Shape:
        in: `ids` (batch, time), `positions` (batch, predictions): places that are asked for; with `next_sentence` also
            `segments` (batch, time)
        out: (batch, predictions, vocabulary_size), logits; with `next_sentence` that as `token`, and `next_sentence`
            (batch, 2)

    Raises:
        SettingError: an unknown backbone; the message names the argument.
        KitError: published weights that do not fit.
    """
    backbone = text_encoder(backbone, BACKBONES, weights, vocabulary_size=vocabulary_size, pad_id=pad_id)
    ids = keras.Input((None,), dtype="int32", name="ids")
    positions = keras.Input((None,), dtype="int32", name="positions")
    inputs = {"ids": ids, "positions": positions}
    if next_sentence:
        inputs["segments"] = keras.Input((None,), dtype="int32", name="segments")
    segments = inputs.get("segments", ops.zeros_like(ids))
    x = keras.Model(backbone.input, backbone.output).call({"ids": ids, "segments": segments})
    dim = x.shape[-1]
    index = ops.repeat(positions[..., None], dim, axis=-1)  # (batch, predictions, dim)
    logits = bert.masked_tokens(backbone, ops.take_along_axis(x, index, axis=1), **_head_of(backbone))
    if next_sentence:
        logits = {"token": logits, "next_sentence": bert.next_sentence(bert.pooled(x))}
    return masked_tokens.compiled(inputs, logits, optimizer, "masked_language_model")


def _head_of(backbone):
    """Returns the activation and the small number of the head, those of the encoder's blocks as published ones have."""
    layers = {layer.name: layer for layer in backbone.layers}
    found = {}
    if "block1_feedforward_in" in layers:
        found["activation"] = layers["block1_feedforward_in"].activation
    if "embedding_norm" in layers:
        found["epsilon"] = layers["embedding_norm"].epsilon
    return found


def masked_texts(
    seed,
    saved,
    *,
    source: str = "manual",
    tokenizer: str | None = None,
    tokens: TokenOptions = TokenOptions(),
    max_length: int = 128,
    mask_rate: float = 0.15,
    whole_words: bool = False,
    next_sentence: bool = False,
    division: Division = Division(test_fraction=0.1),
):
    """Reads plain texts, cuts them into pieces, and hides tokens of them.

    Tokens of training pieces are hidden anew in every step, those of validation and test split once.

    Args:
        seed: Seed of the run: which tokens of training pieces are hidden.
        saved: `Kept` of an earlier run, which is used again, or None.
        source: `manual` (the topics of Python's manual), a .txt file whose documents stand between empty lines, a
            folder of .txt files, a .jsonl file with a `text` in each line, `tfds:NAME`, or a pack of these. In Python
            also a list of texts, or a dictionary of these for train, validation and test.
        tokenizer: Folder of published weights, or of a run, whose tokenizer is used; by default tokens are learned from
            the training texts.
        max_length: Tokens of a piece, start and end included.
        mask_rate: Share of the tokens that are to be told.
        whole_words: Hide all tokens of a word together.
        next_sentence: Train on pairs of segments, too, half of which follow each other: which ones do?

    Returns:
        `Splits` of pieces of texts, with facts `vocabulary_size`, `pad_id` and `next_sentence`.

    Raises:
        KitError: a file that cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    check(8 <= max_length <= 4096, "max_length", max_length, "8 to 4096")
    check(0 < mask_rate <= 0.5, "mask_rate", mask_rate, "a share above 0, at most 0.5")
    found, origin = sources.documents(source)
    assignment = assign(found.names, found.split, division, saved, found)
    split, is_packed = assignment["split"].to_numpy(object), hasattr(found, "fingerprint")
    check(not (is_packed and next_sentence), "next_sentence", next_sentence, "false where texts are packed")
    if saved is not None:
        known, embeddings = Tokenizer(saved.assets["tokenizer"]), saved.assets["embeddings"]
    elif tokenizer is not None:
        known, embeddings = published.tokenizer_of(tokenizer)
        if known.mask_id is None:
            raise SettingError("tokenizer", f"the one in {tokenizer} has no token for hidden ones, such as [MASK]")
    elif is_packed:
        how = dataclasses.asdict(tokens)
        known = packed_tokens.learned(
            [found.texts], found.fingerprint, split, how, functools.partial(tokens.learn, at_most=True, mask=True)
        )
        embeddings = len(known)
    else:
        training = (text for text, part in zip(found.texts, split, strict=True) if part == "train")
        known = tokens.learn(training, at_most=True, mask=True)
        embeddings = len(known)
    hidden = [Masking(known, max_length, mask_rate, whole_words, each) for each in (seed, 0, 1)]
    make = paired_splits if next_sentence else masked_splits
    parts, count = (packed_pieces.splits if is_packed else make)(
        found if is_packed else found.texts, split, known, max_length, hidden
    )
    log.info("%s tokens in pieces of %d", f"{count:,}", max_length)
    path = {} if tokenizer is None else {"tokenizer": published.absolute(tokenizer)}
    return Splits(
        *parts,
        facts={"vocabulary_size": embeddings, "pad_id": known.pad_id, "next_sentence": next_sentence},
        assets={"tokenizer": known.to_json(), "embeddings": embeddings, "max_length": max_length},
        assignment=assignment,
        settings={"source": str(origin)} | path,
        files=SourceFiles(found.files, [each.name for each in found.files]) if is_packed else None,
        monitors=("val_loss", "val_token_accuracy", "val_next_sentence_accuracy")
        if next_sentence
        else ("val_loss", "val_accuracy"),
    )


RECIPE = Recipe(
    name="masked_language_modelling",
    purpose="Which tokens of a text were hidden?",
    examples="plain texts",
    build=masked_language_model,
    data=masked_texts,
    backbones={"backbone": BACKBONES},
    task=masked_tokens.task(),
    stages=Stages(
        prepare=check_positions,
        tied_layers={"tokenizer": ("token_embedding", "masked_tokens_bias")},
        optional_facts=("pad_id", "next_sentence"),
    ),
)
