"""Attention: equal to Keras' own where that exists, and the same position by position as all at once."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from kit.blocks import local_attention
from kit.blocks.attention import Attention
from kit.blocks.position import LearnedPosition, SinusoidalPosition, rotated
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


@pytest.mark.parametrize("head_dim", [None, 6])
@pytest.mark.parametrize("use_bias", [True, False])
def test_equals_grouped_query_attention(head_dim, use_bias):
    ours = Attention(4, num_key_value_heads=2, head_dim=head_dim, use_bias=use_bias)
    theirs = layers.GroupQueryAttention(head_dim or DIM // 4, 4, 2, use_bias=use_bias)
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


def heads(x, number):
    """Returns (batch, time, heads * head_dim) as (batch, heads, time, head_dim)."""
    return x.reshape(*x.shape[:2], number, -1).transpose(0, 2, 1, 3)


def softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("shape", [(3, 2, 6, 6), (1, 2, 6, 6), (3, 1, 1, 6)])
def test_bias_is_added_to_the_scores(shape):
    layer, x = Attention(2, is_causal=True), sequence()
    bias = np.random.default_rng(1).normal(0, 3, shape).astype("float32")
    y, weights = layer(x, bias=bias, return_attention_scores=True)
    query, key, value = (
        heads(x @ np.array(dense.kernel) + np.array(dense.bias), 2)
        for dense in (layer._query, layer._key, layer._value)
    )
    scores = query @ key.swapaxes(-1, -2) / 2 + bias + np.where(np.tri(6), 0, -np.inf)
    np.testing.assert_allclose(weights, softmax(scores), atol=1e-5)
    found = (softmax(scores) @ value).transpose(0, 2, 1, 3).reshape(3, 6, DIM)
    np.testing.assert_allclose(y, found @ np.array(layer._output.kernel) + np.array(layer._output.bias), atol=1e-5)


def test_biases_of_queries_keys_and_values_alone():
    layer = Attention(2, use_bias=False, use_qkv_bias=True)  # Qwen2
    layer.build((None, None, DIM))
    assert [weight.path.split("/", 1)[1] for weight in layer.weights] == [
        *("query/kernel", "query/bias", "key/kernel", "key/bias", "value/kernel", "value/bias", "output/kernel")
    ]


def test_normalised_queries_and_keys_have_scores_without_their_length():
    layer, x = Attention(2, use_query_key_norm=True, use_bias=False), sequence()
    layer(x)
    layer._query_norm.scale.assign(np.array([1, 2, 3, 4.0]))
    _, weights = layer(x, return_attention_scores=True)
    query, key = (heads(x @ np.array(dense.kernel), 2) for dense in (layer._query, layer._key))
    query, key = (each / np.sqrt((each**2).mean(-1, keepdims=True) + 1e-6) for each in (query, key))
    np.testing.assert_allclose(weights, softmax(query * [1, 2, 3, 4] @ key.swapaxes(-1, -2) / 2), atol=1e-5)


def test_weights_are_returned_where_asked():
    layer, x, inputs = Attention(2), sequence(), keras.Input((None, DIM))
    assert layer(x).shape == (3, 6, DIM)
    assert Attention(2)(inputs).shape == (None, None, DIM)
    y, weights = layer(inputs, return_attention_scores=True)
    assert (y.shape, weights.shape) == ((None, None, DIM), (None, 2, None, None))
    found = keras.Model(inputs, [y, weights])(x)
    np.testing.assert_allclose(found[0], layer(x), atol=1e-6)
    assert len(Attention(2, return_attention_scores=True)(x)) == 2


def test_a_network_saved_when_weights_were_always_returned_still_has_them():
    old = {"name": "block1_attention", "num_heads": 2, "num_key_value_heads": None, "is_causal": False}
    layer = Attention.from_config({**old, "window": None, "use_rotary": False, "dropout": 0.1})
    for each in (layer, Attention.from_config(layer.get_config())):
        assert [output.shape for output in each(keras.Input((6, DIM)))] == [(None, 6, DIM), (None, 2, 6, 6)]
    assert Attention.from_config(Attention(2).get_config())(keras.Input((6, DIM))).shape == (None, 6, DIM)


LENGTHS = {"none": None, "padding": np.array([[25], [9], [1]])}


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("padding", LENGTHS)
@pytest.mark.parametrize(("window", "pairs"), [(1, 2), (3, 2), (4, 1), (30, 2)])
def test_chunks_of_a_window_are_what_a_mask_makes_of_all(window, pairs, padding, is_causal, monkeypatch):
    layer = Attention(2, window=window, num_key_value_heads=pairs, is_causal=is_causal, use_rotary=True)
    x, mask = sequence(25), None if padding == "none" else np.arange(25) < LENGTHS[padding]
    real = np.ones((3, 25), bool) if mask is None else mask

    def run(from_windows):
        monkeypatch.setattr(local_attention, "_FROM_WINDOWS", from_windows)
        inputs = [ops.convert_to_tensor(x), None if mask is None else ops.convert_to_tensor(mask)]
        return [np.asarray(each) for each in layer(*inputs[:1], mask=inputs[1], return_attention_scores=True)]

    (whole, weights), (chunks, same) = run(100), run(0)
    np.testing.assert_allclose(chunks[real], whole[real], atol=1e-5)
    np.testing.assert_array_equal(same, weights)


def test_a_long_sequence_never_has_all_its_scores():
    """Checked on the compiled function, for which the length is unknown: short ones are computed as without chunks."""
    inputs, mask = keras.Input((None, DIM)), keras.Input((None,), dtype="bool")
    layer = Attention(2, window=2)
    model = keras.Model([inputs, mask], layer(inputs, mask=mask, return_attention_scores=True)[0])

    def gradient(x, mask):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(model([x, mask]) ** 2)
        return y, *tape.gradient(y, layer.trainable_variables)

    compiled = tf.function(
        gradient, input_signature=[tf.TensorSpec((None, None, DIM)), tf.TensorSpec((None, None), tf.bool)]
    )
    for time in (5, 40):
        x, mask = sequence(time), np.arange(time) < np.array([[time], [3], [1]])
        for mine, other in zip(compiled(x, mask), gradient(x, mask), strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4)
    fixed = tf.function(lambda x: layer(x), input_signature=[tf.TensorSpec((3, 40, DIM))]).get_concrete_function()
    sizes = [np.prod(output.shape) for op in fixed.graph.get_operations() for output in op.outputs if output.shape.rank]
    assert max(sizes) < 3 * 2 * 40 * 40


def test_rows_of_growing_sequences_may_be_at_different_places():
    layer, x = Attention(2, is_causal=True, window=4, use_rotary=True, num_key_value_heads=1), sequence(7)
    whole = np.asarray(layer(x))
    read = np.array([4, 1, 2])
    keys, values = layer.empty_cache(3, 9)
    y, _, keys, values = layer.grow(x[:, :4], 0, keys, values, lengths=read)
    for row, length in enumerate(read):
        np.testing.assert_allclose(y[row, :length], whole[row, :length], atol=1e-5)
    assert not np.asarray(keys)[1, :, 1:].any()
    for step in range(3):
        place = read + step
        newest = np.take_along_axis(x, place[:, None, None], axis=1)
        y, weights, keys, values = layer.grow(newest, ops.convert_to_tensor(place, "int32"), keys, values)
        np.testing.assert_allclose(y[:, 0], whole[np.arange(3), place], atol=1e-5)
        assert ((np.asarray(weights)[:, 0, 0] > 1e-9).sum(1) == np.minimum(place + 1, 4)).all()


@pytest.mark.parametrize("pieces", [(5, 1, 1, 3, 1), (1, 2, 7, 1)], ids=str)
def test_a_window_keeps_no_more_than_it_sees(pieces):
    layer, x = Attention(2, is_causal=True, window=3, use_rotary=True, num_key_value_heads=1), sequence(11)
    whole, places = np.asarray(layer(x)), np.cumsum((0, *pieces))
    assert [each.shape for each in layer.empty_cache(3, 100)] == [(3, 1, 3, DIM // 2)] * 2
    assert layer.empty_cache(3, 2)[0].shape[2] == 2
    keys, values = layer.empty_cache(3, ops.convert_to_tensor(11))
    for start, length in zip(places, pieces, strict=False):
        y, weights, keys, values = layer.grow(x[:, start : start + length], start, keys, values)
        np.testing.assert_allclose(y, whole[:, start : start + length], atol=1e-5)
        assert keys.shape[2] == 3
        assert ((np.asarray(weights) > 1e-9).sum(-1) == np.minimum(np.arange(start, start + length) + 1, 3)).all()


def test_rows_of_a_window_grow_by_several_positions_each_from_its_own():
    layer, x = Attention(2, is_causal=True, window=3, use_rotary=True), sequence(11)
    whole, cache = np.asarray(layer(x)), layer.empty_cache(3, 11)
    position = np.zeros(3, "int32")
    for lengths in ([4, 0, 1], [3, 2, 4], [0, 4, 2], [4, 4, 4]):
        rows = np.minimum(position[:, None] + np.arange(4), 10)
        newest = np.take_along_axis(x, rows[..., None], axis=1)
        start, read = ops.convert_to_tensor(position), ops.convert_to_tensor(lengths)
        y, _, *cache = layer.grow(newest, start, *cache, lengths=read)
        for row, length in enumerate(lengths):
            np.testing.assert_allclose(y[row, :length], whole[row, rows[row, :length]], atol=1e-5)
        position = position + np.array(lengths, "int32")


def test_a_bias_is_refused_where_the_cache_is_of_the_windows_size():
    layer, x = Attention(2, is_causal=True, window=3), sequence()
    layer(x)
    with pytest.raises(SettingError, match="bias: expected None"):
        layer.grow(x[:, :1], 0, *layer.empty_cache(3, 6), bias=np.zeros((1, 1, 1, 3), "float32"))


def test_a_bias_reaches_growing_sequences():
    layer, x = Attention(2, is_causal=True), sequence()
    bias = np.random.default_rng(1).normal(size=(1, 2, 6, 6)).astype("float32")
    whole = np.asarray(layer(x, bias=bias))
    keys, values = layer.empty_cache(3, 6)
    for place in range(6):
        y, _, keys, values = layer.grow(
            x[:, place : place + 1], place, keys, values, bias=bias[:, :, place : place + 1]
        )
        np.testing.assert_allclose(y[:, 0], whole[:, place], atol=1e-5)


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


@pytest.mark.parametrize("layer", [SinusoidalPosition(), LearnedPosition(6)], ids=lambda layer: type(layer).__name__)
def test_positions_from_a_start_of_each_row(layer):
    x, starts = sequence(2), np.array([4, 0, 3], "int32")
    rows = np.asarray(layer(x, start=starts))
    turned = np.asarray(rotated(x[:, None], starts))
    for row, start in enumerate(starts):
        np.testing.assert_allclose(rows[row : row + 1], layer(x[row : row + 1], start=int(start)), atol=1e-6)
        np.testing.assert_allclose(turned[row], rotated(x[row : row + 1, None], int(start))[0], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"num_heads": 0}, "num_heads"),
        ({"num_heads": 4, "num_key_value_heads": 3}, "num_key_value_heads"),
        ({"num_heads": 2, "window": 0}, "window"),
        ({"num_heads": 2, "head_dim": 0}, "head_dim"),
        ({"num_heads": 2, "rotary_wavelength": 0}, "rotary_wavelength"),
        ({"num_heads": 2, "dropout": 1.0}, "dropout"),
    ],
)
def test_refuses(arguments, key):
    with pytest.raises(SettingError, match=rf"^{key}: "):
        Attention(**arguments)


def test_refuses_heads_that_do_not_divide_the_width():
    with pytest.raises(SettingError, match=r"^num_heads: expected a divisor of the width \(8\)"):
        Attention(3)(keras.Input((None, DIM)))


def test_a_single_position_is_looked_at_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = np.ones((1, 1, 4), "float32")
        _, weights = Attention(2)(x, return_attention_scores=True)
    np.testing.assert_array_equal(weights, np.ones((1, 2, 1, 1)))
