import itertools

import keras
import numpy as np
import pytest

from kit.blocks.boltzmann import RestrictedBoltzmann, Standardization
from kit.errors import SettingError


def machine(visible="bernoulli", hidden="bernoulli", **settings):
    layer = RestrictedBoltzmann(3, visible, hidden, **settings)
    layer.build((None, 4))
    random = np.random.default_rng(0)
    layer.kernel.assign(random.normal(size=(4, 3)))
    layer.hidden_bias.assign(random.normal(size=3))
    layer.visible_bias.assign(random.normal(size=4))
    return layer


def energy(layer, v, h):
    kernel, hidden, visible = (
        np.asarray(weight, "float64") for weight in (layer.kernel, layer.hidden_bias, layer.visible_bias)
    )
    of_visible = 0.5 * ((v - visible) ** 2).sum() if layer.visible == "gaussian" else -v @ visible
    return of_visible - h @ hidden - v @ kernel @ h


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_free_energy_is_the_sum_over_all_hidden_states(visible):
    layer = machine(visible)
    given = np.random.default_rng(1).uniform(size=(5, 4)).astype("float32")
    expected = [
        -np.log(sum(np.exp(-energy(layer, v, np.array(h))) for h in itertools.product((0, 1), repeat=3)))
        for v in given.astype("float64")
    ]
    assert np.asarray(layer.free_energy(given)) == pytest.approx(expected, rel=1e-4)


def test_free_energy_of_linear_hidden_units_is_the_integral_over_them():
    layer = machine(hidden="gaussian")
    given = np.random.default_rng(1).uniform(size=(5, 4)).astype("float32")
    total = given @ np.asarray(layer.kernel) + np.asarray(layer.hidden_bias)
    # The integral of exp(h t - h^2 / 2) is a constant times exp(t^2 / 2).
    expected = -given @ np.asarray(layer.visible_bias) - 0.5 * (total**2).sum(1)
    assert np.asarray(layer.free_energy(given)) == pytest.approx(expected, rel=1e-4)


def test_means_of_both_sides():
    layer = machine()
    v, h = np.ones((1, 4), "float32"), np.ones((1, 3), "float32")
    kernel = np.asarray(layer.kernel)
    assert np.asarray(layer(v))[0] == pytest.approx(1 / (1 + np.exp(-(kernel.sum(0) + np.asarray(layer.hidden_bias)))))
    up = kernel.sum(1) + np.asarray(layer.visible_bias)
    assert np.asarray(layer.visible_mean(h))[0] == pytest.approx(1 / (1 + np.exp(-up)), rel=1e-5)
    assert np.asarray(machine("gaussian").visible_mean(h))[0] == pytest.approx(up, rel=1e-5)


def test_the_chain_draws_from_what_the_machine_believes():
    """Long chains visit each visible state as often as its free energy says."""
    layer = machine(gibbs_steps=30)
    start = np.zeros((20000, 4), "float32")
    end, _ = layer.gibbs(start, keras.random.SeedGenerator(0))
    states = np.array(list(itertools.product((0, 1), repeat=4)), "float32")
    weight = np.exp(-np.asarray(layer.free_energy(states), "float64"))
    seen = [(np.asarray(end) == state).all(1).mean() for state in states]
    assert seen == pytest.approx(weight / weight.sum(), abs=0.015)


def test_standardization():
    layer, values = Standardization(), np.random.default_rng(0).normal(3, 2, (50, 4)).astype("float32")
    assert np.asarray(layer(values)) == pytest.approx(values)
    layer.measure(values)
    assert np.asarray(layer(values)).mean() == pytest.approx(0, abs=1e-5)
    assert np.asarray(layer(values)).std() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"units": 0}, "units"),
        ({"visible": "poisson"}, "visible"),
        ({"gibbs_steps": 0}, "gibbs_steps"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"epochs": -1}, "epochs"),
    ],
)
def test_values_out_of_range(settings, said):
    with pytest.raises(SettingError, match=said):
        RestrictedBoltzmann(**{"units": 3, **settings})
