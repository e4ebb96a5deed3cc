"""Equal examples across splits and classes."""

from kit.data.overlap import also_in_training, overlap

SPLIT = ["train", "train", "train", "validation", "validation", "test", "test", "left out"]


def test_counts_what_held_out_splits_share():
    keys = ["a", "a", "b", "a", "c", "c", "b", "b"]
    assert overlap(keys, SPLIT, "images") == {
        "images of the validation split that are also in training": 1,
        "images of the test split that are also in training": 1,
        "images of the test split that are also in the validation split": 1,
    }
    assert also_in_training(keys, SPLIT, "texts") == {
        "texts of the validation split that are also in training": 1,
        "texts of the test split that are also in training": 1,
    }


def test_counts_equal_examples_of_different_classes(caplog):
    caplog.set_level("INFO", "kit")
    found = overlap(list("aabcddde"), SPLIT, "images", [0, 1, 0, 0, 2, 2, 2, 0])
    assert found == {
        "images of the test split that are also in the validation split": 2,
        "images that are equal to one of another class": 2,
    }
    assert caplog.messages == [
        "equal examples: images of the test split that are also in the validation split: 2; "
        "images that are equal to one of another class: 2"
    ]


def test_nothing_is_told_of_nothing(caplog):
    caplog.set_level("INFO", "kit")
    assert overlap(range(8), SPLIT, "images", range(8)) == {}
    assert not caplog.messages
