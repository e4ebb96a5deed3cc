"""Attention: equal to Keras' own where that exists, and the same position by position as all at once."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kit.blocks.attention import Attention
from kit.blocks.position import LearnedPosition, SinusoidalPosition, rotated
from kit.blocks.transformer import TransformerDecoder
from kit.errors import SettingError

DIM = 8


def sequence(time=6, batch=3, dim=DIM, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, time, dim)).astype("float32")


def copied(ours, theirs):
    """Gives Keras' layer, whose kernels have an axis for the heads, our layer's weights."""
    for mine, name in ((ours._query, "_query_dense"), (ours._key, "_key_dense"), (ours._value, "_value_dense")):
        other = getattr(theirs, name)
        for target, source in zip(other.weights, mine.weights, strict=True):
            target.assign(ops.reshape(source, target.shape))
    for target, source in zip(theirs._output_dense.weights, ours._output.weights, strict=True):
        target.assign(ops.reshape(source, target.shape))


@pytest.mark.parametrize("is_causal", [False, True])
def test_equals_multi_head_attention(is_causal):
    ours, theirs = Attention(2, is_causal=is_causal), layers.MultiHeadAttention(2, DIM // 2)
    x, memory = sequence(), sequence() if is_causal else sequence(5, dim=6, seed=1)
    mask = np.arange(memory.shape[1]) < np.array([[memory.shape[1]], [2], [1]])
    y, weights = ours(x, memory, mask=mask, return_attention_scores=True)
    keywords = {"attention_mask": mask[:, None], "use_causal_mask": is_causal, "return_attention_scores": True}
    theirs(x, memory, **keywords)
    copied(ours, theirs)
    other, other_weights = theirs(x, memory, **keywords)
    np.testing.assert_allclose(y, other, atol=1e-5)
    np.testing.assert_allclose(weights, other_weights, atol=1e-5)


def test_equals_grouped_query_attention():
    ours = Attention(4, num_key_value_heads=2)
    theirs = layers.GroupQueryAttention(DIM // 4, 4, 2)
    x = sequence()
    y = ours(x)
    theirs(x, x)
    copied(ours, theirs)
    np.testing.assert_allclose(y, theirs(x, x), atol=1e-5)


def test_window_equals_that_of_keras():
    ours, theirs = Attention(2, window=2), layers.MultiHeadAttention(2, DIM // 2, sliding_window=2)
    x = sequence()
    y, weights = ours(x, return_attention_scores=True)
    theirs(x, x)
    copied(ours, theirs)
    np.testing.assert_allclose(y, theirs(x, x), atol=1e-5)
    assert (np.asarray(weights)[0, 0] > 1e-6).sum() == 6 + 2 * 5


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"norm": "post"},
        {"positions": "learned", "max_length": 6},
        {"positions": "rotary", "num_key_value_heads": 1},
        {"positions": "none", "window": 2},
    ],
    ids=str,
)
def test_decoder_with_cache_equals_the_one_without(settings):
    decoder = TransformerDecoder(2, 2, 16, **settings)
    target, memory = sequence(), sequence(5, dim=6, seed=1)
    mask = np.arange(5) < np.array([[5], [3], [1]])
    whole = np.asarray(decoder(target, memory, mask))
    state = decoder.initial_state(ops.convert_to_tensor(memory), ops.convert_to_tensor(mask), 6)
    for position in range(6):
        y, state, weights = decoder.step(ops.convert_to_tensor(target[:, position]), position, state)
        np.testing.assert_allclose(y, whole[:, position], atol=1e-5)
        assert [each.shape for each in weights] == [(3, 2, 5)] * 2
        np.testing.assert_allclose(ops.sum(weights[0], axis=-1), 1, atol=1e-5)


def test_decoder_does_not_see_the_future():
    decoder = TransformerDecoder(2, 2, 16)
    target, memory, mask = sequence(), sequence(5, seed=1), np.ones((3, 5), bool)
    changed = target.copy()
    changed[:, 4:] *= -2
    one, other = (np.asarray(decoder(each, memory, mask)) for each in (target, changed))
    np.testing.assert_allclose(one[:, :4], other[:, :4], atol=1e-6)
    assert np.abs(one[:, 4:] - other[:, 4:]).max() > 0.01


def test_products_of_rotated_vectors_tell_the_distance():
    one, other = (np.tile(np.random.default_rng(seed).normal(size=8), (1, 1, 9, 1)) for seed in (0, 1))
    products = np.asarray(ops.matmul(rotated(one), ops.swapaxes(rotated(other), -1, -2)))[0, 0]
    for distance in range(5):
        np.testing.assert_allclose(np.diagonal(products, distance), products[0, distance], rtol=1e-4)
    assert len(np.unique(products[0].round(4))) == 9
    np.testing.assert_allclose(rotated(one[:, :, :1], 3)[0, 0, 0], rotated(one)[0, 0, 3], atol=1e-6)


@pytest.mark.parametrize("layer", [SinusoidalPosition(), LearnedPosition(6)], ids=lambda layer: type(layer).__name__)
def test_positions_from_a_start_are_those_of_the_whole(layer):
    x = sequence()
    whole = np.asarray(layer(x))
    np.testing.assert_allclose(layer(x[:, 4:5], start=4)[:, 0], whole[:, 4], atol=1e-6)
    assert np.abs(whole - x).max() > 0.01


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"num_heads": 0}, "num_heads"),
        ({"num_heads": 4, "num_key_value_heads": 3}, "num_key_value_heads"),
        ({"num_heads": 2, "window": 0}, "window"),
        ({"num_heads": 2, "dropout": 1.0}, "dropout"),
    ],
)
def test_refuses(arguments, key):
    with pytest.raises(SettingError, match=rf"^{key}: "):
        Attention(**arguments)


def test_refuses_heads_that_do_not_divide_the_width():
    with pytest.raises(SettingError, match=r"^num_heads: expected a divisor of the width \(8\)"):
        Attention(3)(keras.Input((None, DIM)))
