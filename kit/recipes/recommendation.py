"""Recommendation: which items does a user take next, or how does a user rate them?"""

import logging
from typing import Literal

import numpy as np

from kit.config import facts_of
from kit.data.entity_features import features_of, titles_of
from kit.data.histories import Histories, HistoryOptions, NegativeItems, asked
from kit.data.interactions import InteractionDivision, InteractionSource
from kit.data.options import Division
from kit.data.split_names import SPLITS
from kit.data.splits import Splits, assign
from kit.errors import SettingError, check, choose
from kit.models import recommendation as architectures
from kit.models.recommendation.towers import Towers
from kit.tasks import recommendation
from kit.tasks.recipe import Recipe, Stages

log = logging.getLogger("kit")


def recommender(
    num_users,
    num_items,
    *,
    user_features=None,
    item_features=None,
    max_length=50,
    feedback="clicks",
    log_counts=None,
    backbone: str = "matrix_factorization",
    loss: Literal["auto", "sampled_softmax", "bpr", "bce", "mse"] = "auto",
    optimizer="adam",
):
    """Builds a compiled recommender; what answers of it is `model.of_parts.network`.

    The network takes a user's number and history, numbers of items from 1 behind `num_items + 1`, the beginning, filled
    up with 0 in front; it returns the scores of all items.

    Args:
        num_users, num_items: Number of users and items; their numbers are from 1.
        user_features, item_features: `kit.data.entity_features.EntityFeatures`, or None.
        max_length: Positions of a history.
        feedback: "clicks", what comes next is told from other items; or "ratings", which are predicted.
        log_counts: Logarithm of how often each item is drawn in a step, (items + 2,), or None.
        backbone: Variant of an architecture, as `kit list` prints them; or `Towers`, or a function that returns
            such.
        loss: "sampled_softmax", cross-entropy of the item that was taken among those drawn; "bpr", that it is scored
            higher than each; "bce", binary cross-entropy; "mse", squared error of ratings. "auto" is the first of
            clicks and the last of ratings.
        optimizer: Keras optimizer or its name.

    Shape:
        in: `user` (batch,), `history` (batch, time)
        out: (batch, num_items)

    Raises:
        SettingError: an unknown backbone, or a value out of range; the message names the argument.
    """
    is_ranked = feedback == "clicks"
    if loss == "auto":
        loss = "sampled_softmax" if is_ranked else "mse"
    check(
        (loss == "mse") != is_ranked, "loss", loss, "sampled_softmax, bpr or bce" if is_ranked else "'mse' of ratings"
    )
    if isinstance(backbone, str):
        build, arguments = choose(architectures.VARIANTS, backbone, "backbone")
        facts = {"num_users": num_users, "num_items": num_items, "max_length": max_length}
        facts |= {"user_features": user_features, "item_features": item_features}
        backbone = build(*(facts[name] for name in facts_of(build)), **arguments, name=backbone)
    elif not isinstance(backbone, Towers):
        backbone = backbone()
    return recommendation.compiled(backbone, num_items, max_length, is_ranked, loss, log_counts, optimizer)


