"""Translation: from a sentence to another one that means the same; sequence to sequence."""

import inspect
import logging

import keras
from keras import layers, ops
from keras.config import floatx

from kit.config import renamed
from kit.data import bitext, sources
from kit.data.options import Division, TextOptions, TokenOptions
from kit.data.sources import pair_files, phrase_pairs
from kit.data.splits import Splits, assign
from kit.errors import SettingError, check, choose
from kit.models.text import seq2seq
from kit.tasks import generation, own_texts
from kit.tasks.recipe import Recipe, Stages
from kit.training.decay import sparing
from kit.training.losses import SparseCategoricalCrossentropy
from kit.training.sampling import TeacherForcing

log = logging.getLogger("kit")

ARCHITECTURES = seq2seq.VARIANTS


@renamed(architecture="backbone")
def translator(
    vocabulary_size,
    max_length,
    pad_id=0,
    *,
    backbone: str = "transformer",
    embedding_dim: int = 128,
    tie_embeddings: bool = True,
    dropout: float = 0.1,
    label_smoothing: float = 0.1,
    optimizer="adam",
):
    """Builds a compiled translator.

    It takes a dictionary of `source` ids, the end's included, and `target` ids, the start's in front, and returns
    logits of what follows each target. `fit` takes labels, the target without its start; padding counts nowhere.
    `kit.decoding` writes translations with it, see `decoding_step`.

    Args:
        vocabulary_size: Number of tokens of both sides together, or a dictionary with that of `source` and `target`.
        max_length: Most tokens of a sentence, where an architecture learns a vector for each position.
        pad_id: Id of the token that fills up shorter sentences, which counts nowhere.
        backbone: Variant of an architecture, as `kit list` prints them; or a `keras.Model` from [source, mask,
            target] vectors to (batch, time, dim); or a function that returns one for an `input_dim`.
        embedding_dim: Width of a token's embedding.
        tie_embeddings: Target embedding and last layer have the same weights (Press and Wolf, arXiv:1608.05859, 2017).
        dropout: Share of the embeddings and of what comes to the last layer that is dropped while training.
        label_smoothing: Share of the target that is spread evenly over all tokens.
        optimizer: Keras optimizer or its name.

    Shape:
        in: `source` (batch, source) and `target` (batch, time), integers
        out: logits (batch, time, vocabulary)

    Raises:
        SettingError: an unknown backbone or a value out of range; the message names the argument.
    """
    check(embedding_dim >= 1, "embedding_dim", embedding_dim, "at least 1")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in ("source", "target")}
    is_joint = not isinstance(vocabulary_size, dict)
    sizes = dict.fromkeys(inputs, vocabulary_size) if is_joint else vocabulary_size
    target_embedding = _embedding(sizes["target"], embedding_dim, "embedding" if is_joint else "target_embedding")
    source_embedding = target_embedding if is_joint else _embedding(sizes["source"], embedding_dim, "source_embedding")
    source, target = _embedded(source_embedding, inputs["source"]), _embedded(target_embedding, inputs["target"])
    if dropout:
        source = layers.Dropout(dropout, name="source_dropout")(source)
        target = layers.Dropout(dropout, name="target_dropout")(target)
    if isinstance(backbone, str):
        build, arguments = choose(ARCHITECTURES, backbone, "backbone")
        known = {"max_length": max_length} if "max_length" in inspect.signature(build).parameters else {}
        backbone = build(embedding_dim, **known, **arguments, name=backbone)
    elif not isinstance(backbone, keras.Model):
        backbone = backbone(embedding_dim)
    x = backbone([source, ops.not_equal(inputs["source"], pad_id), target])
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    if tie_embeddings:
        if x.shape[-1] != embedding_dim:
            x = layers.Dense(embedding_dim, name="head_projection")(x)
        logits = target_embedding(x, reverse=True)
    else:
        logits = layers.Dense(sizes["target"], dtype=floatx(), name="logits")(x)
    model = TeacherForcing(inputs, logits, name="translator")
    # XLA would compile anew for every length of sentences; an accuracy would look at all logits once more.
    model.compile(
        optimizer=sparing(optimizer, model),
        loss=SparseCategoricalCrossentropy(label_smoothing, ignore_class=pad_id),
        jit_compile=False,
    )
    return model


def _embedding(size, dim, name):
    # With the factor of `_embedded` inputs have variance one, and as the last layer's weights so have logits.
    normal = keras.initializers.RandomNormal(stddev=dim**-0.5)
    return layers.ReversibleEmbedding(size, dim, embeddings_initializer=normal, reverse_dtype=floatx(), name=name)


def _embedded(embedding, ids):
    return embedding(ids) * embedding.output_dim**0.5


