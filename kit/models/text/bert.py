"""BERT: Transformer encoder of word pieces, and its heads for masked tokens and for the next sentence.

Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", 2019; small sizes:
Turc et al., "Well-Read Students Learn Better", 2019; MiniLM: Wang et al., "MiniLM: Deep Self-Attention Distillation for
Task-Agnostic Compression of Pre-Trained Transformers", 2020.
"""

import functools

import keras
from keras import layers, ops
from keras.config import floatx

from kit.blocks.activations import Activation
from kit.blocks.attention import Attention
from kit.blocks.embedding import Bias
from kit.blocks.feedforward import FeedForward, gelu_approximate
from kit.blocks.normalization import normalization
from kit.blocks.position import LearnedPosition
from kit.blocks.transformer import encoder_block
from kit.errors import check
from kit.models.text.transformer import check_sizes, check_tokens

VARIANTS = {
    f"bert_{name}": {"dim": dim, "depth": depth, "num_heads": heads, "feedforward_dim": 4 * dim}
    for name, dim, depth, heads in (
        ("tiny", 128, 2, 2),
        ("mini", 256, 4, 4),
        ("small", 512, 4, 8),
        ("medium", 512, 8, 8),
        ("base", 768, 12, 12),
        ("large", 1024, 24, 16),
    )
}
VARIANTS |= {"minilm": {"dim": 384, "depth": 6, "num_heads": 12, "feedforward_dim": 1536}, "bert": {}}


def bert(
    vocabulary_size,
    pad_id,
    *,
    dim: int = 768,
    depth: int = 12,
    num_heads: int = 12,
    feedforward_dim: int = 3072,
    max_length: int = 512,
    num_segments: int = 2,
    activation: Activation = "gelu",
    approximate_gelu: bool = False,
    epsilon: float = 1e-12,
    dropout: float = 0.1,
    attention_dropout: float = 0.1,
    name: str = "bert",
):
    """Embeds tokens, positions and segments, and passes their sum through blocks of self-attention.

    Args:
        vocabulary_size: Number of tokens.
        pad_id: Id of padding, which is not looked at.
        dim: Width of every block.
        depth: Number of blocks.
        num_heads: Number of attention heads of each block.
        feedforward_dim: Width between the two dense layers of a block.
        max_length: Number of positions; there is no longer sequence.
        num_segments: Number of segments: the first text, the second.
        activation: Activation between the two dense layers of a block.
        approximate_gelu: Compute "gelu" by way of tanh, as BERT's first code did.
        epsilon: Small number in the normalisations.
        dropout: Share of the embeddings, and of what a block adds, that is dropped while training.
        attention_dropout: Share of the attention weights that is dropped while training.
        name: Name of the model.

    Shape:
        in: `ids` (batch, time), `segments` (batch, time), 0 for the first text and 1 for the second
        out: (batch, time, dim)

    Raises:
        SettingError: a width or number is too small, or the heads do not divide the width.
    """
    return transformer_of_tokens(
        vocabulary_size,
        pad_id,
        lambda index: functools.partial(Attention, num_heads, dropout=attention_dropout),
        dim=dim,
        depth=depth,
        num_heads=num_heads,
        feedforward_dim=feedforward_dim,
        max_length=max_length,
        num_segments=num_segments,
        activation=activation,
        approximate_gelu=approximate_gelu,
        epsilon=epsilon,
        dropout=dropout,
        attention_dropout=attention_dropout,
        name=name,
    )


def transformer_of_tokens(
    vocabulary_size,
    pad_id,
    attention,
    *,
    dim,
    depth,
    num_heads,
    feedforward_dim,
    max_length,
    num_segments,
    activation,
    approximate_gelu,
    epsilon,
    dropout,
    attention_dropout,
    embedding_scale=1.0,
    name,
):
    """Builds a Transformer encoder as `bert` does, with attention that is passed in.

    Args:
        attention: Function from the number of a block, from 1, to a function from a name to its attention layer.
        embedding_scale: What embeddings of tokens are multiplied by.
        others: As for `bert`.
    """
    check_tokens(vocabulary_size)
    check_sizes(1, dim, depth, num_heads, feedforward_dim, dropout)  # ids have no width
    check(0 <= attention_dropout < 1, "attention_dropout", attention_dropout, "a number from 0 to below 1")
    for key, value in (("max_length", max_length), ("num_segments", num_segments)):
        check(value >= 1, key, value, "at least 1")
    ids = keras.Input((None,), dtype="int32", name="ids")
    segments = keras.Input((None,), dtype="int32", name="segments")
    mask = ops.not_equal(ids, pad_id)
    norm_of = normalization("layer", epsilon)
    start = functools.partial(keras.initializers.TruncatedNormal, stddev=0.02)
    tokens = layers.ReversibleEmbedding(
        vocabulary_size, dim, embeddings_initializer=start(), reverse_dtype=floatx(), name="token_embedding"
    )
    x = tokens(ids)  # (batch, time, dim)
    x = x if embedding_scale == 1 else x * embedding_scale
    kinds = layers.Embedding(num_segments, dim, embeddings_initializer=start(), name="segment_embedding")(segments)
    x = LearnedPosition(max_length, name="position_embedding")(layers.Add(name="embedding_add")([x, kinds]))
    x = layers.Dropout(dropout, name="embedding_dropout")(norm_of(name="embedding_norm")(x))
    for index in range(1, depth + 1):
        x = encoder_block(
            x,
            mask,
            attention=attention(index),
            feedforward=functools.partial(
                FeedForward, feedforward_dim, activation=_function(activation, approximate_gelu)
            ),
            normalization=norm_of,
            norm="post",
            dropout=dropout,
            name=f"block{index}",
        )
    x = layers.Identity(name="stage1")(x)
    return keras.Model({"ids": ids, "segments": segments}, x, name=name)


def _function(activation, approximate_gelu):
    return gelu_approximate if activation == "gelu" and approximate_gelu else activation


def pooled(x, *, name="pooler"):
    """Maps the first token of each sequence, which stands for the whole, to a vector: a dense layer and tanh.

    Shape:
        in: (batch, time, dim)
        out: (batch, dim)
    """
    return layers.Dense(x.shape[-1], activation="tanh", name=name)(x[:, 0])


def masked_tokens(model, x, *, activation="gelu", approximate_gelu=False, epsilon=1e-12):
    """Returns logits of the token at each place: a dense layer, then the embedding of tokens the other way round.

    Args:
        model: Network of `bert`, whose embedding is taken.
        x: Its output, or some places of it.
        activation, approximate_gelu: As for `bert`, of the dense layer.
        epsilon: Small number in its normalisation.

    Shape:
        x: (batch, time, dim)
        out: (batch, time, vocabulary_size)
    """
    x = layers.Dense(x.shape[-1], activation=_function(activation, approximate_gelu), name="masked_tokens")(x)
    x = normalization("layer", epsilon)(name="masked_tokens_norm")(x)
    logits = model.get_layer("token_embedding")(x, reverse=True)
    return Bias(dtype=floatx(), name="masked_tokens_bias")(logits)


def next_sentence(x, *, name="next_sentence"):
    """Returns logits of whether the second text follows the first: of that it does, and of that it does not.

    Args:
        x: What `pooled` returns.
        name: Name of the layer.

    Shape:
        in: (batch, dim)
        out: (batch, 2)
    """
    return layers.Dense(2, dtype=floatx(), name=name)(x)
