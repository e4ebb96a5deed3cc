"""Unpaired examples: two kinds, such as the two domains of CycleGAN, of which no two belong together."""

import dataclasses

import numpy as np
import tensorflow as tf

from kit.data.examples import Examples, prefetched

# What turns a seed, of which the shuffle takes 31 bits, into another one for the second kind.
_OTHER_BITS = 0x2545F491


@dataclasses.dataclass
class Unpaired:
    """Unpaired examples of two kinds, A and B, with all that `Examples` offers for training.

    A batch is `((a, b),)`: as many inputs of each kind, drawn independently. The kinds may differ in number.

    Args:
        a: `Examples` of the first kind; its targets are not part of a batch.
        b: `Examples` of the second kind.
    """

    a: Examples
    b: Examples

    batches_per_step = 1
    follows_model = False
    shared = frozenset()

    def __len__(self):
        return max(len(self.a), len(self.b))

    def steps_per_epoch(self, batch_size):
        """Returns the number of whole batches that come nearest to one pass over the larger kind."""
        return max(1, round(len(self) / batch_size))

    def stream(self, batch_size, seed, start, stop, shard=(0, 1)):
        """Returns shuffled training batches number `start` to `stop` of an endless stream; see `Examples.stream`.

        Args:
            batch_size: Examples of each kind in a batch.
            seed: Seed of the orders.
            start: First step.
            stop: Step before which the stream ends.
            shard: As for `Examples.stream`.
        """
        streams = [
            _inputs(part).stream(batch_size, own_seed, start, stop, shard)
            for part, own_seed in ((self.a, seed), (self.b, seed ^ _OTHER_BITS))
        ]
        return _zipped(streams)

    def batches(self, batch_size):
        """Returns all examples in order, the smaller kind from the beginning again until the larger one has ended."""
        return _zipped([_inputs(part).batches(batch_size) for part in self._parts(np.arange(len(self)))])

    def take(self, rows):
        """Returns the examples in the given rows, where the smaller kind begins again after its end."""
        a, b = self._parts(np.arange(len(self))[rows])
        return dataclasses.replace(self, a=a, b=b)

    def join(self, others):
        """Returns these examples and then those of another split."""
        return dataclasses.replace(self, a=self.a.join(others.a), b=self.b.join(others.b))

    def _parts(self, rows):
        return [part.take(rows % len(part)) for part in (self.a, self.b)]


def _inputs(part):
    return dataclasses.replace(part, targets={})


def _zipped(streams):
    return prefetched(tf.data.Dataset.zip(*streams).map(lambda a, b: ((a[0], b[0]),)))
