"""Labelled images given in Python: arrays, a `tf.data.Dataset`, or a dictionary of these for each split."""

import zlib

import numpy as np

from kit.data.sources import Images
from kit.data.sources.image_npz import labels_of, pixels_of
from kit.data.splits import SPLITS
from kit.errors import KitError, SettingError, closest

LAYOUT = "(images, labels), a tf.data.Dataset of them, or a dictionary of these for train, validation and test"


def read(source):
    """Returns the images of what was given; a `tf.data.Dataset` is read into memory, once.

    Args:
        source: `Given`. Images are (examples, height, width) or (examples, height, width, 1 or 3), pixels from 0 to
            255 or, as fractions, from 0 to 1; labels are class numbers, class names, or one-hot rows. A dictionary may
            hold `class_names`. Elements of a `tf.data.Dataset` are (image, label) or {"image": ..., "label": ...}, in
            batches or not.

    Raises:
        KitError: pixels or labels that cannot be.
        SettingError: something else was given.
    """
    content = source.content
    parts = dict(content) if isinstance(content, dict) else {None: content}
    class_names = parts.pop("class_names", None)
    for name in parts:
        if name is not None and name not in SPLITS:
            raise SettingError("source", f"unknown split {name!r}{closest(name, SPLITS)}")
    if not parts.keys() & {None, "train"}:
        raise SettingError("source", f"no training images; expected {LAYOUT}")
    pixels, labels = {}, {}
    for name, part in parts.items():
        place = f"data: {name}" if name else "data"
        images, classes = _pair(part, place)
        pixels[name] = pixels_of(place, "images", images)
        labels[name] = classes
    numbered, class_names = _numbered(labels, class_names)
    count = len(class_names) if class_names else 0
    labels = {
        name: labels_of(f"data: {name}" if name else "data", "labels", each, len(pixels[name]), count)
        for name, each in numbered.items()
    }
    first = next(iter(labels.values()))
    if len({each.shape[1:] for each in pixels.values()}) > 1:
        raise KitError(
            "data: images of different shapes in the splits; expected one height, width and number of channels"
        )
    count = count or int(max(each.max() for each in labels.values())) + 1
    missing = set(range(count)) - set(np.unique(labels.get("train", first)).tolist())
    if count < 2 or missing:
        wanted = f"class {min(missing)} too" if missing else "at least two classes"
        raise KitError(f"data: expected {wanted} among the training images")
    names = [
        f"{name or 'image'} {row} {zlib.crc32(image.tobytes()):08x}"
        for name, each in pixels.items()
        for row, image in enumerate(each)
    ]
    split = None
    if None not in pixels:
        split = np.concatenate([np.full(len(each), name, dtype=object) for name, each in pixels.items()])
    return Images(
        pixels=np.concatenate(list(pixels.values())),
        labels=np.concatenate(list(labels.values())),
        class_names=class_names or [str(index) for index in range(count)],
        names=names,
        split=split,
    )


def _pair(part, place):
    """Returns images and labels of one split as arrays."""
    if hasattr(part, "as_numpy_iterator"):
        return _from_dataset(part, place)
    if isinstance(part, tuple | list) and len(part) == 2:
        try:
            return np.asarray(part[0]), np.asarray(part[1])
        except ValueError:
            raise KitError(
                f"{place}: images of different shapes; expected one height, width and number of channels"
            ) from None
    raise SettingError("source", f"got {type(part).__name__}; expected {LAYOUT}")


def _from_dataset(dataset, place):
    """Returns all images and labels of a `tf.data.Dataset`."""
    spec = dataset.element_spec
    if isinstance(spec, dict) and {"image", "label"} <= spec.keys():
        dataset = dataset.map(lambda element: (element["image"], element["label"]))
    elif not isinstance(spec, tuple) or len(spec) < 2:
        raise KitError(f"{place}: a tf.data.Dataset of {spec}; expected elements (image, label)")
    if int(dataset.cardinality()) == -1:
        raise KitError(
            f"{place}: a tf.data.Dataset without an end; expected one pass over the images, without repeat()"
        )
    images, labels = [], []
    for image, label, *_ in dataset.as_numpy_iterator():
        is_batch = np.ndim(label) > 0 and np.ndim(image) > 2 and len(image) == len(label)
        images.extend(image if is_batch else [image])
        labels.extend(label if is_batch else [label])
    if not images:
        raise KitError(f"{place}: an empty tf.data.Dataset; expected images")
    if len({image.shape for image in images}) > 1:
        raise KitError(f"{place}: images of different shapes; expected one height, width and number of channels")
    return np.stack(images), np.array(labels)


def _numbered(labels, class_names):
    """Returns class numbers for each split, and the names of the classes or None."""
    class_names = None if class_names is None else [str(name) for name in class_names]
    one_hot = {
        name: each.argmax(1)
        for name, each in labels.items()
        if each.ndim == 2 and each.shape[1] > 1 and ((each == 0) | (each == 1)).all() and (each.sum(1) == 1).all()
    }
    labels = labels | one_hot
    if not all(each.dtype.kind in "USO" for each in labels.values()):
        return labels, class_names
    texts = {
        name: [each.decode() if isinstance(each, bytes) else str(each) for each in several.ravel().tolist()]
        for name, several in labels.items()
    }
    class_names = class_names or sorted({text for several in texts.values() for text in several})
    places = {name: place for place, name in enumerate(class_names)}
    for several in texts.values():
        for text in several:
            if text not in places:
                raise KitError(f"data: the label {text!r} is not among the class_names {', '.join(class_names)}")
    return {name: np.array([places[text] for text in several]) for name, several in texts.items()}, class_names
