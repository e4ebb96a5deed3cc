"""What the field calls its splits."""

import pytest

from kit.data.split_names import SPLIT_NAMES, SPLITS, split_named, splits_in


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *((name, split) for split, names in SPLIT_NAMES.items() for name in names),
        ("Train", "train"),
        ("TRAINING", "train"),
        ("Training Set", "train"),
        ("test_set", "test"),
        ("trainset", "train"),
        ("val-data", "validation"),
        ("Dev", "validation"),
        (" Test ", "test"),
        ("eval", None),
        ("latest", None),
        ("trian", None),
        ("train_test", None),
        ("seg_train", None),
        ("", None),
        (None, None),
        (3, None),
    ],
)
def test_names_that_mean_a_split(name, split):
    assert split_named(name) == split


@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("en-train.tsv", ["train"]),
        ("train2017", ["train"]),
        ("seg_test", ["test"]),
        ("train_dev.conll", ["train", "validation"]),
        ("latest.txt", []),
        ("entraînement", []),
        ("test", ["test"]),
    ],
)
def test_names_with_the_word_of_a_split(name, splits):
    assert splits_in(name) == splits


def test_every_split_has_names():
    assert tuple(SPLIT_NAMES) == SPLITS
