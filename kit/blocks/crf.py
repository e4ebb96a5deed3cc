"""Linear-chain conditional random field: layer, loss, Viterbi decoding and marginals.

Lafferty, McCallum and Pereira, "Conditional Random Fields", 2001; on top of a network: Huang, Xu and Yu, "Bidirectional
LSTM-CRF Models for Sequence Tagging", 2015.

The layer's output holds all that the others need: the *potentials* (batch, time, tags, tags), where entry (i, j) at a
position is the score of going there from tag i before it to tag j. Start and end scores, forbidden transitions and
padding are inside: at a padded position every tag may only repeat itself, for nothing. So loss, decoding and marginals
are pure functions of the potentials, need no mask, and the model is an ordinary functional one for `fit`, `predict` and
`save`.
"""

import keras
import numpy as np
from keras import layers, ops
from keras.config import floatx

from kit.errors import check

# A score that no path survives, small enough in size that sums of it stay finite in float32.
IMPOSSIBLE = -1e9


@keras.saving.register_keras_serializable("kit")
class CRF(layers.Layer):
    """Adds transitions between neighbouring tags to a network's tag scores.

    Computes in Keras' floatx, float32, under every dtype policy: sums over all paths lose small scores in few bits.

    Args:
        start_and_end: Learn a score for each tag at the first and at the last position, too.

    Shape:
        in: tag scores (batch, time, tags); `mask` (batch, time), True at real positions, which come first, or None if
            all are
        out: potentials (batch, time, tags, tags): from, to
    """

    def __init__(self, start_and_end=True, **kwargs):
        super().__init__(**{"dtype": floatx(), **kwargs})
        self.start_and_end = start_and_end
        self.supports_masking = True
        # XLA cannot take the gradient of `ops.scan`, whose number of steps it does not know.
        self.supports_jit = False

    def build(self, inputs_shape, mask_shape=None):
        tags = inputs_shape[-1]
        self.transitions = self.add_weight((tags, tags), "glorot_uniform", name="transitions")  # (from, to)
        if self.start_and_end:
            self.start = self.add_weight((tags,), "zeros", name="start")
            self.end = self.add_weight((tags,), "zeros", name="end")
        # Weights, so that they are saved with the model; `allow` sets them.
        shapes = {"transitions": (tags, tags), "starts": (tags,), "ends": (tags,)}
        self.allowed = {
            name: self.add_weight(shape, "ones", trainable=False, name=f"allowed_{name}")
            for name, shape in shapes.items()
        }

    def allow(self, transitions=None, starts=None, ends=None):
        """Forbids what is not allowed: forbidden paths have probability zero in training and are never decoded.

        Args:
            transitions: Which tag may follow which, booleans (from, to); None leaves it as it is.
            starts: Which tag may be the first of a sequence, booleans (tags,); None leaves it as it is.
            ends: Which tag may be the last of a sequence, booleans (tags,); None leaves it as it is.

        Raises:
            ValueError: an array has another shape.
        """
        for name, value in (("transitions", transitions), ("starts", starts), ("ends", ends)):
            if value is not None:
                value, shape = np.asarray(value, "float32"), tuple(self.allowed[name].shape)
                check(value.shape == shape, name, value.shape, f"an array of shape {shape}")
                self.allowed[name].assign(value)

    def call(self, inputs, mask=None):
        tags = inputs.shape[-1]
        inputs = ops.cast(inputs, self.compute_dtype)
        if mask is None:
            mask = ops.ones_like(inputs[..., 0], "bool")
        start, transitions, end = ((1 - self.allowed[name]) * IMPOSSIBLE for name in ("starts", "transitions", "ends"))
        transitions = transitions + self.transitions
        if self.start_and_end:
            start, end = start + self.start, end + self.end
        first = ops.arange(ops.shape(inputs)[1], dtype="int32") == 0  # (time,)
        scores = ops.where(first[:, None, None], start[None, None, :], transitions[None])  # (time, from, to)
        followed = ops.concatenate([mask[:, 1:], ops.zeros_like(mask[:, :1])], axis=1)
        last = ops.cast(ops.logical_and(mask, ops.logical_not(followed)), self.compute_dtype)  # (batch, time)
        inputs = inputs + last[..., None] * end
        potentials = scores[None] + inputs[:, :, None, :]  # (batch, time, from, to)
        padding = (1 - ops.eye(tags)) * IMPOSSIBLE
        return ops.where(mask[:, :, None, None], potentials, padding[None, None])

    def compute_mask(self, inputs, mask=None):
        return None  # padding is in the potentials

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        return (*inputs_shape, inputs_shape[-1])

    def get_config(self):
        return {**super().get_config(), "start_and_end": self.start_and_end}


def _start(potentials):
    """Returns what stands before the first position (batch, tags), a tag 0 that was there for sure, and the potentials
    with the time in front."""
    virtual = ops.arange(potentials.shape[-1], dtype="int32") != 0
    before = ops.zeros_like(potentials[:, 0, 0]) + ops.cast(virtual, potentials.dtype) * IMPOSSIBLE
    return before, ops.transpose(potentials, (1, 0, 2, 3))


