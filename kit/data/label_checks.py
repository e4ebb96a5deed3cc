"""Quick checks of labels: classes that look alike, that are rare, empty or missing in a split."""

import difflib
import re
import unicodedata

import numpy as np

from kit.data.findings import Finding, some
from kit.data.split_names import SPLITS

# The commonest class has so many times the examples of the rarest before it is told, and before it is a warning.
_UNEVEN, _VERY_UNEVEN = 5, 10
_FEW = 10
# Names of fewer letters that differ in one are different words: horse and house.
_LETTERS_OF_A_MISSPELT_NAME = 7


def check(labels, class_names, split, noun="images", weights="data.class_weights=balanced", empty=()):
    """Returns findings on the classes of examples.

    Args:
        labels: Class of each example, (examples,).
        class_names: Name of each class.
        split: Name of the split of each example, (examples,).
        noun: What examples are called.
        weights: Setting that makes rare classes count more, or None where there is none.
        empty: Names of classes without an example, which the class names need not hold.
    """
    split = np.asarray(split, object)
    counts = {name: np.bincount(labels[split == name], minlength=len(class_names)) for name in SPLITS}
    total = np.bincount(labels, minlength=len(class_names))
    return [
        *_empty(empty),
        *alike_names(class_names, total),
        *_uneven(counts["train"], class_names, noun, weights),
        *_missing(counts, class_names, noun),
    ]


def _empty(names):
    if not names:
        return []
    return [
        Finding(
            "empty_class",
            "problem",
            f"{len(names):,} classes have no examples: {some(names)}",
            "training refuses them: fill or remove the folder",
            len(names),
            [{"label": name} for name in names],
        )
    ]


def alike_names(names, counts=None, what="labels"):
    """Returns a finding on names of classes that seem to mean the same, such as `cat`, `Cat ` and `cats`.

    Args:
        names: Names of the classes.
        counts: Number of examples of each, or None: then a slip of one letter is not looked for.
        what: What the names are called.
    """
    pairs = [
        (first, second)
        for number, first in enumerate(names)
        for second in names[number + 1 :]
        if _same_letters(first) == _same_letters(second) or _same_word(first, second)
    ]
    if counts is not None and len(names) <= 2000:
        known = {frozenset(pair) for pair in pairs}
        by_count = dict(zip(names, counts, strict=True))
        pairs += [
            (first, second)
            for number, first in enumerate(names)
            for second in names[number + 1 :]
            if frozenset((first, second)) not in known and _is_slip(first, second, by_count)
        ]
    if not pairs:
        return []
    shown = "; ".join(f"{first!r} and {second!r}" for first, second in pairs[:3])
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    return [
        Finding(
            "labels_alike",
            "warning",
            f"{what} that look alike: {shown}{more}",
            "if they mean the same, give them one name: they are learned as different ones",
            len(pairs),
            [{"label": first, "other label": second} for first, second in pairs[:20]],
        )
    ]


def _same_letters(name):
    """Returns a name without case, accents, spaces and punctuation; signs alone stay, as tags of words have them."""
    text = unicodedata.normalize("NFKD", str(name)).casefold()
    return re.sub(r"[\W_]|[\u0300-\u036f]", "", text) or str(name).strip()


def _same_word(first, second):
    """Tells whether one name is the plural of the other in English."""
    if str(first).isupper() and str(second).isupper():  # codes, such as NNP and NNPS
        return False
    first, second = sorted((_same_letters(first), _same_letters(second)), key=len)
    is_word = len(first) >= 3 and first.isalpha() and first == first.strip()
    ends = {f"{first}s", f"{first}es", f"{first[:-1]}ies" if first.endswith("y") else ""}
    return is_word and second in ends


def _is_slip(first, second, counts):
    """Tells whether a rare name is a frequent one with a letter too many, too few or wrong."""
    rare, usual = sorted((first, second), key=counts.get)
    a, b = _same_letters(rare), _same_letters(usual)
    if counts[rare] > 0.1 * counts[usual] or min(len(a), len(b)) < _LETTERS_OF_A_MISSPELT_NAME:
        return False
    if abs(len(a) - len(b)) > 1 or re.sub(r"\D", "", a) != re.sub(r"\D", "", b):
        return False
    same = sum(block.size for block in difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks())
    return same >= max(len(a), len(b)) - 1


def _uneven(counts, class_names, noun, weights):
    """Returns a finding on training examples that are unevenly spread over the classes, or that are few."""
    present = np.flatnonzero(counts)
    if len(present) < 2:
        return []
    rare, common = present[counts[present].argmin()], counts.argmax()
    ratio, found = counts[common] / counts[rare], []
    if ratio >= _UNEVEN:
        accuracy = counts[common] / counts.sum()
        advice = f"{weights} makes rare classes count as much" if weights else "look at macro-F1, not at accuracy"
        found.append(
            Finding(
                "imbalance",
                "warning" if ratio >= _VERY_UNEVEN else "note",
                f"the largest class, {class_names[common]!r}, has {counts[common]:,} training {noun}, the smallest, "
                f"{class_names[rare]!r}, {counts[rare]:,}: always the largest is right in {accuracy:.0%}",
                advice,
                int(counts[rare]),
                [{"label": class_names[row], noun: int(counts[row])} for row in counts.argsort()[:10]],
            )
        )
    few = [row for row in present if counts[row] < _FEW]
    if few:
        found.append(
            Finding(
                "few_examples",
                "warning",
                f"{len(few):,} of {len(class_names):,} classes have fewer than {_FEW} training {noun}: "
                f"{some(class_names[row] for row in few)}",
                "add examples, or leave such classes out",
                len(few),
                [{"label": class_names[row], noun: int(counts[row])} for row in few[:20]],
            )
        )
    return found


def _missing(counts, class_names, noun):
    """Returns findings on classes that a split lacks."""
    found = []
    for split in SPLITS[1:]:
        lacking = [row for row in np.flatnonzero(counts["train"]) if counts[split].sum() and not counts[split][row]]
        if lacking:
            found.append(
                Finding(
                    "class_missing_in_split",
                    "warning",
                    f"the {split} split has no {noun} of {len(lacking):,} of {len(class_names):,} classes: "
                    f"{some(class_names[row] for row in lacking)}",
                    f"its scores say nothing of them; a larger data.{split}_fraction, or more {noun}",
                    len(lacking),
                    [{"label": class_names[row], "split": split} for row in lacking[:20]],
                )
            )
        unknown = [row for row in np.flatnonzero(counts[split]) if not counts["train"][row]]
        if unknown and counts["train"].sum():
            found.append(
                Finding(
                    "class_missing_in_training",
                    "problem",
                    f"{len(unknown):,} classes are in the {split} split but not in training: "
                    f"{some(class_names[row] for row in unknown)}",
                    "nothing can be learned of them: another data.split_seed, or more examples",
                    len(unknown),
                    [{"label": class_names[row], "split": split} for row in unknown[:20]],
                )
            )
    return found
