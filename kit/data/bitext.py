"""Sentences and their translations of one split as batches of ids, bucketed by length, equal in tokens."""

import numpy as np
import tensorflow as tf

from kit.data.sequences import bucketed, endless_rows
from kit.data.splits import generated
from kit.data.tokens import END, PADDING, START

# Tokens and padding of one batch of `batches`; bounds the memory.
_MOST_POSITIONS = 8_192


class Bitext:
    """Pairs of sentences in memory.

    A batch is a dictionary of `source` and `target` ids and the labels, each (batch, time), padded with 0. The source
    ends in the end's id; the target begins with the start's, the labels are what follows, the end included.

    Args:
        sources: Ids of each sentence.
        targets: Ids of each translation, or None.
        source_texts: Text of each sentence.
        target_texts: Text of each translation, or None.
    """

    batches_per_step = 1
    follows_model = False

    def __init__(self, sources, targets, source_texts, target_texts=None):
        self.source_texts = source_texts
        self.target_texts = target_texts
        self._sides = {"source": _Side([*ids, END] for ids in sources)}
        if targets is not None:
            self._sides["target"] = _Side([START, *ids, END] for ids in targets)
        self._rows = np.arange(len(source_texts))

    def __len__(self):
        return len(self._rows)

    @property
    def source_lengths(self):
        """Tokens of each sentence, its end included."""
        return self._sides["source"].lengths[self._rows]

    @property
    def lengths(self):
        """Tokens of the longer side of each pair, start or end included."""
        return np.max([side.lengths[self._rows] for side in self._sides.values()], axis=0)

    def count(self, token):
        """Returns how often a token is in the sentences, their translations left out."""
        side = self._sides["source"]
        return int((side.array(self._rows) == token).sum()) if len(self) else 0

    def take(self, rows):
        """Returns the pairs in the given rows."""
        part = object.__new__(Bitext)
        vars(part).update(vars(self))
        part._rows = self._rows[rows]
        part.source_texts = [self.source_texts[row] for row in np.arange(len(self))[rows]]
        if self.target_texts is not None:
            part.target_texts = [self.target_texts[row] for row in np.arange(len(self))[rows]]
        return part

    def join(self, others):
        """Returns these pairs and then those of another split."""
        both = object.__new__(Bitext)
        first = len(self._sides["source"].lengths)
        both._sides = {name: side.join(others._sides[name]) for name, side in self._sides.items()}
        both._rows = np.concatenate([self._rows, others._rows + first])
        both.source_texts = [*self.source_texts, *others.source_texts]
        both.target_texts = None if self.target_texts is None else [*self.target_texts, *others.target_texts]
        return both

    def steps_per_epoch(self, batch_size):
        """Returns the number of batches that come nearest to one pass over the pairs."""
        return max(1, round(len(self) / batch_size))

    def stream(self, batch_size, seed, start, stop):
        """Returns shuffled training batches number `start` to `stop` of an endless stream.

        Pairs of about the same length come together. A batch has as many tokens as `batch_size` pairs have on average:
        short sentences come in larger batches, long ones in smaller, so that every step is about the same work. The
        batch of a step is a function of the seed and the step alone.

        Args:
            batch_size: Mean number of pairs in a batch.
            seed: Seed of the order.
            start: First step.
            stop: Step before which the stream ends.

        Returns:
            A `tf.data.Dataset` of (inputs, labels).
        """

        return self._batches(lambda: bucketed(self, batch_size, seed, start, stop), stop - start)

    def bucket(self, batch_size, batches, seed, bucket):
        """Returns the rows of each batch of a bucket: a stretch of the endless stream of passes, sorted."""
        size = batch_size * batches
        rows = endless_rows(len(self), seed, bucket * size, (bucket + 1) * size)
        source, target = (self._sides[name].lengths[self._rows[rows]] for name in ("source", "target"))
        order = np.lexsort((source, target, np.maximum(source, target)))
        done = np.cumsum((source + target)[order])
        cuts = np.searchsorted(done, done[-1] * np.arange(1, batches) / batches)
        # Every batch has at least one pair, however long a few of them are.
        least = np.arange(1, batches)
        cuts = np.maximum.accumulate(np.clip(cuts, least, size - batches + least) - least) + least
        parts = np.split(rows[order], cuts)
        return [parts[number] for number in np.random.default_rng((seed, 1, bucket)).permutation(batches)]

    def batches(self, batch_size):
        """Returns all pairs once, in batches from the shortest to the longest; not every batch is full."""
        chunks = list(self.chunks(batch_size))
        return self._batches(lambda: iter(chunks), len(chunks))

    def chunks(self, batch_size, most_positions=_MOST_POSITIONS):
        """Yields the rows of each batch of `batches`; batches of long sentences have fewer.

        Args:
            batch_size: Pairs in a batch.
            most_positions: Tokens and padding of a side of a batch that has more than one pair.
        """
        lengths = self.lengths
        order = np.argsort(lengths, kind="stable")
        while len(order):
            count = min(batch_size, len(order))
            while count > 1 and count * lengths[order[count - 1]] > most_positions:
                count = (count + 1) // 2
            yield order[:count]
            order = order[count:]

    def arrays(self, rows):
        """Returns one batch as arrays: the inputs, and the labels unless there are none."""
        chosen = self._rows[rows]
        source = self._sides["source"].array(chosen)
        if "target" not in self._sides:
            return ({"source": source},)
        target = self._sides["target"].array(chosen)
        labels = target[:, 1:]
        return {"source": source, "target": np.where(labels == PADDING, PADDING, target[:, :-1])}, labels

    def _batches(self, rows, count):
        ids = tf.TensorSpec((None, None), tf.int32)
        signature = dict.fromkeys(self._sides, ids)
        signature = (signature, ids) if "target" in self._sides else (signature,)
        return generated(lambda: map(self.arrays, rows()), signature, count)


