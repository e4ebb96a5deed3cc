"""Streams that can be taken up at any step, and stratified splits."""

import numpy as np
import pytest

from kit.data.augmentation import augmentation
from kit.data.columns import Dense
from kit.data.examples import Examples
from kit.data.options import Augmentations, Division
from kit.data.splits import Kept, assign
from kit.errors import KitError, SettingError


def stream(examples, start, stop, batch_size=4, seed=3):
    return list(examples.stream(batch_size, seed, start, stop).as_numpy_iterator())


def examples_of(inputs, labels, **more):
    return Examples({"input": Dense(inputs)}, {"label": Dense(labels)}, **more)


def numbered(count):
    return examples_of(np.arange(count), np.arange(count) * 10)


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


@pytest.mark.parametrize(
    "settings",
    [
        {"flip": True, "translation": 0.25},
        {"flip": True, "zoom": 0.3},
        {"rotation": 20.0},
        {"rand_augment": 2},
        {"translation": 0.2, "random_erasing": 1.0},
        {"mixup": 0.5},
        {"cutmix": 1.0},
    ],
    ids="-".join,
)
def test_augmentation_repeats_from_any_step_also_in_parallel(settings):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(40) % 3

    def batches(start):
        transform = augmentation(5, 3, Augmentations(**settings))
        return stream(examples_of(images, labels, transform=transform), start, 30)

    whole = batches(0)
    for start in (0, 11):
        for first, second in zip(whole[start:], batches(start), strict=True):
            np.testing.assert_array_equal(first[0], second[0])
            np.testing.assert_array_equal(first[1], second[1])
    originals = {image.astype("float32").tobytes() for image in images}
    changed = [image.tobytes() not in originals for batch in whole for image in batch[0]]
    assert np.mean(changed) > 0.7
    flips = [batch[0][:, :, ::-1].tobytes() for batch in whole]
    assert len(set(flips)) == len(flips)


def test_no_augmentation_asked_for_is_none():
    assert augmentation(1, 3, Augmentations()) is None


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
def test_mixed_images_have_mixed_labels(mix):
    images = np.stack([np.full((8, 8, 1), 255 * (row % 2), "uint8") for row in range(40)])
    transform = augmentation(0, 2, Augmentations(**{mix: 1.0}))
    examples = examples_of(images, np.arange(40) % 2, transform=transform)
    for pixels, shares in stream(examples, 0, 5, batch_size=20):
        assert shares.shape == (20, 2)
        np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)
        # White images are of class 1: as much white as there is of the class. Keras' CutMix pastes whole pixels.
        np.testing.assert_allclose(pixels.mean((1, 2, 3)) / 255, shares[:, 1], atol=1e-4 if mix == "mixup" else 0.2)
        assert ((shares > 0.05) & (shares < 0.95)).any()


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
def test_mixed_images_have_mixed_weights_of_their_classes(mix):
    images = np.stack([np.full((8, 8, 1), 255 * (row % 2), "uint8") for row in range(40)])
    of_class = np.array([1, 9], "float32")
    transform = augmentation(0, 2, Augmentations(**{mix: 1.0}), of_class)
    labels = np.arange(40) % 2
    examples = examples_of(images, labels, weights=Dense(of_class[labels]), transform=transform)
    for _, shares, weights in stream(examples, 0, 5, batch_size=20):
        np.testing.assert_allclose(weights, shares[:, 0] + 9 * shares[:, 1], rtol=1e-5)
        assert ((weights > 1.5) & (weights < 8.5)).any()


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"translation": 1.0}, "translation"),
        ({"zoom": -0.1}, "zoom"),
        ({"rotation": 181}, "rotation"),
        ({"rand_augment": 12}, "rand_augment"),
        ({"rand_augment_magnitude": 2.0}, "rand_augment_magnitude"),
        ({"random_erasing": 1.5}, "random_erasing"),
        ({"mixup": -1.0}, "mixup"),
        ({"cutmix": 2.0}, "cutmix"),
        ({"mixup": 0.2, "cutmix": 0.2}, "cutmix"),
    ],
)
def test_augmentation_refuses(settings, key):
    with pytest.raises(SettingError) as error:
        augmentation(0, 3, Augmentations(**settings))
    assert error.value.key == key


def draw(labels, given=None, validation=0.2, test=0.2, seed=0, saved=None):
    labels = np.array(labels)
    names = [str(row) for row in range(len(labels))]
    classes = [f"class {index}" for index in range(labels.max() + 1)]
    kept = None if saved is None else Kept(saved)
    return assign(names, given, Division(validation, test, seed), kept, labels=labels, class_names=classes)


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
    with pytest.raises(KitError, match="class 'class 1' has 2 examples"):
        draw([0] * 20 + [1] * 2)
    with pytest.raises(SettingError, match="test_fraction: expected a share"):
        draw([0, 1] * 10, test=1.5)
    for fraction in (-1, 1.5):
        with pytest.raises(SettingError, match="test_fraction: expected a share"):
            assign("abcdefgh", ["test", *["train"] * 7], Division(0.2, fraction), None)
    found = assign("abcdefgh", ["test", *["train"] * 7], Division(0.2, 0), None)
    assert list(found["split"]).count("test") == 1
    with pytest.raises(SettingError, match="validation_fraction: 0.99"):
        draw([0, 1] * 20, validation=0.99)


def test_splits_are_joined():
    both = numbered(3).join(numbered(2))
    np.testing.assert_array_equal(both.input("input"), [0, 1, 2, 0, 1])
    np.testing.assert_array_equal(both.target("label"), [0, 10, 20, 0, 10])


def test_joined_examples_have_the_weights_of_their_classes():
    weights = Dense(np.array([2.0, 0.5, 0.5], "float32"))
    train = examples_of(np.arange(3), np.array([0, 1, 1]), weights=weights)
    both = train.join(examples_of(np.arange(2), np.array([1, 0])))
    np.testing.assert_array_equal(both.weights.values(both.rows), np.array([2.0, 0.5, 0.5, 0.5, 2.0], "float32"))
