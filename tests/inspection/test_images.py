"""Near copies among images that are only alike, names of groups, and labels that look alike."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from kit.data.label_checks import alike_names
from kit.inspection import image_facts, name_groups, near_copies
from tests.inspection.planted import scene


def pairs(images):
    facts = image_facts.of_pixels(np.stack([np.asarray(image) for image in images]))
    first, second, _ = near_copies.near_pairs(near_copies.normalized(facts.greys), facts.thumbnails)
    return set(zip(first.tolist(), second.tolist(), strict=True))


def test_handwritten_digits_are_alike_but_no_copies():
    digits = (load_digits().images * 15.9375).astype(np.uint8)[..., None]
    facts = image_facts.of_pixels(digits)
    first, _, _ = near_copies.near_pairs(near_copies.normalized(facts.greys), facts.thumbnails)
    assert len(first) <= 2  # two of the 1,797 scans differ in a few grey levels


def test_brightness_and_contrast_leave_copies_what_they_are():
    images = [scene(number) for number in range(60)]
    assert pairs(images) == set()
    images += [images[7].point(lambda value: 0.7 * value + 20), images[9].resize((64, 48)).resize((128, 96))]
    assert pairs(images) == {(7, 60), (9, 61)}


def test_the_same_drawing_in_another_colour_is_no_copy():
    images = [scene(number) for number in range(40)]
    red, green, blue = images[5].split()
    images.append(
        Image.merge("RGB", (green.point(lambda value: value // 3), green, green.point(lambda value: value // 2)))
    )
    images.append(Image.merge("RGB", (blue, red, green)))
    assert pairs(images) == set()


def test_images_of_one_colour_are_no_copies():
    assert pairs([Image.new("RGB", (20, 20), (shade, shade, shade)) for shade in range(10)]) == set()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("cat", "Cat "),
        ("cat", "cats"),
        ("box", "boxes"),
        ("berry", "berries"),
        ("New York", "new_york"),
        ("é", "e"),
        ("Inc.", "inc"),
    ],
)
def test_names_that_look_alike(first, second):
    assert alike_names([first, second], [50, 40])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        *(("horse", "house"), ("class1", "class2"), (".", ","), ("ADJ", "ADP"), ("NNP", "NNPS"), ("as", "ass")),
        *(("1", "11"), ("-1", "1"), ("<=50K", ">50K"), ("C", "C++"), ("A+", "A-"), ("1.5", "15"), ("की", "का")),
        ("か", "が"),
    ],
)
def test_names_that_are_different(first, second):
    assert not alike_names([first, second], [50, 40])


def test_a_slip_of_a_letter_in_a_rare_name():
    assert alike_names(["sunflower", "sunfower"], [80, 2])
    assert not alike_names(["sunflower", "sunfower"], [80, 60])


def torn(names, split=None):
    split = np.array(["train", "test"] * (len(names) // 2), object) if split is None else split
    labels = np.array([row // (len(names) // 2) for row in range(len(names))])
    return name_groups.check(names, split, labels, ["a", "b"])


def test_groups_by_names():
    named = [f"{'ab'[row // 20]}/patient_{row // 4:03}-{row}.png" for row in range(40)]
    (finding,) = torn(named)
    assert finding.kind == "torn_groups" and finding.count == 10
    whole = np.array(["train" if row // 4 % 2 else "test" for row in range(40)], object)
    assert not torn(named, whole)
    assert not torn([f"IMG_{row:04}.jpg" for row in range(40)])
    assert not torn([f"{'ab'[row // 20]}/rose_{row}.jpg" for row in range(40)])
