"""Findings on single images: damaged, of odd endings, modes, sizes and brightness, of one colour, unlike all others."""

import collections
import math

import numpy as np

from kit.data.findings import Finding, of_total, some
from kit.data.image import GREY_MODES

_SHOWN = 24
# Largest difference of two pixels of an image that is of one colour, or almost, by the span or by the thumbnail.
_CONSTANT, _FAINT = 2, 12
# Sides below, or above, so many times the median are odd; so are shapes so many times longer than the usual one.
_SIZE, _SHAPE, _LEAST_SIDE = 4.0, 3.0, 8
# Brightness so many times the usual deviation away from the median, and at least so many levels of grey.
_DEVIATIONS, _LEVELS = 6.0, 40.0
# How much better than by the commonest class a property of files tells the class before that is told.
_SHORTCUT = 0.25


class View:
    """Images as the checks see them: facts, and what the source says of the images that can be read.

    Args:
        facts: `ImageFacts`.
        names, split, labels: Name, split and class of each readable image.
        class_names: Name of each class.
    """

    def __init__(self, facts, names, split, labels, class_names):
        self.facts, self.names, self.split, self.labels, self.class_names = facts, names, split, labels, class_names

    def __len__(self):
        return len(self.facts)

    def describe(self, row):
        """Returns a dictionary that shows an image."""
        return {
            "example": self.names[row],
            "split": self.split[row],
            "label": self.class_names[self.labels[row]] if self.class_names else "",
        }

    def finding(self, kind, level, rows, message, advice, order=None):
        """Returns a list of a finding on images, of none if there are none; `order` says which are shown first."""
        rows = np.asarray(rows)
        if not len(rows):
            return []
        shown = rows if order is None else rows[np.argsort(order, kind="stable")]
        text = message.format(of=of_total(len(rows), len(self), "images"))
        first = [self.describe(row) for row in shown[:20]]
        return [Finding(kind, level, text, advice, len(rows), first, [[int(row)] for row in shown[:_SHOWN]])]


def check(view, passed_over, image_size=None, color_mode="auto"):
    """Returns the findings on single images.

    Args:
        view: `View`.
        passed_over: `PassedOver` of the source, or None.
        image_size, color_mode: Settings of `[data]`.
    """
    return [
        *_damaged(view),
        *_passed_over(passed_over),
        *_endings(view),
        *_modes(view, color_mode),
        *_constant(view),
        *_sizes(view, image_size),
        *_brightness(view),
        *_shortcuts(view),
    ]


def _damaged(view):
    messages = list(view.facts.damaged.values())
    if not messages:
        return []
    return [
        Finding(
            "damaged",
            "problem",
            f"{of_total(len(messages), len(view) + len(messages), 'images')} cannot be read; the first: {messages[0]}",
            "mend or remove them; data.on_bad=skip goes on without them",
            len(messages),
            [{"message": message} for message in messages[:20]],
        )
    ]


def _passed_over(passed):
    """Returns a note on files that are not read, by ending; hidden ones and what systems leave are nobody's data."""
    if passed is None or not (passed.endings or passed.links or passed.beside):
        return []
    told = [f"{count:,} {ending or 'without an ending'}" for ending, count in passed.endings.most_common(6)]
    told += [f"{len(passed.links):,} links to folders"] if passed.links else []
    told += [f"{len(passed.beside):,} in no folder of a class"] if passed.beside else []
    count = passed.endings.total() + len(passed.links) + len(passed.beside)
    shown = [{"ending": ending, "files": number} for ending, number in passed.endings.most_common(20)]
    shown += [{"example": str(path)} for path in [*passed.links, *passed.beside][:20]]
    return [
        Finding(
            "passed_over",
            "note",
            f"{count:,} files are passed over: {', '.join(told)}",
            "convert them, or put them into the folder of a class, if they are examples",
            count,
            shown,
        )
    ]


def _endings(view):
    facts = view.facts
    rows = np.flatnonzero(facts.wrong_endings)
    kinds = collections.Counter(
        f"{facts.formats[row]} called .{view.names[row].rpartition('.')[2]}" for row in rows.tolist()
    )
    told = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(4))
    return view.finding(
        "wrong_ending",
        "warning",
        rows,
        f"{{of}} have the ending of another format: {told}",
        "rename them: the kit reads them by their content, other programs and people go by the ending",
    )


def _modes(view, color_mode):
    facts = view.facts
    is_grey = np.isin(facts.modes, list(GREY_MODES))
    count, found = int(is_grey.sum()), []
    if 0 < count < len(view):
        rows = np.flatnonzero(is_grey if 2 * count <= len(view) else ~is_grey)
        kind, usual = ("grey", "coloured") if 2 * count <= len(view) else ("coloured", "grey")
        found += view.finding(
            "mixed_modes",
            "problem" if color_mode == "auto" else "note",
            rows,
            f"{{of}} are {kind}, the others {usual}",
            "data.color_mode=rgb or grayscale makes them all of one kind; training asks for it"
            if color_mode == "auto"
            else f"data.color_mode={color_mode} makes them all of one kind",
        )
    spread = facts.thumbnails.max(-1) - facts.thumbnails.min(-1)  # (images, side, side)
    looks_grey = ~is_grey & (spread.max((1, 2)) <= 2) & (facts.spans > _FAINT)
    count = int(looks_grey.sum())
    if count and count == int((~is_grey).sum()):
        advice = "data.color_mode=grayscale takes a third of the memory"
        found += view.finding("grey_in_colour", "note", np.flatnonzero(looks_grey), "{of} hold no colour", advice)
    elif count:
        found += view.finding(
            "grey_among_colour",
            "note",
            np.flatnonzero(looks_grey),
            "{of} are grey, though their files are coloured",
            "if colour does not matter, data.color_mode=grayscale makes all alike",
        )
    found += view.finding(
        "transparent",
        "note",
        np.flatnonzero(facts.transparent),
        "{of} are transparent",
        "what is seen through them is data.background, white or black",
    )
    return found + view.finding(
        "several_frames",
        "note",
        np.flatnonzero(facts.several),
        "{of} hold several images or frames, of which the first is read",
        "save the others as files of their own, if they are examples",
    )


