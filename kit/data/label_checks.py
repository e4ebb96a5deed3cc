"""Quick checks of labels: classes that look alike, that are rare, empty or missing in a split."""

import difflib
import itertools
import re
import unicodedata

import numpy as np

from kit.data.findings import Finding, some
from kit.data.split_names import SPLITS

# The commonest class has so many times the examples of the rarest before it is told, and before it is a warning.
_UNEVEN, _VERY_UNEVEN = 5, 10
_FEW = 10
# Of more names slips are not looked for: each would be compared with each.
_MOST_NAMES = 1000
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


def of_answers(answers, split, noun):
    """Returns findings on the classes or labels of examples; none on numbers.

    Args:
        answers: `kit.data.text_answers.Answers`.
        split, noun: As for `check`.
    """
    if answers.kind == "number":
        return []
    if answers.kind == "label":
        return check(answers.values, answers.names, split, noun)
    split, names = np.asarray(split, object), answers.names
    counts = {name: answers.counts(split == name) for name in SPLITS}
    return [
        *alike_names(names, answers.values.sum(0).astype(int)),
        *_few(counts["train"], names, noun),
        *_missing(counts, names, noun),
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
    letters = {name: _same_letters(name) for name in names}
    alike = {}
    for name in names:
        alike.setdefault(letters[name], []).append(name)
    pairs = [pair for group in alike.values() for pair in itertools.combinations(group, 2)]
    pairs += [
        (one, many)
        for singular, group in alike.items()
        for plural in _plurals(singular)
        for one, many in itertools.product(group, alike.get(plural, ()))
        if not (str(one).isupper() and str(many).isupper())  # codes, such as NNP and NNPS
    ]
    if counts is not None and len(names) <= _MOST_NAMES:
        known = {frozenset(pair) for pair in pairs}
        by_count = dict(zip(names, counts, strict=True))
        pairs += [
            pair
            for pair in itertools.combinations(names, 2)
            if frozenset(pair) not in known and _is_slip(*pair, by_count, letters)
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
    """Returns a name without case, spaces, and what joins or accents Latin letters.

    Signs beside digits, or at an end, tell names apart, such as `-1` and `1`, or `C` and `C++`; so do marks of other
    scripts.
    """
    text = unicodedata.normalize("NFKD", str(name)).casefold().strip(" ._'\"\t\n")
    text = re.sub(r"(?<=[a-z])[\u0300-\u036f]+", "", text)
    text = re.sub(r"(?<=[^\W\d_])[-_.'’/&\s]+(?=[^\W_])|(?<=[^\W_])[-_.'’/&\s]+(?=[^\W\d_])|\s+", "", text)
    return unicodedata.normalize("NFC", text) or str(name).strip()


def _plurals(singular):
    """Returns what the plural of an English word may be, nothing where it is none."""
    if len(singular) < 3 or not singular.isalpha():
        return ()
    return (f"{singular}s", f"{singular}es", *([f"{singular[:-1]}ies"] if singular.endswith("y") else []))


def _is_slip(first, second, counts, letters):
    """Tells whether a rare name is a frequent one with a letter too many, too few or wrong."""
    rare, usual = sorted((first, second), key=counts.get)
    a, b = letters[rare], letters[usual]
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
    return found + _few(counts, class_names, noun)


def _few(counts, class_names, noun):
    """Returns a finding on classes with few training examples."""
    few = [row for row in np.flatnonzero(counts) if counts[row] < _FEW]
    if not few:
        return []
    return [
        Finding(
            "few_examples",
            "warning",
            f"{len(few):,} of {len(class_names):,} classes have fewer than {_FEW} training {noun}: "
            f"{some(class_names[row] for row in few)}",
            "add examples, or leave such classes out",
            len(few),
            [{"label": class_names[row], noun: int(counts[row])} for row in few[:20]],
        )
    ]


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
