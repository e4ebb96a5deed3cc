"""Splits of a data set: training, validation and test examples, and which example belongs to which."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from kit.data.examples import Examples
from kit.data.split_names import SPLITS
from kit.errors import KitError, SettingError, check

_SAVED = (*SPLITS, "left out")  # of an earlier run


@dataclasses.dataclass
class Splits:
    """A data set ready for training.

    Args:
        train: Examples that weights are fitted to.
        validation: Examples that early stopping and the choice of the best epoch look at.
        test: Examples that are read once, after training; nothing is chosen on them.
        facts: What a builder needs to know of the data: its parameters without a default.
        assets: What prediction needs beside the model, such as class names; plain JSON values.
        assignment: Table with columns `example`, `split` and perhaps `label`: which example went where.
        settings: Settings of `[data]` that were resolved on the way, such as a path made absolute.
        monitors: Those of the recipe's monitors that this data allows, the default first; None allows all.
        unlabelled: More training examples, whose labels are not to be used; or None.
        keep: Function of a run's folder of assets that keeps there, or brings back, what scoring needs beside the
            assets; or None.
        files: `kit.data.source_files.SourceFiles` that the examples were read from, where their names do not tell the
            content; or None.
        overlap: How many examples are equal to one of another split or class, by what is counted; see
            `kit.data.overlap`.
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


@dataclasses.dataclass(frozen=True)
class Kept:
    """Saved division and assets of an earlier or unfinished run, so that neither is drawn or learned again.

    Args:
        assignment: Table of `assign`.
        assets: Its assets, among them what was learned from its training examples, such as tokens.
        files: Path of the fingerprint of its files, see `kit.data.source_files`; or None.
    """

    assignment: pd.DataFrame
    assets: dict = dataclasses.field(default_factory=dict)
    files: Path | None = None


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
    groups = (order[labels[order] == label] for label in np.unique(labels))
    rows = np.concatenate([group[: max(1, round(share * len(group)))] for group in groups])
    return examples.take(np.sort(rows))


def assign(names, given, division, saved, *, labels=None, class_names=None):
    """Decides which example belongs to which split.

    Args:
        names: Name of each example, (examples,).
        given: Split that the source itself prescribes for each example: "train", "validation" or "test"; None where it
            prescribes none. A split that is missing is taken from the training examples.
        division: `Division`: the shares of the splits, and the seed of the draw.
        saved: `Kept` of an earlier run, whose assignment is used again instead of a new draw; or None.
        labels: Class of each example, (examples,), to draw the same share of every class; or None.
        class_names: Name of each class, with `labels`.

    Returns:
        Table with columns `example`, `split` and, with labels, `label`.

    Raises:
        KitError: a class has too few examples, or the examples are not those of the saved assignment.
        SettingError: a fraction is out of range.
    """
    from sklearn.model_selection import train_test_split

    if saved is not None:
        saved = saved.assignment
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
    split = np.full(len(names), "train", dtype=object)
    if given is not None:
        split[:] = given
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
        if labels is not None:
            counts = np.bincount(labels[rows], minlength=len(class_names))
            scarce = int(np.argmin(counts))
            if counts[scarce] < missing:
                raise KitError(
                    f"class {class_names[scarce]!r} has {counts[scarce]} images to divide; expected at least "
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
    table = pd.DataFrame({"example": names, "split": split})
    return table if labels is None else table.assign(label=labels)
