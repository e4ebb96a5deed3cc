"""Pretrained word vectors for tokens: a tokenizer of whole words, and the vector of each that has one."""

import dataclasses
import logging

from kit.errors import SettingError, check

log = logging.getLogger("kit")


def tokenizer(tokens, pretrained, texts):
    """Returns the tokenizer learned from training texts; with vectors of whole words, and with all words that have one.

    Args:
        tokens: `TokenOptions`.
        pretrained: `VectorOptions`.
        texts: Training texts.

    Raises:
        SettingError: none of the words of the texts has a vector.
    """
    if pretrained.vectors is None:
        return tokens.learn(texts, at_most=True)
    known = dataclasses.replace(tokens, token_kind="word").learn(texts, at_most=True)
    words, matrix = pretrained.read(tokens.lowercase)
    rows, _ = known.vectors_of(words, matrix)
    if not len(rows):
        problem = f"none of the {len(words):,} words of {pretrained.vectors} is in the training texts"
        raise SettingError("vectors", f"{problem}; expected vectors of their language")
    log.info("%d of %d tokens of the training texts have vectors", len(rows), len(known))
    return known.with_words(words)


def of_tokens(known, tokens, pretrained, published):
    """Returns ids of tokens with their vectors (tokens, dim), or None where there are no vectors.

    Args:
        known: `Tokenizer`.
        tokens: `TokenOptions`.
        pretrained: `VectorOptions`.
        published: Setting `tokenizer`, which excludes vectors.
    """
    if pretrained.vectors is None:
        return None
    check(published is None, "vectors", pretrained.vectors, "none where tokens are those of data.tokenizer")
    return known.vectors_of(*pretrained.read(tokens.lowercase))
