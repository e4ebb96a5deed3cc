"""Blocks: shapes, reloading without custom objects, and what each promises."""

import keras
import numpy as np
import pytest

from kit.blocks import heads
from kit.blocks.convolution import convolution, convolution_norm
from kit.blocks.regularization import StochasticDepth, penalize_kernels
from kit.blocks.residual import basic, bottleneck
from kit.errors import SettingError


def model_of(block, shape=(9, 8, 4), **arguments):
    inputs = keras.Input(shape)
    return keras.Model(inputs, block(inputs, **arguments))


@pytest.mark.parametrize(
    ("block", "arguments", "shape"),
    [
        (convolution, {"filters": 6, "name": "c"}, (9, 8, 6)),
        (convolution, {"filters": 6, "stride": 2, "name": "c"}, (5, 4, 6)),
        (convolution, {"filters": 6, "kernel_size": 7, "stride": 2, "name": "c"}, (5, 4, 6)),
        (convolution, {"filters": 6, "kernel_size": 1, "stride": 2, "name": "c"}, (5, 4, 6)),
        (convolution_norm, {"filters": 6, "activation": None, "name": "c"}, (9, 8, 6)),
        (basic, {"filters": 4, "name": "b"}, (9, 8, 4)),
        (basic, {"filters": 8, "stride": 2, "name": "b"}, (5, 4, 8)),
        (basic, {"filters": 8, "stride": 2, "shortcut": "pad", "name": "b"}, (5, 4, 8)),
        (basic, {"filters": 8, "drop_rate": 0.5, "name": "b"}, (9, 8, 8)),
        (bottleneck, {"filters": 2, "name": "b"}, (9, 8, 8)),
        (bottleneck, {"filters": 2, "stride": 2, "shortcut": "pad", "name": "b"}, (5, 4, 8)),
        (heads.classification, {"num_classes": 3}, (3,)),
        (heads.classification, {"num_classes": 3, "pooling": "max", "dropout": 0.5}, (3,)),
        (heads.classification, {"num_classes": 3, "pooling": "flatten"}, (3,)),
    ],
)
def test_shape_and_reload(block, arguments, shape, tmp_path):
    model = model_of(block, **arguments)
    x = np.random.default_rng(0).normal(size=(2, 9, 8, 4)).astype("float32")
    y = model.predict(x, verbose=0)
    assert y.shape == (2, *shape)
    model.save(tmp_path / "block.keras")
    again = keras.models.load_model(tmp_path / "block.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), y, atol=1e-6)


def test_strided_convolution_pads_every_side_alike():
    model = model_of(convolution, shape=(4, 4, 1), filters=1, stride=2, name="c")
    model.set_weights([np.ones((3, 3, 1, 1))])
    y = model.predict(np.ones((1, 4, 4, 1), "float32"), verbose=0)[0, ..., 0]
    # The first window meets the border above and left of it; TensorFlow's own "same" would meet it below and right.
    np.testing.assert_array_equal(y, [[4, 6], [6, 9]])


@pytest.mark.parametrize("block", [basic, bottleneck])
def test_zero_init_starts_as_the_identity(block):
    filters = 4 if block is basic else 1
    model = model_of(block, filters=filters, zero_init=True, name="b")
    x = np.random.default_rng(0).uniform(0, 1, (2, 9, 8, 4)).astype("float32")
    np.testing.assert_allclose(model.predict(x, verbose=0), x, atol=1e-6)


def test_pad_shortcut_has_no_parameters():
    assert (
        model_of(basic, filters=8, stride=2, shortcut="pad", name="b").count_params() == 9 * (4 * 8 + 8 * 8) + 2 * 4 * 8
    )


def test_stochastic_depth_drops_whole_examples_and_keeps_the_mean():
    layer = StochasticDepth(0.25, seed=1)
    x = np.ones((4000, 3, 2), "float32")
    y = np.asarray(layer(x, training=True))
    assert set(np.unique(y.round(4))) == {0.0, np.float32(1.3333)}
    np.testing.assert_array_equal(y.min((1, 2)), y.max((1, 2)))
    assert abs(y.mean() - 1) < 0.05
    np.testing.assert_array_equal(layer(x, training=False), x)


@pytest.mark.parametrize("rate", [-0.1, 1, 2])
def test_stochastic_depth_checks_its_rate(rate):
    with pytest.raises(SettingError, match="rate: expected"):
        StochasticDepth(rate)


def test_penalty_is_on_kernels_alone():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2, kernel_initializer="ones", bias_initializer="ones")(inputs))
    penalize_kernels(model, l1=0.5, l2=0.25)
    assert len(model.losses) == 1
    assert float(model.losses[0]) == pytest.approx(6 * 0.5 + 6 * 0.25)
    with pytest.raises(SettingError, match="l2"):
        penalize_kernels(model, l2=-1.0)


def test_logits_are_float32_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = model_of(heads.classification, num_classes=3)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
