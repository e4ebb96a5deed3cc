"""Blocks of the vision architectures: what each promises."""

import keras
import numpy as np
import pytest

from kit.blocks.channel_attention import squeeze_excite
from kit.blocks.convolution import convolution, convolution_norm, depthwise_norm
from kit.blocks.dense_connection import dense_layer, transition
from kit.blocks.inception import inception
from kit.blocks.inverted_residual import inverted_residual, rounded
from kit.blocks.normalization import LocalResponseNormalization
from kit.blocks.patch import ClassToken, convolution_embedding, patch_embedding, patch_merging
from kit.blocks.regularization import LayerScale
from kit.blocks.window_attention import WindowAttention, swin_block
from kit.errors import SettingError
from tests.blocks.test_blocks import model_of


def images(shape=(2, 9, 8, 4)):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize(
    ("block", "arguments", "shape"),
    [
        (convolution, {"filters": 6, "dilation": 2, "name": "c"}, (9, 8, 6)),
        (convolution, {"filters": 6, "groups": 2, "use_bias": True, "name": "c"}, (9, 8, 6)),
        (convolution_norm, {"filters": 6, "stride": 2, "padding": "same", "name": "c"}, (5, 4, 6)),
        (depthwise_norm, {"kernel_sizes": (3, 5, 7), "stride": 2, "name": "d"}, (5, 4, 4)),
        (depthwise_norm, {"stride": 2, "padding": "symmetric", "name": "d"}, (5, 4, 4)),
        (squeeze_excite, {"squeezed": 2, "name": "s"}, (9, 8, 4)),
        (inverted_residual, {"filters": 4, "squeeze": 0.25, "drop_rate": 0.5, "name": "i"}, (9, 8, 4)),
        (inverted_residual, {"filters": 6, "stride": 2, "expansion": 1, "name": "i"}, (5, 4, 6)),
        (inverted_residual, {"filters": 6, "expand_groups": 2, "project_groups": 2, "name": "i"}, (9, 8, 6)),
        (dense_layer, {"growth": 3, "dropout": 0.1, "name": "d"}, (9, 8, 7)),
        (transition, {"name": "t"}, (4, 4, 2)),
        (inception, {"one": 1, "three": (2, 3), "five": (1, 2), "pooled": 1, "name": "i"}, (9, 8, 7)),
        (patch_embedding, {"dim": 6, "patch_size": 4, "name": "p"}, (2, 2, 6)),
        (convolution_embedding, {"dim": 6, "patch_size": 4, "name": "p"}, (3, 2, 6)),
        (convolution_embedding, {"dim": 6, "patch_size": 4, "kernel_sizes": (3, 5), "name": "p"}, (3, 2, 6)),
        (convolution_embedding, {"dim": 6, "patch_size": 1, "name": "p"}, (9, 8, 6)),
        (patch_merging, {"dim": 6, "name": "p"}, (5, 4, 6)),
        (swin_block, {"num_heads": 2, "window_size": 3, "shift": 1, "drop_rate": 0.5, "name": "w"}, (9, 8, 4)),
    ],
)
def test_shape_and_reload(block, arguments, shape, tmp_path):
    model = model_of(block, **arguments)
    y = np.asarray(model(images(), training=False))
    assert y.shape == (2, *shape)
    model.save(tmp_path / "block.keras")
    again = keras.models.load_model(tmp_path / "block.keras")
    np.testing.assert_allclose(again(images(), training=False), y, atol=1e-6)


