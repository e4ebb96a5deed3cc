"""Sequential recommender: a Transformer over the items that a user has taken so far (SASRec).

Kang and McAuley, "Self-Attentive Sequential Recommendation", 2018.
"""

import functools

import keras
from keras import layers, ops

from kit.blocks.attention import Attention
from kit.blocks.feedforward import FeedForward
from kit.blocks.pair_scores import InnerProduct, with_ones
from kit.blocks.position import LearnedPosition
from kit.blocks.transformer import encoder_block
from kit.errors import check
from kit.models.recommendation.towers import Towers, check_counts, check_share, item_input, user_inputs

VARIANTS = {"sequential": {}}


def sequential(
    num_users,
    num_items,
    max_length,
    *,
    dim: int = 64,
    depth: int = 2,
    num_heads: int = 2,
    feedforward_dim: int = 128,
    dropout: float = 0.2,
    name: str = "sequential",
):
    """Lets each position of a history look at those before it; who the user is does not count, only the history.

    Args:
        num_users: Number of users.
        num_items: Number of items, whose numbers are from 1.
        max_length: Positions of a history.
        dim: Width of the items' vectors and of every block.
        depth: Number of blocks.
        num_heads: Number of attention heads of each block.
        feedforward_dim: Width between the two dense layers of a block.
        dropout: Share of the vectors, of the attention weights and of what a block adds that is dropped while training.
        name: Name of the networks.

    Shape:
        users: (batch,) and (batch, time) to (batch, time, dim + 1), time at most max_length
        items: (rows, items) to (rows, items, dim + 1)

    Raises:
        SettingError: a value out of range.
    """
    check_counts(num_users, num_items, max_length)
    for key, value in (("dim", dim), ("depth", depth), ("feedforward_dim", feedforward_dim)):
        check(value >= 1, key, value, "at least 1")
    check(num_heads >= 1 and dim % num_heads == 0, "num_heads", num_heads, f"a divisor of dim ({dim})")
    check_share("dropout", dropout)
    inputs, item = user_inputs(), item_input()
    history = inputs["history"]
    start = keras.initializers.RandomNormal(stddev=dim**-0.5)
    embedding = layers.Embedding(num_items + 2, dim, embeddings_initializer=start, name="item_embedding")
    x = LearnedPosition(max_length, name="position")(embedding(history))
    x = layers.Dropout(dropout, name="history_dropout")(x) if dropout else x
    attention = functools.partial(Attention, num_heads, is_causal=True, dropout=dropout)
    feedforward = functools.partial(FeedForward, feedforward_dim, activation="gelu")
    mask = ops.not_equal(history, 0)
    for index in range(1, depth + 1):
        x = encoder_block(
            x, mask, attention=attention, feedforward=feedforward, norm="pre", dropout=dropout, name=f"block{index}"
        )
    x = layers.LayerNormalization(name="stage1")(x)
    bias = layers.Embedding(num_items + 2, 1, embeddings_initializer="zeros", name="item_bias")(item)
    return Towers(
        keras.Model(inputs, with_ones(x), name="users"),
        keras.Model(item, ops.concatenate([embedding(item), bias], axis=-1), name="items"),
        InnerProduct(name=name),
    )
