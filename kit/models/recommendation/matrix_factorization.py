"""Matrix factorisation: users and items as vectors whose inner product, with a bias of each, is the score.

Koren, Bell and Volinsky, "Matrix Factorization Techniques for Recommender Systems", 2009; of clicks with
the loss "bpr": Rendle, Freudenthaler, Gantner and Schmidt-Thieme, "BPR: Bayesian Personalized Ranking from Implicit
Feedback", 2009.
"""

import keras
from keras import layers, ops

from kit.blocks.entity_embedding import running_mean
from kit.blocks.pair_scores import InnerProduct, with_ones
from kit.errors import check
from kit.models.recommendation.towers import (
    Towers,
    check_counts,
    check_decay,
    check_share,
    item_input,
    over_time,
    user_inputs,
)

VARIANTS = {"matrix_factorization": {}}


def matrix_factorization(
    num_users,
    num_items,
    *,
    dim: int = 64,
    dropout: float = 0.2,
    history_decay: float | None = None,
    name: str = "matrix_factorization",
):
    """Gives each user and each item a vector and a bias; what came when counts only with `history_decay`.

    Args:
        num_users, num_items: Number of users and items, whose numbers are from 1.
        dim: Width of the vectors.
        dropout: Share of the vectors that is dropped while training.
        history_decay: Add the mean of the vectors that the history's items have for that to the user's, as SVD++ does
            (Koren, 2008): weight of an item beside that of the one behind it, 1 for the plain mean. None adds nothing.
        name: Name of the networks.

    Shape:
        users: (batch,) and (batch, time) to (batch, time, dim + 2)
        items: (rows, items) to (rows, items, dim + 2)

    Raises:
        SettingError: a value out of range.
    """
    check_counts(num_users, num_items)
    check(dim >= 1, "dim", dim, "at least 1")
    check_share("dropout", dropout)
    if history_decay is not None:
        check_decay(history_decay)
    inputs, item = user_inputs(), item_input()
    sides = {}
    for side, ids, count in (("user", inputs["user"], num_users + 1), ("item", item, num_items + 2)):
        start = keras.initializers.RandomNormal(stddev=0.1)
        x = layers.Embedding(count, dim, embeddings_initializer=start, name=f"{side}_embedding")(ids)
        x = layers.Dropout(dropout, name=f"{side}_dropout")(x) if dropout else x
        sides[side] = x, layers.Embedding(count, 1, embeddings_initializer="zeros", name=f"{side}_bias")(ids)
    vector, bias = (over_time(x, inputs["history"]) for x in sides["user"])  # (batch, time, dim)
    if history_decay is not None:
        start = keras.initializers.RandomNormal(stddev=0.1)
        known = layers.Embedding(num_items + 2, dim, embeddings_initializer=start, name="history_embedding")
        before = running_mean(known(inputs["history"]), inputs["history"] > 0, history_decay)
        vector = vector + (layers.Dropout(dropout, name="history_dropout")(before) if dropout else before)
    user = ops.concatenate([with_ones(vector), bias], axis=-1)  # vector, 1, bias
    items = with_ones(ops.concatenate(sides["item"], axis=-1))  # vector, bias, 1
    return Towers(
        keras.Model(inputs, user, name="users"),
        keras.Model(item, items, name="items"),
        InnerProduct(name=name),
    )
