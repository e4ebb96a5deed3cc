"""Feature selection: which columns of a table are worth keeping: variance, mutual information, permutation, search.

All is learned of the training rows; permutation importance is measured on the validation rows, as early stopping is.
"""

import dataclasses
import logging
from typing import Literal

import numpy as np

from kit.data.findings import Finding, some
from kit.errors import check

log = logging.getLogger("kit")

_ROWS = 10_000
_SEQUENTIAL_ROWS = 2_000
_REPEATS = 5


@dataclasses.dataclass(frozen=True)
class SelectionOptions:
    """Which columns are kept.

    Args:
        select: "variance" leaves out columns of which nearly all values are equal; "mutual_information" those that tell
            no more of the answer than a shuffled column does; "permutation" those without which gradient boosting
            answers the validation rows no worse; "sequential" adds the column that helps a linear model most, one after
            the other. "none" keeps all.
        select_count: Number of columns that are kept; 0 goes by what each tells. "sequential" keeps half by default.

    Raises:
        SettingError: a number below 0.
    """

    select: Literal["none", "variance", "mutual_information", "permutation", "sequential"] = "none"
    select_count: int = 0

    def __post_init__(self):
        check(self.select_count >= 0, "select_count", self.select_count, "at least 0")
        fits = self.select != "none" or not self.select_count
        check(fits, "select_count", self.select_count, "0 with data.select=none")


def selected(columns, target, kind, options, held_out):
    """Returns how much each column is worth, and the names of those that are kept.

    Args:
        columns: Name of each column to its values as numbers, (rows, values), of training and validation rows.
        target: Class or number of each row; of several labels (rows, labels).
        kind: "label", "labels" or "number".
        options: `SelectionOptions`.
        held_out: Whether each row is of the validation split, (rows,).

    Returns:
        Dictionary from name to worth, the best first, and the list of names, sorted.
    """
    check(options.select_count <= len(columns), "select_count", options.select_count, f"at most {len(columns)} columns")
    names = sorted(columns)
    if kind == "labels":
        target = np.unique(target, axis=0, return_inverse=True)[1].ravel()
    train = np.flatnonzero(~held_out)
    train = np.sort(np.random.default_rng(0).permutation(train)[:_ROWS])
    own, kind = target[train], "label" if kind == "labels" else kind
    values = {name: columns[name][train] for name in names}
    if options.select == "variance":
        worth = {name: 1 - _share_of_commonest(values[name]) for name in names}
        least = 0.005
    elif options.select == "mutual_information":
        worth, least = _mutual_information(values, own, kind)
    elif options.select == "permutation":
        rows = np.flatnonzero(held_out)
        worth = _permuted(values, own, {name: columns[name][rows] for name in names}, target[rows], kind)
        least = 0.0
    else:
        worth = _sequential(values, own, kind, options.select_count or max(len(names) // 2, 1))
        least = 0.0
    ranked = sorted(names, key=lambda name: (-worth[name], name))
    kept = [name for name in ranked if worth[name] > least] or ranked[:1]
    if options.select_count:
        kept = ranked[: options.select_count]
    dropped = [name for name in ranked if name not in kept]
    without = f", without {some(dropped, 10)}" if dropped else ""
    log.info("data.select=%s: %d of %d columns are kept%s", options.select, len(kept), len(names), without)
    return {name: float(worth[name]) for name in ranked}, sorted(kept)


def finding(worth, kept, options):
    """Returns a finding on what was dropped, and why."""
    dropped = [name for name in worth if name not in kept]
    if not dropped:
        return []
    return [
        Finding(
            "columns_dropped",
            "note",
            f"data.select={options.select} drops {len(dropped)} of {len(worth)} columns: {some(dropped, 8)}",
            "data.select=none keeps them; data.select_count says how many are kept",
            len(dropped),
            [{"column": name, "worth": worth[name], "kept": name in kept} for name in worth],
        )
    ]


def _share_of_commonest(values):
    _, counts = np.unique(np.round(values, 6), axis=0, return_counts=True)
    return counts.max() / len(values)


def _mutual_information(values, target, kind):
    """Returns what each column tells of the answer, in nats, and what the best of shuffled ones would."""
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    score = mutual_info_classif if kind == "label" else mutual_info_regression
    rows = np.random.default_rng(0).permutation(len(target))[:5000]
    shuffled = np.random.default_rng(1).permutation(target[rows])

    def told(answers):
        return {
            name: float(np.max(score(each[rows], answers, discrete_features=_is_discrete(each), random_state=0)))
            for name, each in values.items()
        }

    chance = told(shuffled)
    return told(target[rows]), max(max(chance.values()), 1e-4)


def _is_discrete(values):
    return len(np.unique(values)) <= 20


def _permuted(values, target, held_out, answers, kind):
    """Returns how much worse gradient boosting answers held-out rows when a column is shuffled, less its spread."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    make = HistGradientBoostingClassifier if kind == "label" else HistGradientBoostingRegressor
    names = list(values)
    model = make(random_state=0).fit(np.concatenate([values[name] for name in names], 1), target)
    parts = [held_out[name] for name in names]
    before = model.score(np.concatenate(parts, 1), answers)
    random, worth = np.random.default_rng(0), {}
    for place, name in enumerate(names):
        losses = []
        for _ in range(_REPEATS):
            order = random.permutation(len(answers))
            changed = [part[order] if row == place else part for row, part in enumerate(parts)]
            losses.append(before - model.score(np.concatenate(changed, 1), answers))
        worth[name] = np.mean(losses) - np.std(losses)
    return worth


def _sequential(values, target, kind, count):
    """Returns a worth that falls in the order in which a linear model gains most from each further column."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import cross_val_score

    rows = np.random.default_rng(0).permutation(len(target))[:_SEQUENTIAL_ROWS]
    model = LogisticRegression(max_iter=200) if kind == "label" else Ridge()
    worth, chosen, left = {}, [], list(values)
    while left and len(chosen) < count:
        scores = {}
        for name in left:
            together = np.concatenate([values[each][rows] for each in (*chosen, name)], 1)
            scores[name] = cross_val_score(model, together, target[rows], cv=3).mean()
        best = max(left, key=lambda name: (scores[name], name))
        chosen.append(best)
        left.remove(best)
        worth[best] = float(count - len(chosen) + 1)
    return worth | dict.fromkeys(left, 0.0)
