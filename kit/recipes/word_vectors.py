"""Word vectors: words that stand near the same words get vectors that are alike. Skip-gram with negative sampling."""

import logging

import keras
import numpy as np
from keras import layers, ops

from kit.data import sources
from kit.data.options import Division
from kit.data.skip_grams import SkipGramOptions, SkipGrams, skip_gram_examples, vocabulary, windows, words_in
from kit.data.splits import Splits, assign
from kit.errors import KitError, check
from kit.tasks import word_vectors
from kit.tasks.recipe import Recipe, Stages

log = logging.getLogger("kit")


def word_embedder(vocabulary_size, *, dim: int = 100, optimizer="adam"):
    """Builds a compiled skip-gram model: is a word near another one, by the product of their vectors?

    Mikolov, Sutskever, Chen, Corrado and Dean, "Distributed Representations of Words and Phrases and their
    Compositionality", 2013. The vectors are those of its layer `word_embedding`; those of the words around are others.

    Args:
        vocabulary_size: Number of words; ids are from 1, 0 is none.
        dim: Width of the vectors.
        optimizer: Keras optimizer or its name.

    Shape:
        in: `word` (batch,), `others` (batch, words)
        out: (batch, words), logits

    Raises:
        SettingError: a value out of range; the message names the argument.
    """
    check(vocabulary_size >= 2, "vocabulary_size", vocabulary_size, "at least 2")
    check(dim >= 1, "dim", dim, "at least 1")
    word = keras.Input((), dtype="int32", name="word")
    others = keras.Input((None,), dtype="int32", name="others")
    start = keras.initializers.RandomUniform(-0.5 / dim, 0.5 / dim)  # as word2vec begins; the others are 0
    vector = layers.Embedding(vocabulary_size + 1, dim, embeddings_initializer=start, name="word_embedding")(word)
    around = layers.Embedding(vocabulary_size + 1, dim, embeddings_initializer="zeros", name="context_embedding")(
        others
    )
    logits = ops.cast(ops.einsum("bd,bnd->bn", vector, around), "float32")
    return word_vectors.compiled({"word": word, "others": others}, logits, optimizer, "word_embedder")


def skip_grams(
    seed,
    saved,
    *,
    source: str = "manual",
    grams: SkipGramOptions = SkipGramOptions(),
    division: Division = Division(test_fraction=0.1),
):
    """Reads plain texts and finds which words stand near each other.

    Random words, and how far a word looks, are drawn anew in every step of the training, those of validation and test
    split once.

    Args:
        seed: Seed of the run: which words are drawn.
        saved: `Kept` of an earlier run, which is used again, or None.
        source: `manual` (the topics of Python's manual), a .txt file whose documents stand between empty lines, a
            folder of .txt files, a .jsonl file with a `text` in each line, or `tfds:NAME`. In Python also a list of
            texts, or a dictionary of these for train, validation and test.

    Returns:
        `Splits` of words with those around them, with the fact `vocabulary_size`.

    Raises:
        KitError: a file that cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    found, origin = sources.documents(source)
    assignment = assign(found.names, found.split, division, saved, found)
    split = assignment["split"].to_numpy()
    texts = [words_in(text, grams.lowercase) for text in found.texts]
    if saved is not None:
        words, counts = saved.assets["words"], saved.assets["counts"]
    else:
        words, counts = vocabulary([texts[row] for row in np.flatnonzero(split == "train")], grams)
    ids = {word: number for number, word in enumerate(words, 1)}
    centres, around, owners = windows(texts, ids, grams.window)
    log.info("%s words, %s different ones that are frequent enough", f"{sum(map(len, texts)):,}", f"{len(words):,}")
    parts = []
    for number, name in enumerate(("train", "validation", "test")):
        rows = split[owners] == name
        if not (around[rows] > 0).any():
            raise KitError(
                f"{origin}: no text of the {name} split has two words that are frequent enough (data.min_count)"
            )
        draw = SkipGrams(counts, grams, seed if name == "train" else number - 1)
        parts.append(skip_gram_examples(centres[rows], around[rows], draw, name == "train"))
    return Splits(
        *parts,
        facts={"vocabulary_size": len(words)},
        assets={"words": words, "counts": counts, "lowercase": grams.lowercase},
        assignment=assignment,
        settings={"source": str(origin)},
        monitors=("val_loss",),
    )


RECIPE = Recipe(
    name="word_vectors",
    purpose="Which words are used alike? Vectors of words from plain text.",
    examples="plain texts",
    build=word_embedder,
    data=skip_grams,
    backbones={},
    task=word_vectors.task(),
    stages=Stages(tied_layers={"words": ("word_embedding", "context_embedding")}),
)
