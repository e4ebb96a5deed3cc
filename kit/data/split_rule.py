"""Division of more than a million examples: a rule that goes by each name alone, instead of a list of names.

A name's BLAKE2b hash and the seed of the division make a number from 0 to 1 (SplitMix64, Steele et al., "Fast
Splittable Pseudorandom Number Generators", 2014), which is compared with the share of a split. So an example stays in
its split when others come or go, in whatever order they are, and a run keeps the rule's facts in place of millions of
names.
"""

import hashlib
import zlib

import numpy as np

from kit.data.split_columns import check_whole, groups_of
from kit.data.split_names import SPLITS, UNUSED
from kit.errors import KitError, SettingError, check

# Up to so many examples are divided by a draw that keeps the shares of classes, and are listed in `splits.csv`.
MOST_LISTED = 1_000_000
_CATEGORIES = (*SPLITS, "left out", UNUSED)
_FACTS = "division by a rule"


def applies(count, division):
    """Tells whether so many examples are divided by the rule: there are many, and neither times nor lists say how.

    Args:
        count: Number of examples.
        division: `kit.data.options.Division`.
    """
    return count > MOST_LISTED and division.time is None and not division.split_files


def hashes_of(names):
    """Returns a number for each text, uint64 (examples,)."""
    return np.frombuffer(b"".join(hash_of(name.encode("utf-8", "surrogatepass")) for name in names), "<u8")


def hash_of(name):
    """Returns the hash of a name, eight bytes, given its bytes as UTF-8."""
    return hashlib.blake2b(name, digest_size=8).digest()


def shares_of(hashes, seed, stream):
    """Returns a number from 0 to below 1 for each hash, (examples,).

    Args:
        hashes: uint64 (examples,)
        seed: Seed of the division.
        stream: Number of the draw: of another one the numbers are independent.
    """
    start = _mixed(np.array([seed * 4 + stream], "uint64"))
    return (_mixed(np.asarray(hashes, "uint64") ^ start) >> np.uint64(11)).astype("float64") * 2.0**-53


def _mixed(values):
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))


def assigned(names, given, division, known, labels=None, class_names=None):
    """Returns the table of `kit.data.splits.assign`, divided by the rule.

    Args:
        names, given, division, known, labels, class_names: As for `kit.data.splits.assign`.

    Raises:
        KitError: a split is without examples, or training without one of a class that another split has.
        SettingError: a fraction is out of range, or a group is in two splits of the source.
    """
    import pandas as pd  # which refusing a setting does without

    hashes = names.hashes() if hasattr(names, "hashes") else hashes_of(names)
    split = np.zeros(len(hashes), "int8")  # numbers of `_CATEGORIES`
    if given is not None:
        for number, name in enumerate(_CATEGORIES):
            split[np.asarray(given) == name] = number
    table = {}
    if division.group is not None:
        groups = groups_of(division.group, known.ids, known.columns)
        check_whole(groups, np.array(_CATEGORIES, object)[split])
        hashes, table = hashes_of(groups), {"group": groups}
    train, validation, test, unused = (_CATEGORIES.index(name) for name in (*SPLITS, UNUSED))
    if division.fold is not None:
        number, folds = division.fold
        split[split == test], split[split == validation] = unused, train
        of_fold = np.floor(shares_of(hashes, division.split_seed, 2) * folds) == number
        split[of_fold & (split == train)] = test
    for stream, (name, number, fraction) in enumerate(
        (("test", test, division.test_fraction), ("validation", validation, division.validation_fraction))
    ):
        is_given = bool((split == number).any())
        check(0 < fraction < 1 or (is_given and fraction == 0), f"{name}_fraction", fraction, "a share between 0 and 1")
        if not is_given:
            split[(shares_of(hashes, division.split_seed, stream) < fraction) & (split == train)] = number
    counts = np.bincount(split, minlength=len(_CATEGORIES))
    for name, number in zip(SPLITS, (train, validation, test), strict=True):
        if not counts[number]:
            raise KitError(f"the rule leaves the {name} split without one of {len(split):,} examples")
    if labels is not None:
        _check_classes(split, np.asarray(labels), class_names, train, (validation, test))
    found = pd.DataFrame(
        {
            "example": names.arrow() if hasattr(names, "arrow") else names,
            "split": pd.Categorical.from_codes(split, _CATEGORIES),
            **({} if labels is None else {"label": labels}),
            **table,
        }
    )
    found.attrs[_FACTS] = {
        "rule": "blake2b of the name, splitmix64 with the seed, compared with the share",
        "examples": len(split),
        "counts": {name: int(count) for name, count in zip(_CATEGORIES, counts, strict=True) if count},
        "split_seed": division.split_seed,
        "validation_fraction": division.validation_fraction,
        "test_fraction": division.test_fraction,
        "group": division.group,
        "fold": None if division.fold is None else list(division.fold),
        "names": f"{zlib.crc32(np.ascontiguousarray(hashes)):08x}",
        "labels": None if labels is None else f"{zlib.crc32(np.ascontiguousarray(labels, 'int64')):08x}",
        "splits": f"{zlib.crc32(split):08x}",
    }
    return found


def _check_classes(split, labels, class_names, train, others):
    known = np.bincount(labels[split == train], minlength=len(class_names))
    for other in others:
        lost = np.flatnonzero((np.bincount(labels[split == other], minlength=len(class_names)) > 0) & (known == 0))
        if len(lost):
            raise KitError(
                f"class {class_names[lost[0]]!r} has no training example by the rule that divides more than "
                f"{MOST_LISTED:,}; expected each class among them: more examples of it, or another data.split_seed"
            )


def facts_of(table):
    """Returns the rule's facts by which a table of splits is found again; None of any other, or one changed since."""
    import pandas as pd  # which refusing a setting does without

    facts = table.attrs.get(_FACTS)
    if facts is None:
        return None
    split = pd.Categorical(table["split"], _CATEGORIES).codes
    return facts if f"{zlib.crc32(np.ascontiguousarray(split, 'int8')):08x}" == facts["splits"] else None


def again(kept, names, given, division, known, labels=None, class_names=None):
    """Returns the table of an earlier run from the facts of its rule.

    Args:
        kept: The facts.
        names, given, division, known, labels, class_names: As for `kit.data.splits.assign`.

    Raises:
        KitError: the examples are not those of the run.
        SettingError: the division is another one.
    """
    for key in ("split_seed", "validation_fraction", "test_fraction", "group", "fold"):
        now = list(division.fold) if key == "fold" and division.fold else getattr(division, key)
        if kept[key] != now:
            raise SettingError(key, f"this run was divided with {kept[key]!r}, not {now!r}")
    table = assigned(names, given, division, known, labels, class_names)
    facts = table.attrs[_FACTS]
    for key, what in (("examples", "number"), ("names", "names"), ("labels", "labels"), ("splits", "splits")):
        if facts[key] != kept[key]:
            raise KitError(
                f"the data changed since this run was started: the {what} of its {kept['examples']:,} examples differ; "
                "expected the same files"
            )
    return table
