"""Plain texts of tensorflow-datasets: `tfds:tiny_shakespeare`, `tfds:wikipedia/...` and others with a text."""

import numpy as np

from kit.data.sources import Documents
from kit.data.sources.tfds_builder import PREFIX, opened, prepare
from kit.data.split_names import split_named
from kit.errors import KitError, SettingError

__all__ = ["PREFIX", "documents", "read"]


def read(source):
    """Returns the documents of a data set that lies in tensorflow-datasets' folder, or can be fetched.

    Args:
        source: `tfds:NAME`, or `tfds:NAME/CONFIG:VERSION`, whose first text is taken.

    Raises:
        KitError: there is no such data set, or it cannot be fetched.
        SettingError: it has no text.
    """
    texts, places, split = map(list, zip(*documents(source), strict=True))
    return Documents(texts, places, np.array(split, dtype=object))


def documents(source):
    """Yields text, place and split of each document, one after the other; as `read`."""
    import tensorflow_datasets as tfds

    builder = opened(source)
    features = dict(getattr(builder.info.features, "items", dict)())
    name = next((name for name, each in features.items() if isinstance(each, tfds.features.Text)), None)
    if name is None:
        raise SettingError("source", f"{source} holds no texts")
    prepare(builder, source)
    parts = [part for part in builder.info.splits if split_named(part)]
    if "train" not in map(split_named, parts):
        raise KitError(f"{source}: no training texts")
    for part in parts:
        for row, example in enumerate(tfds.as_numpy(builder.as_dataset(split=part))):
            yield example[name].decode("utf-8"), f"{source}:{part}:{row}", split_named(part)
