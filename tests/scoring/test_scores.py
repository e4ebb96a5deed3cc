"""Scores with intervals, checked against scikit-learn and by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from kit.reporting import statistics
from kit.scoring import classification, tagging


def random_tags(seed=0, sentences=60, classes=4):
    random = np.random.default_rng(seed)
    gold = [random.integers(0, classes, random.integers(1, 9)) for _ in range(sentences)]
    found = [np.where(random.random(len(row)) < 0.3, random.integers(0, classes, len(row)), row) for row in gold]
    return gold, found


def test_per_class_is_that_of_scikit_learn():
    gold, found = random_tags()
    counts = tagging.tag_counts(gold, found, 4)
    table = tagging.per_class("tag", list("abcd"), counts, samples=200)
    y_true, y_pred = np.concatenate(gold), np.concatenate(found)
    for name, function in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        np.testing.assert_allclose(table[name], function(y_true, y_pred, average=None))
    assert (table["f1 95 % low"] < table["f1"]).all()
    assert (table["f1"] < table["f1 95 % high"]).all()
    assert table["true"].sum() == len(y_true)
    assert tagging.recall(counts.sum((0, 1))) == pytest.approx((y_true == y_pred).mean())


def test_entities_are_right_only_as_a_whole():
    gold = [["B-A", "I-A", "O", "B-B"], ["O"], ["B-A"]]
    found = [["B-A", "O", "O", "B-B"], ["B-B"], ["B-A"]]
    counts, kinds = tagging.entity_counts(gold, found, "BIO")
    assert kinds == ["A", "B"]
    np.testing.assert_array_equal(counts.sum(0), [[1, 2, 2], [1, 2, 1]])  # right, predicted, true
    assert tagging.f1(counts.sum((0, 1))) == pytest.approx(2 * 2 / (4 + 3))


def test_bootstrap_covers_the_mean():
    random = np.random.default_rng(0)
    inside = 0
    for seed in range(60):
        values = random.normal(3, 1, 80)
        counts = np.stack([values, np.ones(80)], axis=1)
        low, high = statistics.bootstrap(counts, lambda sums: sums[..., 0] / sums[..., 1], 300, seed)
        inside += low < 3 < high
    assert 50 <= inside <= 60


def test_the_interval_of_a_share():
    """Against the formula of Brown, Cai and DasGupta, "Interval Estimation for a Binomial Proportion", 2001."""
    for right, total in ((0, 20), (7, 20), (20, 20), (9_312, 10_000)):
        share, z = right / total, 1.959964
        middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
        half = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
        assert statistics.share_interval(right, total) == pytest.approx((middle - half, middle + half), abs=1e-6)


def test_f1_of_confusions_is_that_of_scikit_learn_and_inside_its_interval():
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 3, (2, 300))
    matrix = np.zeros((3, 3), int)
    np.add.at(matrix, (labels, predicted), 1)
    found = classification.confusion_f1(matrix)
    np.testing.assert_allclose(found, f1_score(labels, predicted, average=None))
    low, high = classification.confusion_f1_interval(matrix, 500)
    assert (low < found).all()
    assert (found < high).all()
    assert (high - low < 0.25).all()


def test_a_class_that_is_nowhere_counts_nowhere(caplog):
    caplog.set_level("INFO", "kit")
    matrix = np.diag([5, 7, 3, 0])  # a perfect classifier, and a class without examples
    found = classification.confusion_f1(matrix)
    assert classification.macro_f1(found, list("abcd")) == {"macro_f1": 1.0, "macro_f1_classes_left_out": 1}
    assert caplog.messages[-1].endswith("never predicted: d")
    low, high = classification.confusion_f1_interval(matrix, 50)
    assert np.isnan(found[3]) and np.isnan(low[3]) and np.isnan(high[3]) and (low[:3] > 0.4).all()
    precision, recall = classification.precision_and_recall(np.array([[1, 0, 1], [2, 0, 0], [0, 0, 0]]))
    np.testing.assert_allclose(precision, [1 / 3, np.nan, 0])
    np.testing.assert_allclose(recall, [0.5, 0, np.nan])
    # One that is predicted is a mistake, as for scikit-learn.
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])
    matrix = np.zeros((4, 4), int)
    np.add.at(matrix, (labels, predicted), 1)
    scores = classification.macro_f1(classification.confusion_f1(matrix), list("abcd"))
    assert scores["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    counts = tagging.tag_counts([labels], [predicted], 4)
    of_tags = classification.macro_f1(tagging.f1_of_each(counts.sum(0)), list("abcd"))
    assert of_tags == pytest.approx(scores)
    table = tagging.per_class("tag", list("abcd"), counts, 50)
    assert table.loc[3, ["precision", "recall", "f1", "f1 95 % low"]].isna().all() and np.isnan(table["recall"][2])


def test_a_draw_without_a_class_says_nothing_of_it():
    matrix = np.array([[40, 0], [0, 1]])  # in a third of the draws there is no example of the second class
    low, high = classification.confusion_f1_interval(matrix, 400)
    assert low[1] == pytest.approx(statistics.f1_interval(1, 0)[0]) and high[1] == 1


@pytest.mark.parametrize("total", [3, 20, 1000])
def test_intervals_have_a_width_where_nothing_is_wrong_and_where_all_is(total):
    right, wrong = np.array([[0, total]]), np.array([[total, 0]])
    for matrix, is_right in ((np.diag([total, total]), True), (np.array([[0, total], [total, 0]]), False)):
        low, high = classification.confusion_f1_interval(matrix, 200)
        inner, outer = (low, high) if is_right else (1 - high, 1 - low)
        assert (outer == 1).all() and (1 - 4.5 / total < inner).all() and (inner < 1 - 0.9 / total).all()
    gold = [np.zeros(2, int)] * total
    for found, is_right in ((gold, True), ([np.ones(2, int)] * total, False)):
        counts = tagging.tag_counts(gold, found, 2)
        low, high = tagging.intervals(counts.sum(1), 200)
        assert (0 < low < high == 1) if is_right else (0 == low < high < 1)
    assert statistics.share_interval(*map(np.ravel, (right, right + wrong)))[0].shape == (2,)


def test_the_interval_of_f1_covers_it():
    """Few examples of which few are wrong: drawing with replacement alone would miss it every third time."""
    random, truth, inside = np.random.default_rng(0), 0.97, 0
    for _ in range(300):
        right = random.binomial(40, truth)
        low, high = statistics.f1_interval(right, 40 - right)
        inside += low <= 2 * truth / (1 + truth) <= high
    assert inside >= 0.92 * 300


def test_calibration():
    confidences = np.array([0.95, 0.95, 0.65, 0.65])
    error, table = classification.calibration(confidences, np.array([1, 1, 1, 0]), bins=10)
    assert error == pytest.approx(0.5 * 0.05 + 0.5 * 0.15)
    np.testing.assert_allclose(table["accuracy"], [0.5, 1.0])
    assert classification.calibration(np.array([1.0]), np.array([True]))[0] == 0


def test_temperature_finds_the_scale_that_was_put_in():
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (20_000, 5))
    drawn = (random.random((20_000, 1)) > classification.softmax(logits).cumsum(1)).sum(
        1
    )  # labels as probable as they say
    assert classification.temperature(logits, drawn) == pytest.approx(1, abs=0.04)
    assert classification.temperature(3 * logits, drawn) == pytest.approx(3, rel=0.04)
    assert classification.temperature(logits / 2, drawn) == pytest.approx(0.5, rel=0.04)
    wrong, right = (
        classification.calibration(probabilities.max(1), probabilities.argmax(1) == drawn)[0]
        for probabilities in (classification.softmax(3 * logits), classification.softmax(logits))
    )
    assert right < 0.02 < wrong
    few = classification.temperature(logits[:100], logits[:100].argmax(1))
    more = classification.temperature(logits[:1000], logits[:1000].argmax(1))
    assert 0.1 < more < few < 1, "the fewer examples without a mistake, the less certain"


@pytest.mark.parametrize(
    ("gold", "found", "pairs"),
    [
        ([("a", 0, 1), ("b", 1, 2)], [("a", 0, 1), ("b", 1, 2)], [(0, 0), (1, 1)]),
        ([("a", 0, 1), ("b", 1, 2), ("c", 3, 4)], [("ab", 0, 2), ("c", 3, 4)], [(2, 1)]),
        # du → de le, found whole, found as such, and in other words
        ([("de", 0, 2), ("le", 0, 2), ("x", 3, 4)], [("du", 0, 2), ("x", 3, 4)], [(2, 1)]),
        (
            [("De", 0, 2), ("le", 0, 2), ("x", 3, 4)],
            [("de", 0, 2), ("le", 0, 2), ("x", 3, 4)],
            [(0, 0), (1, 1), (2, 2)],
        ),
        ([("de", 0, 2), ("le", 0, 2)], [("à", 0, 2), ("le", 0, 2)], [(1, 1)]),
        ([("l", 0, 1), ("an", 1, 3)], [("le", 0, 3), ("an", 0, 3)], [(1, 1)]),
        ([("x", 3, 4)], [], []),
    ],
)
def test_words_found_in_different_ways_are_aligned(gold, found, pairs):
    """The numbers are those of the evaluation script of CoNLL 2018."""
    both = [([word for word, *_ in each], [tuple(place) for _, *place in each]) for each in (gold, found)]
    assert tagging.aligned(*both) == pairs


def test_hints_tell_what_went_wrong():
    labels = np.array([0] * 55 + [1] * 45)
    fine = pd.DataFrame({"val_loss": [0.7, 0.4], "val_accuracy": [0.6, 0.8]})
    assert classification.hints(fine, 2, labels, 2, temperature=1.5) == []
    photos = pd.DataFrame({"val_loss": [3.1e6, 2.4e6], "val_accuracy": [0.458, 0.55]})
    stuck, far, bound = classification.hints(photos, 2, labels, 2, temperature=10.0)
    assert (
        "the best val_accuracy, 0.5500, is no better than to answer always with the commonest class (0.5500)" in stuck
    )
    assert "val_loss 2.4e+06 is far above that of guessing, 0.6931" in far
    assert "temperature of the probabilities, 10, is at its bound (0.1 to 10)" in bound
    assert len(classification.hints(fine, 2, labels, 2, temperature=0.1001)) == 1
    only = pd.DataFrame({"val_loss": [0.1], "val_accuracy": [1.0]})
    assert classification.hints(only, 1, np.zeros(5, int), 2) == []
    assert classification.hints(fine[["val_loss"]], 1, labels, 2, "tag") == []
