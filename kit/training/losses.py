"""Losses that Keras lacks."""

import functools
import math

import keras
from keras import ops
from keras.config import floatx

from kit.errors import check


def _smooth(shares, label_smoothing):
    return (1 - label_smoothing) * ops.cast(shares, floatx()) + label_smoothing / shares.shape[-1]


def _crossentropy(labels, logits, label_smoothing):
    """Returns the cross-entropy (batch, ...) of integer labels, with a derivative of its own.

    It looks at the logits, which over a large vocabulary are most of the memory of a step, as few times as possible;
    TensorFlow's own with label smoothing written beside it takes several times as long on a CPU.
    """

    @ops.custom_gradient
    def loss_of(logits):
        shares = ops.softmax(logits, axis=-1)
        # The logarithm of the sum of powers, from the largest one: exact, however small the others are.
        total = ops.max(logits, axis=-1) - ops.log(ops.max(shares, axis=-1))
        target = ops.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]
        loss = total - (1 - label_smoothing) * target
        if label_smoothing:
            loss = loss - label_smoothing * ops.mean(logits, axis=-1)

        def derivative(*arguments, upstream=None):
            upstream = ops.reshape(arguments[0] if upstream is None else upstream, (-1,))
            classes = logits.shape[-1]
            flat = ops.reshape(shares, (-1, classes))
            even = label_smoothing / classes
            slopes = (flat - even if label_smoothing else flat) * upstream[:, None]
            of_target = ops.exp(ops.reshape(target - total, (-1,))) - even - (1 - label_smoothing)
            places = ops.stack([ops.arange(ops.shape(flat)[0], dtype="int32"), ops.reshape(labels, (-1,))], axis=1)
            slopes = ops.scatter_update(slopes, places, of_target * upstream)
            return ops.reshape(slopes, ops.shape(logits))

        return loss, derivative

    return loss_of(logits)


@keras.saving.register_keras_serializable("kit")
class SparseCategoricalCrossentropy(keras.losses.Loss):
    """Cross-entropy of integer labels and logits with label smoothing, which Keras' own does not offer.

    Where images are mixed in training, their labels may be shares of the classes instead.

    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015, section 7. Computed as the
    mixture of the label's and the mean class's log-probability, without one-hot labels. The last axis is the classes;
    any number of axes may stand before it.

    Args:
        label_smoothing: Share of the target that is spread evenly over all classes, from 0 to below 1.
        ignore_class: Label that does not count, such as that of padding; the loss then is the mean over the others.
        reduction: As for every Keras loss.
        name: Name of the loss.

    Shape:
        y_true: (batch, ...), or shares (batch, ..., classes)
        y_pred: (batch, ..., classes), logits

    Raises:
        SettingError: `label_smoothing` is out of range.
    """

    def __init__(
        self,
        label_smoothing=0.0,
        ignore_class=None,
        reduction="sum_over_batch_size",
        name="sparse_categorical_crossentropy",
        **kwargs,
    ):
        super().__init__(name=name, reduction=reduction, **kwargs)
        check(
            0 <= label_smoothing < 1,
            "label_smoothing",
            label_smoothing,
            "a number from 0 to below 1",
        )
        self.label_smoothing = label_smoothing
        self.ignore_class = ignore_class

    def __call__(self, y_true, y_pred, sample_weight=None):
        if self.ignore_class is not None:
            shorter = getattr(y_pred, "crossentropy", None)
            y_pred = ops.copy(y_pred)  # without the mask that Keras may have put on it, and would count a second time
            if shorter is not None:
                y_pred.crossentropy = shorter
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        if len(y_true.shape) == len(y_pred.shape):
            if y_true.shape[-1] == y_pred.shape[-1]:
                return ops.categorical_crossentropy(_smooth(y_true, self.label_smoothing), y_pred, from_logits=True)
            y_true = ops.squeeze(y_true, -1)  # Keras gives (batch,) as (batch, 1)
        y_true = ops.cast(y_true, "int32")
        real = None
        if self.ignore_class is not None:
            real = y_true != self.ignore_class
            y_true = ops.where(real, y_true, 0)
        # Logits of a last layer that knows a shorter way from what it was given, see `kit.training.fused`.
        crossentropy = getattr(y_pred, "crossentropy", None) or functools.partial(_crossentropy, logits=y_pred)
        loss = crossentropy(labels=y_true, label_smoothing=self.label_smoothing)
        if real is not None:
            # Scaled so that Keras' mean over all positions is the mean over those that count.
            real = ops.cast(real, loss.dtype)
            loss = loss * real * (ops.cast(ops.size(loss), loss.dtype) / ops.maximum(ops.sum(real), 1.0))
        return loss

    def get_config(self):
        return {
            **super().get_config(),
            "label_smoothing": self.label_smoothing,
            "ignore_class": self.ignore_class,
        }


