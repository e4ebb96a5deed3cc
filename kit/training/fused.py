"""Batch normalisation in one operation of TensorFlow's while a model trains.

Keras computes moments and scaling one by one, each a pass over the whole feature map, and as many for the gradient; on
a CPU that may take longer than the convolution before it. The layers stay Keras' own, and so does what is saved.
"""

import contextlib
import types

import keras
import tensorflow as tf


@contextlib.contextmanager
def batch_normalization(model):
    """Lets the batch normalisation of feature maps inside a model train faster; afterwards all is as before.

    Moving statistics, gradients and weights are those of `keras.layers.BatchNormalization` to rounding.

    Args:
        model: Model, or training wrapper around some.
    """
    chosen = [layer for layer in model._flatten_layers() if _is_fit(layer)]
    for layer in chosen:
        layer.call = types.MethodType(_call, layer)
    try:
        yield
    finally:
        for layer in chosen:
            del layer.call


def _is_fit(layer):
    """Returns whether a layer normalises the channels, the last axis, of float32 feature maps."""
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.built
        and layer.axis in (3, -1)
        and layer.compute_dtype == layer.variable_dtype == "float32"
        and layer.scale
        and layer.center
        and not layer.synchronized
        and layer.input_spec.ndim == 4
    )


def _call(layer, inputs, training=None, mask=None):
    """`BatchNormalization.call` with one operation in place of many."""
    if not training or not layer.trainable or mask is not None:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    empty = tf.zeros((0,))
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=tf.convert_to_tensor(layer.gamma),
        offset=tf.convert_to_tensor(layer.beta),
        mean=empty,
        variance=empty,
        epsilon=layer.epsilon,
        is_training=True,
    )
    count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:3]), "float32")
    variance *= (count - 1) / tf.maximum(count, 1)  # the operation's own is that of a sample
    for moving, found in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + tf.stop_gradient(found) * (1 - layer.momentum))
    return outputs
