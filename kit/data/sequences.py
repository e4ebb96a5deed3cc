"""Tagged sentences as examples: ids of features, or of pieces, of each word, and the tag of each."""

import numpy as np

from kit.data.batching import ByLength
from kit.data.columns import Dense, Lookup, Ragged
from kit.data.examples import Examples
from kit.data.text import Features
from kit.data.word_pieces import Pieces


def tagged_examples(sentences, features, labels=None, texts=None):
    """Returns examples of sentences.

    A batch is a dictionary of features, each (batch, time), `characters` (batch, time, characters), and the labels
    (batch, time); time is that of the longest sentence in it. Shorter ones are padded with id 0 and label -1. Of words
    in pieces it holds `ids` and `first_pieces`, see `kit.data.word_pieces.Pieces`.

    Args:
        sentences: Words of each sentence.
        features: `Features` or `Pieces` that turn words into ids.
        labels: Label of each word of each sentence, or None.
        texts: Of each sentence the text with the places of its words, see `Sentences`, or None.

    Returns:
        `Examples`, with the target `tag`, and the words of each sentence as the extra `words`, its text with
        their places as the extra `texts` where there are such.
    """
    inputs = features.columns(sentences) if isinstance(features, Pieces) else _of_features(sentences, features)
    targets = {} if labels is None else {"tag": Ragged.of(labels, fill=-1)}
    extras = {"words": sentences} if texts is None else {"words": sentences, "texts": texts}
    for name, values in extras.items():
        column = np.empty(len(values), object)
        column[:] = values
        extras[name] = Dense(column)
    first = Pieces.of_words if isinstance(features, Pieces) else next(iter(inputs))
    return Examples(inputs, targets, extras=extras, batching=ByLength(first), is_named=True)


def _of_features(sentences, features):
    """Returns a column for each feature of words."""
    types = {}
    flat = [types.setdefault(word, len(types) + 1) for words in sentences for word in words]
    encoded = features.encode(list(types))
    index = Ragged(np.array(flat, "int32"), [len(words) for words in sentences])
    # Each distinct word is encoded once; row 0 of a table is padding.
    return {
        name: Lookup(index, np.concatenate([np.zeros_like(ids[:1], shape=(1, *ids.shape[1:])), ids]))
        for name, ids in encoded.items()
    }


def features_of(assets):
    """Returns the `Features` or `Pieces` that a tagger was trained with, given the assets of its data."""
    if "features" in assets:
        return Features(**assets["features"])
    return Pieces(*(assets[name] for name in ("tokenizer", "embeddings", "max_pieces")))


def words_of(examples):
    """Returns the number of words of each sentence, (examples,)."""
    return examples.batching.lengths(examples)
