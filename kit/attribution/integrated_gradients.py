"""Integrated gradients: how much each part of an input adds to an answer, beside that for a baseline.

Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", 2017.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from kit import backend

# A difference of answers that is smaller than this, in nats, is none that anyone asks after.
_SMALL = 0.1


@dataclasses.dataclass(frozen=True)
class Attribution:
    """Parts of an answer.

    Args:
        values: What each part of the input adds, shaped as the input.
        answer: Answer for the input.
        baseline: Answer for the baseline.
    """

    values: np.ndarray
    answer: float
    baseline: float

    @property
    def gap(self):
        """Completeness error: share of `answer - baseline` by which the sum of the attributions misses it; 0 is none.

        Of a smaller difference than 0.1 it is a share of 0.1.
        """
        difference = self.answer - self.baseline
        return abs(float(self.values.sum(dtype="float64")) - difference) / max(abs(difference), _SMALL)


def integrated_gradients(gradients, inputs, baseline, *, steps=64, batch_size=16):
    """Integrates the gradients of an answer on the straight way from a baseline to an input.

    The values add up to the difference of the two answers (completeness), up to what the sum of `steps` gradients, at
    the nodes of Gauss and Legendre, misses of the integral.

    Args:
        gradients: Function from inputs (batch, ...) to their answers (batch,) and the gradients of these, such as
            `gradients_of` returns.
        inputs: One input.
        baseline: An input of the same shape that says nothing, such as a black image.
        steps: Points on the way.
        batch_size: Points in a call.

    Returns:
        `Attribution`.
    """
    inputs, baseline = (np.asarray(each, "float32") for each in (inputs, baseline))
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    shares, weights = (nodes + 1) / 2, weights / 2  # of the way from 0 to 1
    shape = (-1, *[1] * inputs.ndim)
    total = np.zeros(inputs.shape, "float64")
    for start in range(0, steps, batch_size):
        part = slice(start, start + batch_size)
        points = baseline + shares[part].reshape(shape).astype("float32") * (inputs - baseline)
        _, slopes = gradients(points)
        total += (weights[part].reshape(shape) * np.asarray(slopes, "float64")).sum(0)
    answers, _ = gradients(np.stack([inputs, baseline]))
    answer, before = np.asarray(answers, "float64")
    return Attribution(total * (inputs.astype("float64") - baseline), float(answer), float(before))


def gradients_of(answer, shape):
    """Returns a compiled function from inputs (and more arguments) to answers and the gradients by the inputs.

    Args:
        answer: Function `(inputs, *more)` from tensors (batch, ...) to answers (batch,).
        shape: Shape of an input without the batch; None where it may differ from call to call.
    """
    backend.need_tensorflow("explain answers")

    @tf.function(reduce_retracing=True)
    def compiled(inputs, *more):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            answers = answer(inputs, *more)
        return answers, tape.gradient(answers, inputs, unconnected_gradients="zero")

    def called(inputs, *more):
        inputs = tf.ensure_shape(tf.convert_to_tensor(inputs, tf.float32), (None, *shape))
        return compiled(inputs, *(tf.convert_to_tensor(each) for each in more))

    return called
