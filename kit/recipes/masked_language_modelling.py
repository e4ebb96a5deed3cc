"""Masked language modelling: which tokens of a text were hidden? Pre-training of encoders such as BERT."""

import logging

import keras
from keras import ops

from kit.data import sources
from kit.data.masked_texts import Masking, masked_examples, pieces
from kit.data.options import Division, TokenOptions
from kit.data.splits import Splits, assign
from kit.data.tokens import Tokenizer
from kit.errors import KitError, SettingError, check, choose
from kit.models.text import bert, deberta
from kit.tasks import masked_tokens
from kit.tasks.recipe import Recipe, Stages
from kit.weights import published

log = logging.getLogger("kit")

BACKBONES = {
    **{name: (bert.bert, arguments) for name, arguments in bert.VARIANTS.items()},
    **{name: (deberta.deberta, arguments) for name, arguments in deberta.VARIANTS.items()},
}


def masked_language_model(
    vocabulary_size,
    *,
    pad_id=0,
    backbone: str = "bert_tiny",
    weights: str | None = None,
    optimizer="adamw",
):
    """Builds a compiled masked language model: an encoder, a dense layer, and its embedding the other way round.

    Args:
        vocabulary_size: Number of tokens.
        pad_id: Id of padding.
        backbone: Variant of an architecture, as `kit list` prints them; or a `keras.Model` from `ids` and `segments`
            whose layer `token_embedding` is reversible.
        weights: Folder of published weights that the encoder begins with, or `hf:OWNER/NAME`.
        optimizer: Keras optimizer or its name.

    Shape:
        in: `ids` (batch, time), `positions` (batch, predictions): places that are asked for
        out: (batch, predictions, vocabulary_size), logits

    Raises:
        SettingError: an unknown backbone; the message names the argument.
        KitError: published weights that do not fit.
    """
    if isinstance(backbone, str):
        build, arguments = choose(BACKBONES, backbone, "backbone")
        backbone = build(vocabulary_size, pad_id, **arguments, name=backbone)
    if weights is not None:
        published.load(backbone, weights)
    ids = keras.Input((None,), dtype="int32", name="ids")
    positions = keras.Input((None,), dtype="int32", name="positions")
    x = keras.Model(backbone.input, backbone.output).call({"ids": ids, "segments": ops.zeros_like(ids)})
    dim = x.shape[-1]
    index = ops.repeat(positions[..., None], dim, axis=-1)  # (batch, predictions, dim)
    logits = bert.masked_tokens(backbone, ops.take_along_axis(x, index, axis=1))
    return masked_tokens.compiled({"ids": ids, "positions": positions}, logits, optimizer, "masked_language_model")


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
    division: Division = Division(test_fraction=0.1),
):
    """Reads plain texts, cuts them into pieces, and hides tokens of them.

    Tokens of training pieces are hidden anew in every step, those of validation and test split once.

    Args:
        seed: Seed of the run: which tokens of training pieces are hidden.
        saved: `Kept` of an earlier run, which is used again, or None.
        source: `manual` (the topics of Python's manual), a .txt file whose documents stand between empty lines, or a
            folder of .txt files. In Python also a list of texts, or a dictionary of these for train, validation and
            test.
        tokenizer: Folder of published weights, or of a run, whose tokenizer is used; by default tokens are learned from
            the training texts.
        max_length: Tokens of a piece, start and end included.
        mask_rate: Share of the tokens that are to be told.
        whole_words: Hide all tokens of a word together.

    Returns:
        `Splits` of pieces of texts, with facts `vocabulary_size` and `pad_id`.

    Raises:
        KitError: a file that cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    check(8 <= max_length <= 4096, "max_length", max_length, "8 to 4096")
    check(0 < mask_rate <= 0.5, "mask_rate", mask_rate, "a share above 0, at most 0.5")
    module, origin = sources.find(source, "documents")
    found = module.read(origin)
    if len(found.texts) < 3:
        raise KitError(f"{origin}: {len(found.texts)} documents; expected at least 3, with empty lines between them")
    assignment = assign(found.names, found.split, division, saved, found)
    split = assignment["split"].to_numpy()
    if saved is not None:
        known, embeddings = Tokenizer(saved.assets["tokenizer"]), saved.assets["embeddings"]
    elif tokenizer is not None:
        known, embeddings = published.tokenizer_of(tokenizer)
        if known.mask_id is None:
            raise SettingError("tokenizer", f"the one in {tokenizer} has no token for hidden ones, such as [MASK]")
    else:
        training = (text for text, part in zip(found.texts, split, strict=True) if part == "train")
        known = tokens.learn(training, at_most=True, mask=True)
        embeddings = len(known)
    ids, owners = pieces(found.texts, known, max_length)
    division_of = split[owners]
    parts = [ids[division_of == name] for name in ("train", "validation", "test")]
    log.info("%s tokens in pieces of %d", f"{int((ids != known.pad_id).sum()):,}", max_length)
    hidden = [Masking(known, max_length, mask_rate, whole_words, each) for each in (seed, 0, 1)]
    path = {} if tokenizer is None else {"tokenizer": published.absolute(tokenizer)}
    return Splits(
        *(masked_examples(part, own, not row) for row, (part, own) in enumerate(zip(parts, hidden, strict=True))),
        facts={"vocabulary_size": embeddings, "pad_id": known.pad_id},
        assets={"tokenizer": known.to_json(), "embeddings": embeddings, "max_length": max_length},
        assignment=assignment,
        settings={"source": str(origin)} | path,
    )


def _check_positions(model, splits):
    """Raises SettingError for pieces that an architecture has no positions for."""
    table = next((layer for layer in model.layers if layer.name == "position_embedding"), None)
    length = splits.assets["max_length"]
    if table is not None and table.max_length < length:
        raise SettingError("data.max_length", f"expected at most {table.max_length}, backbone.max_length, got {length}")


RECIPE = Recipe(
    name="masked_language_modelling",
    purpose="Which tokens of a text were hidden?",
    examples="plain texts",
    build=masked_language_model,
    data=masked_texts,
    backbones={"backbone": BACKBONES},
    task=masked_tokens.task(),
    stages=Stages(
        prepare=_check_positions,
        tied_layers={"tokenizer": ("token_embedding", "masked_tokens_bias")},
        optional_facts=("pad_id",),
    ),
)
