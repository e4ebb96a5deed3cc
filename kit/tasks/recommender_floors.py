"""Simple recommenders beside a network: popularity and item neighbours of rankings, means and biases of ratings."""

import dataclasses
import functools
import logging
import time
import zlib

import numpy as np

from kit.scoring import ranking

log = logging.getLogger("kit")

FLOORS = ("popularity", "neighbours")
_LATEST = {}  # the catalogue that was asked for last, whose neighbours take seconds


@dataclasses.dataclass
class Catalogue:
    """Catalogue of items and users' histories in training, for the baselines: popularity and nearest neighbours.

    Args:
        histories: Numbers of each user's items in order, arrays; 0 is an item that training does not have.
        trained: How many of each, the first ones, are for training.
        ratings: Ratings of each user's training interactions, arrays; or None.
        num_items: Number of items.
    """

    histories: list
    trained: list
    ratings: list | None
    num_items: int

    @classmethod
    def of(cls, assets, is_new=False):
        """Returns the catalogue of the assets of a run; the same one again for the same, unless it is to be new."""
        histories = [np.asarray(own, "int64") for own in assets["histories"]]
        key = zlib.crc32(np.concatenate([*histories, np.asarray(assets["trained"])]).tobytes()), assets["feedback"]
        if is_new or key not in _LATEST:
            ratings = assets.get("ratings")
            made = cls(histories, assets["trained"], ratings, len(assets["items"]))
            _LATEST.clear()
            _LATEST[key] = made
        return _LATEST[key]

    @functools.cached_property
    def taken(self):
        """Which user has taken which item in training, a sparse matrix (users, items)."""
        return ranking.matrix(
            [own[:count] for own, count in zip(self.histories, self.trained, strict=True)], self.num_items
        )

    @functools.cached_property
    def counts(self):
        """How many users have taken each item in training, (items,)."""
        return ranking.popularity(self.taken)

    @functools.cached_property
    def neighbours(self):
        """Cosines of each item with its nearest ones, a sparse matrix (items, items)."""
        return ranking.neighbours(self.taken)

    @functools.cached_property
    def biases(self):
        """Mean of the ratings of training, and the biases of items and users."""
        items = np.concatenate([own[:count] for own, count in zip(self.histories, self.trained, strict=True)]) - 1
        users = np.repeat(np.arange(len(self.trained)), self.trained)
        ratings = np.concatenate([np.asarray(own, "float64") for own in self.ratings])
        return ranking.biases(ratings, items, users, self.num_items, len(self.trained))


def floor_scores(name, catalogue, users, positions):
    """Returns the scores of all items by a simple rule, (rows, items).

    Args:
        name: "popularity", how many users have taken an item; or "neighbours", the sum of its cosines with what a user
            has taken so far, equal ones by popularity.
        catalogue: `Catalogue`.
        users, positions: Row of the user, and place in that user's history, of each row.
    """
    popular = np.tile(catalogue.counts.astype("float64"), (len(users), 1))
    if name == "popularity":
        return popular
    before = [catalogue.histories[user][:position] for user, position in zip(users, positions, strict=True)]
    own = ranking.matrix([each[each > 0] for each in before], catalogue.num_items)
    return np.asarray((own @ catalogue.neighbours).todense()) + 1e-6 * popular / catalogue.counts.max()


def rating_floors(catalogue, users, items):
    """Returns the ratings by the mean of training, and by it with the biases of item and user, by the floor's name."""
    mean, of_items, of_users = catalogue.biases
    return {"_of_mean": np.full(len(users), mean), "_of_biases": mean + of_items[items] + of_users[users]}


def of_baseline(splits, settings, seconds):
    """Returns the scores of item neighbours on the test split with the CPU-seconds that they take.

    Args:
        splits: `Splits` of interactions.
        settings: Settings of `[evaluate]`.
        seconds: CPU-seconds of the network's training.
    """
    if not settings.get("neighbours"):
        return None
    began, test, k = time.process_time(), splits.test, settings["top_k"]
    catalogue = Catalogue.of(splits.assets, is_new=True)
    users, positions, targets = test.input("user") - 1, test.extra("position"), test.extra("item") - 1
    ranks = []
    for rows in np.array_split(np.arange(len(test)), max(1, len(test) // 64)):
        scores = floor_scores("neighbours", catalogue, users[rows], positions[rows])
        for number, row in enumerate(rows):
            own = catalogue.histories[users[row]][: positions[row]]
            scores[number, own[own > 0] - 1] = -np.inf
        ranks.append(ranking.ranks(scores, targets[rows]))
    spent = time.process_time() - began
    values = ranking.gains(np.concatenate(ranks), k)
    log.info(
        "beside it: item nearest neighbours took %.1f CPU-seconds; their scores are among those of the test", spent
    )
    found = {"name": "item nearest neighbours"}
    ends = ranking.mean_with_interval(values, users, settings["bootstrap_samples"])
    for name, mean, low, high in zip(ranking.NAMES, *ends, strict=True):
        name = name.format(k=k)
        found |= {name: float(mean), f"{name}_low": float(low), f"{name}_high": float(high)}
    return {**found, "cpu_seconds": round(spent, 2)}
