"""Sequences of any length: predictions that are compiled once, and networks that have no positions for long ones."""

import tensorflow as tf

from kit import backend
from kit.errors import SettingError


def check_positions(model, splits):
    """Raises SettingError where sequences may be longer than a network has learned positions for.

    Args:
        model: The network.
        splits: `Splits`, whose asset `max_pieces` or `max_length` says how long they may be.
    """
    key = next((each for each in ("max_pieces", "max_length") if each in splits.assets), None)
    length = splits.assets.get(key, 0)
    for layer in model._flatten_layers():
        if layer.name == "position_embedding" and layer.max_length < length:
            raise SettingError(f"data.{key}", f"expected at most {layer.max_length}, backbone.max_length, got {length}")


def compile_for_all_lengths(model, inputs):
    """Lets a model's predictions be compiled once for batches of any shape; Keras compiles anew for the first few.

    Args:
        model: The network.
        inputs: A batch of inputs, by name.
    """
    if not backend.is_tensorflow():
        return
    if model.predict_function is not None or model.run_eagerly or model.jit_compile or tf.distribute.has_strategy():
        return
    shapes = {tensor.name: tensor.shape for tensor in model.inputs}
    spec = {name: tf.TensorSpec(shapes[name], values.dtype) for name, values in inputs.items()}

    @tf.function(input_signature=[[(spec,)]])
    def predict(data):
        return model(data[0][0], training=False)

    model.predict_function = predict
