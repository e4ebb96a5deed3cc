"""Metrics that Keras lacks."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("kit")
class Accuracy(keras.metrics.Mean):
    """Share of the positions whose best logit is that of the label.

    Keras' own take either integer labels or shares of classes, whatever the first batch has; this one takes both in
    turn, and knows positions that do not count.

    Args:
        ignore_class: Label that does not count, such as that of padding; or None.
        name: Name of the metric.
        dtype: As for every Keras metric.

    Shape:
        y_true: (batch, ...) integers, or shares (batch, ..., classes), of which the largest counts
        y_pred: (batch, ..., classes)
    """

    def __init__(self, ignore_class=None, name="accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.ignore_class = ignore_class

    def update_state(self, y_true, y_pred, sample_weight=None):
        if len(y_true.shape) == len(y_pred.shape):
            shares = y_true.shape[-1] == y_pred.shape[-1]
            y_true = ops.argmax(y_true, axis=-1) if shares else ops.squeeze(y_true, -1)
        y_true = ops.cast(y_true, "int32")
        right = ops.cast(ops.argmax(y_pred, axis=-1), "int32") == y_true
        weight = ops.ones_like(y_true, "float32")
        if self.ignore_class is not None:
            weight = ops.cast(y_true != self.ignore_class, "float32")
        if sample_weight is not None:
            sample_weight = ops.cast(sample_weight, "float32")
            missing = len(weight.shape) - len(sample_weight.shape)
            weight = weight * ops.reshape(sample_weight, (*ops.shape(sample_weight), *[1] * missing))
        # Flat, since Keras would first take the mean of each example, whatever its length.
        super().update_state(ops.reshape(ops.cast(right, "float32"), (-1,)), ops.reshape(weight, (-1,)))

    def get_config(self):
        return {**super().get_config(), "ignore_class": self.ignore_class}


@keras.saving.register_keras_serializable("kit")
class FirstAccuracy(Accuracy):
    """`Accuracy` of the first of several answers, those of classifiers in the middle of a network left out.

    Shape:
        y_true: as `Accuracy` takes it
        y_pred: (batch, answers, classes)
    """

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_true, y_pred[:, 0], sample_weight)


@keras.saving.register_keras_serializable("kit")
class PeakSignalToNoise(keras.metrics.Mean):
    """Peak signal-to-noise ratio of images, in decibels: the mean over the images of `-10 log10` of the squared error.

    Shape:
        y_true, y_pred: (batch, height, width, channels), pixels from 0 to 255
    """

    def __init__(self, name="psnr", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        true, made = (ops.cast(images, "float32") / 255.0 for images in (y_true, y_pred))
        error = ops.mean(ops.square(true - made), axis=(1, 2, 3))
        super().update_state(-10.0 * ops.log10(ops.maximum(error, 1e-10)), sample_weight)


@keras.saving.register_keras_serializable("kit")
class MicroF1(keras.metrics.Metric):
    """F1 of all labels together, each being answered where its logit is above 0.

    Args:
        name: Name of the metric.
        dtype: As for every Keras metric.

    Shape:
        y_true: (batch, labels), 0 or 1
        y_pred: (batch, labels), logits
    """

    def __init__(self, name="micro_f1", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.right = self.add_variable((), "zeros", name="right")
        self.all = self.add_variable((), "zeros", name="all")

    def update_state(self, y_true, y_pred, sample_weight=None):
        true, answered = ops.cast(y_true, self.dtype), ops.cast(y_pred > 0, self.dtype)
        weight = 1.0 if sample_weight is None else ops.reshape(ops.cast(sample_weight, self.dtype), (-1, 1))
        self.right.assign_add(ops.sum(2 * weight * true * answered))
        self.all.assign_add(ops.sum(weight * (true + answered)))

    def result(self):
        return self.right / ops.maximum(self.all, 1.0)


@keras.saving.register_keras_serializable("kit")
class AbsoluteError(keras.metrics.Mean):
    """Mean absolute error of one of several outputs, such as the median among quantiles.

    Args:
        index: Number of the output, from 0.
        name: Name of the metric.
        dtype: As for every Keras metric.

    Shape:
        y_true: (batch, 1)
        y_pred: (batch, outputs)
    """

    def __init__(self, index=0, name="mae", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.index = index

    def update_state(self, y_true, y_pred, sample_weight=None):
        true = ops.reshape(ops.cast(y_true, "float32"), (-1,))
        super().update_state(ops.abs(ops.cast(y_pred[:, self.index], "float32") - true), sample_weight)

    def get_config(self):
        return {**super().get_config(), "index": self.index}
