"""Splits of a data set, and streams of batches that can be taken up again at any step."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
import tensorflow as tf

from kit.errors import KitError, SettingError, check

# The thread that tunes a pipeline often sleeps on for five seconds when the pipeline is done; it gains nothing here.
_WITHOUT_AUTOTUNE = tf.data.Options()
_WITHOUT_AUTOTUNE.autotune.enabled = False


def prefetched(batches):
    """Returns a `tf.data.Dataset` of batches that are made ready while the one before is worked on."""
    return batches.prefetch(tf.data.AUTOTUNE).with_options(_WITHOUT_AUTOTUNE)


def generated(batches, signature, count):
    """Returns such a data set of batches that Python makes.

    Args:
        batches: Function that returns an iterator of batches, each of arrays.
        signature: `tf.TensorSpec` of each array.
        count: Number of batches.
    """
    made = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return prefetched(made.apply(tf.data.experimental.assert_cardinality(count)))


@dataclasses.dataclass
class Examples:
    """Examples of one split, in memory or on disk.

    Args:
        columns: Arrays of equal length, in the order that `keras.Model.fit` takes: inputs, labels, sample weights.
        load: Function from a batch of the first column to its tensor, for inputs that stay on disk; None where the
            column holds the inputs themselves.
        augment: Function `(step, *batch) -> batch` for the training stream, stateless in `step`; or None.
        shown: Number of columns that a model is given; those behind them are for the evaluation. None shows all.
    """

    columns: tuple
    load: Callable | None = None
    augment: Callable | None = None
    shown: int | None = None

    # For data that a model makes by acting: batches in a step, and whether a step needs the model as the one before it
    # has left it.
    batches_per_step = 1
    follows_model = False

    def __len__(self):
        return len(self.columns[0])

    def steps_per_epoch(self, batch_size):
        """Returns the number of whole batches that come nearest to one pass over the examples."""
        return max(1, round(len(self) / batch_size))

    def stream(self, batch_size, seed, start, stop):
        """Returns shuffled training batches number `start` to `stop` of an endless stream.

        The batch of a step is a function of the seed and the step alone: whoever starts again at a step sees what he
        would have seen. Every pass has its own order; a batch may end one pass and begin the next, so all are full.

        Args:
            batch_size: Examples in a batch.
            seed: Seed of order and augmentation.
            start: First step.
            stop: Step before which the stream ends.

        Returns:
            A `tf.data.Dataset` of tuples, each column (batch, ...).
        """
        total = len(self)
        columns = self._columns_on_host()

        def read(step):
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
            row = tf.raw_ops.RandomIndexShuffle(
                index=position % total,
                seed=pass_seed,
                max_index=tf.cast(total - 1, tf.int64),
                rounds=4,
            )
            return self._rows(columns, row)

        def augmented(step):
            return self.augment(step, *read(step))

        return prefetched(
            tf.data.Dataset.range(start, stop).map(
                augmented if self.augment else read,
                num_parallel_calls=tf.data.AUTOTUNE,
                deterministic=True,
            )
        )

    def batches(self, batch_size):
        """Returns all examples once, in order, not augmented; the last batch may be short."""
        total = len(self)
        columns = self._columns_on_host()

        def read(step):
            stop = tf.minimum((step + 1) * batch_size, total)
            return self._rows(columns, tf.range(step * batch_size, stop))

        return prefetched(
            tf.data.Dataset.range(-(-total // batch_size)).map(
                read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
            )
        )

    def _columns_on_host(self):
        """Returns the columns as tensors in main memory; a captured tensor is shared by all batches, not copied."""
        with tf.device("cpu"):
            return [tf.constant(column) for column in self.columns[: self.shown]]

    def _rows(self, columns, row):
        batch = [tf.gather(column, row) for column in columns]
        if self.load is not None:
            batch[0] = self.load(batch[0])
        return tuple(batch)

    def take(self, rows):
        """Returns the examples in the given rows."""
        return dataclasses.replace(self, columns=tuple(column[rows] for column in self.columns))

    def join(self, others):
        """Returns these examples and then those of another split; weights of classes, if any, are those of these."""
        columns = others.columns
        if len(columns) < len(self.columns):
            weight = dict(zip(self.columns[1].tolist(), self.columns[2], strict=True))
            columns = (*columns, np.array([weight[label] for label in columns[1].tolist()]))
        pairs = zip(self.columns, columns, strict=True)
        return dataclasses.replace(self, columns=tuple(np.concatenate(pair) for pair in pairs))


@dataclasses.dataclass
class Splits:
    """A data set ready for training.

    Args:
        train: Examples that weights are fitted to.
        validation: Examples that early stopping and the choice of the best epoch look at.
        test: Examples that are read once, after training; nothing is chosen on them.
        facts: What a builder needs to know of the data: its parameters without a default.
        assets: What prediction needs beside the model, such as class names; plain JSON values.
        assignment: Table with columns `example`, `split` and perhaps `label`: which example went where.
        settings: Settings of `[data]` that were resolved on the way, such as a path made absolute.
        monitors: Those of the recipe's monitors that this data allows, the default first; None allows all.
        unlabelled: More training examples, whose labels are not to be used; or None.
        keep: Function of a run's folder of assets that keeps there, or brings back, what scoring needs beside the
            assets; or None.
    """

    train: Examples
    validation: Examples
    test: Examples
    facts: dict
    assets: dict
    assignment: pd.DataFrame
    settings: dict = dataclasses.field(default_factory=dict)
    monitors: tuple | None = None
    unlabelled: Examples | None = None
    keep: Callable | None = None


SPLITS = ("train", "validation", "test")


def assign(names, given, validation_fraction, test_fraction, seed, saved, *, labels=None, class_names=None):
    """Decides which example belongs to which split.

    Args:
        names: Name of each example, (examples,).
        given: Split that the source itself prescribes for each example: "train", "validation" or "test"; None where it
            prescribes none. A split that is missing is taken from the training examples.
        validation_fraction: Share of the training examples that becomes the validation split.
        test_fraction: Share of all examples that becomes the test split.
        seed: Seed of the draw.
        saved: An earlier assignment that is used again instead of a new draw, or None.
        labels: Class of each example, (examples,), to draw the same share of every class; or None.
        class_names: Name of each class, with `labels`.

    Returns:
        Table with columns `example`, `split` and, with labels, `label`.

    Raises:
        KitError: a class has too few examples, or the examples are not those of the saved assignment.
        SettingError: a fraction is out of range.
    """
    from sklearn.model_selection import train_test_split

    if saved is not None:
        if list(saved["example"]) != list(names):
            raise KitError(
                f"the data changed since this run was started: it had {len(saved)} examples, now there are "
                f"{len(names)} or their names differ; expected the same files"
            )
        if labels is not None and "label" in saved and (saved["label"].to_numpy() != labels).any():
            row = int(np.flatnonzero(saved["label"].to_numpy() != labels)[0])
            raise KitError(f"the data changed since this run was started: {names[row]} has another label")
        return saved
    split = np.full(len(names), "train", dtype=object)
    if given is not None:
        split[:] = given
    for name, fraction in (
        ("test", test_fraction),
        ("validation", validation_fraction),
    ):
        is_given = (split == name).any()
        is_share = 0 < fraction < 1 or (is_given and fraction == 0)
        check(is_share, f"{name}_fraction", fraction, "a share between 0 and 1")
        if is_given:
            continue
        rows = np.flatnonzero(split == "train")
        missing = 2 if name == "validation" else 3 - int("validation" in split)
        if labels is not None:
            counts = np.bincount(labels[rows], minlength=len(class_names))
            scarce = int(np.argmin(counts))
            if counts[scarce] < missing:
                raise KitError(
                    f"class {class_names[scarce]!r} has {counts[scarce]} images to divide; expected at least "
                    f"{missing}, one for each split"
                )
        elif len(rows) < missing:
            raise KitError(f"{len(rows)} examples to divide; expected at least {missing}, one for each split")
        least = 1 if labels is None else len(class_names)
        size = max(round(fraction * len(rows)), least)
        if size > len(rows) - least:
            classes = "" if labels is None else f" on {least} classes"
            raise SettingError(
                f"{name}_fraction", f"{fraction} of {len(rows)} examples leaves too few to train{classes}"
            )
        stratify = None if labels is None else labels[rows]
        _, drawn = train_test_split(rows, test_size=size, stratify=stratify, random_state=seed)
        split[drawn] = name
    table = pd.DataFrame({"example": names, "split": split})
    return table if labels is None else table.assign(label=labels)
