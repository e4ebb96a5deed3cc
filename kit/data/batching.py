"""Batching: which examples make a batch, as a function of a seed and a step alone.

A batching gives `training_rows`, the rows of the batches of an endless stream of shuffled passes, and `chunks`, those
of one pass in order; the same for the same seed and step, whatever was asked before.
"""

import dataclasses

import numpy as np

# Examples for so many batches, at most one pass, are sorted by length together: long enough for little padding, short
# enough that a batch still is a random draw.
_MOST_BATCHES_IN_A_BUCKET = 100


@dataclasses.dataclass(frozen=True)
class Uniform:
    """Every batch is a random draw; a batch may end one pass over the examples and begin the next, so all are full."""

    has_fixed_size = True

    def rows_at(self, step, total, batch_size, seed):
        """Returns the rows of the batch of a step, a tensor (batch,), for a step that is a tensor, too."""
        import tensorflow as tf

        position = step * batch_size + tf.range(batch_size, dtype=tf.int64)
        # The raw operation: its public wrapper rejects one seed for each index, needed where two passes meet.
        pass_seed = tf.stack(
            [
                tf.fill([batch_size], tf.cast(seed, tf.int64)),
                position // total,
                tf.zeros([batch_size], tf.int64),
            ],
            axis=1,
        )
        return tf.raw_ops.RandomIndexShuffle(
            index=position % total,
            seed=pass_seed,
            max_index=tf.cast(total - 1, tf.int64),
            rounds=4,
        )

    def training_rows(self, examples, batch_size, seed, start, stop):
        """Yields the rows of batches number `start` to `stop`."""
        import tensorflow as tf

        for step in range(start, stop):
            yield self.rows_at(tf.constant(step, tf.int64), len(examples), batch_size, seed).numpy()

    def chunks(self, examples, batch_size):
        """Yields the rows of each batch of one pass in order; the last one may be short."""
        for start in range(0, len(examples), batch_size):
            yield np.arange(start, min(start + batch_size, len(examples)))


@dataclasses.dataclass(frozen=True)
class ByLength:
    """Sequences of about the same length come together, which spares padding; every batch has as many.

    Args:
        column: Name of the ragged input whose length counts.
        most_positions: Positions and padding of one batch of `chunks`, where sequences are long; bounds the memory.
    """

    column: str
    most_positions: int = 32_768

    has_fixed_size = True

    def lengths(self, examples):
        """Returns the length of each example."""
        return examples.lengths(self.column)

    def sides(self, examples):
        """Returns the lengths of each padded side of each example: of one."""
        return [self.lengths(examples)]

    def training_rows(self, examples, batch_size, seed, start, stop):
        """Yields the rows of batches number `start` to `stop`."""
        return _bucketed(self._bucket, examples, batch_size, seed, start, stop)

    def _bucket(self, examples, batch_size, batches, seed, bucket):
        """Returns the rows (batches, batch_size) of a bucket: a stretch of the endless stream of passes, sorted."""
        size = batch_size * batches
        rows = endless_rows(len(examples), seed, bucket * size, (bucket + 1) * size)
        rows = rows[np.argsort(self.lengths(examples)[rows], kind="stable")].reshape(batches, batch_size)
        return np.random.default_rng((seed, 1, bucket)).permutation(rows)

    def chunks(self, examples, batch_size, most_positions=None):
        """Yields the rows of each batch of one pass, from the shortest to the longest; not every batch is full."""
        return _by_length(self.lengths(examples), batch_size, most_positions or self.most_positions)


