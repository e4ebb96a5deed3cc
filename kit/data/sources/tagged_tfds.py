"""Tagged sentences of tensorflow-datasets: `tfds:conll2003` and all others with `tokens` and a sequence of labels."""

import numpy as np

from kit.data.sources import Sentences
from kit.errors import KitError, SettingError, closest

PREFIX = "tfds:"
_SPLITS = {"train": "train", "validation": "validation", "dev": "validation", "test": "test"}
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

    name = source.removeprefix(PREFIX)
    try:
        builder = tfds.builder(name)
    except tfds.core.registered.DatasetNotFoundError:
        raise SettingError(
            "source", f"tensorflow-datasets has no {name!r}{_hint(name, tfds.list_builders())}"
        ) from None
    except Exception as error:
        raise SettingError("source", f"tensorflow-datasets cannot open {name!r} ({_short(error)})") from None
    features = builder.info.features
    labelled = [key for key, value in features.items() if getattr(getattr(value, "feature", None), "names", None)]
    tokens = next((key for key in _TOKENS if key in features), None)
    if tokens is None or not labelled:
        raise SettingError("source", f"{source} holds no tagged sentences: {', '.join(features)}")
    column = column or next((key for key in ("ner", "tags", "ner_tags", "pos") if key in labelled), labelled[0])
    if column not in labelled:
        raise SettingError("column", f"{source} has no labels {column!r}{closest(column, labelled)}")
    if not builder.data_path.exists():
        _check_network(source)
        try:
            builder.download_and_prepare()
        except Exception as error:
            raise KitError(f"{source}: cannot be fetched ({_short(error)})") from None
    label_names = features[column].feature.names
    words, tags, places, split = [], [], [], []
    for part in builder.info.splits:
        if part not in _SPLITS:
            continue
        for row, example in enumerate(tfds.as_numpy(builder.as_dataset(split=part))):
            sentence = [word.decode("utf-8") for word in example[tokens]]
            if sentence:
                words.append(sentence)
                tags.append([label_names[label] for label in example[column]])
                places.append(f"{name}:{part}:{row}")
                split.append(_SPLITS[part])
    if not words:
        raise KitError(f"{source}: no sentences")
    return Sentences(words, tags, places, np.array(split, dtype=object))


def _check_network(source):
    """tensorflow-datasets takes minutes to notice that there is no network."""
    import socket

    try:
        socket.create_connection(("storage.googleapis.com", 443), timeout=5).close()
    except OSError:
        raise KitError(
            f"{source}: not in tensorflow-datasets' folder, and there is no network to fetch it from"
        ) from None


def _short(error):
    return " ".join(str(error).split())[:120] or type(error).__name__


def _hint(name, names):
    hint = closest(name, names)
    return hint if "did you mean" in hint else ""
