"""Models that are given in Python are explained as those of the kit are; what cannot be drawn ends before training."""

import keras
import numpy as np
import pytest
from keras import layers

import kit
from kit.tasks import image_explanation

_SETTINGS = {"train": {"epochs": 1, "steps_per_epoch": 2, "batch_size": 16}, "verbose": False}
_SCORES = {"bootstrap_samples": 20}
_EXPLAINED = "plots/3_most_confident_mistakes_explained.png"


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """A network whose layers nobody sees from outside."""

    def __init__(self, **more):
        super().__init__(**more)
        self.maps, self.pooled = layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D()
        self.logits = layers.Dense(2)

    def call(self, images):
        return self.logits(self.pooled(self.maps(images)))


def convolutional():
    return [layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(2)]


def added():
    """Layers one by one behind an input: Keras calls those that there are anew for every further one."""
    model = keras.Sequential([keras.Input((8, 8, 1))])
    for layer in convolutional():
        model.add(layer)
    return model


OWN = {
    "sequential": lambda: keras.Sequential(convolutional()),
    "added": added,
    "subclassed": Subclassed,
}


@pytest.fixture(scope="module")
def images():
    """Dark and bright images, and which is which."""
    labels = np.arange(60) % 2
    noise = np.random.default_rng(0).integers(0, 60, (60, 8, 8))
    return (noise + 150 * labels[:, None, None]).astype("uint8"), labels


@pytest.mark.parametrize("name", OWN)
def test_an_own_model_is_explained(name, images, tmp_path):
    scores = _SCORES | {"explain_mistakes": True}
    keras.utils.set_random_seed(0)
    run = kit.train(model=OWN[name](), data=images, folder=tmp_path / "run", evaluate=scores, **_SETTINGS)
    assert run.metrics["test"]["accuracy"] < 1 and (run.folder / _EXPLAINED).exists()
    found = run.explain(images[0][:3], steps=16)
    maps = {"integrated_gradients"} if name == "subclassed" else {"grad_cam", "integrated_gradients"}
    assert set(found.arrays) == maps
    assert any(note.startswith("No Grad-CAM") for note in found.notes) == (name == "subclassed")
    again = kit.load(run.folder).explain(images[0][:3], steps=16)
    for key, values in found.arrays.items():
        assert values.any()
        np.testing.assert_allclose(values, again.arrays[key], atol=1e-5)


@pytest.mark.parametrize("is_always_right", [False, True])
def test_what_cannot_be_explained_ends_before_the_training(is_always_right, images, monkeypatch, tmp_path):
    def fails(*arguments):
        raise ArithmeticError("no gradient")

    model = keras.Sequential([keras.Input((8, 8, 1)), *convolutional()])
    if is_always_right:  # and so makes no mistake that could be explained
        convolution, _, dense = model.layers
        convolution.set_weights([np.full((3, 3, 1, 4), 1 / 9), np.zeros(4)])
        dense.set_weights([np.tile([[-0.25, 0.25]], (4, 1)), np.array([100.0, -100.0])])
        assert (model.predict(images[0], verbose=0).argmax(1) == images[1]).all()
    monkeypatch.setattr(image_explanation, "grad_cam", fails)
    settings = {"model": model, "data": images, **_SETTINGS}
    with pytest.raises(ArithmeticError, match="no gradient"):
        kit.train(folder=tmp_path / "run", evaluate=_SCORES | {"explain_mistakes": True}, **settings)
    assert not (tmp_path / "run").exists()
    kit.train(folder=tmp_path / "run", evaluate=_SCORES, **settings)


def test_trying_the_explanation_changes_no_training(images, tmp_path):
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Dropout(0.2, seed=1), *convolutional()]
    )
    first = model.get_weights()
    weights = []
    for is_explained in (False, True):
        model = keras.models.clone_model(model)
        model.set_weights(first)
        scores = _SCORES | {"explain_mistakes": is_explained}
        kit.train(model=model, data=images, folder=tmp_path / str(is_explained), evaluate=scores, **_SETTINGS)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
