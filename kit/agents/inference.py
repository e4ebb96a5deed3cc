"""Inference while acting: the fastest function from observations to a network's outputs, in NumPy or compiled."""

import weakref

import keras
import numpy as np
import tensorflow as tf

from kit.blocks.policy import SharedVector

# Activations of dense layers that NumPy computes.
_ACTIVATIONS = {"linear": None, "relu": lambda x: np.maximum(x, 0, out=x), "tanh": lambda x: np.tanh(x, out=x)}
# Network to the plan of each of its outputs, see `_plan`.
_PLANS = weakref.WeakKeyDictionary()


def inference_function(network, index=0):
    """Returns the fastest function from observations (environments, ...) to an output, with the weights of now.

    Networks of dense layers are copied to NumPy, whose call costs a twentieth of a compiled function's for so few
    observations. At the first use each operation's result is compared with the network's own on a few random
    observations: where they differ by more than rounding, the network is compiled.

    Args:
        network: Functional model.
        index: Index of the output, layers that only other outputs need are not computed; or a tuple of indices, whose
            outputs are returned as a list.
    """
    plans = _PLANS.setdefault(network, {})
    if index not in plans:
        plans[index] = _plan(network, index if isinstance(index, tuple) else (index,))
    if plans[index] is None:
        return _compiled(network, index)
    steps, positions = plans[index]
    steps = [(make(), inputs) for make, inputs in steps]

    def infer(observations):
        tensors = _computed(steps, observations)
        outputs = [tensors[position] for position in positions]
        return outputs if isinstance(index, tuple) else outputs[0]

    return infer


def _computed(steps, observations):
    """Returns observations and the result of each step, given its function and the positions of its inputs."""
    tensors = [observations]
    for function, inputs in steps:
        tensors.append(function(*(tensors[position] for position in inputs)))
    return tensors


def _plan(network, indices):
    """Returns a network's graph as operations on NumPy arrays; None where one is not a plain one, or not the same.

    Returns:
        For each operation a function that makes its function with the weights of then, and the positions of its inputs
        among all tensors, the network's input being the first; and the positions of the outputs.
    """
    graph, wanted = getattr(network, "_functional", network), [id(network.outputs[index]) for index in indices]
    nodes = []
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        nodes += [node for node in graph._nodes_by_depth[depth] if not node.is_input]
    needed = set(wanted)
    for node in reversed(nodes):
        if needed & {id(tensor) for tensor in node.output_tensors}:
            needed |= {id(tensor) for tensor in node.arguments.keras_tensors}
    positions, steps, tensors = {id(graph.inputs[0]): 0}, [], []
    for node in nodes:
        if not needed & {id(tensor) for tensor in node.output_tensors}:
            continue
        make = _numpy_operation(node.operation, len(node.arguments.keras_tensors))
        if make is None or len(node.output_tensors) > 1:
            return None
        steps.append((make, [positions[id(tensor)] for tensor in node.arguments.keras_tensors]))
        positions[id(node.output_tensors[0])] = len(steps)
        tensors.append(node.output_tensors[0])
    return (steps, [positions[tensor] for tensor in wanted]) if _is_the_same(graph, steps, tensors) else None


def _is_the_same(graph, steps, tensors):
    """Tells whether NumPy computes what the network does, operation by operation, for a few random observations.

    A layer may be a subclass that does something else, and an operation may have arguments that are not looked at here.
    The results in between are compared too: behind a last layer that begins with zeros nothing would be seen.

    Args:
        graph: The network.
        steps: For each operation a function that makes its function, and the positions of its inputs.
        tensors: The result of each operation, symbolic.
    """
    if not steps:
        return True
    shape = [3, *(size or 2 for size in graph.inputs[0].shape[1:])]
    observations = (3 * np.random.default_rng(0).standard_normal(shape)).astype("float32")
    part = keras.Model(graph.inputs[0], tensors, name="compared")  # a name of its own leaves Keras' counters alone
    expected = keras.tree.flatten(part(observations, training=False))
    try:
        found = _computed([(make(), inputs) for make, inputs in steps], observations)[1:]
        for mine, theirs in zip(found, map(keras.ops.convert_to_numpy, expected), strict=True):
            # Matrix products of GPUs may keep ten bits of each factor (TF32).
            close = 1e-2 * np.abs(theirs).max(initial=0) + 1e-5
            if mine.shape != theirs.shape or not np.allclose(mine, theirs, rtol=0, atol=close, equal_nan=True):
                return False
    except Exception:  # whatever NumPy says of arguments that it does not know
        return False
    return True


