"""Tasks at rates: as often as they are asked for, each example of a task once a pass, a function of seed and step."""

import dataclasses

import numpy as np
import pytest

from kit.data.bitext import text_pairs
from kit.data.columns import Dense
from kit.data.task_mixing import Mixing
from kit.errors import SettingError

COUNTS = {"large": 400, "middle": 100, "small": 20}


def examples():
    tasks = np.array([name for name, count in COUNTS.items() for _ in range(count)], object)
    random = np.random.default_rng(0)
    ids = [[4] * int(random.integers(1, 9)) for _ in tasks]
    texts = [str(row) for row in range(len(tasks))]
    made = text_pairs(ids, ids, texts, texts, start=0, end=1, padding=0)
    return dataclasses.replace(made, extras=made.extras | {"task": Dense(tasks)}, rows=np.arange(len(tasks)))


def rows_of(mixed, stop, batch_size=16, start=0, seed=3):
    return list(mixed.batching.training_rows(mixed, batch_size, seed, start, stop))


def shares(mixed, rows):
    tasks = mixed.extra("task")[np.concatenate(rows)]
    return {name: float(np.mean(tasks == name)) for name in COUNTS}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (400 / 520, 100 / 520, 20 / 520)),
        ({"task_rates": ("large=1", "middle=1", "small=2")}, (0.25, 0.25, 0.5)),
        ({"task_rates": ("small=1",)}, (0.4, 0.1, 0.5)),
        ({"mixing_temperature": 2.0}, tuple(np.sqrt([400, 100, 20]) / np.sqrt([400, 100, 20]).sum())),
        ({"mixing_temperature": 1e6}, (1 / 3, 1 / 3, 1 / 3)),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 16])
def test_tasks_come_as_often_as_they_should(settings, expected, batch_size):
    mixed = Mixing(**settings).mixed(examples())
    rows = rows_of(mixed, 3200 // batch_size, batch_size)
    assert all(len(each) for each in rows)
    np.testing.assert_allclose(list(shares(mixed, rows).values()), expected, atol=0.012)
    assert abs(sum(map(len, rows)) / 3200 - 1) < 0.05


def test_each_example_of_a_task_comes_once_in_a_pass_of_it():
    mixed = Mixing(("small=1", "large=1", "middle=1")).mixed(examples())
    rows = np.concatenate(rows_of(mixed, 320))
    counts = np.bincount(rows, minlength=520)
    for name in COUNTS:
        own = counts[mixed.extra("task") == name]
        assert own.max() - own.min() <= 1, name


def test_a_stream_that_begins_later_goes_on_as_it_would_have():
    mixed = Mixing(("small=1",)).mixed(examples())
    whole, later = rows_of(mixed, 90), rows_of(mixed, 90, start=47)
    assert all(np.array_equal(one, other) for one, other in zip(whole[47:], later, strict=True))
    other = rows_of(mixed, 90, seed=4)
    assert not all(np.array_equal(one, two) for one, two in zip(whole, other, strict=True))


def test_some_of_the_examples_are_mixed_as_all_are():
    whole = examples()
    mixed = Mixing(("small=1", "large=1")).mixed(whole.take(np.r_[0:50, 500:520]))
    assert set(np.unique(mixed.extra("task"))) == {"large", "small"}
    rows = np.concatenate(rows_of(mixed, 20))
    assert rows.max() < 70 and np.mean(rows >= 50) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task_rates": ("large",)}, "task_rates: expected TASK=RATE with a number above 0, got 'large'"),
        ({"task_rates": ("large=0",)}, "task_rates: expected TASK=RATE"),
        ({"task_rates": ("large=nan",)}, "task_rates: expected TASK=RATE"),
        ({"task_rates": ("larg=1",)}, "task_rates: no task 'larg' in training; did you mean 'large'"),
        ({"mixing_temperature": 0.5}, "mixing_temperature: expected at least 1, got 0.5"),
    ],
)
def test_rates_that_cannot_be_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        Mixing(**settings).mixed(examples())
