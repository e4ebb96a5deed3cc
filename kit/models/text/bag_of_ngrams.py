"""Bag of n-grams (fastText): the mean of embeddings of tokens and of their n-grams.

Joulin, Grave, Bojanowski and Mikolov, "Bag of Tricks for Efficient Text Classification", 2016.
"""

import keras
from keras import layers, ops

from kit.errors import check

VARIANTS = {"bag_of_ngrams": {}}

_FACTOR, _MODULUS = 31_337, 65_521  # their product is an integer of 32 bits


def bag_of_ngrams(
    vocabulary_size,
    pad_id,
    *,
    dim: int = 128,
    max_ngram: int = 2,
    buckets: int = 20_000,
    dropout: float = 0.3,
    name: str = "bag_of_ngrams",
):
    """Embeds each token, and each n-gram that begins with it; their order beyond that is not seen.

    N-grams share the rows of a table by their hash.

    Args:
        vocabulary_size: Number of tokens.
        pad_id: Id of padding.
        dim: Width of the embeddings.
        max_ngram: Most tokens of an n-gram; 1 is tokens alone.
        buckets: Rows of the table of n-grams.
        dropout: Share of the numbers that is dropped while training.
        name: Name of the model.

    Shape:
        in: `ids` (batch, time), `segments` (batch, time): n-grams of the first and second text are told apart
        out: (batch, time, dim)

    Raises:
        SettingError: a number is out of range.
    """
    for key, value in (("dim", dim), ("max_ngram", max_ngram), ("buckets", buckets)):
        check(value >= 1, key, value, "at least 1")
    check(max_ngram <= 5, "max_ngram", max_ngram, "at most 5")
    check(buckets <= _MODULUS, "buckets", buckets, f"at most {_MODULUS}")
    check(0 <= dropout < 1, "dropout", dropout, "a number from 0 to below 1")
    ids = keras.Input((None,), dtype="int32", name="ids")
    segments = keras.Input((None,), dtype="int32", name="segments")
    x = layers.Embedding(2 * vocabulary_size, dim, name="token_embedding")(ids + segments * vocabulary_size)
    hashed, is_whole = ids + segments * vocabulary_size, ops.not_equal(ids, pad_id)
    for count in range(2, max_ngram + 1):
        following = ops.pad(ids[:, count - 1 :], ((0, 0), (0, count - 1)), constant_values=pad_id)
        hashed = ((hashed % _MODULUS) * _FACTOR + following) % _MODULUS
        is_whole = ops.logical_and(is_whole, ops.not_equal(following, pad_id))
        of_ngrams = layers.Embedding(buckets, dim, name=f"ngram{count}_embedding")(hashed % buckets)
        x = x + of_ngrams * ops.cast(is_whole, x.dtype)[..., None]
    x = layers.Dropout(dropout, name="embedding_dropout")(x)
    x = layers.Identity(name="stage1")(x)
    return keras.Model({"ids": ids, "segments": segments}, x, name=name)
