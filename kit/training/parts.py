"""Targets that have parts, such as the tokens of a sentence: every part counts the same, in whatever batch it is."""

import types

import keras
import tensorflow as tf
from keras import ops

from kit.training import engine


def check_counts(model):
    """Raises TypeError for a model whose loss leaves parts out and which would take means of the means of batches."""
    leaves_out = getattr(getattr(model, "loss", None), "ignore_class", None) is not None
    if leaves_out and not isinstance(model, ModelOfParts):
        raise TypeError(f"{model.name}: its loss has an ignore_class; expected a kit.training.parts.ModelOfParts")


class SumOfMeans(keras.metrics.Metric):
    """Sum of the means of several losses, each over parts of its own.

    Args:
        names: Names of the losses.
        name: Name of the metric.
    """

    def __init__(self, names, name="loss"):
        super().__init__(name=name)
        self.means = {each: keras.metrics.Mean(name=each) for each in names}

    def update_state(self, *args):
        raise NotImplementedError("its means are updated, one by one")

    def result(self):
        return sum(mean.result() for mean in self.means.values())

    def reset_state(self):
        for mean in self.means.values():
            mean.reset_state()


@keras.saving.register_keras_serializable("kit")
class ModelOfParts(keras.Model):
    """A functional model whose loss is a mean over the parts of its targets, on any number of batches and devices.

    Keras weighs the means of batches, and the gradients of devices, by their examples: a batch of short sentences would
    count as much as one of long ones. Here the `loss` and `val_loss` that are logged are sums over parts divided by
    their number, and the gradient of a step is that of the mean over the parts of the whole batch, however devices
    divide it. On one device that gradient is Keras' own.

    The loss must be one of Keras or kit that returns the mean over the parts of a batch; parts with the label that it
    has for an `ignore_class` do not count. Of several outputs by name, each with a loss, the means are summed.

    Shape:
        labels: (batch, parts...), integers
    """

    def __init__(self, inputs, outputs, name=None, **kwargs):
        super().__init__(inputs, outputs, name=name, **kwargs)
        # In a plain object, which Keras does not track: it is not saved, and not listed a second time.
        self.of_parts = types.SimpleNamespace(loss=keras.metrics.Mean(name="loss"))

    @property
    def metrics(self):
        """The metrics, with the mean over parts in place of Keras' own `loss`."""
        own = [self._mean()] if self.compiled else []
        return [*own, *(metric for metric in super().metrics if metric.name != "loss")]

    def _mean(self):
        """Returns the mean over parts, or the sum of those of several losses; compiling anew may change which it is."""
        # Where `compile` is overridden, Keras does not compile a model that it loads.
        if isinstance(self.loss, dict) and set(self.loss) != set(getattr(self.of_parts.loss, "means", ())):
            self.of_parts.loss = SumOfMeans(self.loss)
        return self.of_parts.loss

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if not isinstance(self.loss, dict):
            loss = super().compute_loss(x, y, y_pred, sample_weight, training)
            return self._of_parts(loss, self.loss, y, self._mean(), training)
        found = 0.0
        for name, mean in self._mean().means.items():
            loss = self.loss[name](y[name], y_pred[name])
            found = found + self._of_parts(loss, self.loss[name], y[name], mean, training)
        return found

    def _of_parts(self, loss, function, y, mean, training):
        """Returns the loss of a batch as devices share it, and counts it into a mean over parts."""
        ignored = getattr(function, "ignore_class", None)
        counts = ops.ones_like(y, "bool") if ignored is None else ops.not_equal(y, ignored)
        count = ops.sum(ops.cast(counts, loss.dtype))
        devices = tf.distribute.get_strategy().num_replicas_in_sync
        mean.update_state(loss * devices, count)  # Keras has divided it by the devices
        if devices > 1 and training:
            mean = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, count)
            loss = loss * ops.divide_no_nan(count, mean)
        together = engine.current()
        if together.count > 1 and training:
            (total,) = together.sum([count])
            loss = loss * ops.divide_no_nan(count * together.count, total)
        return loss
