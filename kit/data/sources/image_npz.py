"""NumPy archives of images and labels: pixels, or the bytes of image files end to end. Nothing is ever unpickled.

For each split `train` (and perhaps `test`, `validation`): `x_train` and `y_train` as Keras publishes its data sets, or
`train_images` and `train_labels`, or `train_jpeg`, `train_offsets` and `train_labels`; without a split, `images` and
`labels`, or `x` and `y`. Splits may be called `val`, `dev` and so on, in any case. `class_names` names the classes.
"""

import itertools
import logging
import zipfile
import zlib

import numpy as np

from kit.data.columns import together
from kit.data.image_files import images_in
from kit.data.sources import EncodedImage, Images
from kit.data.split_names import SPLITS, split_named
from kit.errors import KitError

log = logging.getLogger("kit")

LAYOUT = "an .npz file with x_train and y_train, images and labels, or train_jpeg, train_offsets and train_labels"
# Names of pixels, offsets and labels.
_NAMES = (
    ("x_{}", None, "y_{}"),
    ("{}_images", None, "{}_labels"),
    ("{}_jpeg", "{}_offsets", "{}_labels"),
)
_UNSPLIT = (("x", None, "y"), ("images", None, "labels"))


def accepts(path):
    """Tells whether a path is an .npz file, or a folder with one and no image files."""
    if path.is_dir():
        return len(list(path.glob("*.npz"))) == 1 and not images_in(path)
    return path.suffix.lower() == ".npz"


def read(source, needs_classes=True):
    """Returns the images of an archive.

    Args:
        source: The archive, or a folder with it alone.
        needs_classes: Refuse images of fewer than two classes.

    Raises:
        KitError: the archive cannot be used; the message names it, the array and what was expected.
    """
    if source.is_dir():
        source = next(source.glob("*.npz"))
    arrays = _arrays(source)
    parts = _parts(source, arrays)
    class_names = _class_names(source, arrays)
    images, labels, split = [], [], []
    pixels, offsets, _ = parts["train"] if "train" in parts else parts[None]
    kind = pixel_kind(arrays[pixels]) if offsets is None else "integers"
    for part, (pixels, offsets, classes) in parts.items():
        for name in (classes, offsets):
            if name and name not in arrays:
                raise KitError(f"{source}: {pixels} without {name}; expected {LAYOUT}")
        found = pixels_of(source, pixels, arrays[pixels], kind) if offsets is None else None
        if offsets is not None:
            found = _encoded(source, pixels, arrays[pixels], arrays[offsets])
        images.append(found)
        labels.append(labels_of(source, classes, arrays[classes], len(found), len(class_names)))
        split.append(np.full(len(found), part, dtype=object))
    whole = np.concatenate(labels)
    count = len(class_names) or int(whole.max()) + 1
    if needs_classes:
        check_classes(source, count, labels[0])
    names = [f"{part or 'image'} {row}" for part, each in zip(parts, images, strict=True) for row in range(len(each))]
    files = isinstance(images[0], list)
    if any(isinstance(each, list) != files for each in images):
        raise KitError(f"{source}: pixels in one split and files in another; expected one kind")
    if not files and len({each.shape[1:] for each in images}) > 1:
        raise KitError(f"{source}: images of different shapes; expected one height, width and number of channels")
    return Images(
        pixels=None if files else together(images),
        paths=[image for each in images for image in each] if files else None,
        labels=whole,
        class_names=class_names or [str(index) for index in range(count)],
        names=names,
        split=None if None in parts else np.concatenate(split),
        pixel_kind=kind,
        files=[source],
    )


def _parts(source, arrays):
    """Returns the names of pixels, offsets and labels of each split, under None where there are no splits."""
    names = {}  # by their lower case
    for name in arrays:
        if name.lower() in names:
            raise KitError(f"{source}: holds {names[name.lower()]} and {name}; expected one of them")
        names[name.lower()] = name
    found = {}
    for name in names:
        for several in _NAMES:
            before, _, after = several[0].partition("{}")
            word = name.removeprefix(before).removesuffix(after)
            split = split_named(word)
            if split is None or name != f"{before}{word}{after}":
                continue
            if split in found:
                raise KitError(
                    f"{source}: {found[split][0]} and {names[name]} are both of the {split} split; expected one of them"
                )
            found[split] = [each and names.get(each.format(word), each.format(word)) for each in several]
    parts = {split: found[split] for split in SPLITS if split in found}
    unsplit = [[each and names.get(each, each) for each in several] for several in _UNSPLIT if several[0] in names]
    if len(unsplit) > 1 and not parts:
        raise KitError(f"{source}: holds {unsplit[0][0]} and {unsplit[1][0]}; expected one of them")
    if unsplit and not parts:
        parts[None] = unsplit[0]
    if not parts:
        raise KitError(f"{source}: holds {', '.join(arrays) or 'nothing'}; expected {LAYOUT}")
    if None not in parts and "train" not in parts:
        raise KitError(f"{source}: holds {', '.join(arrays)} but no training images; expected {LAYOUT}")
    others = arrays.keys() - {name for several in parts.values() for name in several} - {"class_names"}
    if others:
        log.info("images: passed over %s in %s, of which no image is", ", ".join(sorted(others)), source.name)
    return parts


