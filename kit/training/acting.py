"""Acting while training: the callback that ties both together, and the fastest way to ask a network."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

# Activations of dense layers that NumPy computes.
_ACTIVATIONS = {"linear": None, "relu": lambda x: np.maximum(x, 0, out=x), "tanh": lambda x: np.tanh(x, out=x)}


class Acting(keras.callbacks.Callback):
    """Ties the data that are made by acting to the agent that acts, and carries their state through checkpoints.

    Args:
        experience: Training split whose stream acts, such as `kit.data.experience.Experience`.
        folder: Run folder, where large observations are kept.
    """

    def __init__(self, experience, folder):
        super().__init__()
        self.experience = experience
        self.folder = folder

    def on_train_begin(self, logs=None):
        self.experience.begin(self.model, self.folder, self.params["steps"])

    def on_epoch_end(self, epoch, logs=None):
        logs.update(self.experience.logs())
        if self.experience.is_spent:
            self.model.stop_training = True
        self.saved = self.experience.arrays()

    def arrays(self):
        return self.saved

    def put_back(self, arrays):
        self.experience.put_back(arrays)


def answers_of(network, index=0):
    """Returns the fastest function from observations (environments, ...) to an output, with the weights of now.

    Networks of dense layers are copied to NumPy, whose call costs a twentieth of a compiled function's for so few
    observations.

    Args:
        network: Functional model.
        index: Which of its outputs, what only others need is not computed; or several, which are then a list.
    """
    several = index if isinstance(index, tuple) else (index,)
    graph, wanted = getattr(network, "_functional", network), [id(network.outputs[each]) for each in several]
    nodes = []
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        nodes += [node for node in graph._nodes_by_depth[depth] if not node.is_input]
    needed = set(wanted)
    for node in reversed(nodes):
        if needed & {id(tensor) for tensor in node.output_tensors}:
            needed |= {id(tensor) for tensor in node.arguments.keras_tensors}
    places, steps = {id(graph.inputs[0]): 0}, []
    for node in nodes:
        if not needed & {id(tensor) for tensor in node.output_tensors}:
            continue
        function = _in_numpy(node)
        if function is None or len(node.output_tensors) > 1:
            return _compiled(network, index)
        steps.append((function, [places[id(tensor)] for tensor in node.arguments.keras_tensors]))
        places[id(node.output_tensors[0])] = len(steps)

    def answers(observations):
        found = [observations]
        for function, inputs in steps:
            found.append(function(*(found[place] for place in inputs)))
        answered = [found[places[each]] for each in wanted]
        return answered if several is index else answered[0]

    return answers


def _in_numpy(node):
    """Returns an operation of a network on NumPy arrays, or None where it is not one of a few plain ones."""
    operation = node.operation
    kind = type(operation).__name__
    if getattr(operation, "compute_dtype", "float32") != "float32":
        return None
    if isinstance(operation, keras.layers.Dense) and operation.activation.__name__ in _ACTIVATIONS:
        return _dense(operation)
    if isinstance(operation, keras.layers.Flatten):
        return lambda x: x.reshape(len(x), -1)
    if isinstance(operation, keras.layers.BatchNormalization) and not operation.trainable and not operation.scale:
        mean = ops.convert_to_numpy(operation.moving_mean)
        factor = 1 / np.sqrt(ops.convert_to_numpy(operation.moving_variance) + np.float32(operation.epsilon))
        return lambda x: (x - mean) * factor
    if kind == "SharedVector":
        vector = ops.convert_to_numpy(operation.vector)
        return lambda x: np.broadcast_to(vector, (len(x), len(vector)))
    if isinstance(operation, keras.layers.Concatenate):
        return lambda *parts: np.concatenate(parts, -1)
    if kind == "Clip":
        low, high = operation.x_min, operation.x_max
        return lambda x: np.clip(x, low, high)
    if kind == "Add":
        return np.add
    if kind == "Subtract":
        return np.subtract
    if kind == "Mean":
        axis, keepdims = tuple(np.atleast_1d(operation.axis)), operation.keepdims
        return lambda x: x.mean(axis, keepdims=keepdims)
    return None


def _dense(layer):
    kernel = ops.convert_to_numpy(layer.kernel)
    bias = ops.convert_to_numpy(layer.bias) if layer.use_bias else np.float32(0)
    activation = _ACTIVATIONS[layer.activation.__name__]

    def dense(x):
        x = x @ kernel
        x += bias
        return x if activation is None else activation(x)

    return dense


def _compiled(network, index):
    """Returns an output of a network as a compiled function on NumPy arrays; one is kept for each."""
    if not hasattr(network, "_acting"):
        network._acting = {}
    if index not in network._acting:
        outputs = [network.outputs[each] for each in index] if isinstance(index, tuple) else network.outputs[index]
        part = keras.Model(network.input, outputs)
        network._acting[index] = tf.function(
            lambda observations: part(observations, training=False),
            # Any number of observations of any type in one trace for each type.
            reduce_retracing=True,
        )
    shape = (None, *network.input.shape[1:])

    def answers(observations):
        seen = tf.constant(observations)
        kind = seen.dtype.name
        if (index, kind) not in network._acting:
            network._acting[index, kind] = network._acting[index].get_concrete_function(tf.TensorSpec(shape, kind))
        return tf.nest.map_structure(lambda each: each.numpy(), network._acting[index, kind](seen))

    return answers
