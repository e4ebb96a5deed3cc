"""Images from any source, divided into training, validation and test split."""

import dataclasses
import inspect
import os

import numpy as np
import pandas as pd

from kit.data import sources
from kit.data.columns import Dense
from kit.data.examples import Examples
from kit.data.image import PixelChecks, common_shape, decoded, luminance, resize, without_unreadable
from kit.data.overlap import overlap
from kit.data.source_files import SourceFiles
from kit.data.sources import EncodedImage
from kit.data.split_lists import tell_of_lists
from kit.data.splits import SPLITS, assign, divided
from kit.errors import KitError


@dataclasses.dataclass
class ImageSplits:
    """Images of three splits.

    Args:
        parts: Training, validation and test `Examples` of uint8 images, input `image`, and labels, target `label`.
        shape: Height, width and channels of the images.
        class_names: Name of each class.
        assignment: Table that says which image went where.
        source: The source, a path made absolute.
        assets: What the prediction of other images needs: `crop_to_aspect_ratio` and `background`; `pixel_kind`, what
            the numbers of the training images were, see `kit.data.sources.Images`; and `skipped`, the files that were
            passed over since they cannot be read; `equal_examples`, which is the overlap.
        whole: All images and labels, in the order of the source.
        files: `SourceFiles` that the images were read from, or None.
        overlap: How many images are equal to others, see `kit.data.overlap`.
    """

    parts: list
    shape: tuple
    class_names: list
    assignment: pd.DataFrame
    source: str
    assets: dict
    whole: Examples
    files: SourceFiles | None
    overlap: dict

    @property
    def of_source(self):
        """Assignment, resolved settings, files and duplicates of the source: keywords of a recipe's `Splits`."""
        return {
            "assignment": self.assignment,
            "settings": {"source": self.source},
            "files": self.files,
            "overlap": self.overlap,
        }

    def known(self):
        """Returns images and labels of all but the test split, in the order of the source.

        They are the same for any share of validation images, and where the source has a test split for any seed.
        """
        known = self.whole.take(np.flatnonzero(self.assignment["split"].isin(SPLITS[:2])))
        return known.input("image"), known.target("label")

    def check_sizes(self, parts=None, kind="images"):
        """Raises KitError where a split has fewer than two images, too few to compare others with."""
        for name, part in zip(SPLITS, parts or self.parts, strict=True):
            if len(part) < 2:
                raise KitError(f"{self.source}: {len(part)} {kind} in the {name} split; expected at least 2")


def image_splits(saved, images, division, needs_classes=True):
    """Reads images and divides them into training, validation and test split.

    Args:
        saved: `Kept` of an earlier run, which is used again, or None: files that have not changed since are not looked
            through once more.
        images: `ImageOptions`.
        division: `Division`.
        needs_classes: Refuse images without classes, or of one class.

    Returns:
        `ImageSplits`.

    Raises:
        KitError: a file or folder that cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    module, source = sources.find(images.source, "images")
    # The other sources have classes by their nature.
    may_lack_them = "needs_classes" in inspect.signature(module.read).parameters
    found = module.read(source, needs_classes) if may_lack_them else module.read(source)
    known = _known_before(found, saved)
    skipped = []
    if known is not None:
        found, skipped = known, saved.assets["skipped"]
    elif images.on_bad == "skip" and found.paths is not None:
        found, skipped = without_unreadable(found)
    of_classes = {"labels": found.labels, "class_names": found.class_names}
    assignment = assign(found.names, found.split, division, saved, found, **of_classes)
    if found.split is None and not division.split_files and os.path.isdir(source):
        tell_of_lists(source)
    checks = PixelChecks(found.names if found.paths is None else found.paths)
    column, shape = _column(found, images, checks, known is not None)
    checks.report()
    labels = found.labels if len(found.class_names) > 1 else None
    if len(checks.digests) == len(found.names):
        equal = overlap(checks.digests, assignment["split"], "images", labels)
    else:  # they stay on disk, and were read before
        equal = saved.assets["equal_examples"]
    whole = Examples({"image": column}, {"label": Dense(found.labels)})
    parts = divided(whole, assignment)
    assets = {
        "crop_to_aspect_ratio": images.crop_to_aspect_ratio,
        "background": images.background,
        "pixel_kind": found.pixel_kind,
        "skipped": skipped,
        "equal_examples": equal,
    }
    files = _files(found)
    return ImageSplits(parts, shape, found.class_names, assignment, str(source), assets, whole, files, equal)


def _files(found):
    """Returns the `SourceFiles` that images are read from, or None."""
    if found.files:
        return SourceFiles(found.files, [path.name for path in found.files])
    return SourceFiles(found.paths, found.names) if found.paths else None


def _known_before(found, saved):
    """Returns the images of an earlier run, if they are files that have not changed since; None in any other case."""
    if (
        saved is None
        or saved.files is None
        or not found.paths
        or not {"skipped", "equal_examples"} <= saved.assets.keys()
    ):
        return None
    named = set(saved.assignment["example"])
    rows = [row for row, name in enumerate(found.names) if name in named]
    is_all = rows and len(found.names) - len(rows) == len(saved.assets["skipped"])
    if not is_all or isinstance(found.paths[0], EncodedImage):
        return None
    known = found.take(rows)
    return known if _files(known).seem_same(saved.files) else None


def _column(found, images, checks, is_known):
    """Returns the column of images that a source has found, as the options want them, and the shape of an image.

    `checks` get all of them on the way; those that stay on disk and are known to be readable are passed over.
    """
    if found.paths is not None:
        crop, background = images.crop_to_aspect_ratio, images.background
        shape = common_shape(found.paths, images.size, images.color_mode, crop, background)
        return decoded(found.paths, shape, crop, images.in_memory, background, checks, is_known), shape
    pixels = found.pixels
    shape = (*(images.size or pixels.shape[1:3]), pixels.shape[3])
    if shape[:2] != pixels.shape[1:3]:
        pixels = resize(pixels, shape[:2], images.crop_to_aspect_ratio)
    if images.color_mode == "rgb" and shape[2] == 1:
        pixels, shape = np.repeat(pixels, 3, -1), (*shape[:2], 3)
    elif images.color_mode == "grayscale" and shape[2] == 3:
        pixels, shape = luminance(pixels), (*shape[:2], 1)
    for start in range(0, len(pixels), 1024):
        checks.update(pixels[start : start + 1024])
    return Dense(pixels), shape
