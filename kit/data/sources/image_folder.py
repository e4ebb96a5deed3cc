"""Folders of images: one folder a class, either directly or inside `train`, `validation` and `test`."""

import os
from pathlib import Path

import numpy as np

from kit.data.sources import Images
from kit.data.splits import SPLITS
from kit.errors import KitError

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
LAYOUT = "a folder of images for each class, directly or inside train/, validation/ and test/"


def accepts(path):
    """Tells whether a path can be read by this module: every folder can, to say what is missing in it."""
    return path.is_dir()


def read(source, needs_classes=True):
    """Returns the paths, classes and, where the source prescribes them, splits of a folder.

    Args:
        source: The folder.
        needs_classes: Refuse images of fewer than two classes, or in no folder of a class.

    Raises:
        KitError: there are no images, fewer than two classes, or a class that the training folder lacks.
    """
    folders = _folders(source)
    named = [name for name in SPLITS if name in folders]
    if "train" not in folders and len(named) > 1:
        raise KitError(f"{source}: holds {' and '.join(named)} but no train; expected {LAYOUT}")
    if "train" in folders:
        stray = [name for name in folders if name not in SPLITS]
        if stray:
            raise KitError(
                f"{source / stray[0]}: unexpected beside train/; expected only train/, validation/ and test/"
            )
        parts = {name: _classes(source / name, needs_classes) for name in named}
        for name, classes in parts.items():
            if not any(classes.values()):
                raise KitError(f"{source / name}: no images; expected a folder of images for each class")
    else:
        parts = {None: _classes(source, needs_classes)}
    class_names = sorted(next(iter(parts.values())))
    if not any(files for classes in parts.values() for files in classes.values()):
        raise KitError(f"{source}: no images; expected {LAYOUT}")
    if needs_classes and len(class_names) < 2:
        raise KitError(f"{source}: only one class, {class_names[0]!r}; expected at least two folders of images")
    paths, labels, split = [], [], []
    for part, classes in parts.items():
        for name, files in sorted(classes.items()):
            if name not in class_names:
                raise KitError(f"{source / part / name}: class {name!r} is not in train/")
            if not files and part in (None, "train"):
                raise KitError(
                    f"{source / (part or '') / name}: no images; expected at least one "
                    f"file ending in {' '.join(ENDINGS)}"
                )
            paths += files
            labels += [class_names.index(name)] * len(files)
            split += [part] * len(files)
    return Images(
        paths=[str(path) for path in paths],
        labels=np.array(labels, "int32"),
        class_names=class_names,
        names=[path.relative_to(source).as_posix() for path in paths],
        split=None if None in parts else np.array(split, dtype=object),
    )


def images_in(folder):
    """Returns the image files in a folder and below it, sorted; hidden ones are passed over."""
    files = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            try:
                name.encode()
            except UnicodeEncodeError:
                raise KitError(f"{os.path.join(root, name)!a}: a file name that is not UTF-8") from None
        files += [Path(root, name) for name in names if name.lower().endswith(ENDINGS) and not name.startswith(".")]
    return sorted(files)


def _folders(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _classes(folder, needs_classes):
    here = [path for path in images_in(folder) if path.parent == folder] if not needs_classes else []
    if here and _folders(folder):
        raise KitError(f"{here[0]}: an image beside folders; expected either images or a folder for each class")
    if here:
        return {"image": here}
    return {name: images_in(folder / name) for name in _folders(folder)}