@keras.saving.register_keras_serializable("kit")
class Auxiliary(keras.losses.Loss):
    """The loss of a network's answer, and with a weight those of the classifiers in its middle.

    Args:
        loss: Loss of one answer.
        weight: Factor of those in the middle.
        name: Name of the loss.

    Shape:
        y_true: as the loss of one answer takes it
        y_pred: (batch, answers, classes), the network's own first
    """

    def __init__(self, loss, weight=0.3, name="auxiliary", **kwargs):
        super().__init__(name=name, **kwargs)
        check(weight >= 0, "auxiliary_weight", weight, "at least 0")
        self.loss = loss
        self.weight = weight

    def call(self, y_true, y_pred):
        first, *others = (self.loss.call(y_true, y_pred[:, index]) for index in range(y_pred.shape[1]))
        return first + self.weight * sum(others)

    def get_config(self):
        loss = keras.saving.serialize_keras_object(self.loss)
        return {**super().get_config(), "loss": loss, "weight": self.weight}

    @classmethod
    def from_config(cls, config):
        return cls(**config | {"loss": keras.saving.deserialize_keras_object(config["loss"])})


@keras.saving.register_keras_serializable("kit")
class NegativeLogLikelihood(keras.losses.Loss):
    """How improbable an image is, in nats, given the means of its pixels.

    "bernoulli" takes a pixel for the probability of white: then it is the cross-entropy, summed over the pixels.
    "gaussian" takes it for a number with an error; the result is a density, and may be negative.

    Args:
        likelihood: "bernoulli" or "gaussian".
        stddev: Standard deviation of the error, as a share of the range of pixels.
        reduction: As for every Keras loss.
        name: Name of the loss.

    Shape:
        y_true, y_pred: (batch, height, width, channels), pixels from 0 to 255
    """

    def __init__(self, likelihood="bernoulli", stddev=0.1, reduction="sum_over_batch_size", name="nats"):
        super().__init__(name=name, reduction=reduction)
        self.likelihood, self.stddev = likelihood, stddev

    def call(self, y_true, y_pred):
        true, mean = (ops.cast(images, floatx()) / 255.0 for images in (y_true, y_pred))
        if self.likelihood == "bernoulli":
            mean = ops.clip(mean, 1e-6, 1 - 1e-6)
            nats = -(true * ops.log(mean) + (1.0 - true) * ops.log(1.0 - mean))
        else:
            nats = 0.5 * ops.square((true - mean) / self.stddev) + math.log(self.stddev * math.sqrt(2 * math.pi))
        return ops.sum(nats, axis=tuple(range(1, len(true.shape))))

    def get_config(self):
        return {**super().get_config(), "likelihood": self.likelihood, "stddev": self.stddev}


@keras.saving.register_keras_serializable("kit")
class BinaryCrossentropy(keras.losses.Loss):
    """Cross-entropy of several labels, each of which an example has or has not, with a weight of those that it has.

    Args:
        label_smoothing: Share of each target that is moved to one half, from 0 to below 1.
        positive_weights: Factor of the loss of an example that has a label, for each label; None is 1.
        ignore_class: Value of a label that does not count, or None; the loss then is the mean over the others.
        name: Name of the loss.

    Shape:
        y_true: (batch, labels), 0 or 1, or `ignore_class`
        y_pred: (batch, labels), logits

    Raises:
        SettingError: `label_smoothing` is out of range.
    """

    def __init__(
        self, label_smoothing=0.0, positive_weights=None, ignore_class=None, name="binary_crossentropy", **kwargs
    ):
        super().__init__(name=name, **kwargs)
        self.ignore_class = ignore_class
        check(0 <= label_smoothing < 1, "label_smoothing", label_smoothing, "a number from 0 to below 1")
        self.label_smoothing = label_smoothing
        self.positive_weights = None if positive_weights is None else [float(each) for each in positive_weights]

    def call(self, y_true, y_pred):
        real = None if self.ignore_class is None else ops.cast(y_true != self.ignore_class, y_pred.dtype)
        y_true = ops.cast(y_true, y_pred.dtype)
        shares = (1 - self.label_smoothing) * y_true + 0.5 * self.label_smoothing
        loss = ops.softplus(y_pred) - shares * y_pred  # (batch, labels)
        if self.positive_weights is not None:
            loss = loss * (1 + y_true * (ops.convert_to_tensor(self.positive_weights, y_pred.dtype) - 1))
        if real is not None:  # scaled so that Keras' mean over all labels is the mean over those that count
            loss = loss * real * (ops.cast(ops.size(loss), loss.dtype) / ops.maximum(ops.sum(real), 1.0))
        return ops.mean(loss, axis=-1)

    def get_config(self):
        return {
            **super().get_config(),
            "label_smoothing": self.label_smoothing,
            "positive_weights": self.positive_weights,
            "ignore_class": self.ignore_class,
        }


