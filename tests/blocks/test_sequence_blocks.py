"""Blocks of sequences: embeddings, positions, convolution over time."""

import keras
import numpy as np
import pytest

from kit.blocks.convolution import sequence_convolution
from kit.blocks.embedding import TokenDropout, token_embedding
from kit.blocks.position import LearnedPosition, SinusoidalPosition
from kit.errors import SettingError


def test_token_dropout_spares_padding_and_is_off_at_prediction():
    layer = TokenDropout(0.25, seed=1)
    ids = np.full((200, 20), 7)
    ids[:, 15:] = 0
    dropped = np.array(layer(ids, training=True))
    assert set(np.unique(dropped)) == {0, 1, 7}
    np.testing.assert_array_equal(dropped == 0, ids == 0)
    assert abs((dropped == 1).sum() / 3000 - 0.25) < 0.03
    np.testing.assert_array_equal(layer(ids, training=False), ids)
    with pytest.raises(SettingError, match="rate"):
        TokenDropout(1.0)


def test_token_dropout_knows_other_ids():
    ids = np.tile([[9, 0, 5]], (300, 1))
    dropped = np.array(TokenDropout(0.5, seed=1, unknown_id=7, pad_id=9)(ids, training=True))
    assert [set(np.unique(column)) for column in dropped.T] == [{9}, {0, 7}, {5, 7}]
    again = TokenDropout.from_config({"name": "word_dropout", "rate": 0.5, "seed": None})  # as saved before
    assert (again.unknown_id, again.pad_id) == (1, 0)


def embedding_model(encoder, sizes, **arguments):
    inputs = {
        name: keras.Input((None, None) if name == "characters" else (None,), dtype="int32", name=name) for name in sizes
    }
    return keras.Model(inputs, token_embedding(inputs, sizes, character_encoder=encoder, **arguments))


@pytest.mark.parametrize("encoder", ["cnn", "lstm"])
def test_characters_of_a_word_alone_decide(encoder, tmp_path):
    model = embedding_model(encoder, {"word": 9, "characters": 20, "suffix2": 5}, word_dim=3, feature_dim=2)
    characters = np.zeros((2, 3, 6), "int32")
    characters[0, 0, :3] = characters[1, 2, :3] = [4, 5, 6]  # the same word at two places
    characters[0, 1, :3] = [6, 5, 4]
    inputs = {"word": np.ones((2, 3)), "characters": characters, "suffix2": np.ones((2, 3))}
    y = model.predict(inputs, verbose=0)
    assert y.shape == (2, 3, 3 + 64 + 2)
    np.testing.assert_allclose(y[0, 0], y[1, 2], atol=1e-6)
    assert np.abs(y[0, 0] - y[0, 1]).max() > 1e-3
    wider = {**inputs, "characters": np.pad(characters, ((0, 0), (0, 0), (0, 4)))}
    np.testing.assert_allclose(model.predict(wider, verbose=0), y, atol=1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(inputs, verbose=0), y, atol=1e-6)


def test_words_may_be_left_out():
    model = embedding_model("cnn", {"word": 9, "shape": 5}, word_dim=0, feature_dim=4)
    assert model.output_shape == (None, None, 4)


def test_sinusoidal_position_is_the_papers():
    y = np.array(SinusoidalPosition()(np.zeros((1, 50, 8), "float32")))[0]
    position, wave = np.arange(50)[:, None], np.arange(4)
    angle = position / 10000 ** (2 * wave / 8)
    np.testing.assert_allclose(y, np.concatenate([np.sin(angle), np.cos(angle)], axis=1), atol=1e-4)


@pytest.mark.parametrize("dilation", [1, 2])
def test_sequence_convolution_sees_zeros_beyond_the_end(dilation):
    inputs, mask = keras.Input((None, 2)), keras.Input((None,), dtype="bool")
    model = keras.Model([inputs, mask], sequence_convolution(inputs, mask, 3, dilation=dilation, name="c"))
    x = np.random.default_rng(0).normal(size=(1, 5, 2)).astype("float32")
    alone = model.predict([x, np.ones((1, 5), bool)], verbose=0)
    padded = model.predict(
        [np.concatenate([x, x + 9], axis=1), np.arange(10)[None] < 5],
        verbose=0,
    )
    np.testing.assert_allclose(padded[:, :5], alone, atol=1e-6)


def test_learned_positions_have_a_gradient_in_one_piece_and_an_end():
    import tensorflow as tf

    layer = LearnedPosition(4)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(tf.ones((2, 3, 5))))
    gradient = tape.gradient(total, layer.embeddings.value)
    np.testing.assert_array_equal(gradient, np.repeat([[2.0], [2.0], [2.0], [0.0]], 5, axis=1))
    inputs = keras.Input((None, 5))
    model = keras.Model(inputs, LearnedPosition(1)(inputs))
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="Cannot reshape|values, but"):
        model.predict(np.zeros((2, 3, 5), "float32"), verbose=0)
