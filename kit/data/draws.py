"""Draws of examples for a split or a fold: at random, the same share of each class, in whole groups, or by time."""

import warnings

import numpy as np

from kit.errors import KitError, SettingError, shown

# Draws of groups among which the one is taken whose classes come nearest to their shares: so many of each number of
# groups, since a few groups may hold most examples.
_CANDIDATES, _SIZES = 25, (0.5, 1, 1.5, 2)
_KEY = "train.folds"


def grouped(share, labels, groups, class_names, seed, split, left):
    """Returns the rows of whole groups that are nearest to a share of the examples, and of each class.

    Several draws of scikit-learn are compared: parts of `StratifiedGroupKFold`, and draws of `GroupShuffleSplit`, which
    have any share.

    Args:
        share: Share of the examples.
        labels: Class of each example, (examples,); zeros where there are none.
        groups: Group of each example, (examples,).
        class_names: Name of each class, for messages.
        seed: Seed of the draw.
        split: Name of the split that is drawn, for messages.
        left: Groups that must be left, one for training and one for each other split that is still to be drawn.

    Raises:
        KitError: no draw leaves an example of each class to train on.
    """
    from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold

    counts, number = np.bincount(labels), len(set(groups))
    parts = min(max(round(1 / share), 2), number)
    draws = _folds(StratifiedGroupKFold(parts, shuffle=True, random_state=seed), labels, groups)
    for size in sorted({min(max(round(share * factor * number), 1), number - left) for factor in _SIZES}):
        draws += _folds(GroupShuffleSplit(_CANDIDATES, test_size=size, random_state=seed), labels, groups)
    best, least = None, np.inf
    for drawn in draws:
        own = np.bincount(labels[drawn], minlength=len(counts))
        takes_all = ((counts > 0) & (own == counts)).any() or len(set(groups[drawn])) > number - left
        if not len(drawn) or takes_all:
            continue
        lost = np.abs(own - share * counts).sum() / len(labels) + ((counts > 0) & (own == 0)).sum()
        if lost < least:
            best, least = drawn, lost
    if best is None:
        raise KitError(
            f"data.group: {_alone(labels, groups, class_names)}, so that none is left to train on beside the {split} "
            "split; expected each class in several groups"
        )
    return best


def _alone(labels, groups, class_names):
    """Returns in words which class cannot be divided by groups."""
    for label in np.unique(labels):
        own = set(groups[labels == label])
        if len(own) == 1:
            return f"class {class_names[label]!r} is in group {shown(own.pop())} alone"
    return "classes share their groups"


def _folds(splitter, labels, groups):
    """Returns the rows of each fold; scikit-learn's remark on rare classes is left out, the caller looks at them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return [drawn for _, drawn in splitter.split(np.zeros(len(labels)), labels, groups)]
        except ValueError:  # no class has as many examples as there are parts
            return []


def latest(share, times, split, left=1):
    """Returns the rows of the latest times, nearest to a share of the examples; equal times stay together.

    Args:
        share: Share of the examples.
        times: Time of each example, (examples,).
        split: Name of the split that is drawn, for messages.
        left: Earlier times that have to be left: one for each split that is still to be drawn, and one for training.

    Raises:
        KitError: there are fewer times.
    """
    known, counts = np.unique(times, return_counts=True)
    if len(known) <= left:
        count = "one time is" if len(known) == 1 else f"{len(known)} times are"
        raise KitError(f"data.time: {count} left to take a {split} split of; expected at least {left + 1}")
    after = (len(times) - np.cumsum(counts))[left - 1 : -1]  # examples later than each time that may be the last
    boundary = known[left - 1 + np.argmin(np.abs(after - share * len(times)))]
    return np.flatnonzero(times > boundary)


def fold(number, folds, count, labels, groups, times, class_names, seed):
    """Returns the rows of a fold's test part, and those that the fold does not use.

    Without times each example is in the test part of one fold, and every fold uses all. With times it is forward
    chaining, as in scikit-learn's `TimeSeriesSplit`: the first fold trains on the earliest part and is tested on the
    next, the second trains on both, and so on; what is later is not used, and the earliest part is never tested.

    Args:
        number: Number of the fold, from 0.
        folds: Number of all.
        count: Number of examples.
        labels: Class of each example, (examples,), of which each fold has the same share; or None.
        groups: Group of each example, which stays in one fold; or None.
        times: Time of each example; or None.
        class_names: Name of each class, for messages.
        seed: Seed of the draw.

    Raises:
        SettingError: there are more folds than examples, groups, times or examples of a class.
    """
    from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold

    how = {"n_splits": folds, "shuffle": True, "random_state": seed}
    if times is not None:
        return _forward(number, folds, times)
    if groups is not None:
        _check_most(folds, len(set(groups)), "groups")
        strata = np.zeros(count, int) if labels is None else labels
        parts = _folds(StratifiedGroupKFold(**how), strata, groups)
        if not parts or not all(map(len, parts)):
            raise SettingError(_KEY, f"{folds} folds of {len(set(groups))} groups leave one empty; expected fewer")
        for label in np.unique(strata):
            if any((strata[part] == label).sum() == (strata == label).sum() for part in parts):
                raise SettingError(
                    _KEY,
                    f"class {class_names[label]!r} is in too few groups: a fold would be tested on all of it and "
                    "trained on none; expected each class in several groups",
                )
    elif labels is not None:
        counts = np.bincount(labels)
        scarce = min(np.flatnonzero(counts), key=lambda label: counts[label])
        _check_most(folds, counts[scarce], f"examples of class {class_names[scarce]!r}")
        parts = _folds(StratifiedKFold(**how), labels, None)
    else:
        _check_most(folds, count, "examples")
        parts = _folds(KFold(**how), np.zeros(count), None)
    return parts[number], np.array([], int)


def _check_most(folds, count, what):
    """Raises SettingError where there are more folds than what is divided among them."""
    if count < folds:
        raise SettingError(_KEY, f"expected at most {count}, the number of {what}, got {folds}")


def _forward(number, folds, times):
    """Returns the rows of the part that a fold is tested on, and of all that is later."""
    known, counts = np.unique(times, return_counts=True)
    if len(known) < folds + 2:
        raise SettingError(
            _KEY,
            f"expected at least {folds + 2} different times for {folds} folds one after the other, got {len(known)}",
        )
    ends = np.cumsum(counts)  # examples up to each time, that included
    cuts, lowest = [], 1  # number of the last time before each part; two times at first, one of them to validate on
    for part in range(folds):
        choice = np.arange(lowest, len(known) - folds + part)
        cuts.append(int(choice[np.argmin(np.abs(ends[choice] - (part + 1) * len(times) / (folds + 1)))]))
        lowest = cuts[-1] + 1
    start, stop = (known[cut] for cut in (*cuts, len(known) - 1)[number : number + 2])
    return np.flatnonzero((times > start) & (times <= stop)), np.flatnonzero(times > stop)
