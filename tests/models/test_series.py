"""Encoders of the past of time series, all of the registry."""

import inspect

import keras
import numpy as np
import pytest

from kit.models import series

DIM = 3


def build(variant, **arguments):
    function, defaults = series.VARIANTS[variant]
    width = next(name for name in ("units", "dim") if name in inspect.signature(function).parameters)
    return function(DIM, **{**defaults, width: 8, **arguments}, name=variant)


def pasts(time=12, seed=0):
    return np.random.default_rng(seed).normal(size=(4, time, DIM)).astype("float32")


@pytest.mark.parametrize("variant", series.VARIANTS)
def test_shape_reload_and_independence_of_the_batch(variant, tmp_path):
    model, x = build(variant), pasts()
    y = model.predict(x, verbose=0)
    assert y.shape == (4, 8) and np.isfinite(y).all()
    assert any(layer.name == "stage1" for layer in model.layers)
    np.testing.assert_allclose(model.predict(x[2:3], verbose=0), y[2:3], atol=1e-5)
    assert model.predict(pasts(5), verbose=0).shape == (4, 8)  # any length
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model.keras").predict(x, verbose=0), y, atol=1e-6)


@pytest.mark.parametrize("variant", series.VARIANTS)
def test_the_order_of_the_past_matters(variant):
    model, x = build(variant), pasts()
    turned = np.concatenate([x[:, 6:], x[:, :6]], 1)
    assert np.abs(model.predict(x, verbose=0) - model.predict(turned, verbose=0)).max() > 1e-3


def test_a_convolution_reaches_as_far_as_its_dilations():
    model, x = build("tcn", dilations=(1, 2), dropout=0.0), pasts(20)
    reach = 1 + 2 * 2 * (1 + 2)  # two convolutions of three steps a block
    y = model.predict(x, verbose=0)
    for back, moves in ((reach, True), (reach + 1, False)):
        other = x.copy()
        other[:, -back] += 1
        assert (np.abs(model.predict(other, verbose=0) - y).max() > 1e-6) == moves
