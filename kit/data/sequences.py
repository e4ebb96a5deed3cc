"""Sentences of one split as batches of ids, bucketed by length."""

import numpy as np
import tensorflow as tf

from kit.data.splits import generated

# Sentences for so many batches, at most one pass, are sorted by length together: long enough for little padding, short
# enough that a batch still is a random draw.
_MOST_BATCHES_IN_A_BUCKET = 100
# Words and padding of one batch, where sentences are long; bounds the memory.
_MOST_POSITIONS = 32_768


def endless_rows(total, seed, start, stop):
    """Returns the rows at places `start` to `stop` of an endless stream of passes over all rows, each in its order."""
    passes, place = np.divmod(np.arange(start, stop), total)
    rows = np.empty(stop - start, "int64")
    for number in np.unique(passes):
        order = np.random.default_rng((seed, 0, number)).permutation(total)
        rows[passes == number] = order[place[passes == number]]
    return rows


def bucketed(examples, batch_size, seed, start, stop):
    """Yields the rows of batches number `start` to `stop` of an endless stream, bucket by bucket.

    Args:
        examples: What has `bucket(batch_size, batches, seed, number)`, the rows of each batch of a bucket.
        batch_size: Examples in a batch.
        seed: Seed of the order.
        start: First batch.
        stop: Batch before which the stream ends.
    """
    number, batches = None, None
    size = max(1, min(_MOST_BATCHES_IN_A_BUCKET, len(examples) // batch_size))
    for step in range(start, stop):
        if step // size != number:
            number = step // size
            batches = examples.bucket(batch_size, size, seed, number)
        yield batches[step % size]


def _stacked(first, second):
    """Returns one table below the other; the narrower one is padded with 0, such as the characters of short words."""
    if first.ndim > 1:
        width = max(first.shape[1], second.shape[1])
        first, second = (np.pad(table, [(0, 0), (0, width - table.shape[1])]) for table in (first, second))
    return np.concatenate([first, second])


class Sequences:
    """Tagged sentences in memory.

    A batch is a dictionary of features, each (batch, time), `characters` (batch, time, characters), and the labels
    (batch, time); time is that of the longest sentence in it. Shorter ones are padded with id 0 and label -1.

    Args:
        sentences: Words of each sentence.
        features: `Features` that turns words into ids.
        labels: Label of each word of each sentence, or None.
    """

    batches_per_step = 1
    follows_model = False

    def __init__(self, sentences, features, labels=None):
        types = {}
        flat = [types.setdefault(word, len(types) + 1) for words in sentences for word in words]
        encoded = features.encode(list(types))
        self.sentences = sentences
        # Each distinct word is encoded once; row 0 of a table is padding.
        self.tables = {
            name: np.concatenate([np.zeros_like(ids[:1], shape=(1, *ids.shape[1:])), ids])
            for name, ids in encoded.items()
        }
        self.words = np.array(flat, "int32")  # row of the tables of every word, sentence after sentence
        self.labels = None if labels is None else np.array([i for each in labels for i in each], "int32")
        self.lengths = np.array([len(words) for words in sentences], "int64")
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype("int64")

    def __len__(self):
        return len(self.sentences)

    def take(self, rows):
        """Returns the sentences in the given rows."""
        part = object.__new__(Sequences)
        vars(part).update(vars(self))
        chosen = np.arange(len(self))[rows]
        part.sentences = [self.sentences[row] for row in chosen]
        part.lengths, part.starts = self.lengths[chosen], self.starts[chosen]
        return part

    def join(self, others):
        """Returns these sentences and then those of another split."""
        both = object.__new__(Sequences)
        types = len(next(iter(self.tables.values()))) - 1  # row 0 is padding
        both.sentences = [*self.sentences, *others.sentences]
        both.tables = {name: _stacked(table, others.tables[name][1:]) for name, table in self.tables.items()}
        both.words = np.concatenate([self.words, others.words + types])
        both.labels = None if self.labels is None else np.concatenate([self.labels, others.labels])
        both.lengths = np.concatenate([self.lengths, others.lengths])
        both.starts = np.concatenate([self.starts, others.starts + len(self.words)])
        return both

    def label_rows(self):
        """Returns the labels of each sentence."""
        return [self.labels[start : start + length] for start, length in zip(self.starts, self.lengths, strict=True)]

    def steps_per_epoch(self, batch_size):
        """Returns the number of whole batches that come nearest to one pass over the sentences."""
        return max(1, round(len(self) / batch_size))

    def stream(self, batch_size, seed, start, stop):
        """Returns shuffled training batches number `start` to `stop` of an endless stream.

        Sentences of about the same length come together. The batch of a step is a function of the seed and the step
        alone: whoever starts again at a step sees what he would have seen.

        Args:
            batch_size: Sentences in a batch.
            seed: Seed of the order.
            start: First step.
            stop: Step before which the stream ends.

        Returns:
            A `tf.data.Dataset` of (features, labels).
        """

        return self._batches(lambda: bucketed(self, batch_size, seed, start, stop), batch_size, stop - start)

    def bucket(self, batch_size, batches, seed, bucket):
        """Returns the rows (batches, batch_size) of a bucket: a stretch of the endless stream of passes, sorted."""
        size = batch_size * batches
        rows = endless_rows(len(self), seed, bucket * size, (bucket + 1) * size)
        rows = rows[np.argsort(self.lengths[rows], kind="stable")].reshape(batches, batch_size)
        return np.random.default_rng((seed, 1, bucket)).permutation(rows)

    def batches(self, batch_size):
        """Returns all sentences once, in batches from the shortest to the longest; not every batch is full."""
        chunks = list(self.chunks(batch_size))
        return self._batches(lambda: iter(chunks), None, len(chunks))

    def chunks(self, batch_size):
        """Yields the rows of each batch of `batches`; batches of long sentences have fewer."""
        order = np.argsort(self.lengths, kind="stable")
        while len(order):
            count = min(batch_size, len(order))
            while count > 1 and count * self.lengths[order[count - 1]] > _MOST_POSITIONS:
                count = (count + 1) // 2
            yield order[:count]
            order = order[count:]

    def arrays(self, rows):
        """Returns one batch as arrays: the features, and the labels unless there are none."""
        lengths = self.lengths[rows][:, None]  # (batch, 1)
        time = np.arange(lengths.max())[None]  # (1, time)
        real = time < lengths
        position = self.starts[rows][:, None] + np.minimum(time, lengths - 1)  # (batch, time)
        row = np.where(real, self.words[position], 0)
        inputs = {name: table[row] for name, table in self.tables.items()}
        if self.labels is None:
            return (inputs,)
        return inputs, np.where(real, self.labels[position], np.int32(-1))

    def _batches(self, rows, batch_size, count):
        inputs = {
            name: tf.TensorSpec((batch_size, None, *table.shape[1:]), tf.int32) for name, table in self.tables.items()
        }
        signature = (inputs,) if self.labels is None else (inputs, tf.TensorSpec((batch_size, None), tf.int32))
        return generated(lambda: map(self.arrays, rows()), signature, count)
