"""Gradients of every registered family: those of parts of a batch add up to what its whole has.

Optimizers see what several processes have added up. What is looked up for each example may come as rows, one for each
example; what the examples share must come as one array, since Adam squares rows one by one.
"""

import inspect

import numpy as np
import pytest
import tensorflow as tf

from kit.models import series, tabular, text
from kit.models.text import seq2seq, text_to_text
from tests.models import test_seq2seq, test_series, test_tabular, test_text, test_vision


def first_of_each(table):
    """Returns a variant of each family of a table."""
    return {build: name for name, (build, _) in reversed(table.items())}.values()


def of_tokens(table, variant, separator=0, **more):
    build, defaults = table[variant]
    known = inspect.signature(build).parameters
    small = {"dim": 8, "depth": 1, "num_heads": 2, "feedforward_dim": 16, "buckets": 50, **more}
    small = {key: value for key, value in small.items() if key in known}
    return build(12, separator, **{**defaults, **small}, name=variant)


def texts_to_texts(variant):
    function, defaults = text_to_text.VARIANTS[variant]
    small = {"dim": 8, "depth": 1, "num_heads": 2, "head_dim": 4, "feedforward_dim": 16}
    return function(12, 0, **{**defaults, **small}, name=variant)


def is_of_patches(name):
    """Tells whether a network for images may look anything up; convolutions alone do not."""
    return "vit" in name or "swin" in name


IDS = np.random.default_rng(0).integers(1, 12, (4, 6)).astype("int32")
SEQUENCES = np.random.default_rng(0).normal(size=(4, 6, 8)).astype("float32")
MASK = np.arange(6) < np.array([6, 3, 1, 2])[:, None]
IMAGES = np.random.default_rng(0).integers(0, 255, (4, 28, 28, 1)).astype("float32")
CASES = {
    **{name: (lambda name=name: test_vision.build(name), IMAGES) for name in filter(is_of_patches, test_vision.SMALL)},
    **{f"text {name}": (lambda name=name: test_text.build(name), [SEQUENCES, MASK]) for name in text.VARIANTS},
    **{
        name: (lambda name=name: of_tokens(text.OF_TOKENS, name), {"ids": IDS, "segments": 0 * IDS})
        for name in first_of_each(text.OF_TOKENS)
    },
    **{
        f"writer {name}": (lambda name=name: of_tokens(text.CAUSAL, name, None, length=6), IDS)
        for name in first_of_each(text.CAUSAL)
    },
    **{
        f"seq2seq {name}": (lambda name=name: test_seq2seq.build(name), [SEQUENCES, MASK, SEQUENCES])
        for name in seq2seq.VARIANTS
    },
    **{name: (lambda name=name: texts_to_texts(name), [IDS, IDS]) for name in ("t5_tiny", "switch_t5_tiny")},
    **{f"series {name}": (lambda name=name: test_series.build(name), SEQUENCES[..., :3]) for name in series.VARIANTS},
    **{name: (lambda name=name: test_tabular.built(name), None) for name in tabular.VARIANTS},
}


def gradients(model, inputs, rows):
    """Returns the gradient of each weight, the mean over some rows of a batch."""
    chosen = tf.nest.map_structure(lambda values: tf.constant(values[rows]), inputs)
    with tf.GradientTape() as tape:
        losses = sum(tf.reduce_sum(tf.sin(each)) for each in tf.nest.flatten(model(chosen, training=False)))
        loss = losses / len(rows)
    return tape.gradient(loss, [each.value for each in model.trainable_variables])


def added(parts):
    """Returns the mean of gradients, as rows where they are rows."""
    if isinstance(parts[0], tf.IndexedSlices):
        values = tf.concat([part.values for part in parts], 0) / len(parts)
        return tf.IndexedSlices(values, tf.concat([part.indices for part in parts], 0), parts[0].dense_shape)
    return sum(parts) / len(parts)


def squared(gradient):
    """Returns what Adam has of a gradient in its second moment."""
    if isinstance(gradient, tf.IndexedSlices):
        return tf.convert_to_tensor(tf.IndexedSlices(gradient.values**2, gradient.indices, gradient.dense_shape))
    return gradient**2


@pytest.mark.parametrize("case", sorted(CASES))
def test_gradients_of_parts_of_a_batch_are_those_of_the_whole(case, in_float64):
    build, inputs = CASES[case]
    model = build()
    if inputs is None:
        inputs = {name: test_tabular.ROWS[name][:4] for name in model.input}
    whole = gradients(model, inputs, [0, 1, 2, 3])
    halves = [gradients(model, inputs, rows) for rows in ([0, 2], [1, 3])]
    for weight, one, *parts in zip(model.trainable_variables, whole, *halves, strict=True):
        if one is None:
            continue
        for read in (tf.convert_to_tensor, squared):
            found, expected = read(added(parts)), read(one)
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-13, err_msg=weight.path)
