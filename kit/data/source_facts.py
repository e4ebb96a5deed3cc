"""Facts of a source, found without decoding or learning anything: numbers of examples, classes, words, sizes."""

import inspect
import itertools

import numpy as np

from kit.data import sources
from kit.data.image import header_sizes

# Headers of so many images tell the sizes of all.
_HEADERS = 500


def training_share(split, data):
    """Returns which share of the examples is for training, given the split that the source prescribes for each."""
    split = np.full(1, "train") if split is None else np.asarray(split)
    share = float((split == "train").mean())
    for name in ("test", "validation"):
        if not (split == name).any():
            share *= 1 - data[f"{name}_fraction"]
    return share


def _read(kind, data, given):
    """Returns what a source holds, read as the settings of `[data]` say."""
    module, source = sources.find(data["source"] if given is None else given, kind)
    offered = inspect.signature(module.read).parameters
    options = {name: data[name] for name in offered if data.get(name) not in (None, ()) and name != "source"}
    if "needs_classes" in offered:
        options["needs_classes"] = False
    return module.read(source, **options)


def of_images(data, given=None):
    """Returns facts of images as a dictionary: `examples`, `classes`, `side`, `is_of_one_size`, `channels`.

    Args:
        data: Settings of `[data]`.
        given: Images that were given in Python, or None.

    Raises:
        KitError: a source that cannot be used.
    """
    read = _read("images", data, given)
    if read.paths is None:
        height, width, channels = read.pixels.shape[1:]
        sizes, is_grey = [(height, width)], channels == 1
    else:
        rows = np.linspace(0, len(read.paths) - 1, min(len(read.paths), _HEADERS)).astype(int)
        sizes, is_grey = header_sizes([read.paths[row] for row in rows])
    if data.get("color_mode") != "auto":
        is_grey = data.get("color_mode") == "grayscale"
    return {
        "examples": round(training_share(read.split, data) * len(read.names)),
        "classes": len(read.class_names),
        "side": int(np.median([min(size) for size in sizes])),
        "is_of_one_size": len(set(sizes)) == 1,
        "channels": 1 if is_grey else 3,
    }


def of_sentences(data, given=None):
    """Returns facts of tagged sentences as a dictionary: `examples`, `classes`, `tokens`, `words`, `length`."""
    read = _read("sentences", data, given)
    classes = len(set(itertools.chain.from_iterable(read.tags)))
    return _of_texts(read.words, training_share(read.split, data)) | {"classes": classes}


def of_pairs(data, given=None):
    """Returns facts of pairs of sentences as a dictionary: `examples`, `tokens`, `words`, `length`."""
    read = _read("pairs", data, given)
    share = training_share(read.split, data)
    sides = [text.split() for text in itertools.chain(read.sources, read.targets)]
    return _of_texts(sides, share) | {"examples": round(share * len(read.sources))}


def _of_texts(texts, share):
    lengths = np.array([len(words) for words in texts])
    return {
        "examples": round(share * len(texts)),
        "tokens": round(share * int(lengths.sum())),
        "words": len(set(itertools.chain.from_iterable(texts))),
        "length": int(np.percentile(lengths, 99)),
    }
