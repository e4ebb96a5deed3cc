"""A head that is fitted by itself before the training: a linear model of features that stay as they are."""

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.linear_model import LogisticRegression

import kit
from kit.data.columns import Dense
from kit.data.examples import Examples
from kit.errors import SettingError
from kit.training import head_first
from tests.conftest import TINY

RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(90, 4)).astype("float32")
SUMS = INPUTS @ np.array([1.0, -2.0, 0.5, 0.0])


def network(units, name="logits"):
    given = keras.Input((4,), name="values")
    x = layers.Dense(6, activation="tanh", name="features")(given)
    return keras.Model(given, layers.Dense(units, name=name)(layers.Dropout(0.5)(x)))


def fitted(units, kind, targets, **more):
    """Returns what a network answers after its head was fitted; its features are those from before."""
    model = network(units)
    before = model.get_layer("features").get_weights()
    head_first.fit(model, Examples({"values": Dense(INPUTS)}, {kind: Dense(targets)}, **more), 16)
    for old, new in zip(before, model.get_layer("features").get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    return model.predict(INPUTS, verbose=0), keras.Model(model.input, model.layers[1].output)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_a_label_is_that_of_logistic_regression(classes):
    labels = np.digitize(SUMS, np.linspace(-1, 1, classes - 1)).astype("int32")
    answers, inside = fitted(classes + 1, "label", labels)  # the last class has no example
    features = inside.predict(INPUTS, verbose=0)
    features /= np.sqrt((features**2).sum(1).mean())
    expected = LogisticRegression(C=10, max_iter=500).fit(features, labels).predict_proba(features)
    np.testing.assert_allclose(np.asarray(keras.ops.softmax(answers[:, :-1])), expected, atol=1e-4)
    assert (answers.argmax(1) < classes).all()


def test_each_of_several_labels_has_a_model_of_its_own():
    labels = np.stack([SUMS > 0, INPUTS[:, 0] > 0, SUMS > 100, SUMS < 100], 1).astype("float32")
    answers, _ = fitted(4, "labels", labels)
    assert ((answers > 0) == labels).mean() > 0.9
    np.testing.assert_allclose(answers[:, 2:], [[-10, 10]] * 90, atol=1e-4)  # none has it, and all


def test_a_number_is_that_of_ridge_regression():
    answers, _ = fitted(1, "number", SUMS.astype("float32"))
    assert np.corrcoef(answers[:, 0], SUMS)[0, 1] > 0.95


def test_weights_of_examples_count():
    labels = (SUMS > 0).astype("int32")
    plain, _ = fitted(2, "label", labels)
    weighted, _ = fitted(2, "label", labels, weights=Dense(np.where(labels, 20, 1).astype("float32")))
    assert (weighted.argmax(1) == 1).sum() > (plain.argmax(1) == 1).sum()


def test_a_network_without_such_a_head_is_refused():
    given = keras.Input((None, 4), name="values")
    examples = Examples({"values": Dense(INPUTS[:, None])}, {"label": Dense(np.zeros(90, "int32"))})
    for output in (layers.Dense(2)(given), layers.Activation("tanh")(layers.Dense(2)(given[:, 0]))):
        with pytest.raises(SettingError, match="head_first: expected false: .* does not end in a dense layer"):
            head_first.fit(keras.Model(given, output), examples, 16)


def test_a_run_that_starts_from_another_one_begins_with_a_fitted_head(small_run, tmp_path):
    settings = TINY | {"train": TINY["train"] | {"epochs": 0, "start_from": str(small_run.folder)}}
    plain = kit.train("image_classification", folder=tmp_path / "plain", **settings)
    settings["train"] = settings["train"] | {"head_first": True}
    probed = kit.train("image_classification", folder=tmp_path / "probed", **settings)
    assert probed.metrics["test"]["accuracy"] > plain.metrics["test"]["accuracy"]
    for one, other in zip(plain.model.weights, probed.model.weights, strict=True):
        assert np.array_equal(one, other) == ("logits" not in one.path)


def test_it_is_refused_without_weights_to_begin_with(tmp_path):
    with pytest.raises(SettingError) as raised:
        kit.train("image_classification", folder=tmp_path / "run", **TINY | {"train": {"head_first": True}})
    assert str(raised.value) == ("train.head_first: expected false without model.weights or train.start_from, got True")
