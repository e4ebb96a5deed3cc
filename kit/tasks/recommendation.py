"""Recommendation: which items a user takes next, or how they are rated; rankings of the whole catalogue, and floors."""

import functools

import keras
import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt
from keras import ops

from kit import backend
from kit.blocks.entity_embedding import AllNumbers
from kit.blocks.pair_scores import Contrast
from kit.data.histories import IGNORED, IGNORED_RATING
from kit.errors import check
from kit.reporting import ranking_plots
from kit.reporting.numbers import label
from kit.reporting.statistics import Bootstrap, bootstrap
from kit.scoring import ranking
from kit.tasks.recipe import Evaluation, Task
from kit.tasks.recommended import predict, show, title, tops
from kit.tasks.recommender_floors import FLOORS, Catalogue, floor_scores, of_baseline, rating_floors
from kit.training.decay import sparing
from kit.training.engine import Once
from kit.training.losses import RankingLoss, SquaredError
from kit.training.parts import ModelOfParts

_LENGTHS = (1, 2, 5, 10, 20, 50, 100)
_SHOWN, _HISTORY, _LISTED = 24, 5, 5  # rows of the table of examples, items of a history and of a list in it
_WATCHED = 10  # length of the lists that are scored after each epoch


def compiled(towers, num_items, max_length, is_ranked, loss, log_counts, optimizer):
    """Returns a compiled model that is trained, and knows the network that answers as `of_parts.network`.

    It takes `user` (batch,), `history` (batch, time) and `target` (batch, time), what came next at each position, and
    where items are ranked `pool` (drawn,); it returns scores of the target in front of those of the pool, (batch, time,
    1 + drawn), or ratings (batch, time). The network takes user and history and returns the scores of all items after
    the last position, (batch, items).

    Args:
        towers: `kit.models.recommendation.towers.Towers`.
        num_items: Number of items.
        max_length: Positions of a history.
        is_ranked: Items are told from others; otherwise their ratings are predicted.
        loss: Name of the loss, see `kit.training.losses.RankingLoss`; "mse" of ratings.
        log_counts: Logarithm of how often each item is drawn in a step, (items + 2,); None is not corrected.
        optimizer: Keras optimizer or its name.
    """
    user = keras.Input((), dtype="int32", name="user")
    history, target = (keras.Input((max_length,), dtype="int32", name=name) for name in ("history", "target"))
    inputs = {"user": user, "history": history}
    states = towers.users.call(inputs)  # called so, the layers of both networks become those of this one
    own = towers.score(states, towers.items.call(target))
    inputs = {**inputs, "target": target}
    if is_ranked:
        pool = inputs["pool"] = keras.Input((), dtype="int32", name="pool")
        contrast = Contrast(num_items + 2, loss == "sampled_softmax" and log_counts is not None, name="contrast")
        drawn = Once(name="drawn")(_vectors(towers, pool))
        outputs = contrast(own, towers.score(states, drawn), target, pool)
        if log_counts is not None:
            contrast.log_counts.assign(log_counts)
        function = RankingLoss(loss, ignore_class=IGNORED)
    else:
        outputs, function = ops.cast(own, "float32"), SquaredError(ignore_class=IGNORED_RATING)
    model = ModelOfParts(inputs, outputs, name="recommender_training")
    model.of_parts.network = _network(towers, num_items)
    model.compile(optimizer=sparing(optimizer, model), loss=function)
    return model


def _vectors(towers, items):
    """Returns the vectors (items, dim) of items that are no batch's, but of all users."""
    return towers.items.call(ops.expand_dims(items, 0))[0]


def _network(towers, num_items):
    """Returns the network from user and history to the scores of all items."""
    inputs = {
        "user": keras.Input((), dtype="int32", name="user"),
        "history": keras.Input((None,), dtype="int32", name="history"),
    }
    states = towers.users.call(inputs)[:, -1:]  # (batch, 1, dim)
    every = AllNumbers(num_items, name="all_items")(inputs["user"])
    vectors = keras.layers.Identity(name="item_vectors")(_vectors(towers, every))
    scores = ops.cast(towers.score(states, vectors)[:, 0], "float32")
    return keras.Model(inputs, scores, name="recommender")


def network_of(model):
    """Returns the network that answers of a model that `compiled` returned."""
    return model.of_parts.network


def _scores(model, examples, rows):
    """Returns the scores of all items for rows of examples, (rows, items)."""
    inputs = {name: examples.inputs[name].values(_of_split(examples, rows)) for name in ("user", "history")}
    return np.asarray(backend.predict_on_batch(model, inputs), "float32")


def _of_split(examples, rows):
    return rows if examples.rows is None else examples.rows[rows]


