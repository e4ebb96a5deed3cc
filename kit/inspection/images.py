"""Inspection of images: reads each once, divides them as training would, and looks for what is wrong with them."""

import collections
import logging

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from kit.data import label_checks, sources
from kit.data.filters import Filters
from kit.data.image import opened, plain, resize
from kit.data.split_names import SPLITS
from kit.errors import KitError
from kit.inspection import copies, image_checks, image_facts, name_groups, near_copies
from kit.inspection.dividing import divided
from kit.inspection.inspection import Inspection
from kit.reporting import plots

log = logging.getLogger("kit")

# Pictures on a page are at most so many pixels wide or high.
_PICTURE = 160
_TRANSFORMED = 8
# More images than this share cannot all be strangers.
_FEW_UNLIKE = 0.002
_ADVICE = (
    "data.drop_duplicates=true leaves training images out that are held out too; or remove them",
    "data.drop_duplicates=true keeps one of each in training",
)
_ADVICE_ON_NEAR = (
    "remove one of each, or keep them together in one split",
    "remove all but one, unless they are examples of their own",
)


def inspected(recipe, source, images, division, needs_classes=True):
    """Returns the `Inspection` of images.

    Args:
        recipe: Name of the recipe whose data they are.
        source: What `data.source` may be.
        images: `ImageOptions`.
        division: `Division`.
        needs_classes: Refuse images without classes.

    Raises:
        KitError: there is nothing that could be inspected.
    """
    refused = []
    found, source = sources.read(source, "images", {"needs_classes": needs_classes, "refused": refused})
    log.info("images: %s of %s are read", f"{len(found.names):,}", source)
    if found.paths is not None:
        facts = image_facts.of_files(found.paths, images.background)
    else:
        facts = image_facts.of_pixels(found.pixels)
    if not len(facts):
        raise KitError(
            f"{source}: none of {len(found.names):,} images can be read; {next(iter(facts.damaged.values()))}"
        )
    if facts.damaged:
        found = found.take(facts.rows)
    advice = "add examples, or leave the class out: training refuses them"
    assignment, undivided = divided(found, division, advice, found.labels, found.class_names)
    split = assignment["split"].to_numpy(object)
    class_names = found.class_names if len(found.class_names) > 1 or needs_classes else []
    view = image_checks.View(facts, found.names, split, found.labels, class_names)
    with threadpool_limits(1):  # several wait for each other in busy loops
        findings = [
            *undivided,
            *_copies(view, images),
            *_of_classes(view, refused),
            *image_checks.check(view, found.passed_over, images.image_size, images.color_mode),
        ]
    picture = _pictures(found, images.background)
    filters = Filters.of(images)
    return Inspection(
        recipe=recipe,
        source=str(source),
        findings=findings,
        numbers=_numbers(view),
        tables=_tables(view, found.passed_over),
        figures=_figures(view),
        picture=picture,
        caption=lambda row: " ".join(str(view.describe(row)[name]) for name in ("label", "split")),
        transformed=_transformed(picture, len(view), filters, images) if filters.is_any else [],
        transforms=str(filters),
    )


def _copies(view, images):
    """Returns findings on equal and nearly equal images, and on groups that are torn."""
    facts, labels = view.facts, view.labels if view.class_names else None
    digests = facts.digests.tolist()
    told = {"describe": view.describe, "split": view.split, "labels": labels, "noun": "images"}
    equal = copies.groups_of_equal(digests)
    constant = facts.spans <= 2  # they are told of as such
    shown = [group for group in equal if not constant[group[0]]]
    found = copies.check(shown, "equal", advice=_ADVICE, **told)
    first = np.array(sorted({digest: row for row, digest in reversed(list(enumerate(digests)))}.values()))
    vectors = near_copies.normalized(facts.greys)
    all_of = (vectors, facts.thumbnails)
    one, other, _ = near_copies.near_pairs(*(all_of if len(first) == len(view) else (each[first] for each in all_of)))
    rows = {row: group for group in equal for row in group}
    near = copies.joined(zip(first[one].tolist(), first[other].tolist(), strict=True))
    near = [sorted({each for row in group for each in rows.get(row, [row])}) for group in near]
    found += copies.check(near, "near", advice=_ADVICE_ON_NEAR, **told)
    found += name_groups.check(view.names, view.split, view.labels, view.class_names or [""], vectors)
    return found + _unlike_others(view, vectors)


