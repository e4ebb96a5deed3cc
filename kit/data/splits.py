"""Splits of a data set: training, validation and test examples, and which example belongs to which."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from kit.data import draws, split_rule
from kit.data.examples import Examples
from kit.data.split_columns import check_groups_have_one_time, check_later, check_whole, groups_of, times_of
from kit.data.split_lists import listed
from kit.data.split_names import SPLITS, UNUSED
from kit.errors import KitError, SettingError, check

log = logging.getLogger("kit")

_SAVED = (*SPLITS, "left out", UNUSED)  # of an earlier run


@dataclasses.dataclass
class Splits:
    """A data set ready for training.

    Args:
        train: Examples that weights are fitted to.
        validation: Examples that early stopping and the choice of the best epoch look at.
        test: Examples that are read once, after training; nothing is chosen on them.
        facts: What a builder needs to know of the data: its parameters without a default.
        assets: What prediction needs beside the model, such as class names; plain JSON values.
        assignment: Table with columns `example`, `split` and perhaps `label`, `group` and `time`: which example went
            where.
        settings: Settings of `[data]` that were resolved on the way, such as a path made absolute.
        monitors: Those of the recipe's monitors that this data allows, the default first; None allows all.
        unlabelled: More training examples, whose labels are not to be used; or None.
        keep: Function of a run's folder of assets that keeps there, or brings back, what scoring needs beside the
            assets; or None.
        files: `kit.data.source_files.SourceFiles` that the examples were read from, where their names do not tell the
            content; or None.
        overlap: How many examples are equal to one of another split or class, by what is counted; see
            `kit.data.overlap`.
        findings: What else was found in the data while they were read, `kit.data.findings.Finding`.
    """

    train: Examples
    validation: Examples
    test: Examples
    facts: dict
    assets: dict
    assignment: pd.DataFrame
    settings: dict = dataclasses.field(default_factory=dict)
    monitors: tuple | None = None
    unlabelled: Examples | None = None
    keep: Callable | None = None
    files: object = None
    overlap: dict = dataclasses.field(default_factory=dict)
    findings: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Kept:
    """Saved division and assets of an earlier or unfinished run, so that neither is drawn or learned again.

    Args:
        assignment: Table of `assign`.
        assets: Its assets, among them what was learned from its training examples, such as tokens.
        files: Path of the fingerprint of its files, see `kit.data.source_files`; or None.
        rule: Facts of the rule that has divided more examples than are listed, in place of the table; or None.
    """

    assignment: pd.DataFrame | None
    assets: dict = dataclasses.field(default_factory=dict)
    files: Path | None = None
    rule: dict | None = None


def divided(whole, assignment):
    """Returns the training, validation and test examples, given all of them and the table of `assign`."""
    return [whole.take(np.flatnonzero(assignment["split"] == name)) for name in SPLITS]


def share_of(examples, share, seed):
    """Returns a share of training examples, in their order: of each class as near to it as possible, one at least.

    A smaller share is part of a larger one.

    Args:
        examples: The `Examples`.
        share: The share, from 0 to 1.
        seed: Seed of the draw.
    """
    order = np.random.default_rng(seed).permutation(len(examples))
    is_labelled = "label" in getattr(examples, "targets", ())
    labels = np.asarray(examples.target("label")) if is_labelled else np.zeros(len(examples), int)
    labels = labels if labels.ndim == 1 else np.zeros(len(examples), int)  # several of an example are no class
    groups = (order[labels[order] == label] for label in np.unique(labels))
    rows = np.concatenate([group[: max(1, round(share * len(group)))] for group in groups])
    return examples.take(np.sort(rows))


@dataclasses.dataclass(frozen=True)
class Known:
    """Names and columns of examples, by which splits are drawn: groups, times, lists of names.

    Args:
        ids: Name of each example that patterns and lists of names know, such as its path, (examples,).
        columns: Name of each column of the source to its values, (examples,), None where an example has none.
    """

    ids: list
    columns: dict = dataclasses.field(default_factory=dict)


def assign(names, given, division, saved, known=None, *, labels=None, class_names=None):
    """Decides which example belongs to which split.

    Args:
        names: Name of each example, (examples,).
        given: Split that the source itself prescribes for each example: "train", "validation" or "test"; None where it
            prescribes none. A split that is missing is taken from the training examples.
        division: `Division`: the shares of the splits, the seed of the draw, and what it goes by.
        saved: `Kept` of an earlier run, whose assignment is used again instead of a new draw; or None.
        known: What the source tells of the examples: `Known`, or anything with its fields; the names alone by default.
        labels: Class of each example, (examples,), to draw the same share of every class; or None.
        class_names: Name of each class, with `labels`.

    More examples than `kit.data.split_rule.MOST_LISTED` are divided by a rule that goes by the names.

    Returns:
        Table with columns `example`, `split` and, with labels, `label`; `group` and `time` where the division goes by
        them. Beside the splits an example may be in "unused": a fold does not look at it.

    Raises:
        KitError: a class has too few examples, or the examples are not those of the saved assignment.
        SettingError: a fraction is out of range, or groups, times, lists or folds do not fit the examples.
    """
    known = known or Known(names)
    of_rule = (names, given, division, known, labels, class_names)
    if saved is not None and saved.rule is not None:
        return split_rule.again(saved.rule, *of_rule)
    if saved is not None:
        return _again(saved.assignment, names, labels)
    if split_rule.applies(len(names), division):
        return split_rule.assigned(*of_rule)
    names = list(names)
    split = np.full(len(names), "train", dtype=object)
    if division.split_files:
        split[:] = listed(division.split_files, known.ids, given, getattr(known, "left_out", ()))
    elif given is not None:
        split[:] = given
    table, groups, times = pd.DataFrame({"example": names, "split": split}), None, None
    if labels is not None:
        table["label"] = labels
    if division.group is not None:
        groups = table["group"] = groups_of(division.group, known.ids, known.columns)
    if division.time is not None:
        times, table["time"] = times_of(division.time, known.ids, known.columns)
    if division.fold is not None:
        _close(split)
    if groups is not None:
        check_whole(groups, split)
    if times is not None:
        check_later(times, table["time"], split)
        if groups is not None:
            check_groups_have_one_time(groups, times, table["time"])
            groups = None  # equal times stay together, and so do they
    of = [None if each is None else np.asarray(each) for each in (labels, groups, times)]
    if division.fold is not None:
        rows = np.flatnonzero(split == "train")
        own = [None if each is None else each[rows] for each in of]
        tested, later = draws.fold(*division.fold, len(rows), *own, class_names, division.split_seed)
        split[rows[tested]], split[rows[later]] = "test", UNUSED
    _draw(split, division, *of, class_names)
    if labels is not None and times is not None:
        _check_classes(split, labels, class_names)
    return table.assign(split=split)


def _again(saved, names, labels):
    """Returns the assignment of an earlier run, if it is one of these examples."""
    if list(saved["example"]) != list(names):
        raise KitError(
            f"the data changed since this run was started: it had {len(saved)} examples, now there are "
            f"{len(names)} or their names differ; expected the same files"
        )
    unknown = saved[~saved["split"].isin(_SAVED)]
    if len(unknown):
        name, split = unknown[["example", "split"]].iloc[0]
        raise KitError(f"assets/splits.csv: {name} is in {split!r}; expected one of {', '.join(_SAVED)}")
    if labels is not None and "label" in saved and (saved["label"].to_numpy() != labels).any():
        row = int(np.flatnonzero(saved["label"].to_numpy() != labels)[0])
        raise KitError(f"the data changed since this run was started: {names[row]} has another label")
    return saved


def _close(split):
    """Leaves the test split of a source to a run without folds, and folds the rest; changes `split`."""
    closed = split == "test"
    if closed.any():
        log.info(
            "cross-validation: the %s examples of the source's own test split are left for a run without folds",
            f"{closed.sum():,}",
        )
    split[closed], split[split == "validation"] = UNUSED, "train"


def _draw(split, division, labels, groups, times, class_names):
    """Draws the splits that are missing from the training examples; changes `split`."""
    from sklearn.model_selection import train_test_split

    for name, fraction in (
        ("test", division.test_fraction),
        ("validation", division.validation_fraction),
    ):
        is_given = (split == name).any()
        is_share = 0 < fraction < 1 or (is_given and fraction == 0)
        check(is_share, f"{name}_fraction", fraction, "a share between 0 and 1")
        if is_given:
            continue
        rows = np.flatnonzero(split == "train")
        missing = 2 if name == "validation" else 3 - int("validation" in split)
        own = np.zeros(len(rows), int) if labels is None else labels[rows]
        if times is not None:
            if name == "test" and "validation" in split:
                raise SettingError(
                    "time", "the source has a validation split and no test split, which would be later; expected both"
                )
            split[rows[draws.latest(fraction, times[rows], name, missing - 1)]] = name
            continue
        if groups is not None:
            count = len(set(groups[rows]))
            check(count >= missing, "group", division.group, f"at least {missing} groups to divide, not {count}")
            drawn = draws.grouped(fraction, own, groups[rows], class_names, division.split_seed, name, missing - 1)
            split[rows[drawn]] = name
            continue
        if labels is not None:
            counts = np.bincount(labels[rows], minlength=len(class_names))
            scarce = int(np.argmin(counts))
            if counts[scarce] < missing:
                raise KitError(
                    f"class {class_names[scarce]!r} has {counts[scarce]} examples to divide; expected at least "
                    f"{missing}, one for each split"
                )
        elif len(rows) < missing:
            raise KitError(f"{len(rows)} examples to divide; expected at least {missing}, one for each split")
        least = 1 if labels is None else len(class_names)
        size = max(round(fraction * len(rows)), least)
        if size > len(rows) - least:
            classes = "" if labels is None else f" on {least} classes"
            raise SettingError(
                f"{name}_fraction", f"{fraction} of {len(rows)} examples leaves too few to train{classes}"
            )
        stratify = None if labels is None else labels[rows]
        _, drawn = train_test_split(rows, test_size=size, stratify=stratify, random_state=division.split_seed)
        split[drawn] = name


def _check_classes(split, labels, class_names):
    """Raises KitError for a class that a division by time leaves no training example of."""
    for label in np.setdiff1d(labels[np.isin(split, SPLITS)], labels[split == "train"]):
        raise KitError(
            f"data.time: class {class_names[label]!r} begins after the last training example; expected each class "
            "among the earlier examples"
        )
