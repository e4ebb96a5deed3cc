"""Columns: values of rows, in memory and on disk, for NumPy and inside a pipeline."""

import numpy as np
import pytest
import tensorflow as tf

from kit import backend
from kit.data import columns
from kit.data.columns import Dense, Files, Lookup, Ragged, aligned
from kit.data.image import decoded
from tests.conftest import draw

ROWS = np.array([3, 0, 3, 5])


def numbers(count=7, first=0):
    return np.arange(first, first + 6 * count, dtype="float32").reshape(count, 2, 3)


def plain(tmp_path):
    return numbers()


def shared(tmp_path):
    array = aligned((7, 2, 3), "float32")
    array[:] = numbers()
    return array


def on_disk(tmp_path, mode="r"):
    np.save(tmp_path / "numbers.npy", numbers())
    return np.load(tmp_path / "numbers.npy", mmap_mode=mode)


def on_disk_writeable(tmp_path):
    return on_disk(tmp_path, "c")


def read_only(tmp_path):
    array = shared(tmp_path)
    array.flags.writeable = False
    return array


def strided(tmp_path):
    return np.repeat(numbers(), 2, axis=0)[::2]


ARRAYS = (plain, shared, on_disk, on_disk_writeable, read_only, strided)


@pytest.mark.parametrize("most_copied", [0, columns._COPIED], ids=["large", "small"])
@pytest.mark.parametrize("make", ARRAYS, ids=lambda make: make.__name__)
def test_dense(make, most_copied, tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "_COPIED", most_copied)
    array = make(tmp_path)
    column, expected = Dense(array), numbers()
    assert column.array is array and column.values() is array and len(column) == 7
    np.testing.assert_array_equal(column.take(ROWS), expected[ROWS])
    np.testing.assert_array_equal(column.values(ROWS), expected[ROWS])
    assert column.spec() == tf.TensorSpec((None, 2, 3), "float32")
    assert column.spec(4) == tf.TensorSpec((4, 2, 3), "float32")
    read = column.reader()
    np.testing.assert_array_equal(read(tf.constant(ROWS)), column.take(ROWS))
    in_pipeline = tf.data.Dataset.from_tensors(ROWS).map(read)
    assert in_pipeline.element_spec == column.spec(len(ROWS))
    np.testing.assert_array_equal(next(iter(in_pipeline)), column.take(ROWS))


@pytest.mark.parametrize("make", [shared, on_disk_writeable], ids=lambda make: make.__name__)
def test_an_aligned_array_is_read_in_place(make, tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "_COPIED", 0)
    array = make(tmp_path)
    assert array.ctypes.data % 64 == 0
    read = Dense(array).reader()
    array[3] = -1  # a copy would not know
    assert (np.asarray(read(tf.constant([3]))) == -1).all()


@pytest.mark.parametrize("dtype", ["uint8", "float32", "int64"])
def test_aligned_arrays_begin_where_tensorflow_reads_in_place(dtype):
    for count in (1, 5, 1000):
        array = aligned((count, 3), dtype)
        assert array.shape == (count, 3) and array.dtype == dtype
        assert array.ctypes.data % 64 == 0 and array.flags.writeable and array.flags.c_contiguous


def test_dense_columns_are_joined(tmp_path):
    first, second = Dense(on_disk(tmp_path)), Dense(numbers(2, 100))
    np.testing.assert_array_equal(first.joined(second, None, None).values(), [*numbers(), *numbers(2, 100)])
    both = first.joined(second, ROWS, np.array([1]))
    np.testing.assert_array_equal(both.values(), [*numbers()[ROWS], numbers(2, 100)[1]])


def test_objects_are_values_too():
    texts = np.empty(3, object)
    texts[:] = [["a", "b"], [], ["c"]]
    column = Dense(texts)
    assert list(column.values(np.array([2, 0]))) == [["c"], ["a", "b"]]
    assert list(column.joined(column, np.array([1]), None).values()) == [[], ["a", "b"], [], ["c"]]


SEQUENCES = [[1, 2, 3], [4], [], [5, 6], [7, 8, 9, 10], [11]]


@pytest.mark.parametrize("fill", [0, -1])
def test_ragged(fill):
    column = Ragged.of(SEQUENCES, fill=fill)
    assert len(column) == 6 and not column.has_fixed_shape
    np.testing.assert_array_equal(column.lengths, [3, 1, 0, 2, 4, 1])
    assert [each.tolist() for each in column.values()] == SEQUENCES
    assert [each.tolist() for each in column.values(ROWS)] == [SEQUENCES[row] for row in ROWS]
    assert column.take(ROWS).tolist() == [[5, 6, fill], [1, 2, 3], [5, 6, fill], [11, fill, fill]]
    assert column.take(np.array([2, 1])).tolist() == [[fill], [4]]
    assert column.take(np.array([2])).shape == (1, 0) and column.take(ROWS[:0]).shape == (0, 0)
    assert column.take(ROWS).dtype == np.int32 and column.spec(4) == tf.TensorSpec((4, None), "int32")


def test_where_every_length_is_compiled_they_are_multiples_of_eight(monkeypatch):
    monkeypatch.setattr(backend, "is_tensorflow", lambda: False)
    column = Ragged.of([range(1, length + 1) for length in (3, 8, 9, 19)])
    for row, width in enumerate((8, 8, 16, 19)):  # no longer than the longest of all, which positions may end with
        found = column.take(np.array([row]))
        assert found.shape == (1, width)
        assert np.count_nonzero(found) == column.lengths[row]
    assert Ragged.of([[]]).take(np.array([0])).shape == (1, 0)


