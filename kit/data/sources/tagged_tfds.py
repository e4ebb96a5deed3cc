"""Tagged sentences of tensorflow-datasets: `tfds:conll2003` and all others with `tokens` and a sequence of labels."""

import numpy as np

from kit.data.sources import Sentences
from kit.data.sources.tfds_builder import PREFIX, opened, prepare
from kit.data.split_names import split_named
from kit.errors import KitError, SettingError, closest

__all__ = ["PREFIX", "read"]
_TOKENS = ("tokens", "words")


def read(source, column=None):
    """Returns the sentences of a data set that lies in tensorflow-datasets' folder, or can be fetched.

    Args:
        source: `tfds:NAME`, or `tfds:NAME/CONFIG:VERSION`.
        column: Feature that holds the tags; by default `ner`, `tags`, `ner_tags` or `pos`, the first that there is.

    Raises:
        KitError: there is no such data set, or it cannot be fetched.
        SettingError: it has no such feature, or none that is a sequence of labels.
    """
    import tensorflow_datasets as tfds

    builder = opened(source)
    features = builder.info.features
    labelled = [key for key, value in features.items() if getattr(getattr(value, "feature", None), "names", None)]
    tokens = next((key for key in _TOKENS if key in features), None)
    if tokens is None or not labelled:
        raise SettingError("source", f"{source} holds no tagged sentences: {', '.join(features)}")
    column = column or next((key for key in ("ner", "tags", "ner_tags", "pos") if key in labelled), labelled[0])
    if column not in labelled:
        raise SettingError("column", f"{source} has no labels {column!r}{closest(column, labelled)}")
    prepare(builder, source)
    label_names = features[column].feature.names
    words, tags, places, split = [], [], [], []
    for part in builder.info.splits:
        if not split_named(part):
            continue
        for row, example in enumerate(tfds.as_numpy(builder.as_dataset(split=part))):
            sentence = [word.decode("utf-8") for word in example[tokens]]
            if sentence:
                words.append(sentence)
                if min(example[column]) < 0:
                    raise KitError(f"{source}: sentence {row} of {part} has no labels; expected one for each word")
                tags.append([label_names[label] for label in example[column]])
                places.append(f"{source}:{part}:{row}")
                split.append(split_named(part))
    if not words:
        raise KitError(f"{source}: no sentences")
    return Sentences(words, tags, places, np.array(split, dtype=object))
