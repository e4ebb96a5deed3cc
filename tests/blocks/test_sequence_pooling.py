"""Pooling of sequences: padding has no part in it."""

import keras
import numpy as np
import pytest

from kit.blocks.sequence_pooling import KINDS, sequence_pooling
from kit.errors import SettingError

MASK = np.arange(4) < np.array([[4], [2]])


def pooled(kind, x, mask):
    inputs = keras.Input((None, 3)), keras.Input((None,), dtype="bool")
    keras.utils.set_random_seed(0)
    return keras.Model(inputs, sequence_pooling(*inputs, kind)).predict([x, mask], verbose=0)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind):
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    found = pooled(kind, x, MASK)
    changed = np.where(MASK[..., None], x, 100).astype("float32")
    wide = np.pad(changed, ((0, 0), (0, 3), (0, 0)), constant_values=-100)
    np.testing.assert_allclose(pooled(kind, wide, np.pad(MASK, ((0, 0), (0, 3)))), found, atol=1e-5)


def test_numbers_by_hand():
    x = np.arange(24, dtype="float32").reshape(2, 4, 3)
    np.testing.assert_allclose(pooled("mean", x, MASK)[1], x[1, :2].mean(0), atol=1e-5)
    np.testing.assert_allclose(pooled("max", x, MASK)[1], x[1, 1], atol=1e-5)
    np.testing.assert_array_equal(pooled("first", x, MASK), x[:, 0])
    found = pooled("attention", x, MASK)[1]
    assert (found >= x[1, 0] - 1e-4).all() and (found <= x[1, 1] + 1e-4).all()


def test_a_text_of_padding_alone_is_a_number():
    x = np.ones((1, 4, 3), "float32")
    for kind in KINDS:
        assert np.isfinite(pooled(kind, x, np.zeros((1, 4), bool))).all()


def test_another_kind_is_refused():
    with pytest.raises(SettingError, match="pooling: expected 'mean' or 'max'"):
        sequence_pooling(keras.Input((None, 3)), keras.Input((None,), dtype="bool"), "sum")
