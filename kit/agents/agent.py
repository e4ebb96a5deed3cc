"""Acting while training: the callback that ties both together, and the fastest way to ask a network."""

import weakref

import keras
import numpy as np
import tensorflow as tf

from kit.errors import SettingError

# Activations of dense layers that NumPy computes.
_ACTIVATIONS = {"linear": None, "relu": lambda x: np.maximum(x, 0, out=x), "tanh": lambda x: np.tanh(x, out=x)}
# Networks to how each of their outputs comes about.
_PLANS = weakref.WeakKeyDictionary()


class Agent(keras.Model):
    """A training wrapper that acts with the network inside it, `network`."""

    def __init__(self, name):
        super().__init__(name=name)
        if keras.config.dtype_policy().name == "mixed_float16":
            raise SettingError("train.mixed_precision", "expected 'float32' or 'mixed_bfloat16' for an agent")

    def compile(self, optimizer, jit_compile="auto"):
        """Sets the optimizer, or its name."""
        optimizer = keras.optimizers.get(optimizer)
        if getattr(optimizer, "use_ema", False):
            raise SettingError("optimizer.use_ema", "the agent acts with the weights as they are; expected false")
        super().compile(optimizer=optimizer, jit_compile=jit_compile)
        optimizer.build(self.network.trainable_variables)


class Acting(keras.callbacks.Callback):
    """Ties the data that are made by acting to the agent that acts, and carries their state through checkpoints.

    Args:
        experience: Training split whose stream acts, such as `kit.agents.experience.Experience`.
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
    plans = _PLANS.setdefault(network, {})
    if index not in plans:
        plans[index] = _plan(network, index if isinstance(index, tuple) else (index,))
    if plans[index] is None:
        return _compiled(network, index)
    steps, wanted = plans[index]
    steps = [(make(), inputs) for make, inputs in steps]

    def answers(observations):
        found = [observations]
        for function, inputs in steps:
            found.append(function(*(found[place] for place in inputs)))
        answered = [found[place] for place in wanted]
        return answered if isinstance(index, tuple) else answered[0]

    return answers


def _plan(network, several):
    """Returns how outputs come about: for each operation what makes its function on NumPy arrays with the weights of
    then, and the places of its inputs; and the places of the outputs. None where an operation is not a plain one.
    """
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
        make = _in_numpy(node.operation)
        if make is None or len(node.output_tensors) > 1:
            return None
        steps.append((make, [places[id(tensor)] for tensor in node.arguments.keras_tensors]))
        places[id(node.output_tensors[0])] = len(steps)
    return steps, [places[each] for each in wanted]


def _in_numpy(operation):
    """Returns what makes an operation's function on NumPy arrays, or None where it is not one of a few plain ones."""
    kind = type(operation).__name__
    if getattr(operation, "compute_dtype", "float32") != "float32":
        return None
    if isinstance(operation, keras.layers.Dense) and operation.activation.__name__ in _ACTIVATIONS:
        return lambda: _dense(operation)
    if isinstance(operation, keras.layers.Flatten):
        return lambda: lambda x: x.reshape(len(x), -1)
    if isinstance(operation, keras.layers.BatchNormalization) and not operation.trainable and not operation.scale:
        return lambda: _scaling(operation)
    if kind == "SharedVector":
        return lambda: _vector(operation)
    if isinstance(operation, keras.layers.Concatenate):
        return lambda: lambda *parts: np.concatenate(parts, -1)
    if kind == "Clip":
        return lambda: lambda x: np.clip(x, operation.x_min, operation.x_max)
    if kind == "Add":
        return lambda: np.add
    if kind == "Subtract":
        return lambda: np.subtract
    if kind == "Mean":
        axis = tuple(np.atleast_1d(operation.axis))
        return lambda: lambda x: x.mean(axis, keepdims=operation.keepdims)
    return None


def _array(variable):
    """Returns a Keras variable as an array, in a sixth of the time of `ops.convert_to_numpy`."""
    value = variable.value
    return tf.raw_ops.ReadVariableOp(resource=value.handle, dtype=value.dtype).numpy()


def _scaling(layer):
    mean, factor = _array(layer.moving_mean), 1 / np.sqrt(_array(layer.moving_variance) + np.float32(layer.epsilon))
    return lambda x: (x - mean) * factor


def _vector(layer):
    vector = _array(layer.vector)
    return lambda x: np.broadcast_to(vector, (len(x), len(vector)))


def _dense(layer):
    kernel = _array(layer.kernel)
    bias = _array(layer.bias) if layer.use_bias else np.float32(0)
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
