"""Inspection of pairs of sentences: divides them as training would, and looks for what is no translation."""

import copy
import logging
import re
from collections import Counter, defaultdict

import numpy as np

from kit.data import sources
from kit.inspection import near_texts, text_checks
from kit.inspection.dividing import divided
from kit.inspection.inspection import Inspection
from kit.reporting import plots

log = logging.getLogger("kit")

_WORDS = re.compile(r"\w+|[^\w\s]")
# Lengths in characters so many times apart, and so many deviations from what is usual, are no translation.
_RATIO, _DEVIATIONS, _LEAST_CHARACTERS = 2.5, 6.0, 10
_LEAST_WORDS = 4
_ADVICE = (
    "remove them from training, or keep what belongs together in one split",
    "whole pairs that are equal are left out of training anyway; remove others where they are no examples",
)


def inspected(recipe, source, data, division):
    """Returns the `Inspection` of pairs of sentences.

    Args:
        recipe: Name of the recipe whose data they are.
        source: What `data.source` may be.
        data: Settings of `[data]`.
        division: `Division`.

    Raises:
        KitError: there is nothing that could be inspected.
    """
    found, origin = sources.read(source, "pairs", data | {"on_bad": "skip", "seed": division.split_seed})
    log.info("pairs: %s of %s are read", f"{len(found.sources):,}", origin)
    assignment, findings = divided(found, division, "add pairs: training refuses so few")
    split = assignment["split"].to_numpy(object)
    sides = [
        text_checks.Texts([_WORDS.findall(text) for text in side], found.places, split, "pairs")
        for side in (found.sources, found.targets)
    ]
    texts = _Pairs(*sides, found)
    findings += [
        *text_checks.of_skipped(found.skipped),
        *_copies(texts),
        *text_checks.of_characters(sides[0], " in the source"),
        *text_checks.of_characters(sides[1], " in the target"),
        *text_checks.of_lengths(sides[0]),
        *_untranslated(texts),
        *_uneven(texts),
        *_same_target(texts),
        *_numbers_differ(texts),
    ]
    lengths = {"source": [len(each) for each in sides[0].words], "target": [len(each) for each in sides[1].words]}
    return Inspection(
        recipe=recipe,
        source=str(origin),
        findings=findings,
        numbers={
            "pairs": len(found.sources),
            **{f"{name} pairs": int((split == name).sum()) for name in ("train", "validation", "test")},
            **{f"{name} words": sum(each) for name, each in lengths.items()},
        },
        tables={
            "lengths of the source": text_checks.lengths_table(sides[0].words, split),
            "lengths of the target": text_checks.lengths_table(sides[1].words, split),
            "scripts and languages of the source": text_checks.languages_table(sides[0]),
            "scripts and languages of the target": text_checks.languages_table(sides[1]),
        },
        figures={"words of a sentence": lambda: plots.histograms(lengths)},
    )


class _Pairs(text_checks.Texts):
    """Pairs as the checks see them: shown with both sides.

    Args:
        source, target: `Texts` of both sides.
        found: `Pairs`.
    """

    def __init__(self, source, target, found):
        self.words, self.places, self.split, self.noun = source.words, source.places, source.split, "pairs"
        self.lines, self.targets = found.sources, found.targets

    def describe(self, row):
        """Returns a dictionary that shows a pair."""
        both = {"source": self.lines[row][:300], "target": self.targets[row][:300]}
        return {"example": self.places[row], "split": self.split[row], **both}


def _copies(texts):
    """Returns findings on equal and nearly equal sources; sources that are translated in two ways are normal."""
    texts = copy.copy(texts)
    texts.noun = "source sentences"
    return text_checks.of_copies(
        texts,
        texts.targets,
        other="with another translation",
        advice=_ADVICE,
        other_level="note",
        keys=list(texts.lines),
    )


def _untranslated(texts):
    rows = [
        row
        for row, (source, target) in enumerate(zip(texts.lines, texts.targets, strict=True))
        if len(texts.words[row]) >= _LEAST_WORDS and near_texts.normalized(source) == near_texts.normalized(target)
    ]
    rows = [row for row in rows if any(word.isalpha() for word in texts.words[row])]
    return texts.finding(
        "untranslated",
        "warning",
        rows,
        "{of} have the same text on both sides",
        "remove them: the translator learns to copy",
    )


def _uneven(texts):
    """Returns a finding on pairs of which one side is far longer than the other."""
    lengths = np.array([[len(a), len(b)] for a, b in zip(texts.lines, texts.targets, strict=True)])
    ratio = np.log(lengths[:, 1] / lengths[:, 0])
    middle = np.median(ratio)
    deviation = 1.4826 * np.median(np.abs(ratio - middle))
    odd = np.abs(ratio - middle) > max(_DEVIATIONS * deviation, np.log(_RATIO))
    rows = np.flatnonzero(odd & (lengths.max(1) > _LEAST_CHARACTERS))
    rows = rows[np.argsort(-np.abs(ratio[rows] - middle))].tolist()
    return texts.finding(
        "uneven",
        "warning",
        rows,
        "{of} have one side that is far longer than the other",
        "they are hardly translations of each other: remove them; data.max_ratio=3 leaves the worst out of training",
    )


def _same_target(texts):
    """Returns a finding on translations that stand beside many different sentences, such as a placeholder."""
    seen = defaultdict(list)
    for row, target in enumerate(texts.targets):
        seen[target].append(row)
    groups = [
        rows
        for target, rows in seen.items()
        if len({texts.lines[row] for row in rows}) >= 5 and len(_WORDS.findall(target)) >= 3
    ]
    rows = [row for group in sorted(groups, key=len, reverse=True) for row in group]
    return texts.finding(
        "same_target",
        "warning",
        rows,
        "{of} share their translation with at least four other sentences",
        "look whether it is one, and remove placeholders",
    )


def _numbers_differ(texts):
    """Returns a finding on pairs whose numbers differ, where most pairs have the same ones: lines may have slipped."""
    differ, with_numbers = [], 0
    for row, (source, target) in enumerate(zip(texts.lines, texts.targets, strict=True)):
        own, others = (
            Counter(re.findall(r"\d{2,}", re.sub(r"(?<=\d)[.,](?=\d)", "", text))) for text in (source, target)
        )
        if own and others:
            with_numbers += 1
            if not own & others:
                differ.append(row)
    if with_numbers < 20 or len(differ) > 0.1 * with_numbers:
        return []
    return texts.finding(
        "numbers_differ",
        "note",
        differ,
        "{of} have other numbers on one side than on the other",
        "look whether they are translations of each other: lines may have slipped",
    )
