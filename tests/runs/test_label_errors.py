"""Flipped labels of held-out examples are named and drawn after a training."""

import numpy as np
import pandas as pd

import kit
from tests.conftest import TINY


def halves(count, seed):
    """Returns noisy images that are bright on the left (class 0) or on the right (class 1)."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = random.integers(0, 90, (count, 12, 12))
    for image, label in zip(images, labels, strict=True):
        image[:, 6 * label : 6 * label + 6] += 120
    return images.astype(np.uint8), labels


def test_flipped_labels_are_named_and_drawn():
    data = {"train": halves(200, 0), "validation": halves(60, 1), "test": halves(60, 2)}
    flipped = {"test": [4, 17, 30], "validation": [9]}
    for split, rows in flipped.items():
        data[split][1][rows] = 1 - data[split][1][rows]
    training = TINY["train"] | {"epochs": 4, "steps_per_epoch": 12, "batch_size": 32}
    run = kit.train("image_classification", data=data, **TINY | {"train": training}, verbose=False)
    assert run.metrics["test"]["accuracy"] == 57 / 60  # all but those
    found = pd.read_csv(run.folder / "tables" / "8_likely_label_errors.csv", dtype=str)
    named = {(split, int(name.split()[1])) for split, name in zip(found["split"], found["example"], strict=True)}
    assert named == {(split, row) for split, rows in flipped.items() for row in rows}
    assert (found["label"] != found["likely"]).all()
    page = (run.folder / "report.html").read_text("utf-8")
    assert "Likely label errors</h2>" in page and "Likely label errors of validation</h2>" in page


def test_what_is_odd_about_classes_is_on_the_page():
    images, labels = halves(120, 0)
    labels[:100] = 0
    names = {"class_names": ["cat", "cats"], "train": (images, labels)}
    run = kit.train("image_classification", data=names, **TINY, verbose=False)
    told = run.metrics["data_findings"]
    assert any("'cat' and 'cats'" in each for each in told) and any(
        "data.class_weights=balanced" in each for each in told
    )
    page = (run.folder / "report.html").read_text("utf-8")
    assert "Data: labels that look alike" in page
    assert "data: labels that look alike" in (run.folder / "run.log").read_text("utf-8")


def test_words_that_are_tagged_wrongly_are_named():
    """A sentence of the test split in which a city is tagged as none."""
    cities = ("Oslo", "Rome", "Lima", "Paris", "Cairo", "Quito", "Delhi", "Tokyo")
    verbs = ("live", "stay", "work", "sleep")
    data = {
        split: [(["I", verb, "in", city, "."], ["O", "O", "O", "B-CITY", "O"]) for verb in verbs for city in cities]
        * count
        for split, count in (("train", 4), ("validation", 1), ("test", 1))
    }
    data["test"][5] = (data["test"][5][0], ["O"] * 5)
    settings = {"backbone": {"units": 8}, "train": {"epochs": 6, "batch_size": 16}}
    run = kit.train("sequence_tagging", data=data, config="default", **settings, verbose=False)
    found = pd.read_csv(run.folder / "tables" / "8_likely_label_errors.csv", dtype=str)
    first = found.iloc[0]
    assert (first["split"], first["word"], first["token"]) == ("test", "4", data["test"][5][0][3])
    assert (first["label"], first["likely"]) == ("O", "B-CITY")


def test_all_folds_together_name_flipped_labels(tmp_path):
    images, labels = halves(120, 0)
    labels[[11, 50]] = 1 - labels[[11, 50]]
    training = TINY["train"] | {"epochs": 4, "steps_per_epoch": 12, "batch_size": 32, "folds": 3}
    runs = kit.train(
        "image_classification",
        data=(images, labels),
        **TINY | {"train": training},
        folder=tmp_path / "f",
        verbose=False,
    )
    found = pd.read_csv(runs.folder / "tables" / "8_likely_label_errors.csv", dtype=str)
    assert {int(name.split()[1]) for name in found["example"]} == {11, 50}
    assert (found["label"] != found["likely"]).all()
    assert "Likely label errors</h2>" in (runs.folder / "report.html").read_text("utf-8")
