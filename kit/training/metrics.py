"""Metrics that Keras lacks."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("kit")
class TokenAccuracy(keras.metrics.Mean):
    """Share of the positions whose best logit is that of the label; padded positions do not count.

    Args:
        ignore_class: Label that does not count.
        name: Name of the metric.
        dtype: As for every Keras metric.

    Shape:
        y_true: (batch, ...) integers
        y_pred: (batch, ..., classes)
    """

    def __init__(self, ignore_class=-1, name="accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.ignore_class = ignore_class

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true = ops.cast(y_true, "int32")
        right = ops.cast(ops.argmax(y_pred, axis=-1), "int32") == y_true
        weight = ops.cast(y_true != self.ignore_class, "float32")
        if sample_weight is not None:
            sample_weight = ops.cast(sample_weight, "float32")
            weight = weight * ops.reshape(sample_weight, (-1, *[1] * (len(weight.shape) - len(sample_weight.shape))))
        # Flat, since Keras would first take the mean of each example, whatever its length.
        super().update_state(ops.reshape(ops.cast(right, "float32"), (-1,)), ops.reshape(weight, (-1,)))

    def get_config(self):
        return {**super().get_config(), "ignore_class": self.ignore_class}
