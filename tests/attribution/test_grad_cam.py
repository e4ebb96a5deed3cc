"""Grad-CAM on networks whose answer depends on one known corner; and every vision backbone of the registry."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kit.attribution.grad_cam import feature_map_path, grad_cam
from kit.recipes.image_classification import image_classifier
from tests.models.test_vision import SMALL

WITHOUT_MAP = {"perceptron", "mlp", "vit_small_image", "vitc_small_image", "mixvit", "dbn_small"}


def corner_network(corner, size=16):
    """A network whose first class is another one's, and whose second is told by the brightness of a corner alone."""
    half = size // 2
    mask = np.zeros((1, size, size, 2), "float32")
    mask[..., 0] = 1  # of the whole image, which no class depends on
    row, column = (slice(half) if side == 0 else slice(half, None) for side in corner)
    mask[0, row, column, 1] = 1
    inputs = keras.Input((size, size, 1))
    x = layers.Conv2D(2, 1, use_bias=False, kernel_initializer="ones", name="brightness")(inputs)
    x = layers.GlobalAveragePooling2D()(ops.multiply(x, mask))
    model = keras.Model(inputs, layers.Dense(2, name="logits")(x))
    model.get_layer("logits").set_weights([np.array([[0.0, 0.0], [-1.0, 1.0]]), np.zeros(2)])
    return model


@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_finds_the_corner_that_the_answer_depends_on(corner):
    image = np.full((1, 16, 16, 1), 200, "float32")  # bright everywhere
    shown = grad_cam(corner_network(corner), image, [1])[0]
    row, column = (slice(8) if side == 0 else slice(8, None) for side in corner)
    np.testing.assert_allclose(shown[row, column], 1, atol=1e-6)
    assert shown.sum() == pytest.approx(64, rel=1e-5)  # and nothing of the other three


def test_nothing_speaks_for_the_other_class():
    assert grad_cam(corner_network((0, 0)), np.full((1, 16, 16, 1), 200, "float32"), [0]).max() == 0


def test_a_model_inside_a_model_inside_a_model():
    inner = corner_network((0, 0))
    middle_input = keras.Input((16, 16, 1))
    middle = keras.Model(middle_input, inner(middle_input))
    outer_input = keras.Input((16, 16, 1))
    outer = keras.Model(outer_input, layers.Rescaling(2.0)(middle(layers.Rescaling(0.5)(outer_input))))
    path = feature_map_path(outer)
    assert [each.name for each in path] == [middle.name, inner.name, path[-1].name]
    image = np.full((1, 16, 16, 1), 200, "float32")
    for _ in range(2):  # what the first made of the same layers does not matter
        np.testing.assert_allclose(grad_cam(outer, image, [1]), grad_cam(inner, image, [1]), atol=1e-6)


def shared_layers():
    """Layers of a small convolutional network, their weights made."""
    keras.utils.set_random_seed(0)
    found = [layers.Conv2D(3, 3, activation="relu"), layers.Flatten(), layers.Dense(2)]
    keras.Sequential([keras.Input((8, 8, 1)), *found])
    return found


def wrapped(network):
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, network(inputs))


def test_a_sequential_model_is_looked_into_whatever_its_layers_were_called_with_before():
    made = shared_layers()
    added = keras.Sequential([keras.Input((8, 8, 1))])
    for layer in made:
        added.add(layer)  # Keras calls all of them anew
    inputs = x = keras.Input((8, 8, 1))
    for layer in made:
        x = layer(x)
    functional = keras.Model(inputs, x)
    late = keras.Sequential(made)  # has no input before it is called
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 1)).astype("float32")
    expected = grad_cam(functional, images, [0, 1])
    assert expected.max() == 1
    for network in (added, wrapped(added), wrapped(late), wrapped(keras.Sequential([keras.Input((8, 8, 1)), added]))):
        assert feature_map_path(network)[-1] is made[0]
        np.testing.assert_allclose(grad_cam(network, images, [0, 1]), expected, atol=1e-6)


class Opaque(keras.Model):
    """A subclassed model: Keras knows of its layers, and not how they are joined."""

    def __init__(self, *joined):
        super().__init__()
        self.joined = list(joined)

    def call(self, x):
        for layer in self.joined:
            x = layer(x)
        return x


def test_nobody_sees_a_map_inside_a_subclassed_model():
    assert feature_map_path(Opaque(*shared_layers())) is None
    assert feature_map_path(wrapped(Opaque(*shared_layers()))) is None
    stem = [keras.Input((8, 8, 1)), layers.Conv2D(1, 1)]
    assert feature_map_path(wrapped(keras.Sequential([*stem, Opaque(*shared_layers())]))) is None
    convolution, flat, dense = shared_layers()
    shown = keras.Sequential([keras.Input((8, 8, 1)), body := Opaque(convolution), flat, dense])
    assert feature_map_path(shown) == [body]  # what it returns is a map
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 1)).astype("float32")
    expected = grad_cam(keras.Sequential([keras.Input((8, 8, 1)), convolution, flat, dense]), images, [0, 1])
    np.testing.assert_allclose(grad_cam(shown, images, [0, 1]), expected, atol=1e-6)
    behind = keras.Sequential([keras.Input((8, 8, 1)), convolution, flat, Opaque(dense)])
    assert feature_map_path(behind) == [convolution]  # it is given no map, and so has none


@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_family_has_a_map_or_none(name):
    model = image_classifier((32, 32, 3), 3, backbone=name)
    path = feature_map_path(model)
    assert (path is None) == (name in WITHOUT_MAP)
    if path is not None:
        images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")
        shown = grad_cam(model, images, [0, 2], path)
        assert shown.shape == (2, 32, 32) and np.isfinite(shown).all() and shown.min() >= 0 and shown.max() <= 1
    else:
        with pytest.raises(ValueError, match="no feature map"):
            grad_cam(model, np.zeros((1, 32, 32, 3)), [0])
