"""Interactions in files: a table of users and items, or a folder with ratings, items and users."""

import dataclasses
import logging
import re

import numpy as np
import pandas as pd

from kit.data.sources import tables
from kit.data.sources.text_files import plain_name
from kit.errors import KitError, SettingError, check, shown

log = logging.getLogger("kit")

LAYOUT = (
    "a .csv, .tsv, .jsonl or .parquet file with columns of users and items, or a folder with ratings.csv and perhaps "
    "movies.csv or items.csv, and users.csv"
)
_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".pq", ".arrow", ".feather", ".txt", ".xlsx")
# Names of files without their endings, and of columns without what is no letter or digit, in their order.
_FILES = {
    "ratings": ("ratings", "rating", "interactions", "clicks", "events", "reviews", "purchases", "plays"),
    "items": ("items", "movies", "films", "books", "products", "tracks", "songs", "articles", "games", "item"),
    "users": ("users", "customers", "members", "user"),
}
_COLUMNS = {
    "user": ("user", "userid", "uid", "username", "customer", "customerid", "member", "memberid", "reviewerid"),
    "item": (
        *("item", "itemid", "iid", "movie", "movieid", "film", "filmid", "product", "productid", "book", "bookid"),
        *("isbn", "asin", "track", "trackid", "song", "songid", "artist", "artistid", "article", "articleid"),
        *("game", "gameid", "newsid", "businessid"),
    ),
    "rating": ("rating", "ratings", "stars", "score", "bookrating", "overall"),
    "time": ("timestamp", "time", "date", "datetime", "unixreviewtime", "ratedat", "clickedat", "createdat"),
}


@dataclasses.dataclass
class Interactions:
    """Users' interactions with items as a source delivers them.

    Args:
        users, items: Name of the user, and of the item, of each interaction, (interactions,), texts.
        places: Where each stands, such as `ratings.csv row 12`, (interactions,).
        ratings: Its rating, (interactions,), or None.
        times: When it was, as a number, (interactions,), or None.
        item_table, user_table: Table of features whose first column, `id`, is the name of an item or user; or None.
    """

    users: np.ndarray
    items: np.ndarray
    places: list
    ratings: np.ndarray | None = None
    times: np.ndarray | None = None
    item_table: pd.DataFrame | None = None
    user_table: pd.DataFrame | None = None


def accepts(path):
    """Tells whether a path is a table, or a folder with one of ratings."""
    if path.is_dir():
        return _file_of(path, "ratings") is not None
    return plain_name(path).endswith(_ENDINGS)


def _file_of(folder, kind):
    """Returns the file of a folder whose name says what it holds, or None."""
    known = {}
    for path in sorted(folder.iterdir()):
        name = plain_name(path)
        stem, _, ending = name.rpartition(".")
        if path.is_file() and f".{ending}" in _ENDINGS:
            known.setdefault(stem, path)
    return next((known[name] for name in _FILES[kind] if name in known), None)


def read(source, *, user=None, item=None, rating=None, time=None, items=None, users=None):
    """Returns the `Interactions` of a file or folder.

    Args:
        source: Path.
        user, item, rating, time: Columns, by name or by number from 1; by default those with usual names.
        items, users: Paths of the tables of features, or None; by default those that a folder has.

    Raises:
        KitError: a file that cannot be used; the message names it, the row and what was expected.
        SettingError: there is no such column.
    """
    path, folder = source, source.is_dir()
    if folder:
        path = _file_of(source, "ratings")
        items, users = items or _file_of(source, "items"), users or _file_of(source, "users")
    found = tables.read(path, identifiers=identifiers(user, item))
    if found.split is not None:
        raise KitError(f"{path}: has a column `split`; expected none, since data.division divides interactions")
    return of_table(found, path.name, {"user": user, "item": item, "rating": rating, "time": time}, items, users)


def identifiers(*asked):
    """Returns the function that tells whether a column holds names of users or items."""
    usual = {*_COLUMNS["user"], *_COLUMNS["item"], "id"}
    return lambda name: name in asked or _plain(name) in usual


def _plain(name):
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


def of_table(found, name, asked, items=None, users=None):
    """Returns the `Interactions` of a table.

    Args:
        found: `kit.data.sources.tables.Table`.
        name: What it is called in messages.
        asked: Role to its column as a user named it, or None.
        items, users: Paths or frames of features, or None.

    Raises:
        KitError: a value that cannot be used; the message names the row.
    """
    frame = found.frame
    columns = _chosen(frame, name, asked)
    of_users, of_items = (_names(found, columns[role], role) for role in ("user", "item"))
    ratings = _ratings(found, columns["rating"]) if "rating" in columns else None
    times = _times(found, columns["time"]) if "time" in columns else None
    known = [
        features(table, key, frame_column=columns[key[:-1]]) for table, key in ((items, "items"), (users, "users"))
    ]
    return Interactions(of_users, of_items, found.places, ratings, times, *known)


