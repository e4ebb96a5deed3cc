"""Interactions of users with items: where they are, in which order, and which of them are held out."""

import dataclasses
import logging
import zlib
from typing import Literal

import numpy as np
import pandas as pd

from kit.data import sources
from kit.data.sources import generated_tastes
from kit.errors import KitError, SettingError, check
from kit.files import as_path

log = logging.getLogger("kit")

_LEAST = 3  # interactions of a user of whom one is held out to validate, and one to test


@dataclasses.dataclass(frozen=True)
class InteractionSource:
    """Where interactions are, and in which columns.

    Args:
        source: `tastes` (generated tastes), a .csv, .tsv, .jsonl or .parquet file with columns of users and items, or a
            folder with ratings.csv and perhaps movies.csv or items.csv, and users.csv, as MovieLens has them. In Python
            also a list of (user, item), (user, item, rating) or (user, item, rating, time), or a table of pandas.
        user: Column of the users: its name, or its number from 1; by default a usual name such as user or userId.
        item: Column of the items; by default a usual name such as item or movieId.
        rating: Column of the ratings; by default a usual name such as rating or stars, where there is one.
        time: Column of the times, numbers or ISO dates; by default a usual name such as timestamp, where there is one.
        items: Table of what is known of the items, a row each: its name, perhaps a title, categories such as
            `Action|Comedy`, and numbers. By default that of a folder.
        users: The same of the users.
        feedback: "clicks": that a user took an item is all that counts, and what comes next is ranked; "ratings": the
            ratings are predicted. "auto" predicts ratings where there are different ones, but of generated tastes.
        duplicates: What becomes of an item that a user has taken before: the "last" time counts, or it is an "error".
        num_users: Number of generated users; 600 by default.
        num_items: Number of generated items; 300 by default.
    """

    source: str = "tastes"
    user: int | str | None = None
    item: int | str | None = None
    rating: int | str | None = None
    time: int | str | None = None
    items: str | None = None
    users: str | None = None
    feedback: Literal["auto", "clicks", "ratings"] = "auto"
    duplicates: Literal["last", "error"] = "last"
    num_users: int | None = None
    num_items: int | None = None

    def read(self, seed):
        """Returns `Ordered` interactions, and the settings that were resolved on the way, such as paths.

        Args:
            seed: Seed of generated tastes.

        Raises:
            KitError: a file that cannot be used; the message names it and the row.
            SettingError: a setting that does not go with the source.
        """
        module, origin = sources.find(self.source, "interactions")
        settings = {"source": str(origin)}
        columns = {name: getattr(self, name) for name in ("user", "item", "rating", "time")}
        counts = {name: getattr(self, name) for name in ("num_users", "num_items")}
        if module is generated_tastes:
            for key in (*columns, "items", "users"):
                check(getattr(self, key) is None, key, getattr(self, key), "none of generated tastes")
            found = module.read(origin, seed=seed, **{key: value for key, value in counts.items() if value is not None})
            log.info("%s: the users, items and tastes are generated, see data.source for data of your own", origin)
        else:
            for key, value in counts.items():
                check(value is None, key, value, "none where tastes are not generated")
            tables = {name: getattr(self, name) for name in ("items", "users")}
            tables = {name: None if path is None else _file(path, name) for name, path in tables.items()}
            settings |= {name: str(path) for name, path in tables.items() if path is not None}
            found = module.read(origin, **columns, **tables)
        feedback = "clicks" if module is generated_tastes and self.feedback == "auto" else self.feedback
        name = getattr(origin, "name", origin if isinstance(origin, str) else "data")
        return _ordered(found, name, feedback, self.duplicates), settings


def _file(path, key):
    path = as_path(path, key)
    check(path.is_file(), key, str(path), "a table of features")
    return path.resolve()