def _ranked(examples, assets, batch_size, makers):
    """Yields rows, and for each of several functions the scores of all items, minus infinity where one was taken.

    Args:
        examples: `Examples` of a split.
        assets: The assets of the data.
        batch_size: Users in a step.
        makers: Functions `(rows)` that return scores (rows, items).
    """
    users, positions = examples.input("user") - 1, examples.extra("position")
    for start in range(0, len(examples), batch_size):
        rows = np.arange(start, min(start + batch_size, len(examples)))
        taken = [(number, assets["histories"][users[row]][: positions[row]]) for number, row in enumerate(rows)]
        found = []
        for make in makers:
            scores = np.array(make(rows), "float64")
            for number, own in taken:
                own = np.asarray(own, int)
                scores[number, own[own > 0] - 1] = -np.inf
            found.append(scores)
        yield rows, found


def validate(model, examples, assets):
    """Scores the network on the validation split after an epoch."""
    k = min(_WATCHED, len(assets["items"]))
    if assets["feedback"] == "ratings":
        found = [_scores(model, examples, rows) for rows in np.array_split(np.arange(len(examples)), _parts(examples))]
        error = _errors(np.concatenate(found), examples, assets)
        return {"rmse": float(np.sqrt(np.mean(error**2))) if len(error) else 0.0}
    targets, found = examples.extra("item") - 1, []
    for rows, (scores,) in _ranked(examples, assets, _size(assets), [functools.partial(_scores, model, examples)]):
        found.append(ranking.gains(ranking.ranks(scores, targets[rows]), k))
    hit, ndcg, _ = np.concatenate(found).mean(0)
    return {"ndcg": float(ndcg), "hit_rate": float(hit)}


