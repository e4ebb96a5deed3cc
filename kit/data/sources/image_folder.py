"""Folders of images: one folder a class, either directly or inside `train`, `validation` and `test`."""

import logging
import unicodedata

import numpy as np

from kit.data.image_files import ENDINGS, PassedOver, folders_in, images_in
from kit.data.sources import Images
from kit.data.split_names import EXPECTED, SPLITS, split_named, splits_in
from kit.errors import KitError

log = logging.getLogger("kit")

LAYOUT = "a folder of images for each class, directly or inside train/, validation/ and test/"


def accepts(path):
    """Tells whether a path can be read by this module: every folder can, to say what is missing in it."""
    return path.is_dir()


def read(source, needs_classes=True, refused=None):
    """Returns the paths, classes and, where the source prescribes them, splits of a folder.

    Args:
        source: The folder.
        needs_classes: Refuse images of fewer than two classes, or in no folder of a class.
        refused: List that gets the names of classes without images, which are left out then; None refuses them.

    Raises:
        KitError: there are no images, fewer than two classes, a class that the training folder lacks, or folders of
            which it is not clear whether they are splits or classes.
    """
    passed_over = PassedOver()
    folders = folders_in(source, passed_over)
    division = _division(source, folders, needs_classes)
    if division:
        parts = {name: _classes(source / folder, needs_classes, passed_over) for name, folder in division.items()}
        for name, classes in parts.items():
            if not any(classes.values()):
                raise KitError(f"{source / division[name]}: no images; expected a folder of images for each class")
    else:
        passed_over = PassedOver()  # the folder is looked at once more
        parts = {None: _classes(source, needs_classes, passed_over)}
    if refused is not None:
        refused += [name for name, files in next(iter(parts.values())).items() if not files]
        parts = {
            part: {name: classes[name] for name in classes if name not in refused} for part, classes in parts.items()
        }
    class_names = sorted(next(iter(parts.values())))
    passed_over.tell()
    if not any(files for classes in parts.values() for files in classes.values()):
        raise KitError(f"{source}: no images; expected {LAYOUT}")
    if needs_classes and len(class_names) < 2 and not refused:
        raise KitError(f"{source}: only one class, {class_names[0]!r}; expected at least two folders of images")
    if needs_classes and not division:
        _tell_nested(source, folders)
    paths, labels, split = [], [], []
    for part, classes in parts.items():
        folder = source / division[part] if division else source
        for name, files in sorted(classes.items()):
            if name not in class_names:
                raise KitError(f"{folder / name}: class {name!r} is not in {division['train']}/")
            if not files and part in (None, "train"):
                raise KitError(f"{folder / name}: no images; expected at least one file ending in {' '.join(ENDINGS)}")
            paths += files
            labels += [class_names.index(name)] * len(files)
            split += [part] * len(files)
    return Images(
        paths=[str(path) for path in paths],
        labels=np.array(labels, "int32"),
        class_names=class_names,
        names=[path.relative_to(source).as_posix() for path in paths],
        split=np.array(split, dtype=object) if division else None,
        passed_over=passed_over,
    )


def _division(source, folders, needs_classes):
    """Returns the folder of each split, or nothing where the folders are classes.

    A class can have the name of a split, such as trains among vehicles: then other folders are there too, and none with
    such a name holds folders of classes.
    """
    called = {name: splits_in(name) for name in folders if splits_in(name)}
    nested = {name for name in called if not needs_classes or _has_folders(source / name)}
    exact = {name: [split_named(name)] for name in folders if split_named(name)}
    if len(exact) < len(folders) and not nested & exact.keys():
        exact = {}
    longer = {name: splits for name, splits in called.items() if name in nested and name not in exact}
    named = dict(sorted((exact | longer).items(), key=lambda item: SPLITS.index(item[1][0])))
    found = {split for splits in named.values() for split in splits}
    is_meant = exact and ("train" in found or len(found) > 1 or nested & exact.keys())
    if not is_meant and not ("train" in found and len(found) > 1):
        return {}
    division = {}
    for name, splits in named.items():
        if len(splits) > 1:
            raise KitError(f"{source / name}: looks like the {' and like the '.join(splits)} split; expected one")
        if splits[0] in division:
            raise KitError(
                f"{source}: {division[splits[0]]}/ and {name}/ both look like the {splits[0]} split; expected one"
            )
        division[splits[0]] = name
    if "train" not in division:
        raise KitError(f"{source}: holds {' and '.join(named)} but no train; expected {LAYOUT}")
    stray = [name for name in folders if name not in named]
    if stray:
        raise KitError(
            f"{source / stray[0]}: unexpected beside {division['train']}/; expected only folders named {EXPECTED}"
        )
    return division


def _has_folders(folder):
    return bool(folders_in(folder, PassedOver()))


def _tell_nested(source, folders):
    """Tells of folders that are taken for classes although all hold the same folders, as splits do."""
    inside = folders_in(source / folders[0], PassedOver())
    if len(inside) > 1 and all(folders_in(source / name, PassedOver()) == inside for name in folders[1:]):
        several = ", ".join(f"{name}/" for name in folders[:3])
        log.info(
            "images: %s are taken for classes, though all of them hold the folders %s; if they are splits, name them "
            "train/ and test/",
            several,
            ", ".join(inside[:3]),
        )


def _classes(folder, needs_classes, passed_over):
    """Returns the images of each class in a folder; `passed_over` counts what is none."""
    here = PassedOver()
    names = folders_in(folder, here)
    if here.beside and not needs_classes:
        if names:
            raise KitError(
                f"{min(here.beside)}: an image beside folders; expected either images or a folder for each class"
            )
        return {"image": images_in(folder, passed_over)}
    passed_over.add(here)
    found = {}
    for name in names:
        own = unicodedata.normalize("NFC", name)  # a Mac writes é as two characters, others as one
        if own in found:
            raise KitError(f"{folder / name}: a second folder of this name, written in other characters")
        found[own] = images_in(folder / name, passed_over)
    return found
