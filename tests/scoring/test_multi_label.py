"""Scores of several labels, beside scikit-learn's; thresholds; likely errors."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from kit.scoring import multi_label

NAMES = ["a", "b", "c", "d"]


@pytest.fixture
def drawn():
    """Truth, answers and probabilities of 300 examples; one in six has no label."""
    random = np.random.default_rng(0)
    true = random.random((300, 4)) < [0.5, 0.3, 0.1, 0.05]
    probabilities = np.clip(0.5 * true + 0.6 * random.random((300, 4)), 0, 1)
    return true, probabilities >= 0.55, probabilities


def test_scores_are_those_of_scikit_learn(drawn):
    true, answered, probabilities = drawn
    found = multi_label.scores(NAMES, true, answered, probabilities, 50)
    expected = {
        "micro_f1": metrics.f1_score(true, answered, average="micro"),
        "macro_f1": metrics.f1_score(true, answered, average="macro"),
        "mean_average_precision": metrics.average_precision_score(true, probabilities, average="macro"),
        "subset_accuracy": metrics.accuracy_score(true, answered),
        "hamming_loss": metrics.hamming_loss(true, answered),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name
        if name != "hamming_loss":
            assert found[f"{name}_low"] < value < found[f"{name}_high"]
    table = multi_label.per_label(NAMES, true, answered, probabilities, np.full(4, 0.55), "texts", 50)
    precision, recall, f1, counts = metrics.precision_recall_fscore_support(true, answered)
    for name, value in {"precision": precision, "recall": recall, "f1": f1, "texts": counts}.items():
        np.testing.assert_allclose(table[name], value)


def test_what_a_split_says_nothing_of_is_left_out():
    true, probabilities = np.zeros((5, 2), bool), np.full((5, 2), 0.1)
    found = multi_label.scores(["a", "b"], true, probabilities > 0.5, probabilities, 20)
    assert found["micro_f1"] == 0 and found["subset_accuracy"] == 1 and "mean_average_precision" not in found
    assert np.isfinite(list(found.values())).all()


def test_probabilities_of_large_logits():
    np.testing.assert_allclose(multi_label.sigmoid([-1000, -1, 0, 1000]), [0, 0.26894142, 0.5, 1])


def test_a_threshold_makes_f1_greatest(drawn):
    true, _, probabilities = drawn
    found = multi_label.thresholds(probabilities, true)
    for column, threshold in enumerate(found["thresholds"]):
        own = metrics.f1_score(true[:, column], probabilities[:, column] >= threshold)
        others = [metrics.f1_score(true[:, column], probabilities[:, column] >= cut) for cut in np.linspace(0, 1, 101)]
        assert own >= max(others) - 1e-12
    assert multi_label.best_threshold(np.array([0.9, 0.6, 0.3, 0.1]), np.array([1, 1, 0, 0])) == pytest.approx(0.45)
    assert multi_label.best_threshold(np.array([0.3, 0.2]), np.zeros(2)) == 0.5
    nobody = multi_label.thresholds(np.array([[0.9, 0.2], [0.1, 0.3]]), np.array([[1, 0], [0, 0]]))
    assert nobody["thresholds"][1] == nobody["threshold"]


def test_likely_errors_are_found():
    true = np.repeat([[1, 0], [0, 1]], 20, axis=0)
    probabilities = np.where(true, 0.9, 0.1)
    true[3, 0] = 0
    found = multi_label.likely_errors(probabilities, true, ["a", "b"])
    assert len(found) == 1 and found.iloc[0].to_dict() == {
        **{"row": 3, "label": "a: no", "likely": "a: yes"},
        **{"p(label)": pytest.approx(0.1), "p(likely)": pytest.approx(0.9)},
    }
    assert not len(multi_label.likely_errors(np.where(true, 0.9, 0.1), true, ["a", "b"]))


def test_that_nothing_was_learned_is_told():
    history = pd.DataFrame({"val_micro_f1": [0.0, 0.0]})
    assert "no label was ever given" in multi_label.hints(history, {})[0]
    assert "the same labels" in multi_label.hints(history + 0.5, {"different_answers": 1})[0]
    assert multi_label.hints(history + 0.5, {"different_answers": 4}) == []
