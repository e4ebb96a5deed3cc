"""Labelled texts of tensorflow-datasets: `tfds:glue/cola`, `tfds:ag_news_subset` and others with a text and a label."""

import numpy as np

from kit.data.sources import Texts
from kit.data.sources.tfds_builder import PREFIX, opened, prepare
from kit.data.split_names import split_named
from kit.errors import KitError, SettingError, choose

__all__ = ["PREFIX", "read"]


def read(source, *, text=None, second_text=None, target=None):
    """Returns the texts of a data set that lies in tensorflow-datasets' folder, or can be fetched.

    Args:
        source: `tfds:NAME`, or `tfds:NAME/CONFIG:VERSION`.
        text, second_text, target: Features; by default the first texts of the data set, and its classes.

    Raises:
        KitError: there is no such data set, or it cannot be fetched.
        SettingError: it has no such feature.
    """
    import tensorflow_datasets as tfds

    builder = opened(source)
    features = dict(getattr(builder.info.features, "items", dict)())
    texts = [name for name, each in features.items() if isinstance(each, tfds.features.Text)]
    classes = [name for name, each in features.items() if isinstance(each, tfds.features.ClassLabel)]
    if not texts or not (classes or target):
        raise SettingError("source", f"{source} holds no texts with a class")
    first, answer = text or texts[0], target or classes[0]
    second = second_text or (texts[1] if text is None and len(texts) > 1 else None)
    for name, key in ((first, "text"), (answer, "target"), (second, "second_text")):
        if name is not None:
            choose(features, name, key)
    prepare(builder, source)
    is_class = isinstance(features[answer], tfds.features.ClassLabel)
    name_of = features[answer].int2str if is_class else _as_text
    found = Texts([], [], [], None if second is None else [], None)
    splits = []
    for part in builder.info.splits:
        if not split_named(part):
            continue
        for row, example in enumerate(tfds.as_numpy(builder.as_dataset(split=part))):
            if is_class and example[answer] < 0:
                continue  # the label of a test split that is kept secret
            found.texts.append(example[first].decode("utf-8").strip())
            if second is not None:
                found.second.append(example[second].decode("utf-8").strip())
            found.targets.append(name_of(example[answer]))
            found.places.append(f"{source}:{part}:{row}")
            splits.append(split_named(part))
    if "train" not in splits:
        raise KitError(f"{source}: no training texts")
    found.split = np.array(splits, dtype=object)
    return found


def _as_text(value):
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
