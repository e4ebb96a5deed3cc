"""Images from any source, divided into training, validation and test split."""

import dataclasses
import logging
import os

import numpy as np
import pandas as pd

from kit.data import label_checks, sources
from kit.data.columns import Dense
from kit.data.examples import Examples
from kit.data.filters import Filters
from kit.data.findings import tell
from kit.data.image import common_shape, decoded, luminance, resize, without_unreadable
from kit.data.overlap import overlap
from kit.data.pixel_checks import PixelChecks
from kit.data.source_files import SourceFiles
from kit.data.sources import EncodedImage
from kit.data.split_lists import tell_of_lists
from kit.data.splits import SPLITS, assign, divided
from kit.errors import KitError

log = logging.getLogger("kit")


@dataclasses.dataclass
class ImageSplits:
    """Images of three splits.

    Args:
        parts: Training, validation and test `Examples` of uint8 images, input `image`, and labels, target `label`.
        shape: Height, width and channels of the images.
        class_names: Name of each class.
        assignment: Table that says which image went where.
        source: The source, a path made absolute.
        assets: What the prediction of other images needs: `crop_to_aspect_ratio`, `background` and `filters`;
            `pixel_kind`, what the numbers of the training images were, see `kit.data.sources.Images`; and `skipped`,
            the files that were passed over since they cannot be read; `equal_examples`, which is the overlap.
        whole: All images and labels, in the order of the source.
        files: `SourceFiles` that the images were read from, or None.
        overlap: How many images are equal to others, see `kit.data.overlap`.
        findings: What is odd about the classes, see `kit.data.label_checks`.
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
    findings: list

    @property
    def of_source(self):
        """Assignment, resolved settings, files and duplicates of the source: keywords of a recipe's `Splits`."""
        return {
            "assignment": self.assignment,
            "settings": {"source": self.source},
            "files": self.files,
            "overlap": self.overlap,
            "findings": self.findings,
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
    found, source = sources.read(images.source, "images", {"needs_classes": needs_classes})
    is_packed = found.checks is not None
    known = None if is_packed else _known_before(found, saved)
    skipped = found.skipped
    if known is not None:
        found, skipped = known, saved.assets["skipped"]
    elif images.on_bad == "skip" and found.paths is not None and not is_packed:
        found, skipped = without_unreadable(found)
    of_classes = {"labels": found.labels, "class_names": found.class_names}
    assignment = assign(found.names, found.split, division, saved, found, **of_classes)
    is_folder = isinstance(source, os.PathLike) and os.path.isdir(source)  # a name such as `digits` is none
    if found.split is None and not division.split_files and is_folder:
        tell_of_lists(source)
    checks = found.checks or PixelChecks(found.names if found.paths is None else found.paths)
    column, shape = _column(found, images, None if is_packed else checks, is_packed or known is not None)
    checks.report()
    if saved is None or saved.rule is not None:
        _leave_out(assignment, checks, images)
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
        "filters": Filters.of(images).to_json(),
        "pixel_kind": found.pixel_kind,
        "skipped": skipped,
        "equal_examples": equal,
    }
    files, class_names, findings = _files(found), found.class_names, []
    if needs_classes:
        findings = tell(label_checks.check(found.labels, class_names, assignment["split"]))
    return ImageSplits(parts, shape, class_names, assignment, str(source), assets, whole, files, equal, findings)


def _leave_out(assignment, checks, images):
    """Takes training images out of an assignment that are equal to others, or of one colour, where that is asked for.

    Of the validation and test split none is taken: scores stay comparable with those of other settings.
    """
    split = assignment["split"].to_numpy(dtype=object).copy()
    is_training = split == "train"
    reasons = {}
    if images.drop_duplicates:
        seen = {digest for digest, part in zip(checks.digests, split, strict=True) if part in SPLITS[1:]}
        rows = []
        for row in np.flatnonzero(is_training):
            if checks.digests[row] in seen:
                rows.append(row)
            seen.add(checks.digests[row])
        reasons["equal to another one"] = rows
    if images.drop_constant:
        reasons["of one colour throughout"] = [row for row in checks.constant if is_training[row]]
    rows = sorted({row for each in reasons.values() for row in each})
    if not rows:
        return
    split[rows] = "left out"
    if not (split == "train").any():
        raise KitError("data.drop_duplicates, data.drop_constant: no training image is left")
    assignment["split"] = split
    told = "; ".join(f"{why}: {len(each):,}" for why, each in reasons.items() if each)
    log.info("images: %s of %s left out of training (%s)", f"{len(rows):,}", f"{is_training.sum():,}", told)


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

    `checks`, unless None, get all of them on the way; those that stay on disk and are known to be readable are passed
    over.
    """
    if found.paths is not None:
        crop, background = images.crop_to_aspect_ratio, images.background
        shape = common_shape(found.paths, images.size, images.color_mode, crop, background)
        filters = Filters.of(images)
        in_memory = images.in_memory
        if in_memory == "auto" and found.checks is not None:
            in_memory = False  # whoever packs data has more than memory holds
        how = crop, in_memory, background, checks, is_known, filters if filters.is_any else None
        return decoded(found.paths, shape, *how), shape
    pixels = found.pixels
    shape = (*(images.size or pixels.shape[1:3]), pixels.shape[3])
    if shape[:2] != pixels.shape[1:3]:
        pixels = resize(pixels, shape[:2], images.crop_to_aspect_ratio)
    if images.color_mode == "rgb" and shape[2] == 1:
        pixels, shape = np.repeat(pixels, 3, -1), (*shape[:2], 3)
    elif images.color_mode == "grayscale" and shape[2] == 3:
        pixels, shape = luminance(pixels), (*shape[:2], 1)
    filters = Filters.of(images)
    pixels = filters(pixels) if filters.is_any else pixels
    for start in range(0, len(pixels), 1024):
        checks.update(pixels[start : start + 1024])
    return Dense(pixels), shape
