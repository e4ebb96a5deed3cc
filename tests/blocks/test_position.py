"""Learned biases of attention for each bucket of distances."""

import keras
import numpy as np
import pytest
from keras import ops

from kit.blocks.attention import Attention
from kit.blocks.position import RelativePositionBias
from kit.errors import SettingError

# The least distance of each bucket of 32 up to 128 in the published code of T5: where both ways are seen, 16 each.
BOTH_WAYS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91]
BACK = [*range(16), 16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113]


def test_buckets_are_the_published_ones():
    away = np.arange(-300, 301)
    found = np.asarray(RelativePositionBias(2).buckets(away))
    expected = np.searchsorted(BOTH_WAYS, np.abs(away), side="right") - 1 + 16 * (away > 0)
    np.testing.assert_array_equal(found, expected)
    found = np.asarray(RelativePositionBias(2, is_causal=True).buckets(away))
    np.testing.assert_array_equal(found, np.searchsorted(BACK, np.maximum(-away, 0), side="right") - 1)


@pytest.mark.parametrize("is_causal", [False, True])
def test_growing_is_the_rows_of_the_whole(is_causal):
    layer = RelativePositionBias(3, num_buckets=8, max_distance=10, is_causal=is_causal)
    whole = layer(np.zeros((2, 12, 4)))  # (1, heads, time, time)
    assert whole.shape == (1, 3, 12, 12)
    np.testing.assert_allclose(layer.growing(5, 2, 12), whole[:, :, 5:7])
    several = layer.growing(np.array([3, 8], "int32"), 1, 12)  # (batch, heads, 1, time)
    np.testing.assert_allclose(several, ops.concatenate([whole[:, :, 3:4], whole[:, :, 8:9]]))


def test_it_goes_by_the_distance_alone():
    keras.utils.set_random_seed(0)
    found = np.asarray(RelativePositionBias(1, num_buckets=8, max_distance=6)(np.zeros((1, 9, 2))))[0, 0]
    for away in range(-8, 9):
        assert np.ptp(np.diagonal(found, away)) == 0
    assert found[0, 1] != found[1, 0]
    assert found[0, 6] == found[0, 8]


def test_a_saved_one_is_the_same(tmp_path):
    x = keras.Input((None, 4))
    model = keras.Model(x, RelativePositionBias(2, num_buckets=8, is_causal=True)(x))
    model.save(tmp_path / "model.keras")
    again, inputs = keras.models.load_model(tmp_path / "model.keras"), np.zeros((1, 7, 4), "float32")
    np.testing.assert_array_equal(model(inputs), again(inputs))


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"num_heads": 0}, "num_heads"),
        ({"num_buckets": 6}, "num_buckets"),
        ({"num_buckets": 3, "is_causal": True}, "num_buckets"),
        ({"max_distance": 8}, "max_distance"),
    ],
)
def test_numbers_out_of_range_are_refused(settings, key):
    with pytest.raises(SettingError, match=rf"^{key}: "):
        RelativePositionBias(**{"num_heads": 2} | settings)


def test_scores_that_are_not_scaled_are_so_much_larger():
    x = np.random.default_rng(0).standard_normal((2, 5, 16)).astype("float32")
    one, other = Attention(2), Attention(2, is_scaled=False)
    one.build(x.shape), other.build(x.shape)
    weights = one.get_weights()
    weights[0], weights[1] = weights[0] * 8**-0.5, weights[1] * 8**-0.5  # the query's kernel and bias
    other.set_weights(weights)
    np.testing.assert_allclose(one(x), other(x), atol=1e-6)
    assert Attention.from_config(other.get_config()).is_scaled is False


def test_queries_begin_smaller_where_scores_are_not_scaled():
    one, other = Attention(2, head_dim=64), Attention(2, head_dim=64, is_scaled=False)
    for each in (one, other):
        each.build((None, None, 128))
    kernels = [np.asarray(each.get_weights()[0]).std() for each in (one, other)]
    assert kernels[1] == pytest.approx(kernels[0] / 8, rel=0.02)
