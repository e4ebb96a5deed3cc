"""Encoders of texts by the name of a variant, with published weights where they are asked for."""

import keras

from kit.config import facts_of
from kit.errors import choose
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
