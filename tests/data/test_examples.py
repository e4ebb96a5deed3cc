"""Examples: streams that go on from any step, shards, views, and memory, for every kind of column and batching."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from kit.data.batching import ByLength, ByTokens, Uniform
from kit.data.columns import Dense, Files, Lookup, Ragged
from kit.data.examples import Examples

COUNT, BATCH, SEED = 60, 8, 3


def images():
    """Pixels are the number of the image."""
    return np.broadcast_to(np.arange(COUNT, dtype="uint8")[:, None, None, None], (COUNT, 4, 4, 1)).copy()


def files():
    def decode(paths):
        return images()[[int(path) for path in paths]]

    return Files([str(row) for row in range(COUNT)], decode, (4, 4, 1))


def repeated(seed=0):
    """Sequences of the number of the example and one more, again and again."""
    lengths = np.random.default_rng(seed).integers(1, 20, COUNT)
    return [[row + 1] * length for row, length in enumerate(lengths)]


def lookups():
    index, table = Ragged.of(repeated()), np.arange(COUNT + 1, dtype="int32")
    return {"word": Lookup(index, table), "letters": Lookup(index, np.stack([table, table % 7], 1))}


def labels():
    return {"label": Dense(10 * np.arange(COUNT))}


def in_memory():
    return Examples({"image": Dense(images())}, labels(), weights=Dense(np.arange(COUNT, dtype="float32")))


def on_disk():
    return Examples({"image": files()}, labels())


def named():
    return Examples({"image": Dense(images())}, labels() | {"other": Dense(np.arange(COUNT))}, is_named=True)


def tagged():
    return Examples(lookups(), {"tag": Ragged.of(repeated(), fill=-1)}, batching=ByLength("word"))


def translated():
    source, target = Ragged.of(repeated()), Ragged.of(repeated(1))
    return Examples({"source": source, "target": target}, {"next": target}, batching=ByTokens("source", "target"))


def captioned():
    """Images and texts together, each batch a random draw."""
    return Examples({"image": Dense(images()), "text": Ragged.of(repeated())}, labels(), batching=Uniform())


def captioned_by_length():
    weights = Dense(np.arange(COUNT, dtype="float32"))
    inputs = {"image": files(), "text": Ragged.of(repeated())}
    return Examples(inputs, labels(), weights=weights, batching=ByLength("text"))


KINDS = (in_memory, on_disk, named, tagged, translated, captioned, captioned_by_length)
every_kind = pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)


def listed(dataset):
    """Returns the arrays of each batch."""
    return [arrays_of(batch) for batch in dataset]


def arrays_of(batch):
    return [np.asarray(each) for each in tf.nest.flatten(batch)]


def rows_in(batch):
    """Returns the number of each example in a batch: images are theirs, sequences begin with one more."""
    first = batch[0].reshape(len(batch[0]), -1)[:, 0].astype(int)
    return first if batch[0].dtype == np.uint8 else first - 1


def assert_same(batches, others):
    for batch, other in zip(batches, others, strict=True):
        for values, expected in zip(batch, other, strict=True):
            np.testing.assert_array_equal(values, expected)
            assert values.dtype == expected.dtype


@every_kind
def test_a_batch_is_the_arrays_of_its_rows(make):
    examples = make()
    for dataset in (examples.stream(BATCH, SEED, 0, 9), examples.batches(BATCH)):
        for batch in listed(dataset):
            assert_same([batch], [arrays_of(examples.arrays(rows_in(batch)))])


@every_kind
def test_a_stream_from_a_step_is_the_rest_of_the_stream(make):
    whole = listed(make().stream(BATCH, SEED, 0, 30))
    assert len(whole) == 30
    for start in (0, 1, 7, 16, 29):  # a pass and a bucket are seven batches
        assert_same(listed(make().stream(BATCH, SEED, start, 30)), whole[start:])
    rows = [rows_in(batch).tolist() for batch in whole]
    assert rows != [rows_in(batch).tolist() for batch in listed(make().stream(BATCH, SEED + 1, 0, 30))]
    assert make().stream(BATCH, SEED, 7, 30).cardinality() == 23


@every_kind
def test_a_stream_sees_every_example_equally_often(make):
    rows = np.concatenate([rows_in(batch) for batch in listed(make().stream(BATCH, SEED, 0, 60))])
    counts = np.bincount(rows, minlength=COUNT)
    assert len(rows) == pytest.approx(60 * BATCH, abs=60)
    assert counts.min() >= 6 and counts.max() <= 10  # eight passes but for the ends of the last bucket


@every_kind
@pytest.mark.parametrize("count", [2, 3])
def test_shards_together_are_the_whole_batch(make, count):
    examples = make()
    whole = listed(examples.stream(BATCH, SEED, 4, 16))
    shards = [listed(examples.stream(BATCH, SEED, 4, 16, shard=(index, count))) for index in range(count)]
    for step, batch in enumerate(whole):
        rows = rows_in(batch)
        for index in range(count):
            if not len(rows[index::count]):  # fewer long texts than processes
                assert not len(shards[index][step][0])
                continue
            np.testing.assert_array_equal(rows_in(shards[index][step]), rows[index::count])
            # Each is padded as the whole batch is: what a network draws for its positions is that of one process.
            own = arrays_of(examples.arrays(rows))
            assert_same([shards[index][step]], [[part[index::count] for part in own]])


@every_kind
def test_batches_have_every_example_once_in_the_order_of_the_chunks(make):
    examples = make()
    batches = examples.batches(BATCH)
    found = [rows_in(batch) for batch in listed(batches)]
    assert batches.cardinality() == len(found)
    for rows, expected in zip(found, examples.chunks(BATCH), strict=True):
        np.testing.assert_array_equal(rows, expected)
    assert sorted(np.concatenate(found)) == list(range(COUNT))
    if isinstance(examples.batching, Uniform):
        assert [len(rows) for rows in found] == [8] * 7 + [4]
        np.testing.assert_array_equal(np.concatenate(found), np.arange(COUNT))


@every_kind
def test_a_transform_knows_its_step_and_changes_the_stream_alone(make):
    examples = make()
    plain = listed(examples.stream(BATCH, SEED, 5, 12))
    batches = listed(examples.batches(BATCH))
    examples.transform = lambda step, *batch: (*batch, step)
    changed = listed(examples.stream(BATCH, SEED, 5, 12))
    assert [batch.pop() for batch in changed] == list(range(5, 12))
    assert_same(changed, plain)
    assert_same(listed(examples.batches(BATCH)), batches)


def test_the_source_of_a_pipeline_is_not_rewritten():
    seen = []

    def transform(step, *batch):
        seen.append(tf.__internal__.autograph.control_status_ctx().status.name)
        return batch

    examples = Examples({"x": Dense(np.zeros((8, 2), "float32"))}, transform=transform)
    listed(examples.stream(BATCH, SEED, 0, 2))
    assert set(seen) == {"DISABLED"}


@every_kind
def test_a_part_is_a_view_with_rows_of_its_own(make):
    whole = make()
    rows = np.array([41, 7, 7, 30, 12, 55, 2, 19, 20])
    part = whole.take(rows)
    assert_shared(part, whole)
    assert len(part) == 9
    assert_same([arrays_of(part.arrays([1, 3]))], [arrays_of(whole.arrays([7, 30]))])
    again = part.take(slice(3, 7)).take([2, 0])
    assert_shared(again, whole)
    np.testing.assert_array_equal(again.rows, [55, 30])
    found = [rows_in(batch) for batch in listed(part.batches(4))]
    assert sorted(np.concatenate(found)) == sorted(rows)
    np.testing.assert_array_equal(np.concatenate([rows[each] for each in part.chunks(4)]), np.concatenate(found))
    drawn = np.concatenate([rows_in(batch) for batch in listed(part.stream(3, SEED, 0, 9))])
    assert set(drawn) == set(rows)
    assert_same(listed(part.stream(3, SEED, 5, 9)), listed(part.stream(3, SEED, 0, 9))[5:])


@every_kind
def test_parts_of_the_same_columns_are_joined_as_a_view(make):
    whole = make()
    both = whole.take([3, 1]).join(whole.take(slice(50, 53)))
    assert_shared(both, whole)
    np.testing.assert_array_equal(both.rows, [3, 1, 50, 51, 52])


@every_kind
def test_different_columns_are_joined_to_the_same_batches(make):
    one, other = make(), make()
    both = one.take([3, 1, 40]).join(other.take([50, 9]))
    assert len(both) == 5 and both.rows is None
    assert_same([arrays_of(both.arrays(np.arange(5)))], [arrays_of(one.arrays([3, 1, 40, 50, 9]))])
    assert len(one.join(other)) == 2 * COUNT and len(one.take([4]).join(other)) == COUNT + 1
    assert_same([arrays_of(one.join(other).arrays([COUNT + 5, 5]))], [arrays_of(one.arrays([5, 5]))])


def memory_of(column):
    """Returns the arrays that a column keeps its values in."""
    kept = [getattr(column, name, None) for name in ("array", "paths", "flat", "lengths", "table")]
    kept += memory_of(column.index) if isinstance(column, Lookup) else []
    return [each for each in kept if each is not None]


def assert_shared(part, whole):
    """Checks that examples keep no values beside those of other ones."""
    for mine, theirs in ((part.inputs, whole.inputs), (part.targets, whole.targets)):
        for name, column in mine.items():
            for array, expected in zip(memory_of(column), memory_of(theirs[name]), strict=True):
                assert np.shares_memory(array, expected)
    assert whole.weights is None or np.shares_memory(part.weights.array, whole.weights.array)


def test_values_of_all_rows_are_the_array_itself():
    examples = in_memory()
    assert examples.input("image") is examples.inputs["image"].array
    column = tagged().targets["tag"]
    assert np.shares_memory(column.values()[5], column.flat)


def test_images_and_texts_are_in_one_batch():
    for inputs, label in captioned().stream(BATCH, SEED, 0, 5):
        assert inputs["image"].shape == (BATCH, 4, 4, 1) and inputs["text"].shape[0] == BATCH
        rows = np.asarray(inputs["image"])[:, 0, 0, 0].astype(int)
        np.testing.assert_array_equal(np.asarray(inputs["text"])[:, 0], rows + 1)
        np.testing.assert_array_equal(label, 10 * rows)
    inputs, *_ = captioned_by_length().stream(BATCH, SEED, 0, 5).element_spec
    assert inputs["image"] == tf.TensorSpec((BATCH, 4, 4, 1), "uint8")
    assert inputs["text"] == tf.TensorSpec((BATCH, None), "int32")


def test_columns_that_are_looked_up_by_one_index_look_once():
    examples, asked = tagged(), []
    index = examples.inputs["word"].index
    take, index.take = index.take, lambda rows: asked.append(rows) or take(rows)
    inputs, _ = examples.arrays([4, 5])
    assert len(asked) == 1
    np.testing.assert_array_equal(inputs["letters"][..., 0], inputs["word"])


_GROWTH = """
import numpy as np, psutil
from kit.data.columns import Dense, aligned
from kit.data.examples import Examples

