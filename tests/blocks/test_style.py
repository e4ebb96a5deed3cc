"""Blocks of a generator of styles: what the papers say, computed slowly."""

import keras
import numpy as np
import pytest

from kit.blocks import style
from kit.errors import SettingError


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("upsample", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_modulation_is_a_kernel_for_each_example(upsample, demodulate):
    x, w = normal(3, 5, 7, 4), normal(3, 6, seed=1)
    layer = style.ModulatedConvolution(8, 4 if upsample else 3, upsample=upsample, demodulate=demodulate, gain=1.5)
    found = np.asarray(layer([x, w]))
    layer.bias.assign(normal(8, seed=2))
    assert np.asarray(layer([x, w])) == pytest.approx(found + normal(8, seed=2), abs=1e-5)
    kernel = np.asarray(layer.kernel)
    kernel = kernel.transpose(0, 1, 3, 2) if upsample else kernel  # (rows, columns, channels, 8)
    for index in range(3):
        scales = w[index] @ np.asarray(layer.style_kernel) + np.asarray(layer.style_bias)
        own = kernel * scales[:, None]
        if demodulate:
            own = own / np.sqrt(np.square(own).sum((0, 1, 2)) / (4 if upsample else 1))
        if upsample:
            expected = keras.ops.conv_transpose(x[index : index + 1], own.transpose(0, 1, 3, 2), 2, "same")
        else:
            expected = keras.ops.conv(x[index : index + 1], own, padding="same")
        assert found[index] == pytest.approx(1.5 * np.asarray(expected[0]), abs=1e-4)
    assert layer.compute_output_shape([x.shape, w.shape]) == found.shape


@pytest.mark.parametrize("upsample", [False, True])
def test_demodulated_maps_vary_as_much_as_their_input(upsample):
    layer = style.ModulatedConvolution(64, 4 if upsample else 3, upsample=upsample)
    made = np.asarray(layer([normal(8, 16, 16, 32), 3 * normal(8, 6, seed=1)]))
    assert made[:, 4:-4, 4:-4].std() == pytest.approx(1, abs=0.1)


def test_equalized_weights_are_scaled_as_they_are_used():
    x = normal(64, 100)
    full, slow = style.EqualizedDense(200), style.EqualizedDense(200, rate=0.1)
    for layer in (full, slow):
        assert np.square(layer(x)).mean() == pytest.approx(1.04, abs=0.15)  # leaky: (1 + 0.2 ** 2) / 2, times 2
    assert np.asarray(slow.kernel).std() == pytest.approx(10, rel=0.05)
    before = np.asarray(slow(x))
    slow.kernel.assign_add(keras.ops.ones_like(slow.kernel))
    full.kernel.assign(slow.kernel * 0.1)
    assert np.asarray(slow(x)) == pytest.approx(np.asarray(full(x)), abs=1e-4) != before


def test_noise_is_new_while_training_and_else_always_the_same():
    layer, x = style.NoiseInjection(seed=1), normal(4, 5, 6, 3)
    assert (np.asarray(layer(x, training=True)) == x).all()  # its strength begins at 0
    layer.strength.assign(2.0)
    noise = [np.asarray(layer(x, training=training)) - x for training in (True, True, False, False)]
    assert np.ptp(noise[0], axis=-1).max() < 1e-5  # one number a pixel
    assert (noise[0] != noise[1]).any() and np.ptp(noise[0], axis=0).max() > 0.5
    assert (noise[2] == noise[3]).all() and np.ptp(noise[2], axis=0).max() < 1e-5
    assert noise[2][0, ..., 0] == pytest.approx(2 * np.asarray(layer.noise)[0, ..., 0], abs=1e-5)
    assert len(layer.trainable_weights) == 1


def test_mixing_takes_the_second_style_from_some_layer_on_while_training():
    first, second = np.zeros((400, 2), "float32"), np.ones((400, 2), "float32")
    layer = style.StyleMixing(4, 0.5, seed=1)
    assert (np.asarray(layer([first, second])) == 0).all()
    made = np.asarray(layer([first, second], training=True))
    assert made.shape == (400, 4, 2) and (made[..., 0] == made[..., 1]).all()
    counts = np.bincount(made[..., 0].sum(1).astype(int), minlength=5)
    assert (np.diff(made[..., 0], axis=1) >= 0).all()  # once changed, always changed
    assert counts[4] == 0 and abs(counts[0] - 200) < 40 and min(counts[1:4]) > 40
    for still in (style.StyleMixing(4, 0.0), style.StyleMixing(1, 1.0)):
        assert (np.asarray(still([first, second], training=True)) == 0).all()


def test_the_other_examples_are_those_before_while_training():
    x = np.arange(4, dtype="float32")[:, None]
    assert np.asarray(style.Rolled()(x, training=True))[:, 0].tolist() == [1, 2, 3, 0]
    assert np.asarray(style.Rolled()(x))[:, 0].tolist() == [0, 1, 2, 3]


def test_truncation_draws_towards_the_mean_that_training_has_seen():
    layer, x = style.Truncation(momentum=0.5), normal(6, 3) + 1
    for _ in range(30):
        assert (np.asarray(layer(x, training=True)) == x).all()
    assert np.asarray(layer.mean) == pytest.approx(x.mean(0), abs=1e-4)
    assert (np.asarray(layer(x)) == x).all()
    layer.truncation = 0.25
    assert np.asarray(layer(x)) == pytest.approx(x.mean(0) + 0.25 * (x - x.mean(0)), abs=1e-4)
    layer.truncation = 0.0
    assert np.ptp(layer(x), axis=0).max() == 0
    assert not layer.trainable_weights


def test_the_deviation_is_the_mean_over_the_map_of_that_over_the_batch():
    x = normal(6, 3, 4, 5)
    made = np.asarray(style.BatchDeviation()(x))
    assert (made[..., :5] == x).all()
    assert made[..., 5] == pytest.approx(x.std(axis=0).mean(), rel=1e-4)
    alike = np.asarray(style.BatchDeviation()(np.repeat(x[:1], 6, 0)))
    assert alike[..., 5].max() < 1e-3


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (style.EqualizedDense(7, 0.1), [(4,)]),
        (style.Modulation(), [(4, 6, 3), (5,)]),
        (style.ModulatedConvolution(7, 4, upsample=True, demodulate=False, gain=2.0), [(4, 6, 3), (5,)]),
        (style.LearnedMap(2, 3, 4), [(5,)]),
        (style.NoiseInjection(3), [(4, 6, 3)]),
        (style.Truncation(0.5, 0.9), [(4,)]),
        (style.Rolled(), [(4,)]),
        (style.StyleMixing(3, 0.4, 5), [(4,), (4,)]),
        (style.BatchDeviation(), [(4, 6, 3)]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_layer_is_saved_with_its_arguments(layer, shapes, tmp_path):
    inputs = [keras.Input(shape) for shape in shapes]
    model = keras.Model(inputs, layer(inputs if len(inputs) > 1 else inputs[0]))
    given = [normal(2, *shape) for shape in shapes]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.layers[-1].get_config() == layer.get_config()
    assert (np.asarray(again(given)) == np.asarray(model(given))).all()
    assert model.output.shape[1:] == model(given).shape[1:]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: style.EqualizedDense(4, 0.0), "rate: expected above 0"),
        (lambda: style.ModulatedConvolution(0), "filters: expected at least 1"),
        (lambda: style.LearnedMap(0, 2, 2), "height: expected at least 1"),
        (lambda: style.Truncation(-1.0), "truncation: expected at least 0"),
        (lambda: style.Truncation(momentum=1.0), "momentum: expected a number from 0 to below 1"),
        (lambda: style.StyleMixing(2, 1.5), "rate: expected a number from 0 to 1"),
    ],
)
def test_impossible_arguments(build, said):
    with pytest.raises(SettingError, match=said):
        build()
