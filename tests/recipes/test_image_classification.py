"""The recipe: builder, data, evaluation, prediction."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest

import kit
from kit import config
from kit.data.columns import Dense
from kit.data.examples import Examples
from kit.errors import KitError, SettingError
from kit.models import vision
from kit.recipes import image_classification as recipe
from kit.reporting.statistics import share_interval
from kit.runs import finished
from kit.scoring.classification import softmax
from tests.conftest import draw, slow

SMALL = ["mlp", "lenet5", "resnet8", "resnet20"]


@pytest.mark.parametrize("backbone", [*SMALL[:2], *map(slow, SMALL[2:])])
def test_plain_fit_works_on_the_builder(backbone):
    keras.utils.set_random_seed(0)
    model = kit.recipes.image_classifier(input_shape=(16, 16, 1), num_classes=3, backbone=backbone)
    x = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 1), dtype=np.uint8)
    history = model.fit(x, np.arange(24) % 3, epochs=2, verbose=0).history
    assert model.output_shape == (None, 3)
    assert history["loss"][-1] < 5


def test_a_model_of_ones_own_is_a_backbone():
    inputs = keras.Input((6, 6, 1))
    own = keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))
    model = kit.recipes.image_classifier((6, 6, 1), 2, backbone=own)
    assert own in model.layers


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"backbone": "resnet17"}, "backbone"),
        ({"dropout": 5}, "dropout"),
        ({"label_smoothing": 1}, "label_smoothing"),
        ({"l1": -1}, "l1"),
        ({"num_classes": 1}, "num_classes"),
    ],
)
def test_builder_names_the_argument(arguments, key):
    with pytest.raises(SettingError) as error:
        recipe.image_classifier(**{"input_shape": (8, 8, 1), "num_classes": 3, **arguments})
    assert error.value.key == key


def data(seed=0, saved=None, **settings):
    return config.call(recipe.labelled_images, seed, saved, **settings)


def test_digits_make_splits():
    splits = data()
    assert splits.facts == {"input_shape": (8, 8, 1), "num_classes": 10}
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [1294, 144, 359]
    assert splits.train.transform is None


def test_files_in_memory_and_on_disk_give_the_same_batches(photos):
    inside, outside = (data(source=str(photos), in_memory=choice) for choice in (True, False))
    assert inside.train.input("image").dtype == np.uint8
    for first, second in zip(
        inside.train.stream(4, 1, 0, 6).as_numpy_iterator(),
        outside.train.stream(4, 1, 0, 6).as_numpy_iterator(),
        strict=True,
    ):
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])
        assert first[0].shape == (4, 10, 12, 3)


@pytest.mark.parametrize("in_memory", [True, False])
def test_one_truncated_image_among_good_ones_is_named(photos, in_memory):
    path = draw(photos / "dog" / "broken.jpg")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(KitError, match="dog/broken.jpg: not a whole image"):
        data(source=str(photos), in_memory=in_memory)


def test_images_are_resized_and_coloured(photos, idx):
    assert data(source=str(photos), image_size=6, color_mode="grayscale").facts["input_shape"] == (6, 6, 1)
    splits = data(source=str(idx), image_size=(6, 5), color_mode="rgb")
    assert splits.facts["input_shape"] == (6, 5, 3)
    assert splits.test.input("image").shape == (20, 6, 5, 3)


def test_balanced_weights_make_classes_equal(photos):
    for index in range(12, 48):
        draw(photos / "cat" / f"{index}.png", value=index)
    train = data(source=str(photos), class_weights="balanced").train
    labels, weights = train.target("label"), train.weights.values(train.rows)
    totals = [weights[labels == label].sum() for label in (0, 1)]
    assert totals[0] == pytest.approx(totals[1])
    assert weights.mean() == pytest.approx(1)


@pytest.mark.parametrize(
    ("settings", "key"), [({"image_size": 0}, "image_size"), ({"translation": 2.0}, "translation")]
)
def test_data_names_the_key(settings, key):
    with pytest.raises(SettingError) as error:
        data(**settings)
    assert error.value.key == key


class Certain(keras.Model):
    """Answers with the logits that it is given as inputs."""

    def call(self, inputs):
        return inputs


def test_scores_are_those_of_scikit_learn():
    from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_recall_fscore_support

    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 200)
    logits = random.normal(size=(200, 4)).astype("float32") + 2 * np.eye(4, dtype="float32")[labels]
    names = ["a", "b", "c", "d"]
    examples = Examples({"image": Dense(logits)}, {"label": Dense(labels)})
    result = recipe.RECIPE.task.evaluate(Certain(), examples, {"class_names": names}, top_k=2)
    predicted = logits.argmax(1)
    metrics = result.metrics
    assert metrics["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert metrics["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    probabilities = keras.ops.softmax(logits.astype("float64")).numpy()
    assert metrics["cross_entropy"] == pytest.approx(log_loss(labels, probabilities), rel=1e-4)
    second = np.argsort(-logits, 1)[:, :2]
    assert metrics["top_2_accuracy"] == pytest.approx((second == labels[:, None]).any(1).mean())
    spread = 1.96 * np.sqrt(metrics["accuracy"] * (1 - metrics["accuracy"]) / 200)
    assert metrics["accuracy"] - metrics["accuracy_low"] == pytest.approx(spread, abs=0.015)
    interval = metrics["accuracy_low"], metrics["accuracy_high"]
    assert interval == share_interval((predicted == labels).sum(), 200)
    table = result.tables["1_per_class"]
    expected = precision_recall_fscore_support(labels, predicted)
    for column, values in zip(("precision", "recall", "f1", "images"), expected, strict=True):
        np.testing.assert_allclose(table[column], values)
    assert (table["f1 95 % low"] <= table["f1"]).all()
    assert (table["f1"] <= table["f1 95 % high"]).all()


def test_prediction_of_files_folders_and_arrays(small_run, tmp_path):
    from sklearn.datasets import load_digits

    pixels = np.round(load_digits().images[:5] * (255 / 16)).astype("uint8")[..., None]
    table = small_run.predict(pixels)
    classes = [f"p({digit})" for digit in range(10)]
    assert list(table.columns) == ["input", "label", "probability", *classes]
    np.testing.assert_allclose(table[classes].sum(1), 1, rtol=1e-5)
    assert (table["probability"] == table[classes].max(1)).all()
    for index in range(3):
        draw(tmp_path / "new" / f"{index}.png", (8, 8), "L", index)
    from_folder = small_run.predict(tmp_path / "new")
    from_files = small_run.predict([tmp_path / "new" / f"{index}.png" for index in range(3)], batch_size=2)
    pd.testing.assert_frame_equal(from_folder, from_files, rtol=1e-4)
    assert len(small_run.predict(pixels[0])) == 1


def test_prediction_scales_and_mirrors_as_the_evaluation_did(small_run):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
    classes = [f"p({digit})" for digit in range(10)]
    temperature = small_run.assets["temperature"]
    assert small_run.metrics["test"]["temperature"] == temperature != 1
    logits = small_run.model.predict(pixels, verbose=0)
    mirrored = (logits + small_run.model.predict(pixels[:, :, ::-1], verbose=0)) / 2
    for settings, expected in (
        ({}, logits / temperature),
        ({"temperature_scaling": False}, logits),
        ({"flip": True}, mirrored / temperature),
    ):
        found = small_run.predict(pixels, **settings)[classes]
        np.testing.assert_allclose(found, softmax(expected), rtol=1e-3, atol=1e-6)
    settings = {**small_run.settings, "evaluate": {**small_run.settings["evaluate"], "flip": True}}
    evaluated_so = dataclasses.replace(small_run, settings=settings)
    pd.testing.assert_frame_equal(evaluated_so.predict(pixels), small_run.predict(pixels, flip=True))
    pd.testing.assert_frame_equal(finished.predict(evaluated_so, pixels), evaluated_so.predict(pixels))
    unscaled = finished.predict(evaluated_so, pixels, {"predict.temperature_scaling": False})
    np.testing.assert_allclose(unscaled[classes], softmax(mirrored), rtol=1e-3, atol=1e-6)


def test_prediction_refuses_what_it_cannot_read(small_run, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(KitError, match="no images in"):
        small_run.predict(tmp_path / "empty")
    with pytest.raises(KitError, match="absent.png: no such file"):
        small_run.predict("absent.png")
    with pytest.raises(KitError, match=r"expected images of shape \(8, 8, 1\)"):
        small_run.predict(np.zeros((2, 9, 9, 1)))


def test_backbones_of_the_recipe_are_all_that_are_registered():
    assert recipe.RECIPE.backbones["backbone"] is vision.VARIANTS


def test_few_labels_of_all_classes_and_the_rest_without():
    splits = data(labelled=25, class_weights="balanced")
    counts = np.bincount(splits.train.target("label"), minlength=10)
    assert counts.sum() == 25 and counts.min() == 2 and counts.max() == 3
    whole = data()
    assert len(splits.unlabelled) + 25 == len(whole.train)
    images = [part.input("image") for part in (splits.train, splits.unlabelled)]
    pixels = np.concatenate(images).reshape(len(whole.train), -1)
    assert (np.sort(pixels, 0) == np.sort(whole.train.input("image").reshape(len(whole.train), -1), 0)).all()
    again = data(labelled=25)
    assert (again.train.input("image") == splits.train.input("image")).all()
    with pytest.raises(SettingError, match="labelled: expected 10 to"):
        data(labelled=9)


def test_layers_are_trained_on_all_images_and_the_network_on_few_labels(empty_folder):
    settings = {"data": {"labelled": 20, "class_weights": "balanced"}, "train": {"epochs": 1, "batch_size": 10}}
    run = kit.train(
        "image_classification",
        model={"backbone": "dbn"},
        backbone={"units": [12], "pretraining_epochs": 1},
        verbose=False,
        **settings,
    )
    stage = run.model.get_layer("dbn").get_layer("stage1")
    assert np.abs(np.asarray(stage.visible_bias)).max() > 0.1  # what nothing but that training moves
