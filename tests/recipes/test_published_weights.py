"""`model.weights`: a classifier that begins with the weights of `keras.applications`."""

import keras
import numpy as np
import pytest

from kit import recipes
from kit.errors import SettingError


@pytest.fixture
def published(monkeypatch):
    """Random weights in place of those that would be downloaded; returns the reference that was asked for."""
    made, original = [], keras.applications.MobileNetV2

    def without_download(weights, **arguments):
        assert weights == "imagenet"
        made.append(original(weights=None, **arguments))
        return made[-1]

    monkeypatch.setattr(keras.applications, "MobileNetV2", without_download)
    return made


def test_a_classifier_sees_pixels_as_the_weights_want_them(published):
    model = recipes.image_classifier((64, 64, 3), 5, backbone="mobilenetv2", weights="imagenet")
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    prepared = keras.applications.mobilenet_v2.preprocess_input(pixels.copy())
    expected = np.asarray(published[0](prepared, training=False)).mean((1, 2))
    features = keras.Model(model.input, model.get_layer("pool").output)
    np.testing.assert_allclose(features(pixels, training=False), expected, atol=1e-5)
    assert model.output.shape == (None, 5)


def test_there_are_no_weights_for_every_backbone():
    with pytest.raises(SettingError, match="weights: expected None with 'resnet8'; there are weights for vgg16"):
        recipes.image_classifier((64, 64, 3), 5, backbone="resnet8", weights="imagenet")
