from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from filelock import FileLock, Timeout
from sklearn.datasets import load_digits

from kit.scoring.baselines import noise, pca_gaussian
from kit.scoring.distances import frechet_distance
from kit.tasks.image_features import Reference


def reference_of(images, labels, num_classes):
    """Returns the `Reference` of images that are all trained on."""
    return Reference(images, lambda: (images, labels), num_classes)


@pytest.fixture(scope="module")
def digits():
    content = load_digits()
    return (content.images[..., None] * 255 / 16).astype("uint8"), content.target


@pytest.fixture(scope="module")
def kept(digits, tmp_path_factory):
    """A folder in which the classifier of the first 1,400 digits is kept."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kit.tasks.image_features._STEPS", 300)
        patch.setenv("KIT_CACHE", str(folder))
        reference_of(digits[0][:1400], digits[1][:1400], 10).of_training(10)
    return folder


def test_the_classifier_is_kept_and_the_same_for_all(digits, kept, monkeypatch):
    monkeypatch.setenv("KIT_CACHE", str(kept))
    monkeypatch.setattr("kit.tasks.image_features._STEPS", 300)
    images, labels = digits
    first, again = (reference_of(images[:1400], labels[:1400], 10) for _ in range(2))
    monkeypatch.setattr(Reference, "_trained", lambda self, *known: pytest.fail("trained again"))
    features, probabilities = first.features_and_probabilities(images[1400:])
    assert features.shape == (397, 64) and np.allclose(probabilities.sum(1), 1)
    assert (probabilities.argmax(1) == labels[1400:]).mean() > 0.93
    assert (again.features_and_probabilities(images[1400:])[0] == features).all()
    assert (again.of_training(100) == first.of_training(100)).all()
    assert first.fingerprint() == again.fingerprint() and first.fingerprint().startswith("kit-")


def test_other_images_or_labels_have_another_classifier(digits, kept):
    images, labels = digits
    names = {
        reference_of(*each)._key(*each[:2])
        for each in (
            (images, labels, 10),
            (images[1:], labels[1:], 10),
            (images, labels[::-1], 10),
            (images, labels, 1),
        )
    }
    assert len(names) == 4


def test_real_images_are_nearer_than_the_baselines(digits, kept, monkeypatch):
    monkeypatch.setenv("KIT_CACHE", str(kept))
    monkeypatch.setattr("kit.tasks.image_features._STEPS", 300)
    images, labels = digits
    reference = reference_of(images[:1400], labels[:1400], 10)
    real = reference.features_and_probabilities(images[1400:])[0]
    clouds = (reference.some(1000), pca_gaussian(images[:1400], 1000), noise((8, 8, 1), 1000))
    floor, simple, worst = (frechet_distance(real, reference.features_and_probabilities(each)[0]) for each in clouds)
    assert floor < simple / 3 and simple < worst / 2


def test_without_classes_it_tells_quarter_turns_apart(digits, kept, monkeypatch):
    monkeypatch.setattr("kit.tasks.image_features._STEPS", 40)
    monkeypatch.setenv("KIT_CACHE", str(kept))
    monkeypatch.setattr("kit.tasks.image_features._STEPS", 300)
    images, labels = digits
    reference = reference_of(images, np.zeros_like(labels), 1)
    features, answers = reference.features_and_probabilities(images[:50])
    assert not reference.has_classes and features.shape == (50, 64) and answers.shape == (50, 4)


def test_a_folder_that_cannot_be_written_is_no_hindrance(digits, empty_folder, monkeypatch, caplog):
    (empty_folder / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("KIT_CACHE", str(empty_folder / "file" / "below"))
    monkeypatch.setattr("kit.tasks.image_features._STEPS", 20)
    with caplog.at_level("INFO", "kit"):
        reference = reference_of(*(each[:100] for each in digits), 10)
        assert reference.of_training(10).shape == (10, 64)
    assert "cannot be kept" in caplog.text


def test_several_at_once_train_it_once(digits, empty_folder, monkeypatch):
    trained = []

    def train(self, images, labels):
        trained.append(None)
        (lock,) = empty_folder.glob("*.lock")
        with pytest.raises(Timeout):  # the others, who may be anywhere by now, find it held
            FileLock(lock).acquire(timeout=0)
        inputs = keras.Input((8, 8, 1))
        flat = keras.layers.Flatten()(inputs)
        return keras.Model(inputs, [flat, flat])

    monkeypatch.setenv("KIT_CACHE", str(empty_folder))
    monkeypatch.setattr(Reference, "_trained", train)
    references = [reference_of(*(each[:20] for each in digits), 10) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        features = list(pool.map(lambda reference: reference.of_training(5), references))
    assert len(trained) == 1
    assert (features[0] == features[1]).all() and (features[0] == features[2]).all()


def test_a_run_keeps_its_own(digits, kept, empty_folder, monkeypatch):
    monkeypatch.setenv("KIT_CACHE", str(kept))
    monkeypatch.setattr("kit.tasks.image_features._STEPS", 300)
    images, labels = digits
    first = reference_of(images[:1400], labels[:1400], 10)
    first.keep(empty_folder)
    monkeypatch.setenv("KIT_CACHE", str(empty_folder / "other"))
    monkeypatch.setattr(Reference, "_trained", lambda self, *known: pytest.fail("trained again"))
    again = reference_of(images[:1400], labels[:1400], 10)
    again.keep(empty_folder)
    assert (again.of_training(50) == first.of_training(50)).all()


def test_oblong_images_without_classes(empty_folder, monkeypatch):
    monkeypatch.setattr("kit.tasks.image_features._STEPS", 20)
    monkeypatch.setenv("KIT_CACHE", str(empty_folder))
    images = np.random.default_rng(0).integers(0, 256, (40, 12, 8, 3), dtype="uint8")
    assert reference_of(images, np.zeros(40, int), 1).of_training(10).shape == (10, 64)
