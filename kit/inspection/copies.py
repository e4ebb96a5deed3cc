"""Findings on examples that are equal or nearly so: across splits, with other labels, and inside of training."""

import numpy as np

from kit.data.findings import Finding, of_total

_SHOWN = 12
# Copies of fewer of the held-out examples hardly change a score.
_MANY = 0.005
# How a copy is called, and the advice where equal ones are in one split.
_WORDS = {"equal": "equal to", "near": "nearly equal to"}


def groups_of_equal(keys):
    """Returns the row numbers of examples that are equal, a list for each kind of which there are several."""
    rows = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    return [each for each in rows.values() if len(each) > 1]


def check(
    groups, kind, split, labels, noun, *, describe, advice, other="of another class", level="problem", apart=None
):
    """Returns findings on groups of examples that are copies of each other.

    Args:
        groups: Lists of row numbers.
        kind: "equal" or "near".
        split: Name of the split of each example, (examples,).
        labels: Class of each example, or whatever is to be learned of it; or None.
        noun: What examples are called, such as "images".
        describe: Function from a row to a dictionary that shows it.
        advice: What mends copies across splits, and copies inside of training.
        other: How a copy is described that differs in its label.
        level: Level of copies across splits, where labels agree or not.
        apart: Function from a row and its group to a dictionary that shows how their labels differ; or None.

    Returns:
        List of `Finding`.
    """
    total, words, found = len(split), _WORDS[kind], []
    split = np.asarray(split, object)
    crossing = [group for group in groups if len({split[row] for row in group} & {"train", "validation", "test"}) > 1]
    held_out = [
        row
        for group in crossing
        for row in group
        if split[row] in ("validation", "test") and (_has(group, split, "train") or split[row] == "test")
    ]
    held = int(np.isin(split, ("validation", "test")).sum())
    if held_out:
        found.append(
            Finding(
                f"{kind}_across_splits",
                level if len(held_out) >= _MANY * held else "warning",
                f"{of_total(len(held_out), held, f'held-out {noun}')} are {words} one of another split",
                f"scores are better than they should be: {advice[0]}",
                len(held_out),
                _described(crossing, describe),
                _ordered(crossing, split),
            )
        )
    if labels is not None:
        torn = [group for group in groups if len({labels[row] for row in group}) > 1]
        count = sum(map(len, torn))
        if torn:
            found.append(
                Finding(
                    f"{kind}_with_other_label",
                    "problem" if kind == "equal" and level == "problem" else "warning",
                    f"{of_total(count, total, noun)} are {words} one {other}",
                    "one of the labels is wrong, or no label is right alone: look at them, and mend or remove them",
                    count,
                    _described(torn, describe, apart),
                    torn[:_SHOWN],
                )
            )
    inside = [rows for rows in ([row for row in group if split[row] == "train"] for group in groups) if len(rows) > 1]
    count = sum(len(rows) - 1 for rows in inside)
    if inside:
        found.append(
            Finding(
                f"{kind}_inside_training",
                "note",
                f"{of_total(count, int((split == 'train').sum()), f'training {noun}')} are {words} another one there",
                f"they count twice: {advice[1]}",
                count,
                _described(inside, describe),
                inside[:_SHOWN],
            )
        )
    return found


def _has(group, split, name):
    return any(split[row] == name for row in group)


def _described(groups, describe, apart=None):
    """Returns some members of some groups as dictionaries, with the number of their group."""
    return [
        {"copies": number, **describe(row), **(apart(row, group) if apart else {})}
        for number, group in enumerate(groups[:20], 1)
        for row in group[:4]
    ]


def _ordered(groups, split):
    """Returns a few groups, of each first one member of every split."""
    shown = []
    for group in groups[:_SHOWN]:
        first = {split[row]: row for row in reversed(group)}
        shown.append([*first.values(), *(row for row in group if row not in first.values())][:6])
    return shown


def joined(pairs):
    """Returns groups of rows that pairs hold together, sorted."""
    parent = {}

    def root(row):
        parent.setdefault(row, row)
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for first, second in pairs:
        parent[root(second)] = root(first)
    groups = {}
    for row in sorted(parent):
        groups.setdefault(root(row), []).append(row)
    return list(groups.values())
