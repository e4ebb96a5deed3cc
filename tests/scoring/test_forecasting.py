"""Scores of forecasts by hand, and intervals over blocks of origins."""

import numpy as np
import pytest

from kit.reporting.statistics import block_bootstrap, bootstrap
from kit.scoring import forecasting

TRUE = np.array([[1.0, 2.0], [3.0, 0.0]])
THERE = np.ones((2, 2), bool)


def test_scores_by_hand():
    predicted = np.array([[2.0, 2.0], [1.0, 0.0]])
    errors = forecasting.errors_of(TRUE, THERE, predicted, np.array([0.5, 2.0]))
    found = forecasting.scores(errors, np.array([0, 1]), 50, 1)
    assert found["mae"] == pytest.approx(3 / 4) and found["rmse"] == pytest.approx(np.sqrt(5 / 4))
    assert found["mase"] == pytest.approx((1 / 0.5 + 2 / 2) / 4)
    assert found["smape"] == pytest.approx(100 * (2 * 1 / 3 + 2 * 2 / 4) / 4)  # of 0 and 0 it is 0
    assert found["mae_low"] <= found["mae"] <= found["mae_high"]


def test_what_was_missing_and_series_without_a_scale_count_for_nothing():
    there = np.array([[True, False], [True, True]])
    errors = forecasting.errors_of(TRUE, there, np.zeros((2, 2)), np.array([1.0, np.nan]))
    found = forecasting.scores(errors, np.array([0, 1]), 20, 1)
    assert found["mae"] == pytest.approx(4 / 3) and found["mase"] == pytest.approx(1.0)
    none = forecasting.errors_of(TRUE, there, np.zeros((2, 2)), np.array([np.nan, np.nan]))
    assert "mase" not in forecasting.scores(none, np.array([0, 1]), 20, 1)
    table = forecasting.by_step(none, np.array([0, 1]), 20, 1)
    assert table["MAE"].tolist() == [2.0, 0.0] and "MASE" not in table


def test_quantiles_are_scored_by_the_pinball_loss():
    quantiles = np.stack([TRUE - 1, TRUE, TRUE + 3], -1)
    quantiles[0, 0] += 5  # its true value lies below
    levels = (0.1, 0.5, 0.9)
    errors = np.concatenate(
        [
            forecasting.errors_of(TRUE, THERE, quantiles[..., 1], np.ones(2)),
            forecasting.quantile_errors_of(TRUE, THERE, quantiles, levels),
        ],
        -1,
    )
    found = forecasting.scores(errors, np.array([0, 1]), 20, 1)
    assert found["coverage"] == 0.75 and found["interval_width"] == 4
    usual, other = (0.1 * 1 + 0 + 0.1 * 3) / 3, (0.9 * 4 + 0.5 * 5 + 0.1 * 8) / 3
    assert found["quantile_loss"] == pytest.approx((3 * usual + other) / 4)


def test_the_last_season_is_repeated():
    values = np.arange(20.0)
    found = forecasting.repeated(values, np.array([10, 12]), np.array([0, 10]), 4, 6)
    assert found[0].tolist() == [6, 7, 8, 9, 6, 7]
    assert found[1].tolist() == [11, 11, 10, 11, 11, 11]  # its series begins at 10: two steps are known, not four
    assert forecasting.repeated(values, np.array([10]), np.array([0]), 1, 3)[0].tolist() == [9, 9, 9]


def test_blocks_of_one_step_are_the_usual_draws_and_long_ones_know_that_neighbours_are_alike():
    draw = np.random.default_rng(0)
    noise = np.zeros(400)
    for step in range(1, 400):
        noise[step] = 0.95 * noise[step - 1] + draw.normal()
    sums = np.stack([np.ones(400), noise], 1)

    def mean(sums):
        return sums[:, 1] / sums[:, 0]

    widths = [np.ptp(block_bootstrap(sums, mean, 500, block)) for block in (1, 40)]
    assert widths[0] == pytest.approx(np.ptp(bootstrap(sums, mean, 500)), rel=0.15)
    assert widths[1] > 2 * widths[0]
    assert np.ptp(block_bootstrap(sums[:1], mean, 20, 40)) == 0
