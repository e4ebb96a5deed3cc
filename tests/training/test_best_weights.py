"""Which epoch's weights are kept."""

import keras
import numpy as np
import pytest

from kit.training.callbacks import BestWeights, standard_error


def kept(values, mode="max", **options):
    """Returns the epoch, from 0, that is kept of epochs with such values, and checks that the weights are its own."""
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    best = BestWeights(network, "val_accuracy", mode, **options)
    for epoch, value in enumerate(values):
        network.set_weights([np.full((1, 1), epoch, "float32")])
        best.on_epoch_end(epoch, {"val_accuracy": value})
    assert float(best.best_weights[0][0, 0]) == best.best_epoch
    return best.best_epoch


RISING = [0.5, 0.8, 0.9, 0.89, 0.9, 0.87, 0.7]


def test_the_first_of_the_best():
    assert kept(RISING) == 2
    assert kept(RISING, mode="min") == 0


def test_the_last_of_the_best():
    assert kept(RISING, prefer_latest_on_tie=True) == 4


def test_the_last():
    assert kept(RISING, keep_last=True) == 6


@pytest.mark.parametrize(
    ("examples", "epoch"),
    [(99, 5), (10, 5), (3, 5), (1, 6), (10_000, 4), (0, 6)],
    ids=str,
)
def test_the_last_within_a_standard_error(examples, epoch):
    """0.03 are a standard error of 0.9 for 100 examples; for fewer, more epochs are as good."""
    assert kept(RISING, error=standard_error(examples)) == epoch


def test_few_validation_examples_that_are_all_right_by_luck():
    assert kept([0.5, 1.0, 0.98, 1.0, 1.0], error=standard_error(144)) == 4
    assert kept([0.5, 1.0, 143 / 144, 142 / 144], error=standard_error(144)) == 2


def test_an_epoch_that_is_no_longer_as_good_is_not_kept():
    assert kept([0.90, 0.88, 0.99, 0.90], error=standard_error(100)) == 2


def test_what_is_no_number_is_never_as_good():
    assert kept([0.9, float("nan")], error=standard_error(4)) == 0