def _class_names(source, arrays):
    """Returns the names of the classes, none where the archive has none."""
    if "class_names" not in arrays:
        return []
    array = arrays["class_names"]
    if array.ndim != 1:
        raise KitError(f"{source}: class_names has shape {array.shape}; expected a list of names")
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in array.tolist()]
    if len(set(names)) < len(names):
        raise KitError(f"{source}: class_names: expected different names, got {', '.join(names)}")
    return names


def _arrays(source):
    try:
        loaded = np.load(source, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise KitError(f"{source}: a single array, as .npy files are; expected {LAYOUT}")
        with loaded as file:
            return {name: file[name] for name in file.files}
    except MemoryError as error:
        raise KitError(f"{source}: does not fit into memory ({' '.join(str(error).split())})") from None
    except KitError:
        raise
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise KitError(
                f"{source}: holds Python objects, which can run code when they are read; expected plain arrays"
            ) from None
        raise KitError(f"{source}: not an .npz file ({' '.join(str(error).split())})") from None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise KitError(f"{source}: damaged or no .npz file ({' '.join(str(error).split())})") from None


def pixels_of(source, name, array, kind):
    """Returns pixels as uint8 (examples, height, width, channels); `kind` as for `as_pixels`."""
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[3] not in (1, 3) or not array.size:
        raise KitError(
            f"{source}: {name} has shape {array.shape}; expected (images, height, width) or "
            "(images, height, width, 1 or 3), none of them 0"
        )
    return as_pixels(array, f"{source}: {name}", kind)


def pixel_kind(array):
    """Returns what the numbers of training images are, by which those of all other images are read.

    Args:
        array: All training images.

    Returns:
        "integers", pixels from 0 to 255; "floats", the same as floating-point numbers; or "fractions", from 0 to 1.
    """
    if array.dtype.kind != "f" or not array.size:
        return "integers"
    return "fractions" if _are_fractions(array) else "floats"


def _are_fractions(array):
    return array.min() >= -0.001 and array.max() <= 1.001


def as_pixels(array, name, kind=None):
    """Returns numbers as uint8 pixels; fractions from 0 to 1 are stretched to 0 to 255.

    Args:
        array: The numbers.
        name: What they are called in messages.
        kind: What `pixel_kind` says of the training images, so that an image alone is read as it is among others; None,
            of a run that did not keep it, takes the array's own.

    Raises:
        KitError: values that are no pixels, such as NaN, or not of the kind that the training images have.
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "fiu":
        raise KitError(f"{name} holds {array.dtype}; expected pixels from 0 to 255")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        image = int(np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(1))[0])
        raise KitError(f"{name}: image {image} has pixels that are no numbers (NaN or infinite); expected 0 to 255")
    low, high = array.min(), array.max()
    if array.dtype.kind == "f" and (kind or pixel_kind(array)) == "fractions":
        if not _are_fractions(array):
            raise KitError(
                f"{name} holds values from {low} to {high}; expected numbers from 0 to 1, as the training images have, "
                "or whole pixels from 0 to 255 as uint8"
            )
        return np.round(np.clip(array, 0, 1) * 255).astype("uint8")
    if array.dtype.kind == "f" and kind == "integers" and high > 0 and _are_fractions(array):
        raise KitError(
            f"{name} holds fractional numbers from {low} to {high}, of which nobody can tell whether they are "
            "fractions or nearly black; expected pixels from 0 to 255, as in training: multiply fractions by 255"
        )
    if low < 0 or high > 255:
        raise KitError(f"{name} holds values from {low} to {high}; expected pixels from 0 to 255")
    return np.round(array).astype("uint8")


def labels_of(source, name, array, count, num_classes):
    """Returns labels as int32 (examples,)."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    whole = array.dtype.kind in "iu" or (
        array.dtype.kind == "f" and np.isfinite(array).all() and (array % 1 == 0).all()
    )
    if array.ndim != 1 or not whole:
        raise KitError(f"{source}: {name} has shape {array.shape} of {array.dtype}; expected a whole number an image")
    if len(array) != count:
        raise KitError(f"{source}: {count} images but {len(array)} {name}; expected as many of each")
    low, high = int(array.min()), int(array.max())
    most = num_classes - 1 if num_classes else 65_535
    if low < 0 or high > most:
        raise KitError(f"{source}: {name} go from {low} to {high}; expected 0 to {most}")
    return array.astype("int32")


def check_classes(source, count, labels):
    """Raises KitError unless there are two classes at least, each among the labels of the training images."""
    missing = set(range(count)) - set(np.unique(labels).tolist())
    if count < 2 or missing:
        wanted = f"class {min(missing)} too" if missing else "at least two classes"
        raise KitError(f"{source}: expected {wanted} among the training images")


def _encoded(source, name, data, offsets):
    """Returns image files that lie end to end in an array of bytes."""
    ordered = offsets.ndim == 1 and offsets.dtype.kind in "iu" and len(offsets) > 1 and (np.diff(offsets) > 0).all()
    if data.dtype != np.uint8 or data.ndim != 1 or not ordered or offsets[0] < 0 or offsets[-1] > len(data):
        raise KitError(
            f"{source}: {name} and its offsets do not fit; expected bytes, and the first byte of each image in order, "
            "with the end"
        )
    return [
        EncodedImage(data[start:stop].tobytes(), f"{source}: {name} {row}")
        for row, (start, stop) in enumerate(itertools.pairwise(offsets))
    ]