def decoding_step(model, pad_id=0):
    """Returns the pair (step, initial_state) of a translator for `kit.decoding`; its inputs are source ids, padded.

    The step returns, beside logits and state, the weights over the source of each layer of attention.
    """
    known = {layer.name: layer for layer in model.layers}
    source_embedding = known.get("source_embedding") or known["embedding"]
    target_embedding = known.get("target_embedding") or known["embedding"]
    encoder, projections, decoder = seq2seq.parts(_architecture(model))

    def initial_state(source, max_length):
        mask = ops.not_equal(source, pad_id)
        memory, *summary = encoder([_embedded(source_embedding, source), mask]).values()
        return decoder.initial_state(memory, mask, max_length, *summary)

    def step_with_weights(last, position, state):
        x = _embedded(target_embedding, last)
        for projection in projections:
            x = projection(x)
        x, state, weights = decoder.step(x, position, state)
        if "head_projection" in known:
            x = known["head_projection"](x)
        logits = known["logits"](x) if "logits" in known else target_embedding(x, reverse=True)
        return logits, state, weights

    def step(last, position, state):
        return step_with_weights(last, position, state)[:2]

    step.with_weights = step_with_weights
    return step, initial_state


def _architecture(model):
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


def _max_positions(model):
    """Returns the most tokens that a translator can take, or None for any number."""
    return _architecture(model).get_layer("decoder").max_length


def _has_attention(model):
    return getattr(_architecture(model).get_layer("decoder"), "attention", None) != "none"


def translated_sentences(
    seed,
    saved,
    *,
    source: str = "phrases",
    source_locale: str = "en",
    target_locale: str = "de",
    num_sentences: int | None = None,
    tokens: TokenOptions = TokenOptions(),
    joint_vocabulary: bool = True,
    max_length: int = 128,
    max_ratio: float | None = None,
    texts: TextOptions = TextOptions(),
    division: Division = Division(test_fraction=0.1),
):
    """Reads sentences and their translations and divides them into training, validation and test split.

    Pairs that occur twice, are too long or too uneven are left out of training; validation and test keep all of theirs,
    longer ones too, which only architectures with learned positions refuse.

    Args:
        seed: Seed of the run, which the data does not depend on.
        saved: `Kept` of an earlier run, which is used again, or None.
        source: `phrases` (generated), `tfds:NAME`, a .tsv, .csv or .jsonl file, one of two parallel files such as
            corpus.en and corpus.de, or src.txt and tgt.txt; or a folder of such files with train, dev and test in their
            names.
        source_locale: Language of the sentences, such as en; of files it is their ending, or the heading in a table, or
            the key in JSONL.
        target_locale: Language of the translations, such as de or pt_BR.
        num_sentences: Number of generated pairs; 12000 by default.
        joint_vocabulary: Both sides share tokens and their embedding.
        max_length: Most tokens of a side in training, and most that an architecture with learned positions can take.
        max_ratio: Most tokens of the longer side for each of the shorter one in training; None is any number.

    Returns:
        `Splits` of pairs of texts, with facts `vocabulary_size`, `max_length` and `pad_id`.

    Raises:
        KitError: a file that cannot be used; the message names it and the line.
        SettingError: a value out of range; the message names the key.
    """
    check(2 <= max_length <= 10_000, "max_length", max_length, "2 to 10000")
    check(max_ratio is None or max_ratio >= 1, "max_ratio", max_ratio, "at least 1")
    module, origin = sources.find(source, "pairs")
    options = {"source_locale": source_locale, "target_locale": target_locale}
    if module is phrase_pairs:
        options |= {"seed": division.split_seed, **({} if num_sentences is None else {"num_sentences": num_sentences})}
    else:
        check(num_sentences is None, "num_sentences", num_sentences, "none where sentences are not generated")
    if module is pair_files:
        options["on_bad"] = texts.on_bad
    found = module.read(origin, **options)
    assignment = assign(found.names, found.split, division, saved, found)
    corpus = bitext.cleaned(found, assignment, tokens, joint_vocabulary, max_length, max_ratio, str(origin), saved)
    log.info("%s", corpus.summary)
    return Splits(
        *corpus.parts,
        facts={
            "vocabulary_size": corpus.vocabulary_size,
            "max_length": max_length + 2,  # start or end come to it; nothing that is held out decides it
            "pad_id": corpus.tokenizers[-1].pad_id,
        },
        assets={
            "tokenizers": [each.to_json() for each in corpus.tokenizers],
            "pairs": corpus.report,
            "skipped": found.skipped,
        },
        assignment=corpus.assignment,
        settings={"source": str(origin)},
    )


def check_positions(model, splits):
    """Raises SettingError before the training for a held out sentence that a model has no positions for."""
    for name, part in (("validation", splits.validation), ("test", splits.test)):
        if problem := bitext.too_long(part, _max_positions(model), name):
            raise SettingError("data.max_length", f"{problem}; raise it, or choose positions that are not learned")


RECIPE = Recipe(
    name="translation",
    purpose="What is a sentence in another language?",
    examples="pairs",
    build=translator,
    data=translated_sentences,
    backbones={"backbone": ARCHITECTURES},
    task=generation.task(decoding_step, _max_positions, _has_attention),
    stages=Stages(
        prepare=check_positions, tied_layers={"tokenizers": ("*embedding", "logits")}, optional_facts=("pad_id",)
    ),
    own_data=own_texts.PAIRS,
)
