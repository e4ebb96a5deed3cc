"""Language modelling: what comes next in a text? Networks that write, such as GPT-2, Llama, Qwen and Mixtral."""

import dataclasses
import logging

from kit.config import facts_of
from kit.data import packed_tokens, sources
from kit.data.lossless_tokens import LosslessTokens, beginning_of
from kit.data.options import Division
from kit.data.source_files import SourceFiles
from kit.data.split_names import SPLITS
from kit.data.splits import Splits, assign
from kit.data.token_sequences import by_split, held_out, of_next_token
from kit.data.tokens import Tokenizer
from kit.errors import KitError, SettingError, check, choose
from kit.models import text
from kit.models.text.causal_decoder import next_tokens
from kit.tasks import language
from kit.tasks.recipe import Recipe, Stages
from kit.weights import published

log = logging.getLogger("kit")


def language_model(
    vocabulary_size,
    separator=None,
    length=1024,
    *,
    backbone: str = "gpt2_tiny",
    weights: str | None = None,
    optimizer="adamw",
):
    """Builds a compiled language model: a network that looks back, and logits of the token behind each position.

    Args:
        vocabulary_size: Number of tokens.
        separator: Token that a text begins with, behind which nothing looks back at the text before; None lets each
            position see all that stands before it.
        length: Tokens of the sequences that it is trained on: as many positions are learned, where any are.
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
    network = backbone
    if isinstance(backbone, str):
        build, arguments = choose(text.CAUSAL, backbone, "backbone")
        facts = {"vocabulary_size": vocabulary_size, "separator": separator, "length": length}
        network = build(**{name: facts[name] for name in facts_of(build)}, **arguments, name=backbone)
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
            folder of .txt files, a .jsonl file with a `text` in each line, `tfds:NAME`, or a pack of these. In Python
            also a list of texts, or a dictionary of these for train, validation and test.
        tokenizer: Folder of published weights, or of a run, whose tokenizer is used; by default tokens are learned from
            the training texts.
        max_length: Tokens of a sequence.
        stride: Tokens from the beginning of a training sequence to that of the next; None is `max_length`, 1 lets
            sequences begin anywhere.
        cross_texts: Let a token see the texts that stand before its own in a sequence.
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
    split, is_packed = assignment["split"].to_numpy(object), hasattr(found, "fingerprint")
    if saved is not None:
        known, embeddings = Tokenizer(saved.assets["tokenizer"]), saved.assets["embeddings"]
    elif tokenizer is not None:
        known, embeddings = published.tokenizer_of(tokenizer)
        if known.end_id is None:
            raise SettingError("tokenizer", f"the one in {tokenizer} has no end of a text")
    elif is_packed:
        how = dataclasses.asdict(tokens)
        known = packed_tokens.learned([found.texts], found.fingerprint, split, how, tokens.learn)
        embeddings = len(known)
    else:
        known = tokens.learn([text for text, part in zip(found.texts, split, strict=True) if part == "train"])
        embeddings = len(known)
    all_tokens = by_split(found, split, known)
    for name, own in zip(SPLITS, all_tokens, strict=True):
        if len(own) < (max_length + 1 if name == "train" else 3):
            least = f"more than data.max_length={max_length}" if name == "train" else "a text of its own"
            raise KitError(f"{origin}: the {name} split has {len(own) - 2} tokens; expected {least}")
    log.info("%s training, %s validation and %s test tokens", *(f"{len(own) - 1:,}" for own in all_tokens))
    training, *others = all_tokens
    return Splits(
        of_next_token(training, max_length, stride),
        *(held_out(own, max_length, overlap, known.end_id) for own in others),
        facts={
            "vocabulary_size": embeddings,
            "separator": None if cross_texts else beginning_of(known),
            "length": max_length,
        },
        assets={"tokenizer": known.to_json(), "embeddings": embeddings, "max_length": max_length},
        assignment=assignment,
        settings={"source": str(origin)} | ({} if tokenizer is None else {"tokenizer": published.absolute(tokenizer)}),
        files=SourceFiles(found.files, [each.name for each in found.files]) if is_packed else None,
    )


RECIPE = Recipe(
    name="language_modelling",
    purpose="What comes next in a text?",
    backends=("tensorflow", "jax"),
    examples="plain texts",
    build=language_model,
    data=texts_to_go_on_with,
    backbones={"backbone": text.CAUSAL},
    task=language.task(),
    stages=Stages(tied_layers={"tokenizer": ("token_embedding", "next_token")}, optional_facts=("separator", "length")),
)