def interactions(
    seed,
    saved,
    *,
    where: InteractionSource = InteractionSource(),
    histories: HistoryOptions = HistoryOptions(),
    division: InteractionDivision = InteractionDivision(),
):
    """Reads interactions of users with items, and divides them so that nothing sees what comes later.

    Args:
        seed: Seed of the run: which items are drawn beside those that were taken.
        saved: `Kept` of an earlier run, whose division is used again, or None.

    Returns:
        `Splits` of histories, with facts `num_users`, `num_items`, `user_features`, `item_features`, `max_length`,
        `feedback` and `log_counts`.

    Raises:
        KitError: a file that cannot be used; the message names it and the row.
        SettingError: a value out of range; the message names the key.
    """
    found, settings = where.read(division.split_seed)
    names, given = found.names, division.divide(found)
    whole = Division(division.validation_fraction, division.test_fraction, division.split_seed)
    assignment = assign(names, given, whole, saved)
    split = assignment["split"].to_numpy(object)
    is_used = np.isin(split, SPLITS)
    users, items, split = found.users[is_used], found.items[is_used], split[is_used]
    is_training = split == "train"
    known_users, known_items = (sorted(set(each[is_training])) for each in (users, items))
    for noun, known in (("users", known_users), ("items", known_items)):
        if len(known) < 2:
            raise SettingError("division", f"leaves {len(known)} {noun} for training; expected several")
    ratings, mean, deviation = None, 0.0, 1.0
    if found.ratings is not None:
        own = found.ratings[is_used][is_training]
        mean, deviation = float(own.mean()), float(own.std()) or 1.0
        ratings = found.ratings[is_used]
    number = {name: index for index, name in enumerate(known_items, 1)}
    numbers = np.array([number.get(name, 0) for name in items], "int64")
    starts = np.flatnonzero(np.append(True, users[1:] != users[:-1]))  # they stand user by user
    parts = list(zip(starts, [*starts[1:], len(users)], strict=True))
    whole = Histories(
        [numbers[start:end] for start, end in parts],
        None if ratings is None else [ratings[start:end] for start, end in parts],
        np.array([is_training[start:end].sum() for start, end in parts]),
        len(known_items) + 1,
        histories.max_length,
        mean,
        deviation,
    )
    is_ranked = found.ratings is None
    frequencies = np.bincount(numbers[is_training], minlength=len(known_items) + 1)[1:]
    draw = NegativeItems(frequencies, histories, seed)
    train = whole.training(draw, is_ranked)
    held_out, owner = [], np.repeat(np.arange(len(parts)), [end - start for start, end in parts])
    place = np.arange(len(users)) - starts[owner]
    for name in SPLITS[1:]:
        rows = np.flatnonzero(split == name)
        once = NegativeItems(frequencies, histories, 0)  # whatever the seed of the run
        part = whole.held_out(owner[rows], place[rows], once, is_ranked)
        held_out.append(part if name == "validation" else asked(part))
        new = int((numbers[rows] == 0).sum())
        if new:
            log.info("%s of %s %s interactions are with an item that training does not have", new, len(rows), name)
    train_rows = f"{is_training.sum():,}"
    log.info(
        "%s training interactions of %s users with %s items", train_rows, f"{len(parts):,}", f"{len(known_items):,}"
    )
    item_features = features_of(found.item_table, known_items, "items")
    user_features = features_of(found.user_table, known_users, "users")
    return Splits(
        train,
        *held_out,
        facts={
            "num_users": len(parts),
            "num_items": len(known_items),
            "user_features": user_features,
            "item_features": item_features,
            "max_length": histories.max_length,
            "feedback": "clicks" if is_ranked else "ratings",
            "log_counts": draw.log_counts,
        },
        assets={
            "feedback": "clicks" if is_ranked else "ratings",
            "users": [str(name) for name in known_users],
            "items": [str(name) for name in known_items],
            "titles": titles_of(found.item_table, known_items),
            "histories": [own.tolist() for own in whole.items],
            "trained": whole.trained.tolist(),
            "counts": frequencies.tolist(),
            "mean": mean,
            "deviation": deviation,
            "max_length": histories.max_length,
            "ratings": None if is_ranked else _of_training(ratings, parts, whole.trained),
            "features": {
                name: None if each is None else {"names": each.names, "ids": each.ids.tolist()}
                for name, each in (("users", user_features), ("items", item_features))
            },
        },
        assignment=assignment,
        settings=settings,
        monitors=("val_ndcg", "val_hit_rate", "val_loss") if is_ranked else ("val_rmse", "val_loss"),
    )


def _of_training(ratings, parts, trained):
    """Returns the ratings of each user's training interactions."""
    return [ratings[start : start + count].tolist() for (start, _), count in zip(parts, trained, strict=True)]


RECIPE = Recipe(
    name="recommendation",
    purpose="Which items does a user take next, or how does a user rate them?",
    examples="interactions",
    build=recommender,
    data=interactions,
    backbones={"backbone": architectures.VARIANTS},
    task=recommendation.task(),
    stages=Stages(
        network=recommendation.network_of,
        tied_layers={
            "users": ("user_embedding", "user_bias", "user_crosses"),
            "items": ("item_embedding", "item_bias", "history_embedding"),
            "features": ("*_features", "*_feature_embedding", "*_crosses"),
        },
        optional_facts=("user_features", "item_features", "max_length", "feedback", "log_counts"),
    ),
)
