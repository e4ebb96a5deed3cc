"""Data and models that are given in Python."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

import kit
from kit import config, recipes
from kit.commands.export import export
from kit.data.image_inputs import image_inputs
from kit.data.splits import Kept
from kit.errors import KitError, SettingError
from kit.runs import finished
from kit.runs import settings as schema
from kit.training.callbacks import BestWeights, Progress
from tests.conftest import TINY

_FEW = {"epochs": 2, "steps_per_epoch": 5, "batch_size": 32}
_SCORES = {"bootstrap_samples": 20}


@pytest.fixture(scope="module")
def digits():
    """Images (examples, height, width) and labels."""
    data = load_digits()
    return (data.images * 15.9).astype("uint8")[:400], data.target[:400]


def own_model(units=10, activation=None):
    return keras.Sequential(
        [
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(16, activation="relu", name="hidden"),
            layers.Dense(units, activation=activation),
        ]
    )


def read(source, saved=None, **settings):
    return config.call(recipes.get("image_classification").data, 0, saved, source=source, **settings)


def test_arrays_and_datasets_mean_the_same(digits):
    images, labels = digits
    dataset = tf.data.Dataset.from_tensor_slices((images[..., None], labels))
    given = {
        "arrays": (images, labels),
        "floats": (images.astype("float64") / 255, keras.utils.to_categorical(labels)),
        "dataset": dataset,
        "shuffled": dataset.shuffle(400),
        "batches": dataset.batch(64),
        "dictionaries": dataset.map(lambda image, label: {"image": image, "label": label}),
        "text": (images, labels.astype(str)),
    }
    found = {name: read(data) for name, data in given.items()}
    for splits in found.values():
        assert splits.facts == {"input_shape": (8, 8, 1), "num_classes": 10}
        assert splits.assets["class_names"] == [str(number) for number in range(10)]
        assert splits.settings == {"source": "given"}
    for alike in (["arrays", "floats", "text"], ["dataset", "shuffled", "batches", "dictionaries"]):
        first = found[alike[0]]
        for name in alike[1:]:
            assert found[name].assignment.equals(first.assignment), name
            for part, other in ((found[name].train, first.train), (found[name].test, first.test)):
                np.testing.assert_array_equal(part.input("image"), other.input("image"))
                np.testing.assert_array_equal(part.target("label"), other.target("label"))
    with pytest.raises(KitError, match="image 0 .* has another label"):
        saved = Kept(found["arrays"].assignment)
        read((images, np.where(np.arange(400) == 0, 9, labels)), saved)


def test_one_image_with_a_one_hot_label_is_no_batch():
    images = np.random.default_rng(0).integers(0, 256, (60, 28, 28, 1), dtype=np.uint8)
    labels = keras.utils.to_categorical(np.arange(60) % 27, 28)[:, :28]
    labels[:28] = np.eye(28)
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    splits = read({"train": dataset, "validation": dataset, "test": dataset})
    assert splits.facts == {"input_shape": (28, 28, 1), "num_classes": 28}
    assert len(splits.train) == 60


def test_scale_is_decided_for_all_splits_together(digits):
    images, labels = digits
    floats = images / 255
    splits = read({"train": (floats, labels), "test": (floats * 1.0001, labels)})
    np.testing.assert_array_equal(splits.test.input("image")[..., 0], images)
    grey = read((np.repeat(images[..., None], 3, -1), labels), color_mode="grayscale")
    assert grey.facts["input_shape"] == (8, 8, 1)
    np.testing.assert_array_equal(
        grey.test.input("image")[0],
        read((images, labels)).test.input("image")[0],
    )


@pytest.mark.parametrize(
    ("kind", "scale", "dtype"),
    [("integers", 1, "uint8"), ("integers", 1, "int64"), ("floats", 1, "float32"), ("fractions", 255, "float32")],
)
def test_an_image_alone_is_what_it_is_among_others(digits, tmp_path, kind, scale, dtype):
    images, labels = digits
    images = images.copy()
    images[0] = images[0] > 100  # nearly black: 0 and 1, as pixels
    given = (images / scale).astype(dtype)
    run = kit.train(
        "image_classification",
        data=(given, labels),
        folder=tmp_path / "run",
        verbose=False,
        **TINY | {"train": _FEW, "evaluate": _SCORES},
    )
    assert run.assets["pixel_kind"] == kind
    several = run.predict(given[:4])
    for row in range(4):
        one = run.predict(given[row])
        np.testing.assert_allclose(one["p(0)"][0], several["p(0)"][row], rtol=1e-5)
    np.testing.assert_allclose(run.predict(images[:4])["p(0)"], several["p(0)"], rtol=1e-5)  # uint8 says what it is
    assert len(run.predict(np.zeros((1, 8, 8)))) == 1  # black either way
    if kind == "fractions":
        with pytest.raises(KitError, match="inputs holds values from 0.0 to .* expected numbers from 0 to 1"):
            run.predict(images[1].astype(float))
    if kind == "integers":
        with pytest.raises(KitError, match="nobody can tell"):
            run.predict(images[0].astype(float))


def test_training_images_decide_for_the_other_splits(digits):
    images, labels = digits
    floats = images / 255
    splits = read({"train": (floats, labels), "test": (images, labels)})
    for part in (splits.train, splits.test):
        assert part.input("image").max() > 200
    dark = read({"train": (images.astype(float), labels), "test": (np.minimum(images, 1).astype(float), labels)})
    assert dark.test.input("image").max() == 1
    with pytest.raises(KitError, match="data: test: images holds values from 0.0 to .* expected numbers from 0 to 1"):
        read({"train": (floats, labels), "test": (images.astype(float), labels)})
    with pytest.raises(KitError, match="data: test: images holds fractional numbers"):
        read({"train": (images, labels), "test": (floats, labels)})


def test_a_run_that_kept_no_kind_reads_a_batch_by_itself(digits):
    images, _ = digits
    assets = {"crop_to_aspect_ratio": False}
    for given in (images[:3] / 255, images[:3].astype(float)):
        (batch,) = image_inputs(given, (8, 8, 1), assets, 5)[1]()
        np.testing.assert_array_equal(batch[..., 0], images[:3])


def test_a_run_on_arrays_keeps_no_path(digits, tmp_path):
    images, labels = digits
    settings = {**TINY, "train": _FEW, "evaluate": _SCORES, "verbose": False}
    run = kit.train("image_classification", data=(images, labels), folder=tmp_path / "run", **settings)
    assert run.settings["data"]["source"] == "given"
    labels_found = run.predict(images[:5])["label"]
    assert list(run.predict(images[:5].astype(float))["label"]) == list(labels_found)
    with pytest.raises(KitError, match="inputs holds fractional numbers from 0.* expected pixels from 0 to 255"):
        run.predict(images[:5] / 255)
    assert list(kit.load(run.folder).predict(images[:5, ..., None])["label"]) == list(labels_found)


def test_splits_can_be_given(digits, tmp_path):
    images, labels = digits
    data = {
        "train": (images[:200], labels[:200]),
        "validation": tf.data.Dataset.from_tensor_slices((images[200:300], labels[200:300])),
        "test": (images[300:], labels[300:]),
        "class_names": [f"digit {number}" for number in range(10)],
    }
    settings = {**TINY, "train": _FEW, "evaluate": _SCORES, "verbose": False}
    run = kit.train("image_classification", data=data, folder=tmp_path / "run", **settings)
    assert run.assets["class_names"][3] == "digit 3"
    splits = finished.data_of(run, data)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [200, 100, 100]
    np.testing.assert_array_equal(splits.test.target("label"), labels[300:])
    again = kit.evaluate(run.folder, data=data, overrides={"evaluate.bootstrap_samples": 20})
    assert again.metrics == run.metrics["test"]
    assert export(run.folder, "saved_model", data=data).difference < 1e-4
    with pytest.raises(SettingError, match=r"data\.source: the data of this run were given in Python"):
        kit.evaluate(run.folder)
    with pytest.raises(KitError, match="the data changed since this run was started"):
        kit.evaluate(run.folder, data=data | {"test": (255 - images[300:], labels[300:])})


def test_a_path_is_enough(photos, tmp_path):
    settings = TINY | {"train": {"epochs": 1, "batch_size": 4}}
    run = kit.train("image_classification", data=photos, folder=tmp_path / "run", verbose=False, **settings)
    assert run.settings["data"]["source"] == str(photos)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Equal examples" in page  # a cat has the pixels of a dog
    assert "images that are equal to one of another class</td><td>24</td>" in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: 7, r"data\.source: got int; expected \(images, labels\)"),
        (lambda x, y: (x, y[:5]), "data: 400 images but 5 labels"),
        (lambda x, y: (x.astype(float) * np.nan, y), "image 0 has pixels that are no numbers"),
        (lambda x, y: (x.astype(int) * 9, y), "values from 0 to .* expected pixels from 0 to 255"),
        (lambda x, y: (x[0], y), r"images has shape \(8, 8\)"),
        (lambda x, y: ([np.zeros((2, 2)), np.zeros((3, 3))], [0, 1]), "images of different shapes"),
        (lambda x, y: (x, y - 1), "labels go from -1 to 8; expected 0"),
        (lambda x, y: (x, np.zeros_like(y)), "at least two classes"),
        (lambda x, y: {"test": (x, y)}, r"data\.source: no training images"),
        (lambda x, y: {"train": (x, y), "tset": (x, y)}, "unknown split 'tset'; did you mean 'test'"),
        (lambda x, y: {"train": (x, y), "test": (x[:, :4], y)}, "images of different shapes in the splits"),
        (lambda x, y: {"train": (x, y.astype(str)), "class_names": ["0", "1"]}, "'2' is not among the class_names"),
        (lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).repeat(), "without an end"),
        (lambda x, y: tf.data.Dataset.from_tensor_slices(x), r"expected elements \(image, label\)"),
        (lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).take(0), "an empty tf.data.Dataset"),
    ],
)
def test_data_that_cannot_be(digits, tmp_path, change, message):
    with pytest.raises(KitError, match=message):
        kit.train("image_classification", data=change(*digits), folder=tmp_path / "run", verbose=False, **TINY)
    assert not (tmp_path / "run").exists()


def test_own_model_is_trained_in_place_and_saved(digits, tmp_path):
    model = own_model()
    model.build((None, 8, 8, 1))
    before = [weight.copy() for weight in model.get_weights()]
    run = kit.train(
        model=model,
        data=digits,
        folder=tmp_path / "run",
        train={"epochs": 12, "batch_size": 32},
        evaluate=_SCORES,
        verbose=False,
    )
    assert run.recipe.name == "image_classification"
    assert run.settings["model"]["backbone"] == "given"
    assert any((first != second).any() for first, second in zip(before, model.get_weights(), strict=True))
    assert run.metrics["test"]["accuracy"] > 0.4
    again = kit.load(run.folder).predict(digits[0])
    assert list(again["label"]) == list(run.predict(digits[0])["label"])


@pytest.mark.slow
def test_own_functional_model_keeps_its_structure(digits, tmp_path):
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, layers.Dense(10)(layers.Flatten()(inputs)))
    with pytest.raises(SettingError, match=r"model\.pooling: unknown setting"):
        schema.resolve(
            recipes.get("image_classification"), None, {"model.backbone": "given", "model.pooling": "max"}, 0
        )
    run = kit.train(
        model=model,
        data={"source": digits, "translation": 0.1},
        folder=tmp_path / "run",
        verbose=False,
        train=_FEW,
        evaluate=_SCORES,
    )
    assert run.model is model
    assert run.settings["data"]["translation"] == 0.1


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: 3, r"model: expected a dictionary of settings or a keras\.Model, got 3"),
        (lambda: own_model(10, lambda x: x), r"model\.backbone: the given model cannot be saved and loaded again"),
        (lambda: own_model(9), r"model\.backbone: expected a model that returns 10 logits, got \(9,\)"),
        (lambda: own_model(10, "softmax"), r"model\.backbone: the given model returns probabilities"),
        (lambda: keras.Sequential([layers.Conv2D(3, 20)]), r"does not take images of shape \(8, 8, 1\)"),
    ],
)
def test_own_models_that_cannot_be(digits, tmp_path, model, message):
    with pytest.raises(SettingError, match=message):
        kit.train(model=model(), data=digits, folder=tmp_path / "run", verbose=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_own_model_with_other_settings_of_the_table(digits, tmp_path):
    settings = {"train": _FEW, "evaluate": _SCORES, "verbose": False}
    model = {"backbone": own_model(), "label_smoothing": 0.0}
    run = kit.train("image_classification", model=model, data=digits, folder=tmp_path / "run", **settings)
    assert run.settings["model"] == {"backbone": "given", "label_smoothing": 0.0, "l1": 0.0, "l2": 0.0}
    page = (run.folder / "report.html").read_text()
    assert "kit.train(&#x27;image_classification&#x27;, config=" in page
    assert "data=..., model=..." in page


def test_looking_for_a_learning_rate_leaves_a_model_as_it_was(digits):
    model = own_model()
    model.build((None, 8, 8, 1))
    before = model.get_weights()
    kit.find_learning_rate(model=model, data=digits, verbose=False)
    kit.dry_run(model=model, data=digits, verbose=False)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_recipe_that_takes_no_model_says_so(tmp_path):
    with pytest.raises(SettingError, match=r"model\.backbone: sequence_tagging takes no model of one's own"):
        kit.train("sequence_tagging", model=own_model(), folder=tmp_path / "run", verbose=False)


@pytest.mark.slow
def test_an_interrupted_run_goes_on_when_all_is_given_again(digits, tmp_path, monkeypatch):
    def train(folder, model, data=digits):
        return kit.train(model=model, data=data, folder=tmp_path / folder, train=_FEW, evaluate=_SCORES, verbose=False)

    first = own_model()
    first.build((None, 8, 8, 1))
    second = keras.models.clone_model(first)
    first_weights = first.get_weights()
    second.set_weights(first_weights)
    whole = train("whole", first)
    begin = Progress.on_epoch_begin

    def interrupted_at_first(self, epoch, logs=None):
        raise KeyboardInterrupt

    def interrupted(self, epoch, logs=None):
        if epoch:
            raise KeyboardInterrupt
        begin(self, epoch, logs)

    monkeypatch.setattr(BestWeights, "on_epoch_end", interrupted_at_first)
    with pytest.raises(KeyboardInterrupt):
        train("resumed", second)
    monkeypatch.undo()
    assert (second.get_weights()[0] != first_weights[0]).any(), "trained in place, before the first checkpoint"
    monkeypatch.setattr(Progress, "on_epoch_begin", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train("resumed", second)
    monkeypatch.undo()
    with pytest.raises(SettingError, match="the data of this run were given in Python"):
        kit.train(folder=tmp_path / "resumed", verbose=False)
    with pytest.raises(SettingError, match="the model of this run was given in Python"):
        kit.train(folder=tmp_path / "resumed", data=digits, verbose=False)
    resumed = train("resumed", second)
    for one, other in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (whole.folder / "history.csv").read_bytes() == (resumed.folder / "history.csv").read_bytes()


def test_sentences_can_be_given(tmp_path):
    sentences = [
        (["Maria", "flew", "to", place], ["B-PER", "O", "O", "B-LOC"]) for place in ("Oslo", "Rome", "Bonn")
    ] * 8
    settings = {"train": {"epochs": 1, "batch_size": 4}, "evaluate": {"bootstrap_samples": 20}, "verbose": False}
    run = kit.train("sequence_tagging", data=sentences, folder=tmp_path / "run", **settings)
    assert "B-PER" in run.assets["tag_names"]
    assert kit.evaluate(run.folder, data=sentences).metrics == run.metrics["test"]
    for data, message in (
        ([("Maria", "O")], "expected .words, tags., two lists"),
        ([(["Maria"], ["O", "O"])], "1 words and 2 tags"),
        ([([""], ["O"])], "text that is not empty"),
        (7, "got int; expected a list of"),
        ({"test": sentences}, "no training sentences"),
        ({"train": sentences, "tset": sentences}, "did you mean 'test'"),
        ([], "no sentences"),
    ):
        with pytest.raises(KitError, match=message):
            kit.train("sequence_tagging", data=data, folder=tmp_path / "no", **settings)


def test_images_alone_are_enough_where_classes_are_not_needed():
    from kit.data.image_splits import image_splits
    from kit.data.options import Division, ImageOptions

    def splits_of(source, **settings):
        return image_splits(None, ImageOptions(source, in_memory=True), Division(0.2, 0.2), **settings)

    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1)).astype("uint8")
    for source in (pixels, (pixels, np.zeros(20, int)), {"train": pixels[:10], "test": pixels[10:]}):
        found = splits_of(source, needs_classes=False)
        assert sum(map(len, found.parts)) == 20 and found.class_names == ["0"]
    for source in (pixels, (pixels, np.zeros(20, int))):
        with pytest.raises(KitError, match=r"expected \(images, labels\)|at least two classes"):
            splits_of(source)