def test_ragged_values_may_have_axes_of_their_own_and_lie_on_disk(tmp_path):
    column = Ragged(on_disk(tmp_path), [2, 0, 5], fill=-1)
    assert column.spec() == tf.TensorSpec((None, None, 2, 3), "float32")
    found = column.take(np.array([0, 2]))
    np.testing.assert_array_equal(found[0, :2], numbers()[:2])
    assert (found[0, 2:] == -1).all()
    np.testing.assert_array_equal(found[1], numbers()[2:])
    assert np.shares_memory(column.values()[2], column.flat)


def test_ragged_columns_are_joined():
    first, second = Ragged.of(SEQUENCES, fill=-1), Ragged.of([[20], [21, 22, 23]], fill=-1)
    whole = first.joined(second, None, None)
    assert [each.tolist() for each in whole.values()] == [*SEQUENCES, [20], [21, 22, 23]]
    both = first.joined(second, ROWS, np.array([1]))
    assert [each.tolist() for each in both.values()] == [*(SEQUENCES[row] for row in ROWS), [21, 22, 23]]
    assert both.take(np.array([0, 3])).tolist() == [[5, 6], [11, -1]]
    empty = first.joined(second, ROWS[:0], ROWS[:0])
    assert len(empty) == 0 and empty.values() == []


def test_no_sequences():
    column = Ragged.of([])
    assert len(column) == 0 and column.values() == [] and column.take(np.array([], int)).shape == (0, 0)


def lookups():
    """A column of numbers and one of pairs of them, looked up by the same index."""
    index = Ragged.of([[1, 2], [3], [2, 2, 1]])
    return Lookup(index, np.array([0, 10, 20, 30], "int32")), Lookup(
        index, np.array([[0, 0], [1, 0], [2, 1], [3, 0]], "int32")
    )


def test_lookup():
    single, pair = lookups()
    assert len(single) == 3 and not single.has_fixed_shape
    np.testing.assert_array_equal(pair.lengths, [2, 1, 3])
    rows = np.array([2, 1])
    assert single.take(rows).tolist() == [[20, 20, 10], [30, 0, 0]]
    assert pair.take(rows).tolist() == [[[2, 1], [2, 1], [1, 0]], [[3, 0], [0, 0], [0, 0]]]
    np.testing.assert_array_equal(single.look_up(single.index.take(rows)), single.take(rows))
    assert [each.tolist() for each in single.values(rows)] == [[20, 20, 10], [30]]
    assert [each.tolist() for each in single.values()] == [[10, 20], [30], [20, 20, 10]]
    assert single.spec(2) == tf.TensorSpec((2, None), "int32") and pair.spec() == tf.TensorSpec(
        (None, None, 2), "int32"
    )


def test_lookups_are_joined_and_the_narrower_table_is_padded():
    single, pair = lookups()
    wide = Lookup(Ragged.of([[1]]), np.array([[0, 0, 0], [7, 8, 9]], "int32"))
    for one, other in ((pair, wide), (wide, pair)):
        both = one.joined(other, None, None)
        expected = [*one.values(), *other.values()]
        for found, values in zip(both.values(), expected, strict=True):
            np.testing.assert_array_equal(found[:, : values.shape[1]], values)
            assert found.shape == (len(values), 3) and (found[:, values.shape[1] :] == 0).all()
    other = Lookup(Ragged.of([[1]]), np.array([0, 40], "int32"))
    both = single.joined(other, np.array([1]), None)
    assert both.take(np.array([0, 1])).tolist() == [[30], [40]]


@pytest.fixture
def files(tmp_path):
    """Image files, as a column on disk and as one in memory."""
    paths = [draw(tmp_path / f"{index}.png", value=index) for index in range(7)]
    return [decoded(paths, (10, 12, 3), False, choice) for choice in (False, True)]


def test_files(files):
    column, inside = files
    assert isinstance(column, Files) and isinstance(inside, Dense) and inside.array.ctypes.data % 64 == 0
    assert len(column) == 7 and column.has_fixed_shape
    np.testing.assert_array_equal(column.take(ROWS), inside.take(ROWS))
    np.testing.assert_array_equal(column.values(), inside.values())
    np.testing.assert_array_equal(column.values(ROWS), inside.values(ROWS))
    assert column.spec(2) == inside.spec(2) == tf.TensorSpec((2, 10, 12, 3), "uint8")
    in_pipeline = tf.data.Dataset.from_tensors(ROWS).map(column.reader())
    assert in_pipeline.element_spec == column.spec(len(ROWS))
    np.testing.assert_array_equal(next(iter(in_pipeline)), inside.take(ROWS))


def test_files_are_joined_undecoded(files):
    column, inside = files
    column.decode = None  # nothing is read to join
    both = column.joined(column, None, np.array([6, 2]))
    assert list(both.paths) == [*column.paths, column.paths[6], column.paths[2]]
    both.decode = lambda paths: np.stack([inside.array[int(path.stem)] for path in paths])
    np.testing.assert_array_equal(both.take(np.array([7, 8])), inside.take(np.array([6, 2])))
