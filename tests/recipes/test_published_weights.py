"""`model.weights`: a classifier that begins with the weights of `keras.applications`, or of a folder."""

import json

import keras
import numpy as np
import pytest

import kit
from kit import recipes
from kit.commands.export import export
from kit.errors import SettingError
from kit.weights.tensors import Tensors
from tests.weights.published import fixture, publish


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


@pytest.mark.parametrize("name", ["vit", "swin"])
def test_a_folder_of_published_weights_brings_sizes_and_scaling(name, tmp_path):
    content, weights, _, _ = fixture(name)
    folder = publish(tmp_path / "weights", weights, content)
    scaling = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.5]}
    (folder / "preprocessor_config.json").write_text(json.dumps(scaling))
    train = {"epochs": 1, "batch_size": 16, "steps_per_epoch": 2, "steps_per_execution": 1, "jit_compile": False}
    run = kit.train(
        "image_classification",
        model={"weights": str(folder)},
        folder=tmp_path / "run",
        train=train,
        evaluate={"bootstrap_samples": 10},
        verbose=False,
    )
    assert run.settings["model"]["backbone"] == name and run.settings["data"]["color_mode"] == "rgb"
    assert run.model.inputs[0].shape[1:] == (32, 32, 3)
    scale = run.model.get_layer("scale")
    np.testing.assert_allclose(np.array(scale.scale) * 255 * scaling["image_std"], 1, rtol=1e-6)
    np.testing.assert_allclose(
        np.array(scale.offset) * scaling["image_std"], -np.array(scaling["image_mean"]), rtol=1e-6
    )
    done = export(run.folder, "safetensors", tmp_path / "tuned")
    assert done.difference == 0
    kept = json.loads((done.path / "preprocessor_config.json").read_text())
    np.testing.assert_allclose(kept["image_mean"], scaling["image_mean"], rtol=1e-6)
    again = json.loads((done.path / "config.json").read_text())
    assert again["model_type"] == name and again["image_size"] == 32
    assert set(Tensors(done.path)) >= {key for key in weights if not key.startswith("pooler.")}
