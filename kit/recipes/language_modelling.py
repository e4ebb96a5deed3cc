"""Language modelling: what comes next in a text? Networks that write, such as GPT-2, Llama, Qwen and Mixtral."""

import logging

from kit.data import sources
from kit.data.lossless_tokens import LosslessTokens
from kit.data.options import Division
from kit.data.splits import Splits, assign
from kit.data.token_sequences import flat, held_out, of_next_token
from kit.data.tokens import Tokenizer
from kit.errors import KitError, SettingError, check
from kit.models.text import gpt2, llama
from kit.models.text.causal_decoder import next_tokens
from kit.tasks import language
from kit.tasks.recipe import Recipe, Stages
from kit.weights import published
from kit.weights.encoders import text_encoder

log = logging.getLogger("kit")

BACKBONES = {
    **{name: (gpt2.gpt2, arguments) for name, arguments in gpt2.VARIANTS.items()},
    **{name: (llama.llama, arguments) for name, arguments in llama.VARIANTS.items()},
}


def language_model(vocabulary_size, *, backbone: str = "gpt2_tiny", weights: str | None = None, optimizer="adamw"):
    """Builds a compiled language model: a network that looks back, and logits of the token behind each position.

    Args:
        vocabulary_size: Number of tokens.
        backbone: Variant of an architecture, as `kit list` prints them; or a `keras.Model` from `ids` with the layers
            `token_embedding` and `decoder`.
        weights: Folder of published weights that it begins with, or `hf:OWNER/NAME`.
        optimizer: Keras optimizer or its name.

    Shape:
        in: `ids` (batch, time)
        out: (batch, time, vocabulary_size), logits

    Raises:
        SettingError: an unknown backbone; the message names the argument.
        KitError: published weights that do not fit.
    """
    network = text_encoder(backbone, BACKBONES, None, vocabulary_size=vocabulary_size, pad_id=None)
    model = language.compiled(network.input, next_tokens(network, network.output), optimizer, "language_model")
    if weights is not None:
        published.load(model, weights)
    return model


def texts_to_go_on_with(
    seed,
    saved,
    *,
    source: str = "manual",
    tokenizer: str | None = None,
    tokens: LosslessTokens = LosslessTokens(),
    max_length: int = 128,
    stride: int | None = None,
    cross_texts: bool = True,
    overlap: int = 0,
    division: Division = Division(test_fraction=0.1),
):
    """Reads plain texts, and cuts them into sequences of tokens.

    Args:
        seed: Seed of the run, which draws nothing here.
        saved: `Kept` of an earlier run, which is used again, or None.
        source: `manual` (the topics of Python's manual), a .txt file whose documents stand between empty lines, a
            folder of .txt files, or a pack of these. In Python also a list of texts, or a dictionary of these for
            train, validation and test.
        tokenizer: Folder of published weights, or of a run, whose tokenizer is used; by default tokens are learned from
            the training texts.
        max_length: Tokens of a sequence.
        stride: Tokens from the beginning of a training sequence to that of the next; None is `max_length`, 1 lets
            sequences begin anywhere.
        cross_texts: Let the end of a text tell the first token of the next one.
        overlap: Tokens at the beginning of a held-out sequence that are read, and were told before.

    Returns:
        `Splits` of sequences, with the fact `vocabulary_size`.

    Raises:
        KitError: a file that cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    check(2 <= max_length <= 65_536, "max_length", max_length, "2 to 65536")
    stride = max_length if stride is None else stride
    check(1 <= stride <= max_length, "stride", stride, f"1 to {max_length}, the length of a sequence")
    check(0 <= overlap < max_length, "overlap", overlap, f"0 to {max_length - 1}")
    found, origin = sources.documents(source)
    assignment = assign(found.names, found.split, division, saved, found)
    split = assignment["split"].to_numpy(object)
    if saved is not None:
        known, embeddings = Tokenizer(saved.assets["tokenizer"]), saved.assets["embeddings"]
    elif tokenizer is not None:
        known, embeddings = published.tokenizer_of(tokenizer)
        if known.end_id is None:
            raise SettingError("tokenizer", f"the one in {tokenizer} has no end of a text")
    else:
        known = tokens.learn([text for text, part in zip(found.texts, split, strict=True) if part == "train"])
        embeddings = len(known)
    parts, counts = [], {}
    for name in ("train", "validation", "test"):
        chosen = [text for text, part in zip(found.texts, split, strict=True) if part == name]
        ids = flat(known.encode(chosen), known.end_id)
        counts[name] = len(ids)
        if len(ids) < (max_length + 1 if name == "train" else 2):
            raise KitError(f"{origin}: the {name} split has {len(ids)} tokens; expected more than data.max_length")
        how = (known.end_id, cross_texts)
        make = (of_next_token, stride) if name == "train" else (held_out, max_length - overlap)
        parts.append(make[0](ids, max_length, make[1], *how))
    log.info("%s training, %s validation and %s test tokens", *(f"{count:,}" for count in counts.values()))
    path = {} if tokenizer is None else {"tokenizer": published.absolute(tokenizer)}
    return Splits(
        *parts,
        facts={"vocabulary_size": embeddings},
        assets={"tokenizer": known.to_json(), "embeddings": embeddings, "max_length": max_length},
        assignment=assignment,
        settings={"source": str(origin)} | path,
    )


RECIPE = Recipe(
    name="language_modelling",
    purpose="What comes next in a text?",
    examples="plain texts",
    build=language_model,
    data=texts_to_go_on_with,
    backbones={"backbone": BACKBONES},
    task=language.task(),
    stages=Stages(tied_layers={"tokenizer": ("token_embedding", "next_token")}),
)