class _Side:
    """Rows of ids, one after the other in one array."""

    def __init__(self, rows):
        rows = [np.array(row, "int32") for row in rows]
        self.ids = np.concatenate(rows) if rows else np.zeros(0, "int32")
        self.lengths = np.array([len(row) for row in rows], "int64")
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype("int64")

    def join(self, others):
        """Returns these rows and then those of another side."""
        both = _Side([])
        both.ids = np.concatenate([self.ids, others.ids])
        both.lengths = np.concatenate([self.lengths, others.lengths])
        both._starts = np.concatenate([self._starts, others._starts + len(self.ids)])
        return both

    def array(self, rows):
        """Returns rows as one array, padded."""
        lengths = self.lengths[rows][:, None]  # (batch, 1)
        time = np.arange(lengths.max())[None]  # (1, time)
        position = self._starts[rows][:, None] + np.minimum(time, lengths - 1)  # (batch, time)
        return np.where(time < lengths, self.ids[position], np.int32(PADDING))


def without_duplicates(rows, pairs, report):
    """Returns training rows without pairs that occur a second time."""
    seen, kept = set(), []
    for row in rows:
        if pairs[row] not in seen:
            seen.add(pairs[row])
            kept.append(row)
    report["training pairs left out that occur twice"] = len(rows) - len(kept)
    return np.array(kept, "int64")


def without_uneven(rows, ids, max_length, max_ratio, report):
    """Returns training rows without pairs that are too long, empty or too uneven."""
    lengths = np.array([[len(side[row]) for side in ids] for row in rows]).reshape(-1, 2)
    longer, shorter = lengths.max(1), lengths.min(1)
    is_short = (longer <= max_length) & (shorter > 0)
    is_even = longer <= np.maximum(shorter, 1) * (max_ratio or np.inf)
    report["training pairs left out as too long"] = int((~is_short).sum())
    report["training pairs left out as too uneven"] = int((is_short & ~is_even).sum())
    return rows[is_short & is_even]
