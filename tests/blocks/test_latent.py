import keras
import numpy as np
import pytest

from kit.blocks.latent import GaussianLatent, PixelDistribution, kl_divergence, moments
from kit.errors import SettingError

CODE = np.random.default_rng(0).normal(size=(6, 8)).astype("float32")


def by_hand(code):
    mean, log_variance = np.split(code.astype("float64"), 2, 1)
    return 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1)


def test_divergence():
    assert np.asarray(kl_divergence(*moments(CODE))) == pytest.approx(by_hand(CODE), rel=1e-5)
    assert np.asarray(kl_divergence(np.zeros((1, 3)), np.zeros((1, 3)))) == 0


def test_the_mean_at_inference_and_draws_around_it_in_training():
    layer = GaussianLatent(seed=0)
    mean, log_variance = np.split(CODE, 2, 1)
    assert (np.asarray(layer(CODE)) == mean).all()
    drawn = np.asarray(layer(np.tile(CODE, (3000, 1)), training=True)).reshape(3000, *mean.shape)
    assert drawn.mean(0) == pytest.approx(mean, abs=0.12)
    assert drawn.std(0) == pytest.approx(np.exp(0.5 * log_variance), rel=0.1)


def test_the_divergence_is_a_loss_that_grows_in_the_first_steps():
    layer, whole = GaussianLatent(beta=2.0, warmup_steps=4, seed=0), 2 * by_hand(CODE).mean()
    seen = []
    for _ in range(6):
        layer(CODE, training=True)
        seen.append(float(layer.losses[-1]))
        layer._clear_losses()
    assert seen == pytest.approx([0, whole / 4, whole / 2, whole * 3 / 4, whole, whole], rel=1e-5)
    fresh = GaussianLatent(beta=2.0, warmup_steps=4)
    fresh(CODE)
    assert float(fresh.losses[-1]) == pytest.approx(whole, rel=1e-5)


def test_pixels():
    layer = PixelDistribution("gaussian", 0.2)
    assert np.asarray(layer(np.array([[[[-100.0], [0.0], [100.0]]]]))).ravel() == pytest.approx([0, 127.5, 255])
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert (again.likelihood, again.stddev) == ("gaussian", 0.2)
    with pytest.raises(SettingError, match="pixel_stddev: expected above 0"):
        PixelDistribution("gaussian", 0)
    with pytest.raises(SettingError, match="likelihood"):
        PixelDistribution("poisson")
    with pytest.raises(SettingError, match="beta"):
        GaussianLatent(beta=-1)
