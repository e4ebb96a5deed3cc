"""Training by the clock."""

import keras
import numpy as np
import pytest

from kit.errors import SettingError
from kit.training import budget as budgets
from kit.training.schedules import OneCycle


class Clock:
    """A clock that stands until it is told to go on; all that goes by is work."""

    def __init__(self, monkeypatch):
        self.time = 100.0
        monkeypatch.setattr(budgets.time, "perf_counter", lambda: self.time)
        monkeypatch.setattr(budgets.time, "process_time", lambda: self.time)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def begun(budget):
    budget.set_model(keras.Sequential([keras.layers.Dense(1)]))
    budget.model.stop_training = False
    budget.on_epoch_begin(0)
    return budget


def test_the_schedule_follows_the_clock_behind_the_first_step(clock):
    budget = begun(budgets.Budget(1, budgets.now(), scored=3))
    schedule = OneCycle(1.0, 1000)
    rate = budgets.ByTheClock(schedule, 1000, budget.share)
    clock.time += 12  # it compiles
    budget.on_train_batch_end(0)
    assert float(rate(0)) == pytest.approx(float(schedule(0)))
    whole = 60 - budget.reserve - 12
    clock.time += whole / 4
    budget.on_train_batch_end(1)
    assert float(rate(1)) == pytest.approx(float(schedule(250)), rel=1e-4)
    assert not budget.model.stop_training
    clock.time += 3 * whole / 4
    budget.on_train_batch_end(2)
    assert float(rate(2)) == pytest.approx(float(schedule(1000)), rel=1e-4)
    assert budget.model.stop_training


def test_what_comes_after_the_last_step_is_kept_free(clock):
    budget = begun(budgets.Budget(1, budgets.now(), scored=3))
    before = budget.reserve
    budget.on_test_begin()
    clock.time += 2
    budget.on_epoch_end(0)
    assert budget.reserve > before + 2 * 3


def test_what_the_first_validation_compiles_is_not_kept_free_for_ever(clock):
    budget = begun(budgets.Budget(1, budgets.now(), scored=3))
    before = budget.reserve
    budget.on_test_begin()
    clock.time += 5  # its first batch compiles
    budget.on_test_batch_end(0)
    clock.time += 0.5
    budget.on_test_batch_end(1)
    clock.time += 2  # scores of its own compile
    budget.on_epoch_end(0)
    assert budget.reserve == pytest.approx(before + 2.5 * 4)
    budget.on_test_begin()
    clock.time += 1
    budget.on_epoch_end(1)
    assert budget.reserve == pytest.approx(before + 1 * 4)


def test_a_run_that_is_carried_on_has_what_was_left(clock):
    first = begun(budgets.Budget(1, budgets.now(), scored=1))
    clock.time += 30
    first.on_train_batch_end(0)
    clock.time += 1000  # killed, and nothing for a while
    second = budgets.Budget(1, budgets.now(), scored=1)
    second.seconds_spent, second.seconds_at_first_step = first.seconds_spent, first.seconds_at_first_step
    begun(second)
    assert second.left == pytest.approx(60 - 30 - second.reserve)
    clock.time += second.left
    second.on_train_batch_end(0)
    assert second.model.stop_training


def test_a_slow_machine_keeps_more_free(monkeypatch):
    monkeypatch.setattr(budgets.time, "perf_counter", lambda: 40.0)
    monkeypatch.setattr(budgets.time, "process_time", lambda: 10.0)
    budget = begun(budgets.Budget(10, (0.0, 0.0), scored=1))
    assert budget.load == pytest.approx(4)


def test_no_time_is_one_line(clock):
    budget = budgets.Budget(0.2, budgets.now(), scored=1)
    clock.time += 11
    with pytest.raises(SettingError, match="leave no time to train.*expected at least 0.3"):
        budget.check()


def test_a_model_learns_under_it():
    budget = budgets.Budget(0.5, budgets.now(), scored=1)
    rate = budgets.ByTheClock(OneCycle(0.1, 100), 100, budget.share)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.AdamW(rate), "mse")
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    shares = iter(np.linspace(0, 1, 41))

    def advance(batch, logs):
        budget.share.assign(next(shares))

    model.fit(
        x,
        x.sum(1),
        epochs=5,
        batch_size=8,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=advance)],
        verbose=0,
    )
    assert model.evaluate(x, x.sum(1), verbose=0) < 1.0
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) < 0.01
