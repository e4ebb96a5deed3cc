"""Compiled calls of a network that a task calls piece by piece, for a server that calls it again and again."""

import keras
import tensorflow as tf


def compile_calls(model):
    """Lets every call of a functional model, and of the models inside it, run as one compiled function each.

    A function is traced once, for any number of images. What reads attributes of layers while it is called, such as a
    truncation that a setting changes, must not be compiled so.

    Args:
        model: A functional model with one input, or the functional models inside it have one each.
    """
    parts = [model, *(layer for layer in model._flatten_layers() if isinstance(layer, keras.Model) and layer != model)]
    for part in parts:
        if len(getattr(part, "inputs", ())) == 1:
            _compile(part)


def _compile(model):
    shape, call = model.inputs[0].shape, model.call
    functions = {}

    def compiled(inputs, training=None, mask=None, **others):
        if (
            training
            or mask is not None
            or others
            or not isinstance(inputs, tf.Tensor)
            or keras.backend.is_keras_tensor(inputs)
        ):
            return call(inputs, training=training, mask=mask, **others)
        if inputs.dtype not in functions:
            signature = [tf.TensorSpec(shape, inputs.dtype)]
            functions[inputs.dtype] = tf.function(
                lambda values: call(values, training=False), input_signature=signature, autograph=False
            )
        return functions[inputs.dtype](inputs)

    model.call = compiled
