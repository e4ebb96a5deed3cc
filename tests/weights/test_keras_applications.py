"""Equal to the reference: the weights of `keras.applications`, random ones, give the same outputs here."""

import keras
import numpy as np
import pytest

from kit.errors import SettingError
from kit.models import vision
from kit.weights import keras_applications as published

QUICK = {"resnet50", "mobilenetv2"}


def randomised(model):
    """Gives biases and normalisations values as a training would leave them; Keras begins with ones and zeros."""
    random = np.random.default_rng(0)
    for layer in model.layers:
        weights = layer.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization):
            for index, (low, high) in enumerate(((0.5, 1.0), (-0.1, 0.1), (-0.1, 0.1), (0.5, 1.5))):
                weights[index] = random.uniform(low, high, weights[index].shape)
        elif len(weights) == 2 and weights[1].ndim == 1:
            weights[1] = random.normal(size=weights[1].shape) * 0.05
        layer.set_weights(weights)


def pair(variant, size=64):
    """Returns a reference with random weights, and the same architecture of the kit without."""
    module, name, _, _ = published.REFERENCES[variant]
    has_dense = module.startswith("vgg")
    shape = (224 if has_dense else size,) * 2 + (3,)
    reference = getattr(keras.applications, name)(weights=None, input_shape=shape, include_top=has_dense)
    randomised(reference)
    build, arguments = vision.VARIANTS[variant]
    more = {"stride_first": True} if module == "resnet" else {}
    if has_dense:
        reference = keras.Model(reference.input, reference.get_layer("fc2").output)
    return reference, build(shape, **arguments, **more, name=variant)


@pytest.mark.parametrize(
    "variant",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.large) for name in published.REFERENCES],
)
def test_same_weights_same_outputs(variant):
    keras.utils.set_random_seed(0)
    reference, model = pair(variant)
    published.copy(model, reference, variant)
    module = published.REFERENCES[variant][0]
    scale, offset = published.preprocessing(reference, module)
    pixels = np.random.default_rng(1).uniform(0, 255, (2, *model.input.shape[1:])).astype("float32")
    prepare = getattr(keras.applications, module).preprocess_input
    expected = np.asarray(reference(prepare(pixels.copy()), training=False))
    found = np.asarray(model(pixels * np.float32(scale) + np.float32(offset), training=False))
    scale_of_outputs = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(found / scale_of_outputs, expected / scale_of_outputs, atol=1e-5)
    assert expected.std() > 1e-6


@pytest.mark.slow
def test_what_differs_from_the_reference_is_refused():
    keras.utils.set_random_seed(0)
    build, arguments = vision.VARIANTS["mobilenetv2"]
    reference = keras.applications.MobileNetV2(weights=None, input_shape=(64, 64, 3), include_top=False)
    with pytest.raises(SettingError, match="weights: mobilenetv2: stem_conv has shapes"):
        published.copy(build((64, 64, 3), **arguments | {"width": 0.5}), reference, "mobilenetv2")
    with pytest.raises(SettingError, match="weights: expected None with 'resnet8'"):
        published.load(build((64, 64, 3)), "resnet8")
    with pytest.raises(SettingError, match="images of three channels"):
        published.load(build((64, 64, 1)), "mobilenet")
    build, arguments = vision.VARIANTS["resnet50"]
    with pytest.raises(SettingError, match="backbone.stride_first: expected true"):
        published.load(build((64, 64, 3), **arguments, name="resnet50"), "resnet50")
