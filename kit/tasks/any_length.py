"""Predictions of networks for sequences of any length, compiled once."""

import tensorflow as tf


def compile_for_all_lengths(model, inputs):
    """Lets a model's predictions be compiled once for batches of any shape; Keras compiles anew for the first few.

    Args:
        model: The network.
        inputs: A batch of inputs, by name.
    """
    if model.predict_function is not None or model.run_eagerly or model.jit_compile or tf.distribute.has_strategy():
        return
    shapes = {tensor.name: tensor.shape for tensor in model.inputs}
    spec = {name: tf.TensorSpec(shapes[name], values.dtype) for name, values in inputs.items()}

    @tf.function(input_signature=[[(spec,)]])
    def predict(data):
        return model(data[0][0], training=False)

    model.predict_function = predict
