"""Names of splits as the field writes them: one list for folders, files, columns, arrays and dictionaries."""

import re

SPLITS = ("train", "validation", "test")
# In place of a split, for examples that a run looks at in no way, such as those later than a fold by time.
UNUSED = "unused"

# What each split is called, in any case. "eval" is not here: some mean the validation split by it, others the test
# split.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "devel", "development", "trial"),
    "test": ("test", "testing"),
}
EXPECTED = "train, validation (or val, valid, dev) or test"

_SPLIT_OF = {name: split for split, names in SPLIT_NAMES.items() for name in names}
_SPLIT_OF |= {f"{name}{word}": split for name, split in _SPLIT_OF.items() for word in ("set", "data")}
_FILLERS = {"set", "data", "split"}  # "Training Set" is as good as "train"


def split_named(name):
    """Returns the split that a name means as a whole: "train" of `Training`, "validation" of `val`; None of others."""
    words = [word for word in _words(name) if word not in _FILLERS]
    return _SPLIT_OF.get(words[0]) if len(words) == 1 else None


def splits_in(name):
    """Returns the splits of which a word stands in a longer name, such as "train" in `en-train.tsv`, in their order.

    Numbers and punctuation divide words: `train2017` means training, `latest` and `constraint` mean nothing.
    """
    found = {_SPLIT_OF.get(word) for word in _words(name)}
    return [split for split in SPLITS if split in found]


def _words(name):
    return re.findall(r"[^\W\d_]+", str(name).lower())