def _numpy_operation(operation, num_inputs):
    """Returns a function that makes an operation's function on NumPy arrays, or None where that is not known."""
    is_keras = type(operation).__module__.partition(".")[0] == "keras"
    kind = type(operation).__name__ if is_keras else None  # a class of that name elsewhere may do anything
    if getattr(operation, "compute_dtype", "float32") != "float32":
        return None
    if isinstance(operation, keras.layers.Dense) and operation.activation.__name__ in _ACTIVATIONS:
        return _dense(operation)
    if isinstance(operation, keras.layers.Flatten):
        return lambda: lambda x: x.reshape(len(x), -1)
    if isinstance(operation, keras.layers.BatchNormalization):
        is_plain = not (operation.trainable or operation.scale or operation.center)
        return _scaling(operation) if is_plain else None
    if isinstance(operation, SharedVector):
        return _vector(operation)
    if isinstance(operation, keras.layers.Concatenate) and operation.axis == -1:
        return lambda: lambda *parts: np.concatenate(parts, -1)
    if kind == "Clip":
        return lambda: lambda x: np.clip(x, operation.x_min, operation.x_max)
    if kind in ("Add", "Subtract") and num_inputs == 2:  # no constant, and no third one
        return lambda: np.add if kind == "Add" else np.subtract
    if kind == "Mean":
        axis = tuple(np.atleast_1d(operation.axis))
        return lambda: lambda x: x.mean(axis, keepdims=operation.keepdims)
    return None


def _reader(variable):
    """Returns a function that reads a Keras variable as an array, in a tenth of the time of `ops.convert_to_numpy`."""
    value = variable.value
    handle, dtype, read = (
        value.handle,
        value.dtype,
        tf.raw_ops.ReadVariableOp,
    )  # to look them up takes as long as to read
    return lambda: read(resource=handle, dtype=dtype).numpy()


def _scaling(layer):
    """Returns a function that makes the layer's function with the moments of then; so do those below."""
    mean, variance, epsilon = _reader(layer.moving_mean), _reader(layer.moving_variance), np.float32(layer.epsilon)

    def make():
        shift, factor = mean(), 1 / np.sqrt(variance() + epsilon)
        return lambda x: (x - shift) * factor

    return make


def _vector(layer):
    read = _reader(layer.vector)

    def make():
        vector = read()
        return lambda x: np.broadcast_to(vector, (len(x), len(vector)))

    return make


def _dense(layer):
    read_kernel, read_bias = _reader(layer.kernel), _reader(layer.bias) if layer.use_bias else lambda: np.float32(0)
    activation = _ACTIVATIONS[layer.activation.__name__]

    def make():
        kernel, bias = read_kernel(), read_bias()

        def dense(x):
            x = x @ kernel
            x += bias
            return x if activation is None else activation(x)

        return dense

    return make


def _compiled(network, index):
    """Returns an output of a network as a compiled function on NumPy arrays; one is kept for each."""
    if not hasattr(network, "_inference"):
        network._inference = {}
    if index not in network._inference:
        outputs = [network.outputs[one] for one in index] if isinstance(index, tuple) else network.outputs[index]
        part = keras.Model(network.input, outputs)
        network._inference[index] = tf.function(
            lambda observations: part(observations, training=False),
            # Any number of observations of any type in one trace for each type.
            reduce_retracing=True,
        )
    shape = (None, *network.input.shape[1:])

    def infer(observations):
        inputs = tf.constant(observations)
        dtype, functions = inputs.dtype.name, network._inference
        if (index, dtype) not in functions:
            functions[index, dtype] = functions[index].get_concrete_function(tf.TensorSpec(shape, dtype))
        return tf.nest.map_structure(lambda output: output.numpy(), functions[index, dtype](inputs))

    return infer
