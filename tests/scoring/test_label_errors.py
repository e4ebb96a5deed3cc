"""Confident learning: likely label errors from probabilities."""

import numpy as np
import pandas as pd

from kit.scoring import label_errors


def noisy(count=600, classes=4, share=0.08, sure=6.0, seed=0):
    """Returns probabilities of a good model, labels of which some are wrong, and the rows of those."""
    random = np.random.default_rng(seed)
    true = random.integers(0, classes, count)
    logits = random.normal(size=(count, classes)) + sure * np.eye(classes)[true]
    labels = true.copy()
    wrong = random.permutation(count)[: round(share * count)]
    labels[wrong] = (true[wrong] + random.integers(1, classes, len(wrong))) % classes
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True), labels, set(wrong.tolist()), true


def test_planted_errors_are_found_and_come_first():
    probabilities, labels, wrong, true = noisy()
    found = label_errors.likely(probabilities, labels)
    rows = found["row"].tolist()
    assert len(wrong & set(rows)) >= 0.9 * len(wrong)
    assert set(rows[: len(wrong) // 2]) <= wrong
    right = [row for row in rows if row in wrong]
    assert (true[right] == found.set_index("row").loc[right, "likely"]).mean() > 0.9
    margins = (found["p(label)"] - found["p(likely)"]).to_numpy()
    assert (np.diff(margins) >= 0).all() and (margins < 0).all()


def test_the_share_of_wrong_labels_is_estimated():
    for share in (0.0, 0.05, 0.2):
        probabilities, labels, *_ = noisy(4000, share=share)
        assert abs(label_errors.noise_share(probabilities, labels) - share) < 0.03


def test_an_unsure_model_accuses_nobody():
    labels = np.arange(30) % 3
    assert label_errors.likely(np.full((30, 3), 1 / 3), labels).empty


def test_thresholds_are_of_each_class():
    # Class 1 is always held for improbable: 0.4 is confident for it, though 0.6 stands beside it.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.65, 0.35]])
    labels = np.array([0, 0, 1, 1, 1])
    joint, confident = label_errors.confident_joint(probabilities, labels)
    assert confident.tolist() == [0, 0, 1, -1, 1]
    assert joint.tolist() == [[2, 0], [0, 2]]
    assert label_errors.likely(probabilities, labels).empty  # the most probable class is not the confident one


def test_classes_without_labels_and_no_examples_at_all():
    assert label_errors.likely(np.zeros((0, 3)), np.zeros(0, int)).empty
    probabilities = np.array([[0.2, 0.1, 0.7], [0.8, 0.1, 0.1]])
    assert label_errors.likely(probabilities, np.array([0, 0])).empty


def test_a_table_of_predictions_out_of_fold():
    probabilities, labels, wrong, _ = noisy(200, 3)
    names = ["cat", "dog", "None"]
    table = pd.DataFrame(probabilities, columns=[f"p({name})" for name in names])
    table = table.assign(example=[f"{row}.png" for row in range(200)], label=[names[each] for each in labels])
    found = label_errors.of_predictions(table, names)
    assert set(found["likely"]) <= set(names)
    assert found["example"].tolist() == [f"{row}.png" for row in found["row"]]
    assert len(wrong & set(found["row"])) > 0.8 * len(wrong)
