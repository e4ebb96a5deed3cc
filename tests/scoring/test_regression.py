"""Scores of numbers, beside scikit-learn's and SciPy's; coverage; numbers far from all others."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics

from kit.scoring import regression


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e12])
def test_scores_are_those_of_others(scale):
    random = np.random.default_rng(0)
    true = scale * random.normal(3, 1, 200)
    predicted = true + scale * random.normal(0, 0.5, 200)
    found = regression.scores(true, predicted, 100)
    expected = {
        "r2": metrics.r2_score(true, predicted),
        "rmse": metrics.root_mean_squared_error(true, predicted),
        "mae": metrics.mean_absolute_error(true, predicted),
        "pearson": stats.pearsonr(true, predicted)[0],
        "spearman": stats.spearmanr(true, predicted)[0],
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name
        assert found[f"{name}_low"] < value < found[f"{name}_high"]


def test_answers_that_are_all_the_same():
    found = regression.scores(np.arange(10.0), np.full(10, 4.5), 20)
    assert found["r2"] == 0 and found["pearson"] == found["spearman"] == 0
    assert np.isfinite(list(found.values())).all()
    assert np.isfinite(list(regression.scores(np.full(5, 2.0), np.full(5, 2.0), 20).values())).all()


def test_coverage():
    true = np.arange(10.0)
    quantiles = np.stack([true - 1, true, np.where(true < 8, true + 3, true - 0.5)], 1)
    found = regression.coverage(true, quantiles, [0.1, 0.5, 0.9])
    assert found["coverage"] == 0.8 and found["coverage_low"] < 0.8 < found["coverage_high"]
    assert found["coverage_wanted"] == 0.8 and found["interval_width"] == pytest.approx(3.3)
    pinball = [
        metrics.mean_pinball_loss(true, quantiles[:, row], alpha=level) for row, level in enumerate((0.1, 0.5, 0.9))
    ]
    assert found["quantile_loss"] == pytest.approx(np.mean(pinball))


def test_a_number_far_from_all_others_is_likely_an_error():
    random = np.random.default_rng(0)
    true = random.normal(size=100)
    predicted = true + 0.1 * random.normal(size=100)
    true[7] += 5
    found = regression.likely_errors(true, predicted)
    assert found["row"].tolist() == [7] and found["number"][0] == true[7]
    assert not len(regression.likely_errors(np.zeros(5), np.zeros(5)))


def test_that_nothing_was_learned_is_told():
    targets = np.array([[-1.0], [1.0]])
    history = pd.DataFrame({"val_mae": [1.2, 1.0]})
    assert "no better than to answer always with the mean" in regression.hints(history, 2, targets)[0]
    assert regression.hints(history * 0.5, 2, targets) == []
