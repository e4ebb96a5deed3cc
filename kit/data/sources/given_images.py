"""Labelled images given in Python: arrays, a `tf.data.Dataset`, or a dictionary of these for each split."""

import logging
import zlib

import numpy as np

from kit.data.columns import together
from kit.data.image import MEMORY_SHARE
from kit.data.memory import free_memory
from kit.data.sources import Images, by_split
from kit.data.sources.image_npz import check_classes, labels_of, pixel_kind, pixels_of
from kit.errors import KitError, SettingError

log = logging.getLogger("kit")

LAYOUT = "(images, labels), a tf.data.Dataset of them, or a dictionary of these for train, validation and test"


def read(source, needs_classes=True):
    """Returns the images of what was given; a `tf.data.Dataset` is read into memory, once.

    Args:
        source: `GivenData`. Images are (examples, height, width) or (examples, height, width, 1 or 3), pixels from 0 to
            255 or, as the training images decide for all, fractions from 0 to 1; labels are class numbers, class names,
            or one-hot rows. A dictionary may hold `class_names`. Elements of a `tf.data.Dataset` are (image, label) or
            {"image": ..., "label": ...}, in batches or not; it may shuffle, and its `class_names` are read
            (`image_dataset_from_directory` gives them). One that does not say how long it is, such as a generator's,
            may fill as much of the free memory as images of a folder may.
        needs_classes: Refuse images alone, an array in place of such a pair, and images of fewer than two classes.

    Raises:
        KitError: pixels or labels that cannot be.
        SettingError: something else was given.
    """
    content = source.content
    class_names = content.get("class_names") if isinstance(content, dict) else None
    parts = {None: content}
    if isinstance(content, dict):
        parts = by_split({name: part for name, part in content.items() if name != "class_names"})
    if not parts.keys() & {None, "train"}:
        raise SettingError("source", f"no training images; expected {LAYOUT}")
    places = {name: f"data: {name}" if name else "data" for name in parts}
    if class_names is None:
        class_names = next((part.class_names for part in parts.values() if hasattr(part, "class_names")), None)
    found = {name: _pair(part, places[name], needs_classes) for name, part in parts.items()}
    kind = pixel_kind(found["train" if "train" in found else None][0])  # the training images decide for all
    pixels = {name: pixels_of(places[name], "images", images, kind) for name, (images, _) in found.items()}
    if kind == "fractions":
        log.info("images: numbers from 0 to 1 were stretched to pixels from 0 to 255")
    numbered, class_names = _numbered({name: labels for name, (_, labels) in found.items()}, class_names)
    count = len(class_names) if class_names else 0
    labels = {
        name: labels_of(places[name], "labels", each, len(pixels[name]), count) for name, each in numbered.items()
    }
    if len({each.shape[1:] for each in pixels.values()}) > 1:
        raise KitError(
            "data: images of different shapes in the splits; expected one height, width and number of channels"
        )
    count = count or int(max(each.max() for each in labels.values())) + 1
    if needs_classes:
        check_classes("data", count, labels["train"] if "train" in labels else labels[None])
    names = [
        f"{name or 'image'} {row} {zlib.crc32(image.tobytes()):08x}"
        for name, each in pixels.items()
        for row, image in enumerate(each)
    ]
    split = None
    if None not in pixels:
        split = np.concatenate([np.full(len(each), name, dtype=object) for name, each in pixels.items()])
    return Images(
        pixels=together(list(pixels.values())),
        labels=np.concatenate(list(labels.values())),
        class_names=class_names or [str(index) for index in range(count)],
        names=names,
        split=split,
        pixel_kind=kind,
    )


def _pair(part, place, needs_classes):
    """Returns images and labels of one split as arrays; images alone get one label."""
    if isinstance(part, np.ndarray) and not needs_classes:
        return part, np.zeros(len(part), "int32")
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
    """Returns all images and labels of a `tf.data.Dataset`, in an order that its own shuffling does not change."""
    spec = dataset.element_spec
    if isinstance(spec, dict) and {"image", "label"} <= spec.keys():
        dataset = dataset.map(lambda element: (element["image"], element["label"]))
    elif not isinstance(spec, tuple) or len(spec) < 2:
        raise KitError(f"{place}: a tf.data.Dataset of {spec}; expected elements (image, label)")
    if int(dataset.cardinality()) == -1:
        raise KitError(
            f"{place}: a tf.data.Dataset without an end; expected one pass over the images, without repeat()"
        )
    is_batched = _is_batched(*dataset.element_spec[:2])
    images, labels, used = [], [], 0
    free = free_memory()
    may_be_endless = int(dataset.cardinality()) < 0
    for image, label, *_ in dataset.as_numpy_iterator():
        images.extend(image if is_batched else [image])
        labels.extend(label if is_batched else [label])
        used += image.nbytes + label.nbytes
        if may_be_endless and used > MEMORY_SHARE * free:
            raise KitError(
                f"{place}: a tf.data.Dataset that does not say how long it is has given {len(images):,} images, "
                f"{used / 1e9:.1f} GB, and has not ended; expected at most {MEMORY_SHARE:.0%} of the {free / 1e9:.1f} "
                "GB of free memory: end it with take(), or tell its length with "
                "tf.data.experimental.assert_cardinality()"
            )
    if not images:
        raise KitError(f"{place}: an empty tf.data.Dataset; expected images")
    if len({image.shape for image in images}) > 1:
        raise KitError(f"{place}: images of different shapes; expected one height, width and number of channels")
    order = sorted(range(len(images)), key=lambda row: (zlib.crc32(images[row].tobytes()), labels[row].tolist()))
    return np.stack([images[row] for row in order]), np.array([labels[row] for row in order])


def _is_batched(image, label):
    """Tells from the specifications of an element whether it is a batch of images or one."""
    dims, ranks = image.shape.as_list(), label.shape.rank
    if len(dims) != 3:
        return len(dims) == 4
    if ranks != 1:
        return ranks == 2
    # (batch, height, width) with a number each, or one image (height, width, 1 or 3) with a one-hot row
    return dims[0] is None or dims[2] not in (1, 3)


def _numbered(labels, class_names):
    """Returns class numbers for each split, and the names of the classes or None."""
    if class_names is not None:
        if isinstance(class_names, str) or not hasattr(class_names, "__iter__"):
            raise SettingError("source", f"class_names: expected a list of names, got {class_names!r}")
        class_names = [str(name) for name in class_names]
        if len(set(class_names)) < len(class_names):
            raise SettingError("source", f"class_names: expected different names, got {', '.join(class_names)}")
    widths = {each.shape[1] for each in labels.values() if each.ndim == 2}
    one_hot = {
        name: each.argmax(1)
        for name, each in labels.items()
        if each.ndim == 2 and each.shape[1] > 1 and ((each == 0) | (each == 1)).all() and (each.sum(1) == 1).all()
    }
    labels = labels | one_hot
    if one_hot and class_names is None and len(widths) == 1:
        class_names = [str(index) for index in range(*widths)]
    if not all(each.dtype.kind in "USO" for each in labels.values()):
        return labels, class_names
    for name, several in labels.items():
        for row, each in enumerate(several.ravel().tolist()):
            if each is None or each != each:  # NaN, as pandas has it in place of a text
                raise KitError(
                    f"data: image {row}{f' of {name}' if name else ''} has the label {each}; expected a class"
                )
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
