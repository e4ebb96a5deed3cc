"""Histories as examples: stretches of a user's interactions, each with what came before, and items drawn beside them.

An item is a number from 1; 0 is nothing, and the number behind the last item is where a history begins.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from kit.data.columns import Dense, Shared
from kit.data.examples import Examples
from kit.errors import check

IGNORED = -1
IGNORED_RATING = -1e9


@dataclasses.dataclass(frozen=True)
class HistoryOptions:
    """How much of a history a model sees, and what an item is told from while it trains.

    Args:
        max_length: Interactions of a history that a model sees, the latest; and of an example of the training.
        negatives: Items drawn in every step, which those that were taken are told from; as many as there are items, or
            more, takes all of them.
        negative_power: Power of an item's frequency by which it is drawn: 0 draws all items alike, 1 as other users'
            items in a batch would come.

    Raises:
        SettingError: a value out of range.
    """

    max_length: int = 50
    negatives: int = 512
    negative_power: float = 0.5

    def __post_init__(self):
        check(1 <= self.max_length <= 5000, "max_length", self.max_length, "1 to 5000")
        check(1 <= self.negatives <= 10**7, "negatives", self.negatives, "1 to 10000000")
        check(0 <= self.negative_power <= 1, "negative_power", self.negative_power, "a number from 0 to 1")


class NegativeItems:
    """Draws items anew in every step, as `Examples.transform` wants it: by seed and step alone.

    Args:
        frequencies: How often each item occurs in training, (items,); number 1 is the first.
        options: `HistoryOptions`.
        seed: Seed of the draw.
    """

    def __init__(self, frequencies, options, seed):
        self.seed, self.count = seed, options.negatives
        power = np.asarray(frequencies, "float64") ** options.negative_power
        self.shares = power / power.sum()
        self.takes_all = options.negatives >= len(power)
        self.cumulative = np.cumsum(self.shares).astype("float32")

    @property
    def log_counts(self):
        """Logarithm of how often each item is expected among those drawn, (items + 2,); 0 where all are taken."""
        counts = np.zeros(len(self.shares) + 2, "float32")
        if not self.takes_all:
            counts[1:-1] = np.log(self.count * self.shares)
        return counts

    def drawn(self, step):
        """Returns the items of a step, a tensor (negatives,); all where as many are asked for."""
        if self.takes_all:
            return tf.range(1, len(self.shares) + 1, dtype=tf.int32)
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(step, tf.int64)])
        uniform = tf.random.stateless_uniform((self.count,), seed)
        found = tf.searchsorted(self.cumulative, uniform, side="right")
        return tf.minimum(found, len(self.shares) - 1) + 1

    def __call__(self, step, inputs, targets):
        """Returns a batch with the items of the step as its `pool`."""
        return {**inputs, "pool": self.drawn(step)}, targets


@dataclasses.dataclass
class Histories:
    """Each user's interactions in order, as numbers.

    Args:
        items: Number of the item of each interaction, 0 of one that training does not have, a list of arrays.
        ratings: Rating of each, in the same way; or None.
        trained: How many of each user's interactions, the first ones, are for training, (users,).
        start: Number that stands for the beginning of a history.
        max_length: Interactions of an example.
        mean, deviation: What ratings are standardised by.
    """

    items: list
    ratings: list | None
    trained: np.ndarray
    start: int
    max_length: int
    mean: float = 0.0
    deviation: float = 1.0

    def before(self, user, position):
        """Returns what a model sees of a user in front of an interaction, (max_length,), filled up at the beginning."""
        own = self.items[user][:position]
        return history_row(own, self.start, self.max_length)

    def training(self, draw, is_ranked):
        """Returns `Examples` of training: stretches of histories, of which every item is to be told.

        Args:
            draw: `NegativeItems`.
            is_ranked: Items are told from others; otherwise their ratings are.
        """
        length, rows = self.max_length, []
        for user, count in enumerate(self.trained):
            end = int(count)
            while end > 0:
                begin = max(end - length, 0)
                rows.append((user, begin, end))
                end = begin
        histories, targets = (np.zeros((len(rows), length), "int32") for _ in range(2))
        labels = np.full(
            (len(rows), length), IGNORED if is_ranked else IGNORED_RATING, "int32" if is_ranked else "float32"
        )
        for number, (user, begin, end) in enumerate(rows):
            own, size = self.items[user], end - begin
            histories[number, length - size :] = [own[begin - 1] if begin else self.start, *own[begin : end - 1]]
            targets[number, length - size :] = own[begin:end]
            labels[number, length - size :] = 0 if is_ranked else self._standard(user)[begin:end]
        users = np.array([user for user, *_ in rows])
        last = np.array([end - 1 for *_, end in rows])
        return self._examples(users, last, histories, targets, labels, draw if is_ranked else None, True)

    def held_out(self, users, positions, draw, is_ranked):
        """Returns `Examples` of interactions, one each: what was before it, and the item that came.

        Args:
            users: Row of the user of each, (examples,).
            positions: Place of each in that user's history, (examples,).
            draw, is_ranked: As for `training`; the items beside them are drawn once.
        """
        length = self.max_length
        histories, targets = (np.zeros((len(users), length), "int32") for _ in range(2))
        labels = np.full(
            (len(users), length), IGNORED if is_ranked else IGNORED_RATING, "int32" if is_ranked else "float32"
        )
        for number, (user, position) in enumerate(zip(users, positions, strict=True)):
            histories[number] = self.before(user, position)
            targets[number, -1] = self.items[user][position]
            if targets[number, -1]:
                labels[number, -1] = 0 if is_ranked else self._standard(user)[position]
        return self._examples(users, positions, histories, targets, labels, draw if is_ranked else None, False)

    def _standard(self, user):
        return (self.ratings[user] - self.mean) / self.deviation

    def _examples(self, users, positions, histories, targets, labels, draw, is_training):
        inputs = {"user": users + 1, "history": histories, "target": targets}
        inputs = {name: Dense(values.astype("int32")) for name, values in inputs.items()}
        if draw is not None:
            inputs["pool"] = Shared(draw.drawn(tf.constant(0, tf.int64)).numpy())
        extras = {"position": Dense(positions), "item": Dense(targets[:, -1])}
        if self.ratings is not None:
            rated = [self.ratings[user][place] for user, place in zip(users, positions, strict=True)]
            extras["rating"] = Dense(np.array(rated, "float64"))
        transform = draw if is_training and draw is not None and not draw.takes_all else None
        return Examples(inputs, {"label": Dense(labels)}, extras=extras, transform=transform, is_named=True)


def asked(examples):
    """Returns examples with what the network that answers takes alone, without what training tells it from."""
    inputs = {name: examples.inputs[name] for name in ("user", "history")}
    return dataclasses.replace(examples, inputs=inputs, targets={})


def history_row(items, start, max_length):
    """Returns the latest items of a history behind its beginning, (max_length,), filled up with 0 in front.

    Args:
        items: Numbers of the items, in order; 0, an item that training does not have, is left out.
        start: Number that stands for the beginning.
        max_length: Positions.
    """
    own = np.asarray(items, "int64")
    own = own[own > 0]
    row = np.zeros(max_length, "int32")
    shown = np.concatenate([[start], own])[-max_length:]
    row[max_length - len(shown) :] = shown
    return row
