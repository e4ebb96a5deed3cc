"""Two kinds of examples of which no two belong together."""

import numpy as np
import pytest

from kit.data.columns import Dense
from kit.data.examples import Examples
from kit.data.unpaired import Unpaired


def numbered(count, first, size=2):
    """Images whose pixels are their own number."""
    rows = np.arange(first, first + count)
    return np.broadcast_to(rows[:, None, None, None], (count, size, size, 1)).astype("uint8")


def labelled(images):
    return Examples({"image": Dense(images)}, {"label": Dense(np.arange(len(images)))})


@pytest.fixture
def examples():
    return Unpaired(labelled(numbered(5, 0)), labelled(numbered(12, 100)))


def pairs(dataset):
    """The numbers of both kinds, batch by batch."""
    return [(np.asarray(a)[:, 0, 0, 0].tolist(), np.asarray(b)[:, 0, 0, 0].tolist()) for ((a, b),) in dataset]


def of_kind(batches, kind):
    """The numbers of one kind, all in a row."""
    return [number for pair in batches for number in pair[kind]]


def test_it_is_as_long_as_the_larger_kind(examples):
    assert len(examples) == 12 and examples.steps_per_epoch(4) == 3 and examples.steps_per_epoch(100) == 1


def test_batches_go_through_both_kinds_once_the_smaller_from_the_beginning_again(examples):
    found = pairs(examples.batches(5))
    assert [len(a) for a, _ in found] == [len(b) for _, b in found] == [5, 5, 2]
    assert of_kind(found, 0) == [row % 5 for row in range(12)]
    assert of_kind(found, 1) == list(range(100, 112))


def test_a_stream_goes_on_where_it_was_and_passes_over_each_kind_in_its_own_order(examples):
    whole = pairs(examples.stream(4, 7, 0, 15))
    assert whole == pairs(examples.stream(4, 7, 0, 6)) + pairs(examples.stream(4, 7, 6, 15))
    first, second = (of_kind(whole, kind) for kind in (0, 1))
    assert all(sorted(first[start : start + 5]) == list(range(5)) for start in range(0, 60, 5))
    assert all(sorted(second[start : start + 12]) == list(range(100, 112)) for start in range(0, 60, 12))
    assert whole != pairs(examples.stream(4, 8, 0, 15))


def test_kinds_of_equal_size_have_different_orders():
    same = Unpaired(labelled(numbered(12, 0)), labelled(numbered(12, 0)))
    (a, b), *_ = pairs(same.stream(12, 3, 0, 1))
    assert a != b


def test_rows_are_taken_of_both(examples):
    assert pairs(examples.take(slice(0, 7)).batches(10)) == [([0, 1, 2, 3, 4, 0, 1], list(range(100, 107)))]
    assert pairs(examples.take([11, 3]).batches(10)) == [([1, 3], [111, 103])]


def test_splits_are_joined(examples):
    joined = examples.join(Unpaired(labelled(numbered(2, 50)), labelled(numbered(3, 200))))
    assert (len(joined.a), len(joined.b)) == (7, 15)
    assert joined.a.input("image")[-1, 0, 0, 0] == 51 and len(joined.b.target("label")) == 15