@dataclasses.dataclass(frozen=True)
class ByTokens:
    """Batches of pairs of sequences with about as many tokens each, so that every step is about the same work.

    Pairs of about the same length come together; short ones in larger batches, long ones in smaller.

    Args:
        source: Name of the ragged input that is read.
        target: Name of the ragged input that is written; a sequence of it counts one more, its end.
        most_positions: Positions and padding of a side of one batch of `chunks`; bounds the memory.
    """

    source: str
    target: str
    most_positions: int = 8_192

    has_fixed_size = False

    def sides(self, examples):
        """Returns the lengths of both sides of each example; of what has no target, of one side."""
        found = [examples.lengths(self.source)]
        return [*found, examples.lengths(self.target) + 1] if self.target in examples.inputs else found

    def lengths(self, examples):
        """Returns the length of the longer side of each example."""
        return np.max(self.sides(examples), axis=0)

    def training_rows(self, examples, batch_size, seed, start, stop):
        """Yields the rows of batches number `start` to `stop`; `batch_size` is the mean number of pairs in one."""
        return _bucketed(self._bucket, examples, batch_size, seed, start, stop)

    def _bucket(self, examples, batch_size, batches, seed, bucket):
        """Returns the rows of each batch of a bucket: a stretch of the endless stream of passes, sorted."""
        rows = self.stretch(examples, seed, bucket, batch_size * batches)
        size = len(rows)
        source, target = (lengths[rows] for lengths in self.sides(examples))
        order = np.lexsort((source, target, np.maximum(source, target)))
        done = np.cumsum((source + target)[order])
        cuts = np.searchsorted(done, done[-1] * np.arange(1, batches) / batches)
        # Every batch has at least one pair, however long a few of them are.
        least = np.arange(1, batches)
        cuts = np.maximum.accumulate(np.clip(cuts, least, size - batches + least) - least) + least
        parts = np.split(rows[order], cuts)
        return [parts[number] for number in np.random.default_rng((seed, 1, bucket)).permutation(batches)]

    def stretch(self, examples, seed, bucket, size):
        """Returns the rows of a bucket, about as many as its size and no fewer."""
        return endless_rows(len(examples), seed, bucket * size, (bucket + 1) * size)

    def chunks(self, examples, batch_size, most_positions=None):
        """Yields the rows of each batch of one pass, from the shortest to the longest; not every batch is full."""
        return _by_length(self.lengths(examples), batch_size, most_positions or self.most_positions)


def endless_rows(total, seed, start, stop):
    """Returns the rows number `start` to `stop` of an endless stream of passes over all rows, each in its own order."""
    passes, index = np.divmod(np.arange(start, stop), total)
    rows = np.empty(stop - start, "int64")
    for number in np.unique(passes):
        order = np.random.default_rng((seed, 0, number)).permutation(total)
        rows[passes == number] = order[index[passes == number]]
    return rows


def _bucketed(bucket, examples, batch_size, seed, start, stop):
    """Yields the rows of batches number `start` to `stop` of an endless stream, bucket by bucket.

    Args:
        bucket: Function `(examples, batch_size, batches, seed, number)` that returns the rows of a bucket's batches.
        examples, batch_size, seed, start, stop: As for `training_rows`.
    """
    number, batches = None, None
    size = max(1, min(_MOST_BATCHES_IN_A_BUCKET, len(examples) // batch_size))
    for step in range(start, stop):
        if step // size != number:
            number = step // size
            batches = bucket(examples, batch_size, size, seed, number)
        yield batches[step % size]


def _by_length(lengths, batch_size, most_positions):
    """Yields rows from the shortest to the longest; a batch of long sequences has fewer."""
    order = np.argsort(lengths, kind="stable")
    while len(order):
        count = min(batch_size, len(order))
        while count > 1 and count * lengths[order[count - 1]] > most_positions:
            count = (count + 1) // 2
        yield order[:count]
        order = order[count:]


def of_one_length(examples, name, chunks, padding, most=None):
    """Yields rows, and their sequences of a ragged input as one array, (rows, time), each of about one length.

    They are padded to the next multiple of eight: what is made of a sequence does not depend on those beside it then,
    even where the length of the whole array counts.

    Args:
        examples: The `Examples`.
        name: Name of the input.
        chunks: Iterator of rows; those of other lengths are taken apart.
        padding: What shorter sequences are filled up with.
        most: Greatest length, or None.
    """
    for rows in chunks:
        rows = np.asarray(rows)
        rounded = np.minimum(-(-examples.lengths(name)[rows] // 8) * 8, most or np.inf)
        for length in np.unique(rounded).astype(int):
            chosen = rows[rounded == length]
            values = examples.arrays(chosen)[0][name]
            yield chosen, np.pad(values, ((0, 0), (0, length - values.shape[1])), constant_values=padding)
