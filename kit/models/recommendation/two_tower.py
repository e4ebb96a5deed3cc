"""Two towers: networks of users and of items, whose vectors' inner product is the score.

Covington, Adams and Sargin, "Deep Neural Networks for YouTube Recommendations", 2016; Yi et al.,
"Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", 2019.
"""

import keras
from keras import layers, ops

from kit.blocks.pair_scores import InnerProduct, with_ones
from kit.errors import check
from kit.models.recommendation.towers import (
    Towers,
    check_counts,
    check_decay,
    check_share,
    described,
    item_input,
    user_inputs,
)

VARIANTS = {"two_tower": {}}


def two_tower(
    num_users,
    num_items,
    user_features,
    item_features,
    *,
    dim: int = 64,
    hidden_dims: tuple[int, ...] = (128,),
    dropout: float = 0.2,
    history_decay: float = 1.0,
    name: str = "two_tower",
):
    """Passes what is known of a user, with the mean of the history's items, and of an item through a network each.

    Args:
        num_users, num_items: Number of users and items, whose numbers are from 1.
        user_features, item_features: `kit.data.entity_features.EntityFeatures`, or None.
        dim: Width of embeddings and of the vectors of both towers.
        hidden_dims: Widths of the dense layers of both towers in front of their last.
        dropout: Share of the embeddings that is dropped while training.
        history_decay: Weight of an item of the history beside that of the one behind it: 1 is the plain mean, and the
            less, the more do the latest items count.
        name: Name of the networks.

    Shape:
        users: (batch,) and (batch, time) to (batch, time, dim + 1)
        items: (rows, items) to (rows, items, dim + 1)

    Raises:
        SettingError: a value out of range.
    """
    check_counts(num_users, num_items)
    check(dim >= 1, "dim", dim, "at least 1")
    check(all(size >= 1 for size in hidden_dims), "hidden_dims", hidden_dims, "widths of at least 1")
    check_share("dropout", dropout)
    check_decay(history_decay)
    inputs, item = user_inputs(), item_input()
    known = described(inputs, item, num_users, num_items, user_features, item_features, dim, dropout, history_decay)
    sides = []
    for side, x in (("user", known.user), ("item", known.item)):
        for index, size in enumerate(hidden_dims, 1):
            x = layers.Dense(size, activation="relu", name=f"{side}_hidden{index}")(x)
        sides.append(layers.Dense(dim, name=f"{side}_vector")(x))
    bias = layers.Embedding(num_items + 2, 1, embeddings_initializer="zeros", name="item_bias")(item)
    return Towers(
        keras.Model(inputs, with_ones(sides[0]), name="users"),
        keras.Model(item, ops.concatenate([sides[1], bias], axis=-1), name="items"),
        InnerProduct(name=name),
    )
