"""Streams that can be taken up at any step, and stratified splits."""

import numpy as np
import pytest

from kit.data.augmentation import flip_and_translation
from kit.data.splits import Examples, assign
from kit.errors import KitError, SettingError


def stream(examples, start, stop, batch_size=4, seed=3):
    return list(examples.stream(batch_size, seed, start, stop).as_numpy_iterator())


def numbered(count, **more):
    return Examples((np.arange(count), np.arange(count) * 10), **more)


def test_stream_is_a_function_of_seed_and_step():
    examples = numbered(10)
    whole, later = stream(examples, 0, 12), stream(examples, 7, 12)
    for first, second in zip(whole[7:], later, strict=True):
        np.testing.assert_array_equal(first[0], second[0])
    other = stream(examples, 0, 12, seed=4)
    assert any((first[0] != second[0]).any() for first, second in zip(whole, other, strict=True))


def test_every_pass_sees_every_example_once_in_another_order():
    rows = np.concatenate([batch[0] for batch in stream(numbered(10), 0, 10)]).reshape(4, 10)
    for row in rows:
        assert sorted(row) == list(range(10))
    assert len({tuple(row) for row in rows}) == 4


def test_columns_stay_together_and_batches_full():
    for inputs, labels in stream(numbered(10), 0, 9):
        assert len(inputs) == 4
        np.testing.assert_array_equal(inputs * 10, labels)


def test_batches_are_all_examples_in_order():
    batches = list(numbered(10).batches(4).as_numpy_iterator())
    assert [len(batch[0]) for batch in batches] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([batch[0] for batch in batches]), np.arange(10))


def test_augmentation_repeats_from_any_step_also_in_parallel():
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(40)

    def batches(start):
        augment = flip_and_translation(True, 0.25, seed=5)
        return stream(Examples((images, labels), augment=augment), start, 30)

    whole = batches(0)
    for start in (0, 11):
        for first, second in zip(whole[start:], batches(start), strict=True):
            np.testing.assert_array_equal(first[0], second[0])
    originals = {image.astype("float32").tobytes() for image in images}
    changed = [image.tobytes() not in originals for batch in whole for image in batch[0]]
    assert np.mean(changed) > 0.8
    flips = [batch[0][:, :, ::-1].tobytes() for batch in whole]
    assert len(set(flips)) == len(flips)


def test_no_augmentation_asked_for_is_none():
    assert flip_and_translation(False, 0.0, seed=1) is None


def draw(labels, given=None, validation=0.2, test=0.2, seed=0, saved=None):
    labels = np.array(labels)
    names = [str(row) for row in range(len(labels))]
    classes = [f"class {index}" for index in range(labels.max() + 1)]
    return assign(names, given, validation, test, seed, saved, labels=labels, class_names=classes)


def test_splits_are_stratified_disjoint_and_from_the_seed():
    labels = [0] * 80 + [1] * 20
    first, again, other = draw(labels), draw(labels), draw(labels, seed=1)
    assert first.equals(again)
    assert not first.equals(other)
    counts = first.groupby(["split", "label"]).size()
    assert counts["test", 0] == 16
    assert counts["test", 1] == 4
    assert counts["validation", 0] / counts["validation", 1] == pytest.approx(4, abs=0.6)
    assert counts.sum() == 100


def test_given_splits_are_kept_and_missing_ones_drawn_from_training():
    given = np.array(["train"] * 30 + ["test"] * 10, dtype=object)
    drawn = draw([0, 1] * 20, given)
    assert (drawn["split"][30:] == "test").all()
    assert (drawn["split"][:30] == "validation").sum() == 6


def test_a_saved_assignment_is_used_again():
    labels = [0, 1] * 10
    saved = draw(labels)
    assert draw(labels, seed=9, saved=saved).equals(saved)
    with pytest.raises(KitError, match="the data changed since this run was started"):
        draw([*labels, 0], saved=saved)


def test_refuses_what_cannot_be_divided():
    with pytest.raises(KitError, match="class 'class 1' has 2 images"):
        draw([0] * 20 + [1] * 2)
    with pytest.raises(SettingError, match="test_fraction: expected a share"):
        draw([0, 1] * 10, test=1.5)
    with pytest.raises(SettingError, match="validation_fraction: 0.99"):
        draw([0, 1] * 20, validation=0.99)
