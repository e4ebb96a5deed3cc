"""The mean of several epochs' weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kit
from kit.training import averaging


def test_mean_of_weights_and_statistics_of_all_batches():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Dropout(0.5)(layers.BatchNormalization()(inputs)))
    first = [np.full(weight.shape, 1.0, "float32") for weight in model.get_weights()]
    second = [np.full(weight.shape, 2.0, "float32") for weight in model.get_weights()]
    data = np.random.default_rng(0).normal(3, 2, (60, 3)).astype("float32")
    averaging.average(model, [first, second], tf.data.Dataset.from_tensor_slices((data, data)).batch(20))
    norm = model.layers[1]
    np.testing.assert_array_equal(norm.gamma, 1.5)
    np.testing.assert_allclose(norm.moving_mean, data.mean(0), rtol=1e-4)
    variances = data.reshape(3, 20, 3).var(1).mean(0)
    np.testing.assert_allclose(norm.moving_variance, variances, rtol=1e-4)
    assert norm.momentum == 0.99


def test_the_last_weights_are_kept():
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1, use_bias=False)])
    last = averaging.LastWeights(model, 2)
    for epoch in range(4):
        model.set_weights([np.full((1, 1), float(epoch))])
        last.on_epoch_end(epoch)
    assert [float(weights[0][0, 0]) for weights in last.kept] == [2.0, 3.0]
    other = averaging.LastWeights(model, 2)
    other.put_back(last.arrays())
    assert [float(weights[0][0, 0]) for weights in other.kept] == [2.0, 3.0]


def train(folder, **training):
    return kit.train(
        "image_classification",
        folder=folder,
        model={"backbone": "mlp"},
        optimizer={"learning_rate": 0.03, "schedule": "constant"},
        train={"epochs": 6, "steps_per_epoch": 10} | training,
        evaluate={"bootstrap_samples": 20},
        verbose=False,
    )


@pytest.mark.slow
def test_the_mean_is_kept_only_if_it_is_as_good(tmp_path):
    runs = {count: train(tmp_path / str(count), average_epochs=count) for count in (0, 2, 5)}
    best = runs[0].history["val_accuracy"][runs[0].metrics["best_epoch"] - 1]
    assert "averaged_epochs" not in runs[0].metrics
    for count in (2, 5):
        metrics = runs[count].metrics
        assert metrics["averaged_epochs"] in (0, count)
        assert metrics["validation"]["accuracy"] >= best - 1e-6
        kept = "mean" if metrics["averaged_epochs"] else "epoch"
        assert f"the {kept} is kept" in (runs[count].folder / "run.log").read_text()
        assert metrics["averaged_epochs"] or metrics["validation"] == runs[0].metrics["validation"]
    assert any(runs[count].metrics["averaged_epochs"] for count in (2, 5))