def _chosen(frame, name, asked):
    """Returns the column of each role; the log says which were found by their names."""
    low, found = {}, {}
    for column in frame.columns:
        low.setdefault(_plain(column), column)
    for role, usual in _COLUMNS.items():
        if asked[role] is not None:
            found[role] = tables.column(frame, asked[role], role, f"the column of {role}s")
            continue
        known = next((low[each] for each in usual if each in low and low[each] not in found.values()), None)
        if known is not None:
            found[role] = known
    for role in ("user", "item"):
        if role not in found:
            listed = ", ".join(map(str, frame.columns))[:200]
            raise KitError(f"{name}: no column of {role}s among {listed}; data.{role} names one")
    repeated = [role for role in found if list(found.values()).count(found[role]) > 1]
    if repeated:
        raise SettingError(
            repeated[1], f"{found[repeated[0]]!r} is the column of {repeated[0]}s, too; expected another"
        )
    if any(asked[role] is None for role in found):
        told = ", ".join(f"{role} is {column}" for role, column in found.items())
        log.info("%s: %s; data.user, data.item, data.rating and data.time name others", name, told)
    return found


def _names(found, column, role):
    """Returns the names in a column as texts, none of them empty."""
    names, missing = as_names(found.frame[column])
    if missing.any():
        raise KitError(
            f"{found.places[int(np.argmax(missing))]}: {role} ({column}) is empty; expected a name or number"
        )
    return names


def as_names(values):
    """Returns names as texts (rows,), whole numbers without a point, and which of them are empty."""
    missing = values.isna().to_numpy()
    if values.dtype.kind == "f" and (values[~missing] % 1 == 0).all():
        values = values.fillna(0).astype("int64")
    names = values.astype(object).map(lambda value: str(value).strip()).to_numpy(object)
    return names, missing | (names == "")


def _ratings(found, column):
    """Returns the ratings of a column as numbers."""
    values = found.frame[column]
    numbers = pd.to_numeric(values, errors="coerce").to_numpy("float64")
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        row = int(np.argmax(wrong))
        given = "empty" if pd.isna(values.iloc[row]) else shown(str(values.iloc[row]))
        raise KitError(f"{found.places[row]}: rating ({column}) is {given}; expected a finite number")
    return numbers


def _times(found, column):
    """Returns the times of a column as numbers: they are numbers throughout, or dates."""
    values = found.frame[column]
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy("float64")
        wrong = ~np.isfinite(numbers)
    else:
        dates = pd.to_datetime(
            values, format=None if values.dtype.kind == "M" else "ISO8601", utc=True, errors="coerce"
        )
        wrong = dates.isna().to_numpy()
        numbers = dates.to_numpy("datetime64[us]").astype("int64").astype("float64")
    if wrong.any():
        row = int(np.argmax(wrong))
        given = "empty" if pd.isna(values.iloc[row]) else shown(str(values.iloc[row]))
        raise KitError(
            f"{found.places[row]}: time ({column}) is {given}; expected numbers throughout, or ISO dates such as "
            "2031-05-30 or 2031-05-30T12:00"
        )
    return numbers


def features(table, key, frame_column=None):
    """Returns a table of features with the names of items or users as its first column, `id`; or None.

    Args:
        table: Path, frame of pandas, or None.
        key: "items" or "users", for messages.
        frame_column: Name of the column of the interactions that holds the same names.

    Raises:
        KitError: a table that cannot be used, an empty name, or one that stands there twice.
    """
    if table is None:
        return None
    is_identifier = identifiers(frame_column)
    if isinstance(table, pd.DataFrame):
        frame = table.rename(columns=str).reset_index(drop=True)
        found, name = tables.joined([(None, key, frame)], key, is_identifier), key
    else:
        check(table.is_file(), key, str(table), "a table of features")
        found, name = tables.read(table, identifiers=is_identifier), table.name
    low = {_plain(column): column for column in reversed(found.frame.columns)}
    usual = (_plain(frame_column), *_COLUMNS[key[:-1]], "id")
    column = next((low[each] for each in usual if each in low), found.frame.columns[0])
    names, missing = as_names(found.frame[column])
    if missing.any():
        raise KitError(f"{found.places[int(np.argmax(missing))]}: {column} is empty; expected the name of one of {key}")
    twice = pd.Series(names).duplicated().to_numpy()
    if twice.any():
        row = int(np.argmax(twice))
        raise KitError(f"{found.places[row]}: {column} {shown(names[row])} stands there twice; expected it once")
    rest = found.frame.drop(columns=column)
    log.info(
        "%s: features of %s %s by %s: %s", name, f"{len(rest):,}", key, column, ", ".join(map(str, rest)) or "none"
    )
    frame = pd.concat([pd.Series(names, name="id", dtype=object), rest], axis=1)
    frame.attrs["name"] = name
    return frame
