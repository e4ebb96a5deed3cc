"""Translations of tensorflow-datasets: `tfds:ted_hrlr_translate/pt_to_en` and others with a text for each language."""

import numpy as np

from kit.data.sources import Pairs
from kit.data.sources.tfds_builder import PREFIX, opened, prepare
from kit.data.split_names import split_named
from kit.errors import KitError, SettingError, choose

__all__ = ["PREFIX", "read"]


def read(source, *, source_locale="en", target_locale="de"):
    """Returns the pairs of a data set that lies in tensorflow-datasets' folder, or can be fetched.

    Args:
        source: `tfds:NAME`, or `tfds:NAME/CONFIG:VERSION`.
        source_locale: Locale of the source side; the data set has a text of its language.
        target_locale: Locale of the target side.

    Raises:
        KitError: there is no such data set, or it cannot be fetched.
        SettingError: it has no text of a language.
    """
    import tensorflow_datasets as tfds

    builder = opened(source)
    languages = {str(name): name for name in getattr(builder.info.features, "keys", dict)()}
    if len(languages) < 2:
        raise SettingError("source", f"{source} holds no texts in two languages")
    keys = [
        _key(languages, name, setting)
        for name, setting in ((source_locale, "source_locale"), (target_locale, "target_locale"))
    ]
    if keys[0] == keys[1]:
        raise SettingError("target_locale", f"expected another language than {source_locale!r}, got {target_locale!r}")
    prepare(builder, source)
    pairs, places, split = [], [], []
    for part in builder.info.splits:
        if not split_named(part):
            continue
        for row, example in enumerate(tfds.as_numpy(builder.as_dataset(split=part))):
            pair = tuple(example[key].decode("utf-8").strip() for key in keys)
            if all(pair):
                pairs.append(pair)
                places.append(f"{source}:{part}:{row}")
                split.append(split_named(part))
    if "train" not in split:
        raise KitError(f"{source}: no training sentences")
    return Pairs([one for one, _ in pairs], [other for _, other in pairs], places, np.array(split, dtype=object))


def _key(languages, locale, setting):
    """Returns the feature of a locale: its whole name, or its language."""
    name = str(locale).replace("-", "_")
    return languages[name] if name in languages else choose(languages, name.split("_")[0].lower(), setting)