def _parts(examples):
    return max(1, len(examples) // 64)


def _size(assets):
    """Returns how many users are scored at once, for memory."""
    return int(np.clip(2_000_000 // len(assets["items"]), 8, 256))


def _errors(scores, examples, assets):
    """Returns predicted less true ratings of the examples whose item training has."""
    items = examples.extra("item")
    known = items > 0
    own = scores[np.flatnonzero(known), items[known] - 1].astype("float64")
    return own * assets["deviation"] + assets["mean"] - examples.extra("rating")[known]


def evaluate(
    model,
    examples,
    assets,
    *,
    top_k: PositiveInt = 10,
    bootstrap: Bootstrap = Bootstrap(),
    neighbours: bool = True,
    batch_size: PositiveInt | None = None,
):
    """Scores a recommender on a split: each held-out item is ranked among all that its user has not taken before.

    Args:
        model: The network.
        examples: `Examples` of the split.
        assets: The assets of the data.
        top_k: Length of the lists whose hits count.
        neighbours: Rank by item nearest neighbours beside it; of very many items these take long.
        batch_size: Users in a step; by default by the number of items.

    Returns:
        `Evaluation` with hit rate and NDCG at k and the mean reciprocal rank, their intervals over users, the share of
        the catalogue that is in a list, the same scores by popularity and item neighbours, and the differences to
        these with paired intervals; of ratings before these RMSE and MAE, beside those of the mean and of biases.
    """
    check(top_k <= len(assets["items"]), "top_k", top_k, f"at most the {len(assets['items']):,} items of the catalogue")
    catalogue = Catalogue.of(assets)
    users, targets = examples.input("user") - 1, examples.extra("item") - 1
    positions, samples = examples.extra("position"), bootstrap.bootstrap_samples
    names = ["model", *(name for name in FLOORS if neighbours or name == "popularity")]
    makers = [functools.partial(_scores, model, examples)]
    makers += [
        lambda rows, name=name: floor_scores(name, catalogue, users[rows], positions[rows]) for name in names[1:]
    ]
    rank, shown, listed = {name: np.empty(len(examples)) for name in names}, [], np.zeros(len(assets["items"]), bool)
    predicted = np.empty(len(examples))
    for rows, found in _ranked(examples, assets, batch_size or _size(assets), makers):
        for name, scores in zip(names, found, strict=True):
            rank[name][rows] = ranking.ranks(scores, targets[rows])
        best = tops(found[0], top_k)
        listed[best] = True
        shown += list(best[: max(_SHOWN - len(shown), 0), :_LISTED])
        predicted[rows] = np.take_along_axis(found[0], np.maximum(targets[rows], 0)[:, None], 1)[:, 0]
    metrics = _of_ratings(examples, assets, catalogue, predicted, users, targets, samples)
    metrics |= _metrics(rank, users, top_k, samples)
    metrics |= {"catalogue_coverage": float(listed.mean()), "new_items": int((targets < 0).sum())}
    metrics["users"] = len(np.unique(users))
    tables = {
        "1_scores": _table(metrics, names, top_k),
        "4_examples": _examples(shown, users, positions, targets, rank["model"], assets),
    }
    hits = {name: each <= top_k for name, each in rank.items()}
    lengths = [each for each in _LENGTHS if each <= max(len(assets["items"]) // 2, top_k)]
    curves = {name: np.stack([ranking.gains(each, k).mean(0) for k in lengths], 1) for name, each in rank.items()}
    tenths = np.append(ranking.deciles(catalogue.counts), 0)[targets]
    figures = {
        "2_scores_by_length_of_the_list": lambda: ranking_plots.by_length(lengths, curves),
        "3_hits_by_popularity": lambda: ranking_plots.by_popularity(tenths, hits, top_k),
    }
    return Evaluation(metrics, tables, figures)


def _metrics(rank, users, k, samples):
    """Returns the scores of each ranking, and the differences of the first to the others."""
    names = [name.format(k=k) for name in ranking.NAMES]
    values, found = {name: ranking.gains(each, k) for name, each in rank.items()}, {}
    for kind, each in values.items():
        prefix = "" if kind == "model" else f"{kind}_"
        found |= _numbers([f"{prefix}{name}" for name in names], *ranking.mean_with_interval(each, users, samples))
    for kind, each in list(values.items())[1:]:
        differences = [f"{name}_over_{kind}" for name in names[:2]]
        less = (values["model"] - each)[:, :2]
        found |= _numbers(differences, *ranking.mean_with_interval(less, users, samples))
    return found


def _numbers(names, means, lows, highs):
    found = {}
    for name, mean, low, high in zip(names, means, lows, highs, strict=True):
        found |= {name: float(mean), f"{name}_low": float(low), f"{name}_high": float(high)}
    return found


def _of_ratings(examples, assets, catalogue, predicted, users, targets, samples):
    """Returns RMSE and MAE of ratings with their intervals over users, and those of the floors; nothing of clicks."""
    if assets["feedback"] != "ratings":
        return {}
    known = targets >= 0
    if not known.any():
        return {"rmse": 0.0, "mae": 0.0}
    true, owner = examples.extra("rating")[known], users[known]
    rated = {"": predicted[known] * assets["deviation"] + assets["mean"]}
    rated |= rating_floors(catalogue, owner, targets[known])
    found = {}
    for name, each in rated.items():
        error = each - true
        found[f"rmse{name}"] = float(np.sqrt(np.mean(error**2)))
        if not name:
            _, own = np.unique(owner, return_inverse=True)
            sums = np.zeros((own.max() + 1, 3))
            np.add.at(sums, own, np.stack([np.ones(len(error)), error**2, np.abs(error)], 1))
            low, high = bootstrap(sums, _rmse_and_mae, samples)
            found |= {"rmse_low": float(low[0]), "rmse_high": float(high[0]), "mae": float(np.abs(error).mean())}
            found |= {"mae_low": float(low[1]), "mae_high": float(high[1])}
    return found


def _rmse_and_mae(sums):
    return np.stack([np.sqrt(sums[:, 1] / sums[:, 0]), sums[:, 2] / sums[:, 0]], 1)


def _table(metrics, names, k):
    """Returns the scores of each ranking side by side."""
    scores = [name.format(k=k) for name in ranking.NAMES]
    rows = []
    for kind in names:
        prefix = "" if kind == "model" else f"{kind}_"
        row = {"ranked by": kind if kind != "neighbours" else "item neighbours"}
        for name in scores:
            row[label(name)] = metrics[f"{prefix}{name}"]
        for name in scores[:2]:
            key = f"{name}_over_{kind}"
            ends = [metrics[f"{key}{end}"] for end in ("", "_low", "_high")] if kind != "model" else []
            row[f"model's {label(name)} is more by"] = "{:+.4f} ({:+.4f} to {:+.4f})".format(*ends) if ends else ""
        rows.append(row)
    return pd.DataFrame(rows)


def _examples(shown, users, positions, targets, rank, assets):
    """Returns a table of histories, what was recommended after each, and what came."""
    rows = []
    for number, best in enumerate(shown):
        before = [each for each in assets["histories"][users[number]][: positions[number]] if each > 0][-_HISTORY:]
        came = title(assets, targets[number] + 1) if targets[number] >= 0 else "(an item that training does not have)"
        rows.append(
            {
                "user": assets["users"][users[number]],
                "took last": ", ".join(title(assets, each) for each in before),
                "recommended": ", ".join(title(assets, each + 1) for each in best),
                "took then": came,
                "rank": f"{rank[number]:g}" if np.isfinite(rank[number]) else "none",
            }
        )
    return pd.DataFrame(rows)


def task():
    """Returns the `Task` of recommendation."""
    return Task(
        monitors={"val_ndcg": "max", "val_hit_rate": "max", "val_rmse": "min", "val_loss": "min"},
        evaluate=evaluate,
        predict=predict,
        validate=validate,
        show=show,
        inputs="text",
        usage="--user USER",
        instead=("user", "item"),
        baseline=of_baseline,
        served={"n": 1000, "seen": None},
    )
