"""Classifiers in the middle of a network, trained along and left behind."""

import keras
import numpy as np
import pytest

import kit
from kit import recipes
from kit.errors import SettingError
from kit.training.losses import Auxiliary, SparseCategoricalCrossentropy


def test_googlenet_with_both_has_the_reference_s_parameters():
    model = recipes.image_classifier((224, 224, 3), 1000, backbone="googlenet", auxiliary=("stage2_1", "stage2_4"))
    assert model.output.shape == (None, 3, 1000)
    counts = sum(np.prod(weight.shape) for weight in model.trainable_weights)
    # torchvision's has 3x3 kernels where the paper has 5x5: 13,004,888 there, with 6,624,904 instead of 7,005,832.
    assert counts == 13_004_888 - 6_624_904 + 7_005_832


def test_the_loss_is_the_sum_of_the_answers_losses():
    random = np.random.default_rng(0)
    y_true, y_pred = random.integers(0, 5, 4), random.normal(size=(4, 3, 5)).astype("float32")
    one = SparseCategoricalCrossentropy(0.1)
    expected = one(y_true, y_pred[:, 0]) + 0.3 * (one(y_true, y_pred[:, 1]) + one(y_true, y_pred[:, 2]))
    loss = Auxiliary(one, 0.3)
    np.testing.assert_allclose(loss(y_true, y_pred), expected, rtol=1e-6)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    np.testing.assert_allclose(again(y_true, y_pred), expected, rtol=1e-6)


@pytest.mark.slow
def test_what_is_saved_is_without_them(empty_folder):
    run = kit.train(
        "image_classification",
        folder="run",
        model={"backbone": "resnet8", "auxiliary": ["stage1"]},
        backbone={"widths": (8, 16), "depths": (1, 1)},
        train={"epochs": 2, "steps_per_epoch": 4},
        evaluate={"bootstrap_samples": 20},
        verbose=False,
    )
    assert run.model.output.shape == (None, 10) and list(run.history.columns)[:2] == ["epoch", "accuracy"]
    names = [layer.name for layer in kit.load("run").model.layers]
    assert not [name for name in names if name.startswith("auxiliary")]


def test_an_unknown_layer_is_named():
    with pytest.raises(SettingError, match="auxiliary: unknown name 'stage9'"):
        recipes.image_classifier((28, 28, 1), 10, backbone="resnet8", auxiliary=("stage9",))


def test_a_weight_below_zero_is_refused():
    with pytest.raises(SettingError, match="auxiliary_weight: expected at least 0, got -1"):
        recipes.image_classifier((28, 28, 1), 10, backbone="resnet8", auxiliary_weight=-1)
