"""Answers to texts: one of several classes, any number of labels, or a number, told from what a source has for them."""

import collections
import dataclasses
import logging
import re
from typing import Literal

import numpy as np

from kit.data.findings import some
from kit.errors import KitError, SettingError, check

log = logging.getLogger("kit")

SEPARATORS = (";", ",", "|")
# How an equal text is described that is answered otherwise.
OTHERS = {"label": "of another class", "labels": "with other labels", "number": "with another number"}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_MOSTLY = 0.5  # a column of which more are decimals is one of numbers, and what is none in it a mistake


@dataclasses.dataclass(frozen=True)
class AnswerOptions:
    """Kind of answer of an example: one label (classification), several (multi-label), or a number (regression).

    Args:
        answer: "label" is one of several classes, "labels" any number of labels, also none, "number" a number. "auto"
            is "labels" where the source has lists, columns of 0 and 1, or several recurring labels with a separator
            between them, "number" where most are decimals, else "label"; the log says which it is, and why.
        separator: What stands between the labels of a text; by default the one of ; , | that is found between them.

    Raises:
        SettingError: a separator of what is no list of labels.
    """

    answer: Literal["auto", "label", "labels", "number"] = "auto"
    separator: Literal[";", ",", "|"] | None = None

    def __post_init__(self):
        fits = self.separator is None or self.answer in ("auto", "labels")
        check(fits, "separator", self.separator, f"none with data.answer={self.answer}")

    @property
    def stated(self):
        """The kind that the settings ask for: what a separator is stated of are several labels."""
        return "labels" if self.separator is not None else self.answer


@dataclasses.dataclass
class Answers:
    """Targets of examples: classes, sets of labels, or numbers.

    Args:
        kind: "label", "labels" or "number".
        values: Class of each example, (examples,); whether it has each label, float32 (examples, labels); or its
            number, float64 (examples,).
        names: Name of each class or label; none of numbers.
        separator: What stands between labels where several are written as one text; None of others.
    """

    kind: str
    values: np.ndarray
    names: list = dataclasses.field(default_factory=list)
    separator: str | None = None

    @property
    def classes(self):
        """Class of each example and name of each class, by which a division is drawn; nothing of other answers."""
        return {"labels": self.values, "class_names": self.names} if self.kind == "label" else {}

    def counts(self, rows):
        """Returns how many of some examples have each class or label, given whether each is among them."""
        if self.kind == "labels":
            return self.values[rows].sum(0).astype(int)
        return np.bincount(self.values[rows], minlength=len(self.names))


def answers_of(found, options, source):
    """Returns the `Answers` of labelled texts.

    Args:
        found: `kit.data.sources.Texts`.
        options: `AnswerOptions`.
        source: Where they come from, for messages.

    Raises:
        KitError: targets that are none, or of which nothing can be learned.
        SettingError: they do not fit `data.answer` or `data.separator`.
    """
    kind, separator = options.answer, options.separator
    lists = [isinstance(target, list) for target in found.targets]
    # A text without any label is an empty list, also where others have theirs as one text.
    are_lists = all(lists) or any(isinstance(target, list) and target for target in found.targets)
    if kind == "auto":
        kind, why = _guessed(found, are_lists, separator)
        log.info("data.answer=auto: %s, since %s; data.answer states another", _WORDS[kind], why)
    if are_lists and kind != "labels":
        raise SettingError("answer", f"{source} has a list of labels of each text; expected 'labels', got {kind!r}")
    if kind == "number":
        return Answers(kind, _numbers(found, source))
    if kind == "labels":
        return _several(found, are_lists, separator, source)
    names, labels = _classes(found.targets, source)
    return Answers(kind, labels, names)


_WORDS = {"label": "one label", "labels": "several labels", "number": "a number"}


def _guessed(found, are_lists, separator):
    """Returns what kind of answer targets are, and why."""
    if found.label_names:
        return "labels", f"data.target names {len(found.label_names)} columns"
    if are_lists:
        return "labels", "the labels are lists"
    if separator is not None:
        return "labels", "data.separator is stated"
    targets, total = found.targets, len(found.targets)
    numbers = [target for target in targets if _NUMBER.fullmatch(target)]
    decimals = [target for target in numbers if float(target) != np.round(float(target))]
    numbers += [target for target in targets if target.lower().strip("+-") in ("nan", "inf", "infinity")]
    if decimals and len(numbers) > _MOSTLY * total:
        return "number", f"{len(numbers):,} of {total:,} are numbers, with decimals such as {decimals[0]}"
    whole = len(set(targets))
    for each in SEPARATORS:
        parts = {part for target in targets for part in _split(target, each)}
        if 1 < len(parts) < whole:
            return "labels", f"{whole:,} different ones are made of {len(parts):,} with {each!r} between them"
    of = "whole numbers" if len(numbers) == total else "labels"
    return "label", f"there are {whole:,} different {of}"


def _split(target, separator):
    parts = [] if isinstance(target, list) else map(str.strip, target.split(separator))
    return list(dict.fromkeys(part for part in parts if part))