@dataclasses.dataclass(frozen=True)
class InteractionDivision:
    """How interactions are divided into training, validation and test split; none looks at a later one.

    Args:
        division: "last_out": the last interaction of each user is for test, the one before for validation, of users
            with three or more; equal times are in the order of the source, and so is all that has no times. "time": the
            latest interactions of all are for test, those before them for validation.
        validation_fraction: Share of the interactions that validate, of "time".
        test_fraction: Share of the interactions that test, of "time".
        split_seed: Seed of generated tastes; `--seed` leaves them as they are.

    Raises:
        SettingError: a value out of range.
    """

    division: Literal["last_out", "time"] = "last_out"
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    split_seed: int = 0

    def __post_init__(self):
        check(0 <= self.split_seed < 2**31, "split_seed", self.split_seed, "a whole number from 0 to 2147483647")
        for key in ("validation_fraction", "test_fraction"):
            check(0 < getattr(self, key) < 0.5, key, getattr(self, key), "a share between 0 and 0.5")

    def divide(self, found):
        """Returns the split of each interaction: "train", "validation", "test", or "unused".

        Args:
            found: `Ordered` interactions.

        Raises:
            KitError: there is nothing to hold out; the message says why.
        """
        return self._last_out(found) if self.division == "last_out" else self._by_time(found)

    def _last_out(self, found):
        split = np.full(len(found.users), "train", dtype=object)
        _, starts, counts = np.unique(found.users, return_index=True, return_counts=True)
        is_long = counts >= _LEAST
        if not is_long.any():
            raise KitError(
                f"{found.name}: no user has {_LEAST} interactions; expected some, whose last two are held out"
            )
        ends = (starts + counts)[is_long]
        split[ends - 1], split[ends - 2] = "test", "validation"
        if not is_long.all():
            log.info(
                "%s of %s users have fewer than %d interactions; all of theirs are for training",
                f"{(~is_long).sum():,}",
                f"{len(counts):,}",
                _LEAST,
            )
        return split

    def _by_time(self, found):
        if found.times is None:
            raise SettingError("division", "'time' needs a column of times (data.time); expected one, or 'last_out'")
        ends = np.quantile(found.times, [1 - self.test_fraction - self.validation_fraction, 1 - self.test_fraction])
        split = np.full(len(found.users), "train", dtype=object)
        split[found.times > ends[0]] = "validation"
        split[found.times > ends[1]] = "test"
        known = np.isin(found.users, found.users[split == "train"])
        split[~known] = "unused"
        if (~known).any():
            log.info(
                "%s users begin after the last training interaction; their %s interactions are left out",
                f"{len(np.unique(found.users[~known])):,}",
                f"{(~known).sum():,}",
            )
        for name in ("train", "validation", "test"):
            if not (split == name).any():
                raise KitError(
                    f"{found.name}: no interactions of known users are left for the {name} split; expected times that "
                    "data.validation_fraction and data.test_fraction divide"
                )
        return split


@dataclasses.dataclass
class Ordered:
    """Interactions user by user, each user's from the earliest to the latest, none of them twice.

    Args:
        name: What the source is called in messages.
        users, items: Names of user and item of each, (interactions,).
        ratings: Its rating, (interactions,); None where that a user took an item is all that counts.
        times: When it was, as a number, (interactions,), or None.
        item_table, user_table: Tables of features, see `kit.data.sources.interaction_tables.Interactions`.
    """

    name: str
    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray | None
    times: np.ndarray | None
    item_table: pd.DataFrame | None = None
    user_table: pd.DataFrame | None = None

    @property
    def names(self):
        """Name of each interaction, with a check sum of what it is."""
        rows = zip(
            *(each for each in (self.users, self.items, self.ratings, self.times) if each is not None), strict=True
        )
        return [
            f"{row[0]} {row[1]} {zlib.crc32(chr(9).join(map(str, row)).encode('utf-8', 'replace')):08x}" for row in rows
        ]


def _ordered(found, name, feedback, duplicates):
    """Returns `Ordered` interactions of a source, checked."""
    for values, noun in ((found.users, "user"), (found.items, "item")):
        if (values == values[0]).all():
            raise KitError(f"{name}: one {noun} alone, {str(values[0])!r}; expected several")
    frame = pd.DataFrame({"user": found.users, "item": found.items})
    frame["time"] = 0.0 if found.times is None else found.times
    frame["rating"] = 0.0 if found.ratings is None else found.ratings
    frame = frame.sort_values(["user", "time"], kind="stable")  # equal times as they stand in the source
    twice = frame.duplicated(["user", "item"], keep="last").to_numpy()
    if twice.any():
        if duplicates == "error":
            again = frame.index[frame.duplicated(["user", "item"], keep="first").to_numpy()].min()
            user, item = frame.loc[again, ["user", "item"]]
            raise KitError(
                f"{found.places[again]}: user {user!r} and item {item!r} stand there a second time; expected each pair "
                "once (data.duplicates=last keeps the last)"
            )
        log.info("%s interactions are of a user with an item a second time; the last one counts", f"{twice.sum():,}")
        frame = frame[~twice]
    ties = int(frame.duplicated(["user", "time"]).sum())
    if found.times is None:
        log.info("%s: no times; each user's interactions are in the order of the source", name)
    elif ties:
        log.info(
            "%s of %s interactions have the time of one before of the same user; these are in the order of the source",
            f"{ties:,}",
            f"{len(frame):,}",
        )
    ratings = _feedback(found.ratings, feedback, name)
    return Ordered(
        name,
        frame["user"].to_numpy(object),
        frame["item"].to_numpy(object),
        frame["rating"].to_numpy() if ratings else None,
        None if found.times is None else frame["time"].to_numpy(),
        found.item_table,
        found.user_table,
    )


def _feedback(ratings, asked, name):
    """Returns whether ratings are to be predicted; the log says so where it was not told."""
    differ = ratings is not None and len(np.unique(ratings)) > 1
    if asked == "ratings":
        check(
            differ, "feedback", asked, f"'clicks', since {name} has no different ratings (data.rating names a column)"
        )
    if asked != "auto":
        return asked == "ratings"
    reason = "there are ratings; data.feedback=clicks ranks what comes next" if differ else "there are no ratings"
    log.info("data.feedback=auto: %s (%s)", "ratings" if differ else "clicks", reason)
    return differ