def _forward(potentials):
    """Sums over all paths from the start.

    Returns:
        The log of each tag's share among the paths that end at a position (batch, time, tags), and how much each
        position adds to the log of the sum over all paths (batch, time).
    """
    before, steps = _start(potentials)

    def step(carry, potential):
        before, _ = carry
        scores = ops.logsumexp(before[:, :, None] + potential, axis=1)  # (batch, tags)
        growth = ops.logsumexp(scores, axis=-1, keepdims=True)  # (batch, 1)
        carry = scores - growth, growth
        return carry, carry

    _, (shares, growths) = ops.scan(step, (before, before[:, :1]), steps)  # (time, batch, ...)
    return ops.transpose(shares, (1, 0, 2)), ops.transpose(growths[..., 0])


def log_partition(potentials):
    """Returns the log of the sum over all paths of exp(score).

    Shape:
        in: (batch, time, tags, tags)
        out: (batch,)
    """
    return ops.sum(_forward(potentials)[1], axis=1)


def path_scores(potentials, tags):
    """Returns what each position adds to the score of a given path.

    Shape:
        potentials: (batch, time, tags, tags)
        tags: (batch, time) integers; any value at padded positions
        out: (batch, time)
    """
    count = potentials.shape[-1]
    tags = ops.clip(ops.cast(tags, "int32"), 0, count - 1)
    before = ops.concatenate([ops.zeros_like(tags[:, :1]), tags[:, :-1]], axis=1)
    flat = ops.reshape(potentials, (*ops.shape(potentials)[:2], count * count))
    return ops.take_along_axis(flat, (before * count + tags)[..., None], axis=2)[..., 0]


def viterbi(potentials):
    """Finds the path of the highest score.

    Viterbi, "Error bounds for convolutional codes", 1967. Of equal paths the one with the lower last tag is taken.

    Shape:
        in: (batch, time, tags, tags)
        out: (batch, time) int32; padded positions repeat the tag before them
    """
    before, steps = _start(potentials)

    def step(before, potential):
        scores = ops.max(before[:, :, None] + potential, axis=1)  # (batch, tags)
        return scores, scores

    last, scores = ops.scan(step, before, steps)  # (time, batch, tags)
    before = ops.concatenate([before[None], scores], axis=0)[:-1]
    origins = ops.argmax(before[..., None] + steps, axis=2)  # (time, batch, tags): the best tag to come from
    tag = ops.cast(ops.argmax(last, axis=-1), "int32")  # (batch,)

    def back(after, origin):
        tag = ops.take_along_axis(origin, after[:, None], axis=1)[:, 0]
        return tag, tag

    _, path = ops.scan(back, tag, ops.cast(origins, "int32"), reverse=True)  # (time, batch): the tag before each
    return ops.transpose(ops.concatenate([path[1:], tag[None]], axis=0))


def marginals(potentials):
    """Returns the probability of each tag at each position, over all paths (forward-backward algorithm).

    Shape:
        in: (batch, time, tags, tags)
        out: (batch, time, tags)
    """
    shares, _ = _forward(potentials)
    _, steps = _start(potentials)
    end = ops.zeros_like(shares[:, 0])

    def step(after, potential):
        scores = ops.logsumexp(potential + after[:, None, :], axis=2)  # (batch, tags)
        scores = scores - ops.max(scores, axis=-1, keepdims=True)
        return scores, scores

    _, onward = ops.scan(step, end, steps, reverse=True)  # (time, batch, tags): from the tag before each
    onward = ops.concatenate([onward[1:], end[None]], axis=0)
    return ops.softmax(shares + ops.transpose(onward, (1, 0, 2)), axis=-1)


@keras.saving.register_keras_serializable("kit")
class CRFNegativeLogLikelihood(keras.losses.Loss):
    """How improbable the right path is among all paths, per real position.

    Each position counts what it adds to log(sum over all paths) minus the right path's score, so that the values of a
    sequence sum to its negative log-likelihood. With the default reduction the loss is their mean over real positions:
    as large as a cross-entropy of single tags, whatever the padding.

    Args:
        ignore_class: Tag that marks padded positions.
        reduction: As for every Keras loss.
        name: Name of the loss.

    Shape:
        y_true: (batch, time) integers
        y_pred: potentials (batch, time, tags, tags), see `CRF`
    """

    def __init__(self, ignore_class=-1, reduction="sum_over_batch_size", name="crf_negative_log_likelihood", **kwargs):
        super().__init__(name=name, reduction=reduction, **kwargs)
        self.ignore_class = ignore_class

    def call(self, y_true, y_pred):
        y_true = ops.cast(y_true, "int32")
        y_pred = ops.cast(y_pred, floatx())
        real = ops.cast(y_true != self.ignore_class, floatx())
        _, growths = _forward(y_pred)
        losses = real * (growths - path_scores(y_pred, y_true))  # (batch, time)
        return losses * (ops.cast(ops.size(losses), floatx()) / ops.maximum(ops.sum(real), 1.0))

    def get_config(self):
        return {**super().get_config(), "ignore_class": self.ignore_class}