@pytest.mark.parametrize(
    ("patch_size", "filters"), [(16, [3, 6, 12, 24, 24]), (4, [12, 12, 24, 24, 24]), (2, [24, 24, 24, 24, 24])]
)
def test_four_convolutions_lead_to_the_vectors(patch_size, filters):
    model = model_of(convolution_embedding, shape=(16, 16, 3), dim=24, patch_size=patch_size, name="p")
    assert [layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D)] == filters
    assert model.output.shape[1:] == (16 // patch_size, 16 // patch_size, 24)


def test_groups_of_channels_do_not_see_each_other():
    model = model_of(convolution, filters=4, groups=2, name="c")
    other = images()
    other[..., 2:] += 1
    first, second = (np.asarray(model(x)) for x in (images(), other))
    np.testing.assert_array_equal(first[..., :2], second[..., :2])
    assert (first[..., 2:] != second[..., 2:]).any()


@pytest.mark.parametrize("settings", [{}, {"stride": 2}, {"dilation": 2, "use_bias": True}])
@pytest.mark.parametrize("groups", [2, 4])
def test_groups_equal_those_of_keras(groups, settings):
    model = model_of(convolution, filters=8, groups=groups, **settings, name="c")
    stride, dilation = settings.get("stride", 1), settings.get("dilation", 1)
    reference = keras.layers.Conv2D(
        8,
        3,
        strides=stride,
        padding="valid",
        dilation_rate=dilation,
        groups=groups,
        use_bias=settings.get("use_bias", False),
    )
    x = np.pad(images(), ((0, 0), (dilation, dilation), (dilation, dilation), (0, 0)))
    reference.build(x.shape)
    cut = [np.split(weight, groups, axis=-1) for weight in reference.get_weights()]
    model.set_weights([part[index] for index in range(groups) for part in cut])
    np.testing.assert_allclose(model(images()), reference(x), atol=1e-5)


def test_a_group_starts_as_keras_would_start_it():
    model = model_of(convolution, shape=(4, 4, 64), filters=256, groups=2, name="c")
    kernels = [weight for weight in model.get_weights() if weight.ndim == 4]
    assert [kernel.shape for kernel in kernels] == [(3, 3, 32, 128)] * 2
    for kernel in kernels:
        assert kernel.std() == pytest.approx((2 / (9 * 32)) ** 0.5, rel=0.02)  # He et al., of the group's inputs


def test_groups_divide_the_channels():
    for channels, filters in ((4, 6), (6, 4)):
        with pytest.raises(SettingError, match="groups: expected a divisor of"):
            model_of(convolution, shape=(9, 8, channels), filters=filters, groups=4, name="c")


def test_a_dilated_kernel_reaches_further():
    model = model_of(convolution, shape=(9, 9, 1), filters=1, dilation=3, name="c")
    model.set_weights([np.ones((3, 3, 1, 1))])
    x = np.zeros((1, 9, 9, 1), "float32")
    x[0, 4, 4] = 1
    rows, columns = np.nonzero(np.asarray(model(x))[0, ..., 0])
    assert set(rows) == set(columns) == {1, 4, 7}


def test_mixed_kernels_treat_their_own_channels():
    model = model_of(depthwise_norm, shape=(15, 15, 5), kernel_sizes=(3, 7), activation=None, name="d")
    for layer in model.layers:
        if "conv" in layer.name:
            layer.set_weights([np.ones_like(weight) for weight in layer.get_weights()])
    x = np.zeros((1, 15, 15, 5), "float32")
    x[0, 7, 7] = 1
    reached = (np.asarray(model(x, training=False))[0] > 0).sum((0, 1))
    np.testing.assert_array_equal(reached, [9, 9, 9, 49, 49])  # what is left over goes to the first


def test_squeeze_excite_scales_whole_channels():
    x = images()
    y = np.asarray(model_of(squeeze_excite, squeezed=2, name="s")(x))
    factors = y / x
    np.testing.assert_allclose(factors, np.broadcast_to(factors[:, :1, :1], x.shape), rtol=1e-4)
    assert (factors > 0).all() and (factors < 1).all()


def test_local_response_normalization_is_the_formula():
    x = images((1, 2, 2, 7))
    expected = np.zeros_like(x)
    for channel in range(7):
        near = x[..., max(0, channel - 2) : channel + 3]
        expected[..., channel] = x[..., channel] / (2 + 1e-4 * (near**2).sum(-1)) ** 0.75
    np.testing.assert_allclose(LocalResponseNormalization()(x), expected, rtol=1e-5)


def test_class_token_stands_in_front():
    layer = ClassToken()
    y = np.asarray(layer(np.ones((2, 3, 4), "float32")))
    assert y.shape == (2, 4, 4) and (y[:, 0] == 0).all() and (y[:, 1:] == 1).all()


def test_layer_scale_begins_as_its_start():
    np.testing.assert_allclose(LayerScale(0.1)(images()), images() * 0.1, rtol=1e-6)


def seen_by(layer, shape, row, column):
    """Returns which positions have a part in the output at one position."""
    x = images((1, *shape, layer.num_heads * 2))
    base = np.asarray(layer(x))[0, row, column]
    seen = np.zeros(shape, bool)
    for place in np.ndindex(*shape):
        other = x.copy()
        other[0, *place] += 1
        seen[place] = np.abs(np.asarray(layer(other))[0, row, column] - base).max() > 1e-7
    return seen


def test_a_window_sees_itself_alone_and_a_shifted_one_lies_across():
    plain = seen_by(WindowAttention(2, 2), (4, 4), 1, 1)
    assert plain[:2, :2].all() and plain.sum() == 4
    shifted = seen_by(WindowAttention(2, 2, shift=1), (4, 4), 1, 1)
    assert shifted[1:3, 1:3].all() and shifted.sum() == 4
    corner = seen_by(WindowAttention(2, 2, shift=1), (4, 4), 0, 0)
    assert corner.sum() == 1, "what came around the border stays apart"


def test_a_padded_window_sees_no_padding():
    assert seen_by(WindowAttention(2, 2), (3, 3), 2, 2).sum() == 1
    small = WindowAttention(2, 7, shift=3)
    assert seen_by(small, (3, 3), 0, 0).all(), "a map that is no larger than a window is one"


def test_relative_positions_share_their_bias():
    layer = WindowAttention(1, 3)
    layer(images((1, 3, 3, 2)))
    relative = layer._relative.reshape(9, 9)
    assert relative[0, 1] == relative[4, 5] == relative[7, 8] and relative[0, 1] != relative[1, 0]
    assert len(np.unique(relative)) == 25


@pytest.mark.parametrize("arguments", [{"window_size": 0}, {"window_size": 2, "shift": 2}])
def test_window_attention_checks_its_numbers(arguments):
    with pytest.raises(SettingError):
        WindowAttention(2, **arguments)


def test_channels_are_rounded_as_the_mobile_networks_do():
    assert [rounded(channels, 1.3) for channels in (24, 32, 40, 80, 120, 200)] == [32, 40, 56, 104, 160, 264]
    assert rounded(10, 1.0) == 16, "never less than 90 %"