def _constant(view):
    greys = view.facts.greys
    faint = (view.facts.spans <= _FAINT) & (greys.max(1) - greys.min(1) <= _FAINT)
    constant = view.facts.spans <= _CONSTANT
    found = view.finding(
        "constant",
        "warning",
        np.flatnonzero(constant),
        "{of} are of one colour throughout",
        "data.drop_constant=true leaves them out of training; or remove them",
    )
    return found + view.finding(
        "almost_constant",
        "warning",
        np.flatnonzero(faint & ~constant),
        "{of} are almost of one colour",
        "look whether anything is on them, and remove those with nothing",
        view.facts.spans[faint & ~constant],
    )


def _sizes(view, image_size):
    facts = view.facts
    short = np.minimum(facts.heights, facts.widths)
    if len(np.unique(facts.heights)) == len(np.unique(facts.widths)) == 1:
        return []
    middle = float(np.median(short))
    small = np.flatnonzero((short < middle / _SIZE) | (short < min(_LEAST_SIDE, middle)))
    large = np.flatnonzero(short > middle * _SIZE)
    shapes = np.log(facts.widths / facts.heights)
    unusual = np.abs(shapes - np.median(shapes))
    bound = max(math.log(_SHAPE), 1.5 * float(np.quantile(unusual, 0.95)))
    long = np.flatnonzero((unusual > bound) & ~np.isin(np.arange(len(view)), small))
    side = f"{middle:,.0f} pixels"
    found = view.finding(
        "small",
        "warning",
        small,
        f"{{of}} are far smaller than usual: down to {_of_size(facts, small, short.argmin())}, where the usual shorter "
        f"side has {side}",
        "little is left to see on them: remove them, or find the originals",
        short[small],
    )
    found += view.finding(
        "large",
        "note",
        large,
        f"{{of}} are far larger than usual: up to {_of_size(facts, large, short.argmax())}, where the usual shorter "
        f"side has {side}",
        "they are resized to the size of all; cut out what matters, if it is small on them",
        -short[large],
    )
    return found + view.finding(
        "odd_shape",
        "warning",
        long,
        f"{{of}} have an odd shape, such as {_of_size(facts, long, long[unusual[long].argmax()] if len(long) else 0)}",
        "they are squeezed: data.crop_to_aspect_ratio=true cuts margins instead; or cut them by hand",
        -unusual[long],
    )


def _of_size(facts, rows, row):
    return f"{facts.heights[row]}x{facts.widths[row]}" if len(rows) else ""


def _brightness(view):
    """Returns a finding on images that are far darker or brighter than the others, and show little."""
    greys = view.facts.greys
    means, spread = greys.mean(1), greys.std(1)
    middle = np.median(means)
    deviation = 1.4826 * np.median(np.abs(means - middle))
    away = np.abs(means - middle)
    is_extreme = (means < 16) | (means > 239)
    usual = np.median(spread)
    odd = is_extreme & (away > max(_DEVIATIONS * 0.5 * deviation, _LEVELS)) & (spread < 0.25 * usual)
    odd |= away > max(_DEVIATIONS * deviation, 2 * _LEVELS)
    odd &= view.facts.spans > _FAINT
    rows = np.flatnonzero(odd)
    dark = int((means[rows] < middle).sum())
    return view.finding(
        "brightness",
        "warning",
        rows,
        f"{{of}} are far darker ({dark:,}) or brighter ({len(rows) - dark:,}) than the others",
        "look whether anything is to be seen on them; data.equalize=true spreads the grey levels of all",
        -away[rows],
    )


def _shortcuts(view):
    """Returns a finding where a property of the files alone tells the class, which a network would learn instead."""
    if len(view.class_names or ()) < 2 or len(view) < 20:
        return []
    facts = view.facts
    sizes = [f"{height}x{width}" for height, width in zip(facts.heights, facts.widths, strict=True)]
    properties = {"format": facts.formats, "colour mode": facts.modes, "size": np.array(sizes, object)}
    base = _of_same_class(np.zeros(len(view), int), view.labels, len(view.class_names))
    for name, values in properties.items():
        _, codes = np.unique(values.astype(str), return_inverse=True)
        share = _of_same_class(codes, view.labels, len(view.class_names))
        if share - base > _SHORTCUT:
            common = collections.Counter(zip(values, view.labels.tolist(), strict=True)).most_common(6)
            shown = [
                {name: str(value), "label": view.class_names[label], "images": count}
                for (value, label), count in common
            ]
            return [
                Finding(
                    "shortcut",
                    "problem",
                    f"the {name} of a file tells the class: of images with the same one {share:.0%} are of one class, "
                    f"of all {base:.0%}; {_shown(shown, name)}",
                    "a network may learn that instead of what is to be seen: bring all classes to one format, mode and "
                    "size in the same way",
                    len(view),
                    shown,
                )
            ]
    return []


def _shown(rows, name):
    return some([f"{row[name]} is {row['label']}" for row in rows], 2)


def _of_same_class(codes, labels, classes):
    """Returns how many of the other images of the same code are of the same class, on average over the images."""
    counts = np.zeros((codes.max() + 1, classes), int)
    np.add.at(counts, (codes, labels), 1)
    own, all_of_code = counts[codes, labels] - 1, counts.sum(1)[codes] - 1
    return float((own / np.maximum(all_of_code, 1)).mean())