def _unlike_others(view, vectors):
    """Returns a finding on images that no other image is like."""
    distances = near_copies.to_nearest(vectors)
    middle = np.median(distances)
    deviation = 1.4826 * np.median(np.abs(distances - middle))
    odd = (distances > middle + max(8 * deviation, 0.2)) & (view.facts.spans > 12)
    if odd.sum() > max(3, _FEW_UNLIKE * len(view)):
        return []  # that many are only the rarer ones
    return view.finding(
        "unlike_others",
        "note",
        np.flatnonzero(odd),
        "{of} are like no other one",
        "look whether they belong here, and remove those that do not",
        -distances[odd],
    )


def _of_classes(view, refused):
    if not view.class_names:
        return []
    return label_checks.check(view.labels, view.class_names, view.split, empty=refused)


def _numbers(view):
    facts = view.facts
    sizes = collections.Counter(zip(facts.heights.tolist(), facts.widths.tolist(), strict=True))
    (height, width), _ = sizes.most_common(1)[0]
    short = np.minimum(facts.heights, facts.widths)
    size = f"{height}x{width}" if len(sizes) == 1 else f"{short.min()} to {short.max()}"
    return {
        "images": len(view),
        **({"classes": len(view.class_names)} if view.class_names else {}),
        **{f"{name} images": int((view.split == name).sum()) for name in SPLITS},
        "size" if len(sizes) == 1 else "shorter side, pixels": size,
        **({"different sizes": len(sizes)} if len(sizes) > 1 else {}),
    }


def _tables(view, passed_over):
    """Returns tables of classes, and of kinds of files."""
    facts, tables = view.facts, {}
    if view.class_names:
        counts = {
            name: np.bincount(view.labels[view.split == name], minlength=len(view.class_names)) for name in SPLITS
        }
        table = pd.DataFrame({"class": view.class_names, **counts})
        tables["classes"] = table.assign(total=table[list(SPLITS)].sum(axis=1))
    short = np.minimum(facts.heights, facts.widths)
    frame = pd.DataFrame({"format": facts.formats, "mode": facts.modes, "side": short})
    kinds = frame.groupby(["format", "mode"], sort=False)["side"]
    files = kinds.agg(["size", "min", "median", "max"]).reset_index()
    files.columns = ["format", "mode", "images", "shorter side: least", "median", "most"]
    files["median"] = files["median"].round().astype(int)
    files["format"] = files["format"].replace("", "pixels")
    tables["files"] = files
    if passed_over is not None and passed_over.endings:
        tables["files passed over"] = pd.DataFrame(
            [(ending or "(none)", count) for ending, count in passed_over.endings.most_common()],
            columns=["ending", "files"],
        )
    return tables


def _figures(view):
    facts = view.facts
    greys = facts.greys
    short, shape = np.minimum(facts.heights, facts.widths), facts.widths / facts.heights
    values = {"brightness (mean)": greys.mean(1), "contrast (deviation)": greys.std(1)}
    if len(np.unique(short)) > 1:
        values = {"shorter side, pixels": short, "width / height": shape} | values
    return {"distributions": lambda: plots.histograms(values)}


def _pictures(found, background):
    """Returns a function that gives a small picture of a row."""
    from PIL import Image

    def picture(row):
        if found.paths is None:
            pixels = found.pixels[row]
            image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        else:
            with opened(found.paths[row]) as file:
                image = plain(file, file.mode in ("1", "L", "LA"), background)
        image.thumbnail((_PICTURE, _PICTURE))
        return image

    return picture


def _transformed(picture, count, filters, images):
    """Returns pictures of a few images before and after filters, at the size that they are trained in where known."""
    from PIL import Image

    pairs = []
    for row in np.unique(np.linspace(0, count - 1, _TRANSFORMED).astype(int)).tolist():
        image = picture(row)
        pixels = np.asarray(image)[None]
        pixels = pixels if pixels.ndim == 4 else pixels[..., None]
        if images.size is not None:
            pixels = resize(pixels, images.size, images.crop_to_aspect_ratio)
        after = filters(pixels)
        pairs.append([Image.fromarray(each[0, ..., 0] if each.shape[-1] == 1 else each[0]) for each in (pixels, after)])
    return pairs
