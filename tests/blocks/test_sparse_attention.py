"""Block-sparse attention: what is computed in blocks is full attention with most of it hidden."""

import keras
import numpy as np
import pytest

from kit.blocks.attention import Attention
from kit.blocks.sparse_attention import BlockSparseAttention
from kit.errors import SettingError
from kit.models.text.big_bird import big_bird

SIZE, TIME = 3, 38  # no multiple of a block


def sequences(time=TIME, seed=0):
    return np.random.default_rng(seed).normal(size=(2, time, 8)).astype("float32")


def layer(**settings):
    keras.utils.set_random_seed(0)
    found = BlockSparseAttention(2, **{"block_size": SIZE, "num_random_blocks": 2, "max_length": 60} | settings)
    found.build((None, None, 8))
    return found


MASK = np.arange(TIME) < np.array([TIME, 20])[:, None]


@pytest.mark.parametrize("random", [0, 1, 2])
@pytest.mark.parametrize("draws", ["always", "training"])
def test_in_blocks_it_is_full_attention_with_its_weights(random, draws):
    attend, x = layer(num_random_blocks=random, draws=draws), sequences()
    y, weights = attend(x, mask=MASK, return_attention_scores=True)
    _, values = attend.keys_values(x)
    np.testing.assert_allclose(attend._mixed(weights, values, False), y, atol=1e-5)
    np.testing.assert_allclose(np.sum(weights, -1), 1, atol=1e-5)
    assert np.max(np.asarray(weights)[1, :, :, 20:]) < 1e-6  # padding


@pytest.mark.parametrize("random", [0, 2])
def test_a_block_looks_at_neighbours_ends_and_as_many_random_ones_of_each_head(random):
    attend = layer(num_random_blocks=random)
    _, weights = attend(sequences(), return_attention_scores=True)
    seen = np.asarray(weights)[0] > 0  # (heads, time, time)
    blocks = -(-TIME // SIZE)
    ends = np.append(np.arange(0, TIME, SIZE), TIME)
    by_block = np.array(
        [
            [
                [seen[h, a : ends[i + 1], b : ends[j + 1]].all() for j, b in enumerate(ends[:-1])]
                for i, a in enumerate(ends[:-1])
            ]
            for h in range(2)
        ]
    )
    assert by_block.shape == (2, blocks, blocks) and by_block[:, [0, -1]].all() and by_block[:, :, [0, -1]].all()
    near = np.abs(np.arange(blocks)[:, None] - np.arange(blocks)) <= 1
    assert by_block[:, near].all()
    others = by_block[:, 1:-1].sum(-1) - (near | np.isin(np.arange(blocks), [0, blocks - 1]))[1:-1].sum(-1)
    assert (others == random).all()
    assert random == 0 or (by_block[0] != by_block[1]).any()


def test_random_blocks_are_those_of_the_seed_and_training_may_differ():
    x = sequences()
    one, same, other = (layer(seed=seed)(x) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-4
    as_published = layer(draws="training")
    np.testing.assert_allclose(as_published(x, training=True), one, atol=1e-6)
    assert np.abs(as_published(x) - one).max() > 1e-4


def test_short_sequences_look_at_all_of_themselves():
    attend = layer()
    full = Attention(2)
    full.build((None, None, 8))
    full.set_weights(attend.get_weights())
    short, long = sequences((5 + 4) * SIZE), sequences((5 + 4) * SIZE + 1)
    np.testing.assert_allclose(attend(short), full(short), atol=1e-6)
    assert np.abs(attend(long) - full(long)).max() > 1e-4


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["graph", "xla"])
def test_any_length_in_one_network_with_and_without_xla(compiled):
    inputs = keras.Input((None, 8))
    attend = layer(dropout=0.5)
    model = keras.Model(inputs, attend(inputs))
    model.compile("sgd", "mse", jit_compile=compiled)
    for time in (1, 27, 28):  # at once, and in blocks
        x = sequences(time)
        np.testing.assert_allclose(model.predict(x, verbose=0), attend(x), atol=1e-5)
        assert np.isfinite(model.train_on_batch(x, x))


def test_it_is_kept_with_its_settings(tmp_path):
    inputs = keras.Input((None, 8))
    attend = layer(draws="training", seed=3, use_qkv_bias=False)
    model = keras.Model(inputs, attend(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(sequences()), model(sequences()), atol=1e-6)
    own = again.layers[-1].get_config()
    assert {key: own[key] for key in ("draws", "seed", "use_qkv_bias")} == {
        "draws": "training",
        "seed": 3,
        "use_qkv_bias": False,
    }


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"block_size": 64, "max_length": 512},
            "block_size: expected 1 to 46, .*sequences of more than 11 blocks.*got 64",
        ),
        ({"block_size": 0}, "block_size"),
        ({"max_length": 5}, "block_size: expected sparsity='none', since no sequence of max_length=5"),
        ({"sparsity": "none", "block_size": 0}, "block_size: expected at least 1"),
    ],
)
def test_blocks_that_fit_no_sequence_are_refused(settings, said):
    with pytest.raises(SettingError, match=said):
        big_bird(12, 0, **{"dim": 8, "depth": 1, "num_heads": 2, "feedforward_dim": 8} | settings)
