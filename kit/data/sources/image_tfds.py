"""Labelled images of tensorflow-datasets: `tfds:mnist`, `tfds:cifar10` and all others with `image` and `label`."""

import numpy as np

from kit.data.sources import EncodedImage, Images
from kit.data.sources.tfds_builder import PREFIX, opened, prepare
from kit.data.split_names import split_named
from kit.errors import KitError, SettingError

__all__ = ["PREFIX", "read"]


def read(source):
    """Returns the images of a data set that lies in tensorflow-datasets' folder, or can be fetched.

    Raises:
        KitError: the data set cannot be fetched, or holds no images.
        SettingError: there is no such data set, or it has no labelled images.
    """
    import tensorflow_datasets as tfds

    builder = opened(source)
    features = builder.info.features
    known = dict(features.items())
    image, label = known.get("image"), known.get("label")
    if not isinstance(image, tfds.features.Image) or not isinstance(label, tfds.features.ClassLabel):
        raise SettingError("source", f"{source} holds no labelled images: {', '.join(features)}")
    prepare(builder, source)
    files, labels, names, split = [], [], [], []
    for part in builder.info.splits:
        if not split_named(part):
            continue
        data = builder.as_dataset(split=part, decoders={"image": tfds.decode.SkipDecoding()})
        for row, example in enumerate(tfds.as_numpy(data)):
            files.append(EncodedImage(bytes(example["image"]), f"{source} {part} {row}"))
            labels.append(int(example["label"]))
            names.append(f"{part} {row}")
            split.append(split_named(part))
    if "train" not in split:
        raise KitError(f"{source}: no training images")
    return Images(
        paths=files,
        labels=np.array(labels, "int32"),
        class_names=[label.int2str(index) for index in range(label.num_classes)],
        names=names,
        split=np.array(split, dtype=object),
    )
