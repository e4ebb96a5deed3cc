"""Encoders of texts by the name of a variant, with published weights where they are asked for."""

import keras
from keras import layers, ops

from kit.blocks.embedding import token_embedding
from kit.config import facts_of
from kit.errors import SettingError, check, choose
from kit.weights import published


def text_encoder(backbone, variants, weights, *, vocabulary_size, pad_id, embedding_dim=None):
    """Returns the encoder of texts that a builder is asked for.

    Args:
        backbone: Name of a variant, a `keras.Model`, or a function that returns one for an `input_dim`.
        variants: Name to builder and arguments. Builders that ask for `vocabulary_size` and `pad_id` make encoders of
            tokens, which take `ids` and `segments`; others take embeddings and a mask.
        weights: Published weights that the encoder begins with, see `kit.weights.published.load`; or None.
        vocabulary_size: Number of tokens.
        pad_id: Id of padding.
        embedding_dim: Width of the embeddings; None where all variants are of tokens.

    Raises:
        SettingError: an unknown variant.
        KitError: published weights that do not fit.
    """
    if isinstance(backbone, str):
        build, arguments = choose(variants, backbone, "backbone")
        is_of_tokens = "vocabulary_size" in facts_of(build)
        facts = (vocabulary_size, pad_id) if is_of_tokens else (embedding_dim,)
        backbone = build(*facts, **arguments, name=backbone)
    elif not isinstance(backbone, keras.Model):
        backbone = backbone(embedding_dim)
    if weights is not None:
        published.load(backbone, weights)
    return backbone


def of_words(vocabulary_size, backbone, variants, embedding, dropout):
    """Returns an encoder of whole words, and what goes into it.

    Args:
        vocabulary_size: Number of words, or a dictionary from feature to number of ids.
        backbone, variants: As for `text_encoder`.
        embedding: Arguments of `kit.blocks.embedding.token_embedding`.
        dropout: Share of the embedding that is dropped while training.

    Returns:
        Inputs by name, the encoder's output (batch, time, dim), a mask that is True at real words (batch, time), and
        the encoder.

    Raises:
        SettingError: an unknown variant, or no feature is left.
    """
    sizes = vocabulary_size if isinstance(vocabulary_size, dict) else {"word": vocabulary_size}
    word_dim = embedding["word_dim"]
    check(word_dim or set(sizes) - {"word"}, "word_dim", word_dim, "at least 1 where words are the only feature")
    inputs = {
        name: keras.Input((None, None) if name == "characters" else (None,), dtype="int32", name=name) for name in sizes
    }
    first = next(name for name in (*sizes, "characters") if name != "characters" or len(sizes) == 1)
    known = ops.not_equal(inputs[first], 0)
    mask = ops.any(known, axis=-1) if first == "characters" else known  # (batch, time)
    x = token_embedding(inputs, sizes, **embedding)
    if dropout:
        x = layers.Dropout(dropout, name="embedding_dropout")(x)
    backbone = text_encoder(backbone, variants, None, vocabulary_size=None, pad_id=None, embedding_dim=x.shape[-1])
    return inputs, backbone([x, mask]), mask, backbone


def of_pieces(vocabulary_size, pad_id, backbone, variants, weights):
    """Returns an encoder of words in pieces, and what goes into it; a word is what its first piece becomes.

    Devlin et al., "BERT", 2019, section 5.3.

    Args:
        vocabulary_size, pad_id, backbone, variants, weights: As for `text_encoder`.

    Returns:
        Inputs `ids` (batch, pieces) and `first_pieces` (batch, time), else as `of_words`.
    """
    ids, firsts = (keras.Input((None,), dtype="int32", name=name) for name in ("ids", "first_pieces"))
    if not isinstance(backbone, str | keras.Model):
        raise SettingError("backbone", "takes whole words; expected one of tokens, such as bert, with data.tokenizer")
    backbone = text_encoder(backbone, variants, weights, vocabulary_size=vocabulary_size, pad_id=pad_id)
    x = backbone({"ids": ids, "segments": ops.zeros_like(ids)})
    x = ops.take_along_axis(x, ops.maximum(firsts, 0)[..., None], axis=1)  # (batch, time, dim)
    return {"ids": ids, "first_pieces": firsts}, x, ops.greater_equal(firsts, 0), backbone
