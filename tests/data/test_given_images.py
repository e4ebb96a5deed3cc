"""Images given in Python: names of splits, labels that are none, and data sets that never end."""

import numpy as np
import pytest
import tensorflow as tf

from kit.data.sources import GivenData, given_images
from kit.errors import KitError, SettingError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 1), dtype=np.uint8)
LABELS = np.array([0, 1] * 3)


def read(content):
    return given_images.read(GivenData(content))


def test_splits_are_called_as_the_field_does():
    found = read({"Train": (IMAGES, LABELS), "val": (IMAGES, LABELS), "class_names": ["cat", "dog"]})
    assert list(dict.fromkeys(found.split)) == ["train", "validation"]
    assert found.class_names == ["cat", "dog"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"train": (IMAGES, LABELS), "eval": (IMAGES, LABELS)}, "source: unknown split 'eval'"),
        ({"train": (IMAGES, LABELS), "val": (IMAGES, LABELS), "dev": (IMAGES, LABELS)}, "'val' and 'dev' both mean"),
        ((IMAGES[:, :0], LABELS), r"images has shape \(6, 0, 5, 1\)"),
        ((IMAGES, ["cat", "dog", None] * 2), "data: image 2 has the label None; expected a class"),
        (({"train": (IMAGES, np.array(["cat", float("nan")] * 3, object))}), "image 1 of train has the label nan"),
    ],
)
def test_what_cannot_be_is_named(content, message):
    with pytest.raises((KitError, SettingError), match=message):
        read(content)


def endless(limit=None):
    def images():
        row = 0
        while limit is None or row < limit:
            yield np.full((10, 10, 1), row % 250, np.uint8), row % 2
            row += 1

    spec = (tf.TensorSpec((10, 10, 1), tf.uint8), tf.TensorSpec((), tf.int64))
    return tf.data.Dataset.from_generator(images, output_signature=spec)


@pytest.mark.parametrize("batch_size", [None, 7])
def test_a_generator_that_never_ends_is_stopped(monkeypatch, batch_size):
    monkeypatch.setattr(given_images, "free_memory", lambda: 10_000)
    dataset = endless() if batch_size is None else endless().batch(batch_size)
    with pytest.raises(KitError, match=r"has given \d\d images, 0.0 GB, and has not ended; expected at most 30%"):
        read(dataset)
    assert len(read(endless(20)).labels) == 20
    assert len(read(endless(60).apply(tf.data.experimental.assert_cardinality(60))).labels) == 60
