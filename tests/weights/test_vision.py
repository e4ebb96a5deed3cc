"""Vision networks with published weights: equal to the reference, and the way back to the published layout."""

import importlib

import keras
import numpy as np
import pytest

from kit.models.vision.mixnet import mixnet
from kit.models.vision.swin import swin
from kit.models.vision.vit import vit
from kit.weights import loading
from tests.references.drawn import drawn
from tests.weights.published import fixture, publish

BUILDERS = {"vit": vit, "swin": swin}


@pytest.mark.parametrize("name", BUILDERS)
def test_equal_to_the_reference(name, tmp_path):
    published = importlib.import_module(f"kit.weights.{name}")
    config, weights, inputs, outputs = fixture(name)
    folder = publish(tmp_path, weights, config)
    arguments = published.arguments(config, folder)
    model = BUILDERS[name](inputs["image"].shape[1:], **arguments)
    assert loading.load(model, published.FAMILY, folder) == []
    last = {"vit": "stage1", "swin": "final_norm"}[name]
    found = keras.Model(model.input, model.get_layer(last).output).predict(inputs["image"], verbose=0)
    found = found.reshape(outputs["sequence"].shape)
    np.testing.assert_allclose(found, outputs["sequence"], atol=1e-5)
    back = loading.tensors_of(model, published.FAMILY)
    assert back.keys() == weights.keys()
    for key, value in back.items():
        np.testing.assert_array_equal(value, weights[key].reshape(value.shape), err_msg=key)
    kept = {key: value for key, value in published.configuration(arguments).items() if key != "architectures"}
    assert kept.items() <= config.items()


def test_efficientnet_lite_is_equal_to_the_reference(tmp_path):
    published = importlib.import_module("kit.weights.efficientnet_lite0")
    config, _, inputs, outputs = fixture("efficientnet_lite0")
    weights = {name: drawn(name, shape) for name, shape in config.pop("shapes").items()}
    folder = publish(tmp_path, weights, config)
    model = mixnet(inputs["image"].shape[1:], **published.arguments(config, folder))
    assert loading.load(model, published.FAMILY, folder) == []
    found = model.predict(inputs["image"], verbose=0)
    np.testing.assert_allclose(found, outputs["features"], atol=1e-5)
    assert outputs["features"].std() > 0.05
    back = loading.tensors_of(model, published.FAMILY)
    assert back.keys() == {name for name in weights if not name.startswith("_fc.")}
    for key, value in back.items():
        np.testing.assert_allclose(value, weights[key], atol=1e-6, err_msg=key)
