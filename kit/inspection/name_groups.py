"""Groups in the names of files, such as patients or recordings, and whether a division tears them apart."""

import re
from pathlib import PurePosixPath

import numpy as np

from kit.data.findings import Finding, some

# Words for what several examples may be of.
_WORDS = (
    *("patient", "pat", "subject", "subj", "sub", "person", "speaker", "spk", "case", "donor", "user", "animal"),
    *("participant", "session", "series", "study", "video", "vid", "clip", "scene", "slide", "document", "doc"),
    *("author", "writer", "site", "camera", "cam", "plant", "individual", "specimen", "sample", "batch", "track"),
)
_NAMED = re.compile(rf"(?<![a-z])({'|'.join(_WORDS)})[ _.-]?(?:id[ _.-]?)?([a-z]?\d+)(?!\d)", re.IGNORECASE)
_FIRST_OF_SEVERAL = re.compile(r"^([a-zA-Z]*\d+)[ _.-]+.*\d")
_LETTERS_AND_DIGITS = re.compile(r"^([a-zA-Z]+\d+)[a-zA-Z]+\d+$")
# Random pairs that the resemblance inside of groups is told from.
_PAIRS, _MORE_ALIKE = 4000, 0.1


def check(names, split, labels, class_names, vectors=None):
    """Returns a finding on groups that stand in the training split and in another one, if there are such.

    Names tell of groups where a word for it stands in them (`patient12_scan3.png`), or where they begin with a number
    and go on with another one (`017_03.png`) and what begins alike also looks alike.

    Args:
        names: Name of each example, a path with slashes.
        split: Name of the split of each example, (examples,).
        labels: Class of each example, (examples,).
        class_names: Name of each class.
        vectors: Thumbnails of mean 0 and length 1, (examples, pixels), or None.
    """
    for groups, kind in _groupings(names):
        if not _is_grouping(groups, labels):
            continue
        if kind == "named" or (vectors is not None and _look_alike(groups, labels, vectors)):
            return _torn(groups, names, split, labels, class_names)
    return []


def _groupings(names):
    """Yields the group that each name tells of by a rule, None where it does not, and the kind of rule."""
    stems = [str(PurePosixPath(name).with_suffix("")) for name in names]

    def named(stem):
        found = _NAMED.search(stem)
        return found and f"{found[1].lower()}{found[2].lower()}"

    yield [named(stem) for stem in stems], "named"
    for pattern in (_FIRST_OF_SEVERAL, _LETTERS_AND_DIGITS):
        found = (pattern.match(stem.rpartition("/")[2]) for stem in stems)
        yield [each and each[1].lower() for each in found], "first"


def _is_grouping(groups, labels):
    """Tells whether groups divide most examples, into several of a class, each of several examples."""
    known = [group for group in groups if group is not None]
    if len(known) < 0.9 * len(groups) or not known:
        return False
    names, sizes = np.unique(known, return_counts=True)
    classes = max(len(np.unique(labels)), 1)
    return 2 * len(names) <= len(known) and len(names) > classes and sizes.max() <= 0.34 * len(known)


def _look_alike(groups, labels, vectors):
    """Tells whether examples of a group look more alike than others of the same class do."""
    random = np.random.default_rng(0)
    codes = np.unique([group or "" for group in groups], return_inverse=True)[1]
    first, second = random.integers(0, len(groups), (2, 40 * _PAIRS))
    other = _alike(vectors, first, second, (labels[first] == labels[second]) & (codes[first] != codes[second]))
    order = np.lexsort((random.random(len(codes)), codes))
    first, second = order[:-1], order[1:]
    own = _alike(vectors, first, second, (codes[first] == codes[second]) & (labels[first] == labels[second]))
    if min(len(own), len(other)) < 10:
        return False
    error = np.sqrt(own.var() / len(own) + other.var() / len(other))
    return own.mean() - other.mean() > max(_MORE_ALIKE, 4 * error)


def _alike(vectors, first, second, chosen):
    rows = np.flatnonzero(chosen & (first != second))[:_PAIRS]
    return np.einsum("ij,ij->i", vectors[first[rows]], vectors[second[rows]])


def _torn(groups, names, split, labels, class_names):
    """Returns the finding, if a group is in training and in another split."""
    trained = {group for group, part in zip(groups, split, strict=True) if part == "train" and group is not None}
    rows = [row for row, part in enumerate(split) if part in ("validation", "test") and groups[row] in trained]
    if not rows:
        return []
    torn = sorted({groups[row] for row in rows})
    total = len({group for group in groups if group is not None})
    members = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    shown = [sorted(members[group], key=lambda row: split[row])[:: max(1, len(members[group]) // 4)] for group in torn]
    return [
        Finding(
            "torn_groups",
            "problem",
            f"names tell of {total:,} groups such as {some(torn, 2)}; {len(torn):,} of them are in the training split "
            f"and in another one, with {len(rows):,} held-out examples",
            "held-out scores are better than those of new groups will be: keep groups whole with data.group, or put "
            "them into train/ and test/",
            len(torn),
            [
                {"group": groups[row], "example": names[row], "split": split[row], "label": class_names[labels[row]]}
                for row in rows[:20]
            ],
            [each[:6] for each in shown[:4]],
        )
    ]
