"""Labelled texts of tensorflow-datasets: `tfds:glue/cola`, `tfds:ag_news_subset` and others with a text and a label."""

import numpy as np

from kit.data.sources import Texts
from kit.data.sources.text_targets import columns_of, target_of
from kit.data.sources.tfds_builder import PREFIX, opened, prepare
from kit.data.split_names import split_named
from kit.errors import KitError, SettingError, choose

__all__ = ["PREFIX", "read"]


def read(source, *, text=None, second_text=None, target=None, answer="auto"):
    """Returns the texts of a data set that lies in tensorflow-datasets' folder, or can be fetched.

    Args:
        source: `tfds:NAME`, or `tfds:NAME/CONFIG:VERSION`.
        text, second_text, target: Features; by default the first texts of the data set, and its classes. Several
            targets, as `a,b,c`, are labels that are 0 or 1.
        answer: What is answered; of "labels" a text may have none.

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
    first, column = text or texts[0], columns_of(target or classes[0], features)
    second = second_text or (texts[1] if text is None and len(texts) > 1 else None)
    several = column if isinstance(column, tuple) else (column,)
    for name, key in ((first, "text"), (second, "second_text"), *((each, "target") for each in several)):
        if name is not None:
            choose(features, name, key)
    prepare(builder, source)
    names_of = {name: _name_of(features[name], tfds) for name in several}
    is_class = isinstance(features[several[0]], tfds.features.ClassLabel) and len(several) == 1
    found = Texts([], [], [], None if second is None else [], None)
    found.label_names = list(column) if isinstance(column, tuple) else None
    splits = []
    for part in builder.info.splits:
        if not split_named(part):
            continue
        for row, example in enumerate(tfds.as_numpy(builder.as_dataset(split=part))):
            if is_class and example[column] < 0:
                continue  # the label of a test split that is kept secret
            place = f"{source}:{part}:{row}"
            answered, problem = target_of({name: names_of[name](example[name]) for name in several}, column, answer)
            if problem:
                raise KitError(f"{place}: {problem}")
            found.texts.append(example[first].decode("utf-8").strip())
            if second is not None:
                found.second.append(example[second].decode("utf-8").strip())
            found.targets.append(answered)
            found.places.append(place)
            splits.append(split_named(part))
    if "train" not in splits:
        raise KitError(f"{source}: no training texts")
    found.split = np.array(splits, dtype=object)
    return found


def _name_of(feature, tfds):
    """Returns the function from a value of a feature to a text, or to a list of texts where it is a sequence."""
    inner = getattr(feature, "feature", None)
    if inner is not None:
        return lambda values: list(map(_name_of(inner, tfds), values))
    return feature.int2str if isinstance(feature, tfds.features.ClassLabel) else _as_text


def _as_text(value):
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
