"""Recommendations of a finished run: the best items for users, and items that are like others."""

import logging
from pathlib import Path
from typing import Literal

import keras
import numpy as np
import pandas as pd
from jsonargparse.typing import PositiveInt

from kit import backend
from kit.data.histories import history_row
from kit.data.text_inputs import read_lines
from kit.errors import KitError, check, guess, shown

log = logging.getLogger("kit")

_COLUMNS = ["input", "rank", "item", "title", "score", "by"]
_CHUNK = 64  # users in a call


def title(assets, number):
    """Returns the title of an item, or its name where it has none; numbers are from 1."""
    return (assets["titles"] or assets["items"])[number - 1]


def tops(scores, count):
    """Returns the columns of the highest scores of each row, the best first, (rows, count)."""
    count = min(count, scores.shape[1])
    found = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    own = np.take_along_axis(scores, found, 1)
    order = np.lexsort((found, -own), axis=1)  # equal scores in the order of the items
    return np.take_along_axis(found, order, 1)


def predict(
    model,
    inputs,
    assets,
    *,
    user: str | int | tuple[str | int, ...] | None = None,
    item: str | int | tuple[str | int, ...] | None = None,
    n: PositiveInt = 10,
    seen: bool = False,
    unknown: Literal["error", "popularity"] = "error",
):
    """Recommends items to users, or finds items that are like others.

    Args:
        model: The network.
        inputs: Names of users, or files with one in each line; or None where `user` or `item` says it.
        assets: The assets of the data that the model was trained on.
        user: Users, with commas between several.
        item: Items, to which those with the most similar vectors are found, by the cosine.
        n: Number of items for each.
        seen: Recommend what a user has taken before, too.
        unknown: A user whom training does not have is an "error", or is recommended the most popular items.

    Returns:
        Table with a row a recommendation: `input`, the user or item, `rank`, `item`, `title` (its name where it has
        none), `score` (a predicted rating, or what is only compared), and `by` what it was ranked.

    Raises:
        KitError: an unknown user or item, or none.
    """
    check(n <= len(assets["items"]), "n", n, f"at most the {len(assets['items']):,} items of the catalogue")
    users = [*_lines(inputs), *_names(user)]
    items = _names(item)
    if not users and not items:
        raise KitError("inputs: no users; expected names of users, or predict.user or predict.item")
    rows = _similar(model, items, assets, n) if items else []
    numbers = {name: number for number, name in enumerate(assets["users"])}
    if unknown == "error":
        for name, place in users:
            if name not in numbers:
                raise KitError(
                    f"{place}: unknown user {shown(name)}; expected one of the {len(numbers):,} of the training"
                    f"{guess(name, numbers)} (predict.unknown=popularity answers others)"
                )
    known = [name for name, _ in users if name in numbers]
    best = {}
    for start in range(0, len(known), _CHUNK):
        part = known[start : start + _CHUNK]
        for name, scores in zip(part, _scores(model, [numbers[each] for each in part], assets, seen), strict=True):
            best[name] = scores
    strangers = [name for name, _ in users if name not in numbers]
    if strangers:
        log.warning("%s: not in training; the most popular items are recommended", ", ".join(strangers[:5]))
    popular = np.array(assets["counts"], "float64")
    for name, _ in users:
        scores, by = (best[name], "model") if name in best else (popular, "popularity")
        rows += _rows(name, scores, n, assets, by)
    return pd.DataFrame(rows, columns=_COLUMNS)


def _lines(inputs):
    """Returns the lines of what was given with where each stands."""
    if inputs is None:
        return []
    given = [inputs] if isinstance(inputs, str | int | np.integer | Path) else inputs
    if isinstance(given, list | tuple | np.ndarray):
        given = [str(each) if isinstance(each, int | np.integer) else each for each in given]
    lines = zip(*read_lines(given), strict=True)
    return [(line.strip(), place) for line, place in lines if line.strip()]


def _names(asked):
    """Returns names that a setting says, each with where it stands."""
    parts = asked if isinstance(asked, tuple | list) else [] if asked is None else str(asked).split(",")
    return [(str(part).strip(), "predict") for part in parts if str(part).strip()]


def _scores(model, users, assets, seen):
    """Returns the scores of all items for rows of users, minus infinity for what each has taken."""
    length = assets["max_length"]
    histories = [assets["histories"][user] for user in users]
    inputs = {
        "user": np.array(users, "int32") + 1,
        "history": np.stack([history_row(own, len(assets["items"]) + 1, length) for own in histories]),
    }
    scores = np.asarray(backend.predict_on_batch(model, inputs), "float64")
    if assets["feedback"] == "ratings":
        scores = scores * assets["deviation"] + assets["mean"]
    if not seen:
        for row, own in enumerate(histories):
            own = np.asarray(own, int)
            scores[row, own[own > 0] - 1] = -np.inf
    return scores


def _rows(name, scores, n, assets, by):
    best = [row for row in tops(scores[None], n)[0] if np.isfinite(scores[row])]
    if len(best) < n:
        log.warning("%s: %d of %d wanted, since all others are taken (predict.seen)", name, len(best), n)
    return [
        {"input": name, "rank": rank, "item": assets["items"][row], "title": title(assets, row + 1), "by": by}
        | {"score": float(scores[row])}
        for rank, row in enumerate(best, 1)
    ]


def _similar(model, items, assets, n):
    """Returns rows of the items whose vectors are nearest to those of others."""
    numbers, rows = {name: number for number, name in enumerate(assets["items"])}, []
    inputs = {"user": np.ones(1, "int32"), "history": np.zeros((1, assets["max_length"]), "int32")}
    of_items = keras.Model(model.input, model.get_layer("item_vectors").output)
    vectors = keras.ops.convert_to_numpy(of_items(inputs, training=False)).astype("float64")
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    for name, place in items:
        if name not in numbers:
            hint = guess(name, numbers)
            raise KitError(
                f"{place}: unknown item {shown(name)}; expected one of the {len(numbers):,} of the training{hint}"
            )
        cosines = vectors @ vectors[numbers[name]]
        cosines[numbers[name]] = -np.inf
        rows += _rows(name, cosines, n, assets, "cosine")
    return rows


def show(predictions, is_terminal):
    """Returns the recommendations of each input as a list."""
    blocks = []
    for (name, by), rows in predictions.groupby(["input", "by"], sort=False):
        what = {"cosine": f"like item {name}", "model": f"for user {name}"}.get(
            by, f"for user {name}, who is unknown: popular"
        )
        lines = [
            f"{row.rank:4d}  {row.score:8.3f}  {row.title}" + (f"  [{row.item}]" if row.title != row.item else "")
            for row in rows.itertuples()
        ]
        blocks.append("\n".join([what, *lines]))
    return "\n".join(blocks)
