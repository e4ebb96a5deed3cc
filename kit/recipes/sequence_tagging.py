"""Sequence tagging: which tag has each word of a sentence? Parts of speech, named entities and the like."""

from typing import Literal

import numpy as np
from keras import layers
from keras.config import floatx

from kit.config import renamed
from kit.data import label_checks, sources, tags
from kit.data.findings import tell
from kit.data.options import Division, TextOptions, VectorOptions, WordOptions
from kit.data.overlap import overlap
from kit.data.sequences import tagged_examples
from kit.data.sources import phrases, tagged_files
from kit.data.split_lists import parts_of
from kit.data.splits import Splits, assign, divided
from kit.data.word_cuts import WordCuts
from kit.data.word_pieces import PieceOptions, Pieces
from kit.errors import check
from kit.models import text
from kit.tasks import own_texts, tagging
from kit.tasks.recipe import Recipe, Stages
from kit.weights import encoders, published

ENCODERS = text.VARIANTS | {f"{name}_crf": variant for name, variant in text.VARIANTS.items()}
OF_PIECES = {name: variant for name, variant in text.OF_TOKENS.items() if name != "bag_of_ngrams"}


@renamed(encoder="backbone")
def sequence_tagger(
    vocabulary_size,
    num_tags,
    *,
    pad_id=None,
    backbone: str = "bilstm_crf",
    weights: str | None = None,
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
            number of ids: `word`, `characters`, and any other name with one id a word; of words in pieces the number
            of tokens.
        num_tags: Number of tags.
        pad_id: Id of padding of words in pieces; None where words are whole.
        backbone: Variant of an architecture, as `kit list` prints them; or a `keras.Model` from [sequence (batch, time,
            dim), mask (batch, time)] to (batch, time, dim); or a function that returns one for an `input_dim`. Of words
            in pieces one of those that take tokens, such as BERT, or a model from `ids` and `segments`.
        weights: Folder of published weights for such a backbone, with `config.json`, `model.safetensors` and the
            tokenizer; or `hf:OWNER/NAME`, which is fetched.
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
        in: ids (batch, time), or a dictionary of them; `characters` (batch, time, characters); of words in pieces `ids`
            (batch, pieces) and `first_pieces` (batch, time), the position of each word's first, -1 where there is none
        out: logits (batch, time, num_tags), or potentials (batch, time, num_tags, num_tags)

    Raises:
        SettingError: an unknown backbone or a value out of range; the message names the argument.
        KitError: published weights that do not fit.
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
    if pad_id is None:
        embedding = {"word_dim": word_dim, "feature_dim": feature_dim, "word_dropout": word_dropout}
        embedding |= {"character_dim": character_dim, "character_units": character_units}
        embedding |= {"character_encoder": character_encoder}
        check(weights is None, "weights", weights, "none where words are whole: published ones take pieces")
        inputs, x, mask, backbone = encoders.of_words(vocabulary_size, backbone, ENCODERS, embedding, dropout)
    else:
        inputs, x, mask, backbone = encoders.of_pieces(vocabulary_size, pad_id, backbone, OF_PIECES, weights)
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    x = layers.Dense(num_tags, dtype=floatx(), name="logits")(x)
    if head == "auto":
        head = "crf" if backbone.name.endswith("_crf") else "softmax"
    inputs = inputs["word"] if list(inputs) == ["word"] and not isinstance(vocabulary_size, dict) else inputs
    return tagging.compiled(inputs, x, mask, head, optimizer, label_smoothing, "sequence_tagger")


def tagged_sentences(
    seed,
    saved,
    *,
    source: str = "phrases",
    column: int | str | None = None,
    word_column: int | str | None = None,
    sentence_column: int | str | None = None,
    tag_names: tuple[str, ...] = (),
    locale: str | None = None,
    num_sentences: int | None = None,
    scheme: Literal["auto", "none", "BIO", "BIOES", "IOB1", "BILOU"] = "auto",
    target_scheme: Literal["BIO", "BIOES"] = "BIO",
    division: Division = Division(test_fraction=0.1),
    max_length: int = 1000,
    texts: TextOptions = TextOptions(),
    words: WordOptions = WordOptions(),
    pieces: PieceOptions = PieceOptions(),
    pretrained: VectorOptions = VectorOptions(),
):
    """Reads tagged sentences and divides them into training, validation and test split.

    Args:
        seed: Seed of the run, which the data does not depend on.
        saved: `Kept` of an earlier run, which is used again, or None.
        source: `phrases` (generated), `tfds:NAME`, or a file of columns (CoNLL), CoNLL-U, CSV or JSONL; or a folder of
            such files with train, dev and test in their names.
        column: What the tags are: number of a column (from 1, or from the end), name of a CoNLL-U field such as upos or
            xpos, of a column of a table, or key of a JSONL or TFDS entry; by default the last column, upos, or a usual
            name such as `tags`, `ner_tags` or `Tag`.
        word_column: What the words are, of a file: number or name of a column, or key of the tokens or the text; by
            default the first column, or a usual name such as `tokens` or `Word`.
        sentence_column: Column of a table (CSV) that tells sentences apart; `Sentence #` and the like by default.
        tag_names: Names of tags that are numbers in a file, that of 0 first.
        locale: Language of generated sentences, such as de_CH; en by default.
        num_sentences: Number of generated sentences; 4000 by default.
        scheme: How the tags mark entities; "auto" finds out, "none" takes every tag as it is.
        target_scheme: How the model is to mark entities.
        max_length: Words that a sentence may have.

    Returns:
        `Splits` of tagged sentences, with facts `vocabulary_size` and `num_tags`.

    Raises:
        KitError: a file that cannot be used; the message names it and the line.
        SettingError: a value out of range; the message names the key.
    """
    check(1 <= max_length <= 10_000, "max_length", max_length, "1 to 10000")
    module, origin = sources.find(source, "sentences")
    generated = {"locale": locale, "num_sentences": num_sentences}
    of_files = {"word_column": word_column, "sentence_column": sentence_column, "tag_names": tag_names}
    for reader, own, what in ((phrases, generated, "generated"), (tagged_files, of_files, "of a file")):
        for key, value in own.items() if module is not reader else ():
            check(value in (None, ()), key, value, f"none where sentences are not {what}")
    if module is phrases:
        options = {key: value for key, value in generated.items() if value is not None}
        found = module.read(origin, column, **options, seed=division.split_seed)
    elif module is tagged_files:
        found = module.read(origin, column, **of_files, on_bad=texts.on_bad)
    else:
        found = module.read(origin, column)
    found.check_lengths(max_length)
    scheme = tags.scheme_of(found, scheme)
    learned = target_scheme if scheme != "none" else "none"
    named = [tags.convert(each, scheme, learned) for each in found.tags] if scheme != "none" else found.tags
    assignment = assign(found.names, found.split, division, saved, found)
    if saved is None and (found.split is None or division.fold is not None):
        tags.move_unknown(assignment, found.tags, parts_of(division.split_files))
    names, labels = tags.numbered(found, named, assignment, learned, str(origin))
    training = np.flatnonzero(assignment["split"] == "train")
    features, vectors = pieces.learn(saved, words, pretrained, published.tokenizer_of), None
    if features is None:
        training_words = (word for row in training for word in found.words[row])
        features, vectors = words.learn(training_words, pretrained, module is phrases)
    # Texts that tell where words end are a file's own; only those of the training split are learned from.
    learned_of_file = {} if found.field is None else {"field": found.field}
    if saved is not None and "word_cuts" in saved.assets:
        learned_of_file["word_cuts"] = saved.assets["word_cuts"]
    elif found.texts and any(found.texts[row] for row in training):
        parts = ([each[row] for row in training] for each in (found.words, found.texts))
        learned_of_file["word_cuts"] = WordCuts.learn(*parts).to_json()
    path = {} if pieces.tokenizer is None else {"tokenizer": published.absolute(pieces.tokenizer)}
    words_of, tags_of = (list(map(tuple, each)) for each in (found.words, found.tags))
    return Splits(
        *divided(tagged_examples(found.words, features, labels, found.texts), assignment),
        facts={
            "vocabulary_size": features.sizes(),
            "num_tags": len(names),
            "pad_id": features.tokenizer.pad_id if isinstance(features, Pieces) else None,
            "vectors": vectors,
        },
        assets={
            "tag_names": names,
            "scheme": scheme,
            "learned_scheme": learned,
            **(features.assets() if isinstance(features, Pieces) else {"features": features.to_json()}),
            **learned_of_file,
            "word_column": word_column,
            "sentence_column": sentence_column,
            "skipped": found.skipped,
        },
        assignment=assignment,
        settings={"source": str(origin)} | pretrained.settings | path,
        findings=tell(label_checks.alike_names(sorted({tag for each in found.tags for tag in each}), what="tags")),
        overlap=overlap(words_of, assignment["split"], "sentences", tags_of, "with other tags"),
        monitors=(*(("val_f1",) if scheme != "none" else ()), "val_accuracy", "val_loss"),
    )


RECIPE = Recipe(
    name="sequence_tagging",
    purpose="Which tag has each word of a sentence?",
    examples="sentences",
    build=sequence_tagger,
    data=tagged_sentences,
    backbones={"backbone": ENCODERS | OF_PIECES},
    task=tagging.task(),
    stages=Stages(
        prepare=tagging.prepare,
        tied_layers={
            "tag_names": ("logits", "crf"),
            "features": ("*_embedding",),
            "tokenizer": ("*token_embedding",),
        },
        optional_facts=("pad_id",),
        presets={name: {"dropout": 0.1} for name in OF_PIECES},
    ),
    own_data=own_texts.SENTENCES,
)
