"""Examples of one split: named columns, and streams of batches that can be taken up again at any step."""

import dataclasses
import functools
import os
from collections.abc import Callable

import numpy as np

from kit.data.batching import Uniform
from kit.data.columns import Dense, Lookup, Shared
from kit.data.generated import generated


@functools.cache
def _as_written():
    """Returns the options of a pipeline that stays as it was written."""
    import tensorflow as tf

    options = tf.data.Options()
    # The thread that tunes a pipeline often sleeps on for five seconds when it is done; it gains nothing here.
    options.autotune.enabled = False
    # Rewriting the pipeline copies the arrays that it reads.
    options.experimental_optimization.apply_default_optimizations = False
    return options


def prefetched(batches):
    """Returns a `tf.data.Dataset` of batches that are made ready while the one before is worked on."""
    import tensorflow as tf

    return batches.prefetch(tf.data.AUTOTUNE).with_options(_as_written())


@dataclasses.dataclass
class Examples:
    """Examples of one split, in memory or on disk.

    Columns may be shared by several splits, each of which has rows of its own: nothing is copied.

    Args:
        inputs: Name to column (see `kit.data.columns`) of what a model is given.
        targets: Name to column of what it is to return.
        weights: Column of the weight of each example in the loss; or None.
        extras: Name to column of what only the evaluation looks at, such as texts.
        rows: Rows of the columns that are in this split, in order; None is all.
        batching: Which examples make a batch; see `kit.data.batching`.
        transform: Function `(step, *batch) -> batch` for the training stream, stateless in `step`, such as
            augmentation; or None.
        changed: Function `(examples, rows, seed, step) -> batch` that makes the training batches of ragged examples in
            place of `arrays`, stateless, such as augmentation of texts; or None.
        is_named: Give a single input as a dictionary, too, to a model whose inputs are one.
        reference: What made examples of this kind are compared by; or None.
    """

    inputs: dict
    targets: dict = dataclasses.field(default_factory=dict)
    weights: object = None
    extras: dict = dataclasses.field(default_factory=dict)
    rows: np.ndarray | None = None
    batching: object = Uniform()
    transform: Callable | None = None
    changed: Callable | None = None
    is_named: bool = False
    reference: object = None

    # For data that a model makes by acting: batches in a step, and whether a step needs the model as the one before it
    # has left it.
    batches_per_step = 1
    follows_model = False

    def __len__(self):
        return len(next(iter(self.inputs.values()))) if self.rows is None else len(self.rows)

    @property
    def shared(self):
        """Names of inputs that are no example's, but the same for all of a step."""
        return {name for name, column in self.inputs.items() if isinstance(column, Shared)}

    def input(self, name):
        """Returns the values of an input, in order: an array (examples, ...), or a list of sequences."""
        return self.inputs[name].values(self.rows)

    def target(self, name):
        """Returns the values of a target, in order."""
        return self.targets[name].values(self.rows)

    def extra(self, name):
        """Returns the values of a column that only the evaluation looks at, in order."""
        return self.extras[name].values(self.rows)

    def lengths(self, name):
        """Returns the lengths of the sequences of a ragged input, (examples,)."""
        lengths = self.inputs[name].lengths
        return lengths if self.rows is None else lengths[self.rows]

    def steps_per_epoch(self, batch_size):
        """Returns the number of whole batches that come nearest to one pass over the examples."""
        return max(1, round(len(self) / batch_size))

    def stream(self, batch_size, seed, start, stop, shard=(0, 1)):
        """Returns shuffled training batches number `start` to `stop` of an endless stream.

        The batch of a step is a function of the seed and the step alone: a stream that begins at a step yields the same
        batches from there on.

        Args:
            batch_size: Examples in a batch.
            seed: Seed of order and transform.
            start: First step.
            stop: Step before which the stream ends.
            shard: Number of this process, from 0, and of all processes, each of which gets its share of every batch.

        Returns:
            A `tf.data.Dataset` of tuples (inputs, targets, weights), each (batch, ...); those that are not there are
            left out.
        """
        import tensorflow as tf

        (index, count), of_all = shard, self.shared

        def cut(inputs, *others):
            """Returns the rows of this process of a whole batch, which is changed and padded as that of one process."""
            if count == 1:
                return inputs, *others
            return own((inputs, *others), lambda part: part[index::count])

        def own(batch, take):
            """Returns what `take` makes of the arrays of a batch with a row for each example: of any number of them.

            A first axis of a known length is what tells a network that rows are no examples (`kit.training.engine`).
            """

            def taken(part):
                return tf.raw_ops.PlaceholderWithDefault(input=take(part), shape=[None, *part.shape[1:]])

            kept = {name: batch[0][name] for name in of_all}
            found = tf.nest.map_structure(taken, batch)
            return ({**found[0], **kept}, *found[1:]) if of_all else found

        if not self._has_fixed_shapes:

            def rows():
                return self.batching.training_rows(self, batch_size, seed, start, stop)

            size = batch_size if self.batching.has_fixed_size else None
            made = self._generated(rows, size, stop - start, self._read_at(seed, start))
            if self.transform is not None:
                steps = tf.data.Dataset.range(start, stop)
                zipped = tf.data.Dataset.zip(steps, made)
                return self._mapped(zipped, lambda step, found: cut(*self.transform(step, *found)))
            return made if count == 1 else self._mapped(made, cut)
        total, read = len(self), self._reader()

        def batch(step):
            chosen = self.batching.rows_at(step, total, batch_size, seed)
            if self.transform is None:
                return read(chosen) if count == 1 else own(read(chosen[index::count]), tf.identity)
            return cut(*self.transform(step, *read(chosen)))

        return self._mapped(tf.data.Dataset.range(start, stop), batch)

    def batches(self, batch_size):
        """Returns all examples once, in the order of `chunks`, not transformed."""
        import tensorflow as tf

        if not self._has_fixed_shapes:
            chunks = list(self.chunks(batch_size))
            return self._generated(lambda: iter(chunks), None, len(chunks))
        total, read = len(self), self._reader()

        def batch(step):
            return read(tf.range(step * batch_size, tf.minimum((step + 1) * batch_size, total)))

        return self._mapped(tf.data.Dataset.range(-(-total // batch_size)), batch)

    def chunks(self, batch_size, *limits):
        """Yields the rows of this split that are in each batch of `batches`; limits as the batching takes them."""
        return self.batching.chunks(self, batch_size, *limits)

    def arrays(self, rows):
        """Returns rows of this split as one batch of NumPy arrays."""
        rows = np.asarray(rows) if self.rows is None else self.rows[rows]
        indices = {}  # of columns that are looked up, several by the same

        def values(column):
            if not isinstance(column, Lookup):
                return column.take(rows)
            if id(column.index) not in indices:
                indices[id(column.index)] = column.index.take(rows)
            return column.look_up(indices[id(column.index)])

        return self._packed(values)

    def take(self, rows):
        """Returns the examples in the given rows of this split."""
        chosen = np.arange(len(self)) if self.rows is None else self.rows
        return dataclasses.replace(self, rows=chosen[rows])

    def of_values(self, values):
        """Returns examples of an array of other values, (examples, ...), as the input `values`."""
        return Examples({"values": Dense(values)})

    def join(self, others):
        """Returns these examples and then those of another split; weights of classes, if any, are those of these."""
        if self.weights is not None and others.weights is None:
            others = dataclasses.replace(others, weights=self._same_weights(others))
        groups = [
            {**part.inputs, **{f"{name} target": column for name, column in part.targets.items()}, **part.extras}
            | ({"weights": part.weights} if part.weights is not None else {})
            for part in (self, others)
        ]
        if all(column is groups[1][name] for name, column in groups[0].items()):
            both = [np.arange(len(part)) if part.rows is None else part.rows for part in (self, others)]
            return dataclasses.replace(self, rows=np.concatenate(both))

        def joined(mine, theirs):
            return {name: column.joined(theirs[name], self.rows, others.rows) for name, column in mine.items()}

        weights = None if self.weights is None else self.weights.joined(others.weights, self.rows, others.rows)
        return dataclasses.replace(
            self,
            inputs=joined(self.inputs, others.inputs),
            targets=joined(self.targets, others.targets),
            extras=joined(self.extras, others.extras),
            weights=weights,
            rows=None,
        )

    def _same_weights(self, others):
        """Returns the weights of other examples, those that these give to examples of the same label."""
        (name,) = self.targets
        if others.targets[name] is self.targets[name]:
            return self.weights
        weights = dict(zip(self.target(name).tolist(), self.weights.values(self.rows).tolist(), strict=True))
        labels = others.targets[name].array
        return Dense(np.array([weights.get(label, 1.0) for label in labels.tolist()], self.weights.array.dtype))

    @property
    def _has_fixed_shapes(self):
        columns = [*self.inputs.values(), *self.targets.values()]
        return all(column.has_fixed_shape for column in columns)

    def _packed(self, values):
        """Returns (inputs, targets, weights) of a function of columns; single columns stand for themselves."""
        inputs = {name: values(column) for name, column in self.inputs.items()}
        batch = [inputs if self.is_named or len(inputs) > 1 else next(iter(inputs.values()))]
        if self.targets:
            targets = {name: values(column) for name, column in self.targets.items()}
            batch.append(targets if len(targets) > 1 else next(iter(targets.values())))
        if self.weights is not None:
            batch.append(values(self.weights))
        return tuple(batch)

    def _reader(self):
        """Returns a function from rows of this split, a tensor, to a batch of tensors."""
        import tensorflow as tf

        readers = {id(column): column.reader() for column in self._columns()}
        with tf.device("cpu"):
            chosen = None if self.rows is None else tf.constant(self.rows)

        def read(rows):
            rows = rows if chosen is None else tf.gather(chosen, rows)
            return self._packed(lambda column: readers[id(column)](rows))

        return read

    def _columns(self):
        return [*self.inputs.values(), *self.targets.values(), *([] if self.weights is None else [self.weights])]

    def _mapped(self, steps, batch):
        # No Python here depends on a tensor: AutoGraph would rewrite its source to no effect, at some cost.
        import tensorflow as tf

        batch = tf.autograph.experimental.do_not_convert(batch)
        return prefetched(steps.map(batch, num_parallel_calls=os.cpu_count() or 1, deterministic=True))

    def _read_at(self, seed, start):
        """Returns a function from an iterator of the rows of steps to one of their batches."""
        if self.changed is None:
            return None
        return lambda rows: (self.changed(self, own, seed, step) for step, own in enumerate(rows, start))

    def _generated(self, rows, batch_size, count, read=None):
        """Returns a data set of batches that Python makes, given a function that returns an iterator of rows."""
        import tensorflow as tf

        read = read or functools.partial(map, self.arrays)
        made = generated(lambda: read(rows()), self._packed(lambda column: column.spec(batch_size)))
        return prefetched(made.apply(tf.data.experimental.assert_cardinality(count)))
