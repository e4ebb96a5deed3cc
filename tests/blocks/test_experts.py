"""Experts: a position sees those that its router chose, as long as they have room."""

import keras
import numpy as np
import pytest

from kit.blocks.experts import Experts
from kit.errors import SettingError

X = np.random.default_rng(0).normal(size=(2, 6, 8)).astype("float32")


def built(**settings):
    keras.utils.set_random_seed(0)
    layer = Experts(4, 16, **settings)
    layer.build((None, None, 8))
    layer.router.kernel.assign(np.random.default_rng(1).normal(size=(8, 4)))
    return layer


@pytest.mark.parametrize("settings", [{}, {"top_k": 1, "normalize": False}, {"is_gated": False, "capacity": 2}])
def test_each_expert_by_turns_is_all_of_them_weighted(settings, monkeypatch):
    layer = built(**settings)
    found = layer(X).numpy()
    monkeypatch.setattr(keras.backend, "backend", lambda: "another")
    np.testing.assert_allclose(layer(X).numpy(), found, atol=1e-6)
    assert np.abs(found).max() > 1e-3


def test_positions_without_room_pass_with_nothing_added():
    layer = built(top_k=1, capacity=1)
    chosen = np.argmax(X @ layer.router.kernel.numpy(), -1)
    found = layer(X).numpy()
    for row in range(2):
        seen = set()
        for place, expert in enumerate(chosen[row]):
            assert np.any(found[row, place]) == (expert not in seen)
            seen.add(expert)


def test_the_capacity_goes_by_the_even_share():
    layer = built(top_k=2, capacity_factor=1.25)
    assert int(layer._room(6)) == 4  # 1.25 * 6 * 2 / 4, rounded up
    everyone = np.broadcast_to(np.array([0, 1], "int32"), (1, 6, 2))
    assert layer._has_room(everyone).numpy()[0, :, 0].tolist() == [True] * 4 + [False] * 2


def test_an_even_load_has_a_loss_of_one():
    layer = built(top_k=1, load_loss=0.5)
    even = np.full((1, 4, 4), 0.25, "float32")
    assert float(layer._unevenness(even, np.arange(4).reshape(1, 4, 1))) == pytest.approx(1.0)
    assert float(layer._unevenness(np.eye(4, dtype="float32")[[[0] * 4]], np.zeros((1, 4, 1), "int32"))) == 4.0
    layer(X, training=True)
    assert len(layer.losses) == 1 and float(layer.losses[0]) >= 0.5 * 0.9
    layer(X)
    assert layer.losses == []


def test_the_load_is_that_of_what_has_room():
    own = np.repeat([[0], [1]], 4, axis=1)  # two sequences, each with an expert of its own
    shares, chosen = np.eye(4, dtype="float32")[own], own[..., None]
    assert float(built(top_k=1)._unevenness(shares, chosen)) == 2.0
    assert float(built(top_k=1, capacity_factor=1.25)._unevenness(shares, chosen)) == 4.0


def test_it_is_saved_and_trains(tmp_path):
    inputs = keras.Input((None, 8))
    model = keras.Model(inputs, Experts(4, 16, jitter=0.1, name="experts")(inputs))
    model.compile("adam", "mse")
    before = model.evaluate(X, X, verbose=0)
    model.fit(X, X, epochs=40, verbose=0)
    assert model.evaluate(X, X, verbose=0) < before
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-6)


@pytest.mark.parametrize(
    "change", [{"top_k": 5}, {"top_k": 0}, {"capacity_factor": 0.0}, {"jitter": 1.0}, {"capacity": 0}]
)
def test_numbers_out_of_range(change):
    with pytest.raises(SettingError, match=f"{next(iter(change))}: expected "):
        Experts(4, 16, **change)
