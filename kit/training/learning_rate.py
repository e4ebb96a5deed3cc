"""Learning-rate finder: a range test at rising rates."""

import dataclasses
import math

import keras
import numpy as np
import pandas as pd

from kit.errors import KitError

# Losses are averaged over so many steps; the test ends when their running mean is so many times its lowest.
_WINDOW = 9
_DIVERGED = 4.0


@dataclasses.dataclass(frozen=True)
class RangeTest:
    """Result of a range test.

    Args:
        table: Table with `learning_rate` and the smoothed `loss`, step by step.
        learning_rate: The rate to try: where the loss fell fastest, for the peak of a schedule or a constant rate.
        highest: The rate at which the loss was lowest.
    """

    table: pd.DataFrame
    learning_rate: float
    highest: float


def range_test(model, batches, steps, lowest=1e-6, highest=1.0):
    """Trains a compiled model step by step, the learning rate rising from step to step by the same factor.

    Smith, "Cyclical Learning Rates for Training Neural Networks", 2015, section 3.3.

    Args:
        model: Compiled model, whose optimizer has a plain learning rate; its weights change.
        batches: Iterable of training batches.
        steps: Number of steps from the lowest to the highest rate; the test ends sooner where the loss goes apart.
        lowest: First learning rate.
        highest: Last learning rate.

    Returns:
        `RangeTest`.

    Raises:
        KitError: the loss is not a number from the beginning, or never falls.
    """
    rates, losses = [], []
    for step, batch in enumerate(batches):
        rate = lowest * (highest / lowest) ** (step / (steps - 1))
        model.optimizer.learning_rate = rate
        model.reset_metrics()
        loss = float(keras.ops.convert_to_numpy(model.train_on_batch(*batch, return_dict=True)["loss"]))
        if not math.isfinite(loss):
            break
        rates.append(rate)
        losses.append(loss)
        smooth = _smooth(losses)
        if step > 2 * _WINDOW and smooth[-1] > _DIVERGED * smooth.min():
            break
    if len(losses) < 2 * _WINDOW:
        raise KitError(
            f"the loss is not a number at a learning rate of {rate:.1e}; look at the data and the loss first"
        )
    smooth = _smooth(losses)
    lowest_at = int(smooth.argmin())
    if lowest_at < _WINDOW:
        raise KitError(f"the loss did not fall at any learning rate from {lowest:.0e} to {rates[-1]:.0e}")
    steepest = int(np.gradient(smooth[: lowest_at + 1]).argmin())
    return RangeTest(pd.DataFrame({"learning_rate": rates, "loss": smooth}), rates[steepest], rates[lowest_at])


def _smooth(losses):
    """Returns the mean of each loss and its neighbours on both sides; at the ends there are fewer."""
    around = np.ones(_WINDOW)
    return np.convolve(losses, around, "same") / np.convolve(np.ones(len(losses)), around, "same")