def _classes(targets, source):
    """Returns the names of the classes, those that are whole numbers in their order, and the class of each text."""
    names = _sorted(set(targets))
    if len(names) < 2:
        raise KitError(f"{source}: only one class, {names[0]!r}; expected at least two")
    if len(names) > max(len(targets) // 2, 2):
        raise SettingError(
            "target",
            f"{len(names):,} different labels of {len(targets):,} texts; expected classes that occur again, or "
            "data.answer=number or labels",
        )
    numbers = {name: number for number, name in enumerate(names)}
    return names, np.array([numbers[target] for target in targets], "int32")


def _sorted(names):
    are_whole = all(name.removeprefix("-").isdecimal() for name in names)
    return sorted(names, key=int if are_whole else None)


def _numbers(found, source):
    """Returns the number of each text, or raises KitError for the first that is none."""
    for place, target in zip(found.places, found.targets, strict=True):
        if not _NUMBER.fullmatch(target) or not np.isfinite(float(target)):
            raise KitError(
                f"{place}: {target[:60]!a}; expected a finite number such as 3.5 (data.answer=label makes it one)"
            )
    values = np.array(found.targets, "float64")
    if (values == values[0]).all():
        raise KitError(f"{source}: every number is {found.targets[0]}; expected at least two different ones")
    return values


def _several(found, are_lists, separator, source):
    """Returns the `Answers` of texts with several labels each."""
    if are_lists or found.label_names:
        if separator is not None:
            raise SettingError("separator", f"expected none: the labels of {source} are lists or columns already")
        if not all(isinstance(target, list) for target in found.targets):
            row = next(row for row, target in enumerate(found.targets) if not isinstance(target, list))
            raise KitError(f"{found.places[row]}: {found.targets[row][:60]!a}; expected a list, as others have")
        lists = found.targets
    else:
        separator = separator or _found_separator(found.targets)
        lists = [_split(target, separator) for target in found.targets]
    counts = collections.Counter(label for labels in lists for label in labels)
    names = found.label_names or _sorted(counts)
    if not counts:
        raise KitError(f"{source}: no text has a label; expected labels of some")
    once = sum(count == 1 for count in counts.values())
    if once > max(len(lists) // 2, 5):
        raise SettingError(
            "target", f"{once:,} labels of {len(lists):,} texts occur once; expected labels that occur again"
        )
    numbers = {name: number for number, name in enumerate(names)}
    values = np.zeros((len(lists), len(names)), "float32")
    for row, labels in enumerate(lists):
        values[row, [numbers[label] for label in labels]] = 1
    if (values == values[0]).all():
        raise KitError(f"{source}: every text has the same labels, {some(lists[0])}; expected texts that differ in one")
    return Answers("labels", values, list(names), separator or _separator_outside(names, source))


def _found_separator(targets):
    """Returns what stands between labels, `;` where each text has one alone."""
    used = [each for each in SEPARATORS if any(len(_split(target, each)) > 1 for target in targets)]
    if len(used) > 1:
        shown = " and ".join(map(repr, used))
        raise SettingError("separator", f"{shown} stand in the labels; expected the one that is between them")
    return used[0] if used else SEPARATORS[0]


def _separator_outside(names, source):
    """Returns a separator that is in no label, with which tables write several as one text."""
    for each in SEPARATORS:
        if not any(each in name for name in names):
            return each
    raise KitError(f"{source}: labels hold ; and , and |; expected one of the three to be in none")


def check_learned(answers, split, source):
    """Raises KitError for a class or label that another split has and training has not: nothing is learned of it.

    Args:
        answers: `Answers`.
        split: Name of the split of each example, (examples,).
        source: Where they come from, for messages.
    """
    if answers.kind == "number":
        return
    known = answers.counts(split == "train")
    for name in ("validation", "test"):
        missing = np.flatnonzero((answers.counts(split == name) > 0) & (known == 0))
        if len(missing):
            shown = some(answers.names[row] for row in missing)
            raise KitError(
                f"{source}: no training text has the label {shown}, which the {name} split has; expected each label in "
                "training: leave it out, add texts of it, or try another data.split_seed"
            )


def standardised(numbers, rows):
    """Returns numbers less the mean of training, in its standard deviations, float32 (examples, 1), and both as assets.

    Args:
        numbers: (examples,)
        rows: Whether each is of training, (examples,).

    Raises:
        KitError: the numbers of training are all the same, or so large that their spread is none.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(numbers[rows].mean()), float(numbers[rows].std())
    if not (np.isfinite(deviation) and deviation > 0):
        raise KitError(
            f"the training texts have numbers of mean {mean:g} and standard deviation {deviation:g}; expected several "
            "different, finite ones"
        )
    shares = ((numbers - mean) / deviation).astype("float32")
    return shares[:, None], {"mean": mean, "deviation": deviation}


def columns_of(answers, rows):
    """Returns targets and extras of examples, by name, and the assets that tell what they mean.

    Args:
        answers: `Answers`.
        rows: Whether each example is of training, (examples,).
    """
    if answers.kind == "number":
        target, assets = standardised(answers.values, rows)
        return {"number": target}, {"number": answers.values}, assets
    assets = {"class_names": answers.names} | ({"separator": answers.separator} if answers.separator else {})
    return {answers.kind: answers.values}, {}, assets


def balanced(answers, rows):
    """Returns weights that make rare classes, or labels, count as much as frequent ones; None of numbers.

    Args:
        answers: `Answers`.
        rows: Whether each example is of training, (examples,).

    Returns:
        Of classes the weight of each, whose mean over the training examples is 1; of labels the weight of an example
        that has each, beside those that have not, at most 100.
    """
    counts, total = answers.counts(rows), rows.sum()
    if answers.kind == "labels":
        return np.clip((total - counts) / np.maximum(counts, 1), 0.01, 100).astype("float32")
    return (total / (len(counts) * np.maximum(counts, 1))).astype("float32")
