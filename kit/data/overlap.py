"""Equal examples: how many stand in two splits, or in two classes, which makes scores better than they are."""

import logging

import numpy as np

from kit.data.split_names import SPLITS

log = logging.getLogger("kit")


def also_in_training(keys, split, what):
    """Counts the examples of validation and test split of which an equal one is in training.

    Args:
        keys: What equal examples have in common, such as their text or a check sum of their pixels, (examples,).
        split: Name of the split of each example, (examples,).
        what: What the examples are called, such as "images".

    Returns:
        Dictionary from what is counted to the count.
    """
    known = {key for key, part in zip(keys, split, strict=True) if part == "train"}
    return {
        f"{what} of the {name} split that are also in training": sum(
            part == name and key in known for key, part in zip(keys, split, strict=True)
        )
        for name in SPLITS[1:]
    }


def overlap(keys, split, what, labels=None, other="of another class"):
    """Counts equal examples across splits and, given labels, across classes; a line of the log tells of them.

    Args:
        keys, split, what: As for `also_in_training`; or an array of numbers from 0 that equal examples share.
        labels: Class of each example, or whatever is to be learned of it, (examples,); or None.
        other: How an equal example is described that differs in its label.

    Returns:
        Dictionary from what is counted to the count, of all that there is.
    """
    if isinstance(keys, np.ndarray):
        return _tell(_of_numbers(keys, np.asarray(split, object), what, labels, other))
    counts = also_in_training(keys, split, what)
    held_out = {key for key, part in zip(keys, split, strict=True) if part == "validation"}
    counts[f"{what} of the test split that are also in the validation split"] = sum(
        part == "test" and key in held_out for key, part in zip(keys, split, strict=True)
    )
    if labels is not None:
        first, torn = {}, set()
        for key, label in zip(keys, labels, strict=True):
            if first.setdefault(key, label) != label:
                torn.add(key)
        counts[f"{what} that are equal to one {other}"] = sum(key in torn for key in keys)
    return _tell(counts)


def _of_numbers(keys, split, what, labels, other):
    """Returns the same counts where keys are numbers from 0, equal for equal examples, without a loop over them."""
    size = int(keys.max(initial=-1)) + 1
    is_in = {name: np.bincount(keys[split == name], minlength=size).astype(bool) for name in SPLITS}
    counts = {}
    for part, others in (("validation", "train"), ("test", "train"), ("test", "validation")):
        where = "training" if others == "train" else f"the {others} split"
        counts[f"{what} of the {part} split that are also in {where}"] = int(is_in[others][keys[split == part]].sum())
    if labels is not None:
        first = np.zeros(size, "int64")
        first[keys[::-1]] = labels[::-1]  # of several the first stays
        is_torn = np.zeros(size, bool)
        is_torn[keys[first[keys] != labels]] = True
        counts[f"{what} that are equal to one {other}"] = int(is_torn[keys].sum())
    return counts


def _tell(counts):
    """Writes a line of the log on the counts that are not 0, and returns them."""
    found = {name: count for name, count in counts.items() if count}
    if found:
        log.info("equal examples: %s", "; ".join(f"{name}: {count:,}" for name, count in found.items()))
    return found