def examples(count, empty):
    images = empty((count, 100, 100, 1), "uint8")
    images[:] = np.arange(count, dtype="uint8")[:, None, None, None]
    return Examples({"image": Dense(images)}, {"label": Dense(np.arange(count))})

def read(streams):
    for batch, other in zip(*streams):
        assert (batch[0].numpy()[:, 0, 0, 0] == batch[1].numpy() % 256).all()
        assert (other[0].numpy() == batch[0].numpy()).all()

def streams(examples, step):
    return [part.stream(32, 0, step, step + 20) for part in (examples, examples.take(np.arange(len(examples))))]

for empty in (aligned, np.empty):
    read(streams(examples(100, empty), 0))  # what TensorFlow itself needs, once
    whole = examples(10_000, empty)
    assert whole.inputs["image"].array.nbytes == 100_000_000
    before = psutil.Process().memory_info().rss
    for step in (0, 20):
        kept = streams(whole, step)
        read(kept)
    print((psutil.Process().memory_info().rss - before) / 1e6)
"""


def test_two_streams_hold_no_copy_of_a_large_array():
    done = subprocess.run([sys.executable, "-c", _GROWTH], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for array, megabytes in zip(("aligned", "plain"), done.stdout.split(), strict=True):
        assert float(megabytes) < 30, f"{array}: {megabytes} MB more for 100 MB of images"
