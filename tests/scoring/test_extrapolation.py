"""Extrapolated learning curves: a power law comes back, a flat curve stays flat, an interval holds the truth."""

import numpy as np
import pytest

from kit.scoring.extrapolation import power_law

COUNTS = np.array([250, 500, 1000])


def curve(counts, exponent=0.5, factor=4.0):
    return 1 - factor * np.asarray(counts, float) ** -exponent


def test_a_power_law_goes_on():
    found = power_law(COUNTS, curve(COUNTS), [0.002] * 3, 2000)
    assert found.value == pytest.approx(curve(2000)) and found.exponent == pytest.approx(0.5)
    assert found.low < found.value < found.high


def test_a_flat_or_falling_curve_gives_nothing():
    found = power_law(COUNTS, [0.8, 0.8, 0.8], [0.01] * 3, 2000)
    assert found.value == pytest.approx(0.8) and found.exponent == 0
    assert power_law(COUNTS, [0.9, 0.85, 0.8], [0.01] * 3, 2000).exponent == 0


def test_what_is_always_right_stays_so():
    found = power_law(COUNTS, [1.0, 1.0, 1.0], [0.0] * 3, 2000, least=1e-3)
    assert 0.99 < found.low <= found.value <= found.high <= 1


def test_scores_of_another_scale():
    found = power_law(COUNTS, 100 * curve(COUNTS), [0.2] * 3, 2000, top=100)
    assert found.value == pytest.approx(100 * curve(2000))


def test_the_interval_holds_the_truth_of_noisy_scores():
    random, test_size, held = np.random.default_rng(0), 500, 0
    for _ in range(100):
        scores = random.binomial(test_size, curve(COUNTS)) / test_size
        deviations = np.sqrt(scores * (1 - scores) / test_size)
        found = power_law(COUNTS, scores, deviations, 2000)
        held += found.low <= curve(2000) <= found.high
    assert held >= 88