@keras.saving.register_keras_serializable("kit")
class QuantileLoss(keras.losses.Loss):
    """Pinball loss of several quantiles: least where a share of the true numbers that is the level lies below each.

    Koenker and Bassett, "Regression Quantiles", 1978.

    Args:
        levels: Level of each quantile, between 0 and 1.
        name: Name of the loss.

    Shape:
        y_true: (batch, 1)
        y_pred: (batch, levels)
    """

    def __init__(self, levels=(0.5,), name="quantile_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.levels = [float(level) for level in levels]

    def call(self, y_true, y_pred):
        above = ops.cast(y_true, y_pred.dtype) - y_pred  # (batch, levels)
        levels = ops.convert_to_tensor(self.levels, y_pred.dtype)
        return ops.mean(ops.maximum(levels * above, (levels - 1) * above), axis=-1)

    def get_config(self):
        return {**super().get_config(), "levels": self.levels}


@keras.saving.register_keras_serializable("kit")
class RankingLoss(keras.losses.Loss):
    """Loss of what was taken among items drawn beside it.

    "sampled_softmax": cross-entropy of what was taken among all (Bengio and Senécal, 2008). "bpr": that it is scored
    higher than another, the logarithm of the sigmoid of the difference (Rendle et al., 2009). "bce": binary
    cross-entropy of what was taken, and of the mean of the others.

    Args:
        kind: Which of them.
        ignore_class: Label of a position that does not count; the loss then is the mean over the others.
        name: Name of the loss.

    Shape:
        y_true: (batch, time), 0, or `ignore_class`
        y_pred: (batch, time, 1 + others), scores, that of what was taken first
    """

    def __init__(self, kind="sampled_softmax", ignore_class=None, name="ranking_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.kind, self.ignore_class = kind, ignore_class

    def call(self, y_true, y_pred):
        own, others = y_pred[..., 0], y_pred[..., 1:]
        if self.kind == "sampled_softmax":
            loss = ops.logsumexp(y_pred, axis=-1) - own
        elif self.kind == "bpr":
            loss = ops.mean(ops.softplus(others - own[..., None]), axis=-1)
        else:
            loss = ops.softplus(-own) + ops.mean(ops.softplus(others), axis=-1)
        return _of_those_that_count(loss, y_true, self.ignore_class)

    def get_config(self):
        return {**super().get_config(), "kind": self.kind, "ignore_class": self.ignore_class}


@keras.saving.register_keras_serializable("kit")
class SquaredError(keras.losses.Loss):
    """Squared error of numbers, some of which do not count.

    Args:
        ignore_class: Value of a number that does not count; the loss then is the mean over the others.
        name: Name of the loss.

    Shape:
        y_true, y_pred: (batch, ...)
    """

    def __init__(self, ignore_class=None, name="squared_error", **kwargs):
        super().__init__(name=name, **kwargs)
        self.ignore_class = ignore_class

    def call(self, y_true, y_pred):
        counts = ops.ones_like(y_true) if self.ignore_class is None else ops.cast(y_true != self.ignore_class, floatx())
        error = ops.square(ops.where(counts > 0, y_true - y_pred, 0.0))
        return _of_those_that_count(error, y_true, self.ignore_class)

    def get_config(self):
        return {**super().get_config(), "ignore_class": self.ignore_class}


def _of_those_that_count(loss, labels, ignored):
    """Returns a loss scaled so that Keras' mean over all positions is the mean over those whose label counts."""
    if ignored is None:
        return loss
    real = ops.cast(labels != ignored, loss.dtype)
    return loss * real * (ops.cast(ops.size(loss), loss.dtype) / ops.maximum(ops.sum(real), 1.0))
