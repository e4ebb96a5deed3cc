"""Wide and deep: crosses of features that are learned by heart, and a network that generalises.

Cheng et al., "Wide & Deep Learning for Recommender Systems", 2016.
"""

import keras
from keras import layers, ops

from kit.blocks.entity_embedding import multi_hot
from kit.blocks.pair_scores import WideAndDeepScore, with_ones
from kit.errors import check
from kit.models.recommendation.towers import (
    Towers,
    check_counts,
    check_decay,
    check_share,
    described,
    item_input,
    over_time,
    user_inputs,
)

VARIANTS = {"wide_and_deep": {}}


def wide_and_deep(
    num_users,
    num_items,
    user_features,
    item_features,
    *,
    dim: int = 32,
    hidden_dims: tuple[int, ...] = (64, 32),
    dropout: float = 0.2,
    history_decay: float = 1.0,
    name: str = "wide_and_deep",
):
    """Adds a linear model of crosses and a network of what is known of a user and an item.

    Wide: a bias of each item, a weight of each user with each feature of an item, and of each feature of a user with
    each of an item. Deep: embeddings of user, item and their features, and the mean of the history's items.

    Args:
        num_users, num_items: Number of users and items, whose numbers are from 1.
        user_features, item_features: `kit.data.entity_features.EntityFeatures`, or None.
        dim: Width of each embedding.
        hidden_dims: Widths of the dense layers of the deep part.
        dropout: Share of the embeddings that is dropped while training.
        history_decay: Weight of an item of the history beside that of the one behind it: 1 is the plain mean, and the
            less, the more do the latest items count.
        name: Name of the networks.

    Shape:
        users: (batch,) and (batch, time) to (batch, time, wide + hidden_dims[0])
        items: (rows, items) to (rows, items, wide + hidden_dims[0])

    Raises:
        SettingError: a value out of range.
    """
    check_counts(num_users, num_items)
    check(dim >= 1, "dim", dim, "at least 1")
    fits = len(hidden_dims) and min(hidden_dims) >= 1
    check(fits, "hidden_dims", hidden_dims, "one width or more, each at least 1")
    check_share("dropout", dropout)
    check_decay(history_decay)
    inputs, item = user_inputs(), item_input()
    user, history = inputs["user"], inputs["history"]
    known = described(inputs, item, num_users, num_items, user_features, item_features, dim, dropout, history_decay)
    bias = layers.Embedding(num_items + 2, 1, embeddings_initializer="zeros", name="item_bias")(item)
    one = ops.ones_like(user, bias.dtype)[:, None]
    own = layers.Embedding(num_users + 1, 1, embeddings_initializer="zeros", name="user_bias")(user)
    of_user, of_item = [one, own], [with_ones(bias)]
    if item_features is not None:
        values = len(item_features.names)
        crossed = layers.Embedding(num_users + 1, values, embeddings_initializer="zeros", name="user_crosses")(user)
        if user_features is not None:
            hot = multi_hot(known.user_rows, len(user_features.names))
            crosses = layers.Dense(values, use_bias=False, kernel_initializer="zeros", name="feature_crosses")
            crossed = crossed + crosses(hot)
        of_user.append(crossed)
        of_item.append(multi_hot(known.item_rows, values))
    wide = ops.concatenate(of_user, axis=-1)
    first = layers.Dense(hidden_dims[0], name="user_hidden1")(known.user)
    other = layers.Dense(hidden_dims[0], use_bias=False, name="item_hidden1")(known.item)
    return Towers(
        keras.Model(inputs, ops.concatenate([over_time(wide, history), first], axis=-1), name="users"),
        keras.Model(item, ops.concatenate([*of_item, other], axis=-1), name="items"),
        WideAndDeepScore(wide.shape[-1], hidden_dims[1:], name=name),
    )
