"""Towers of a recommender: a network of users, one of items, and the score of both together."""

import typing

import keras
from keras import layers, ops

from kit.blocks.entity_embedding import constant_rows, mean_embedding, running_mean
from kit.errors import check


class Towers(typing.NamedTuple):
    """A recommender in three parts.

    Args:
        users: Network from `user` (batch,) and `history` (batch, time), items so far, to states (batch, time, dim).
        items: Network from numbers of items (rows, items) to vectors (rows, items, dim); rows of which there is always
            one are no examples of a batch.
        score: Layer from states and vectors to scores, see `kit.blocks.pair_scores`.
    """

    users: keras.Model
    items: keras.Model
    score: layers.Layer


def user_inputs():
    """Returns the symbolic inputs of a network of users, by name."""
    return {
        "user": keras.Input((), dtype="int32", name="user"),
        "history": keras.Input((None,), dtype="int32", name="history"),
    }


def item_input():
    """Returns the symbolic input of a network of items."""
    return keras.Input((None,), dtype="int32", name="item")


def over_time(x, history):
    """Returns one vector a user (batch, dim) as the same at each position, (batch, time, dim)."""
    return x[:, None] + ops.zeros_like(history, x.dtype)[..., None]


def check_counts(num_users, num_items, max_length=1):
    """Raises SettingError where there can be no recommender for so many."""
    for key, value in (("num_users", num_users), ("num_items", num_items), ("max_length", max_length)):
        check(value >= 1, key, value, "at least 1")


def check_share(key, value):
    """Raises SettingError for a share that is dropped and cannot be."""
    check(0 <= value < 1, key, value, "a number from 0 to below 1")


def check_decay(decay):
    """Raises SettingError for a weight of earlier items that cannot be."""
    check(0 < decay <= 1, "history_decay", decay, "a number above 0, at most 1")


class Described(typing.NamedTuple):
    """Users and items as `described` returns them.

    Args:
        user: Symbolic vector of each user at each position, (batch, time, dim).
        item: Symbolic vector of each item, (rows, items, dim).
        user_rows, item_rows: Their features, (batch, width) and (rows, items, width) integers; None where there are
            none.
    """

    user: object
    item: object
    user_rows: object
    item_rows: object


def described(inputs, item, num_users, num_items, user_features, item_features, dim, dropout, decay):
    """Puts side by side what is known of users and of items: themselves, their features, and the history's items.

    Args:
        inputs: What `user_inputs` returned.
        item: What `item_input` returned.
        num_users, num_items: Number of each.
        user_features, item_features: `kit.data.entity_features.EntityFeatures`, or None.
        dim: Width of each embedding.
        dropout: Share of the embeddings that is dropped while training.
        decay: Weight of an item of the history beside that of the one behind it.

    Returns:
        `Described`.
    """
    user, history = inputs["user"], inputs["history"]
    of_item = layers.Embedding(num_items + 2, dim, name="item_embedding")
    of_user = [layers.Embedding(num_users + 1, dim, name="user_embedding")(user)]
    of_items, rows = [of_item(item)], {"user": None, "item": None}
    for name, ids, features, parts in (("user", user, user_features, of_user), ("item", item, item_features, of_items)):
        if features is not None:
            rows[name] = constant_rows(ids, features.ids, f"{name}_features")
            parts.append(mean_embedding(rows[name], len(features.names), dim, f"{name}_feature_embedding"))
    known = layers.Embedding(num_items + 2, dim, name="history_embedding")(history)
    before = running_mean(known, history > 0, decay)  # (batch, time, dim): no position looks at a later one
    x = ops.concatenate([*(over_time(part, history) for part in of_user), before], axis=-1)
    y = ops.concatenate(of_items, axis=-1) if len(of_items) > 1 else of_items[0]
    if dropout:
        x = layers.Dropout(dropout, name="user_dropout")(x)
        y = layers.Dropout(dropout, name="item_dropout")(y)
    return Described(x, y, rows["user"], rows["item"])
