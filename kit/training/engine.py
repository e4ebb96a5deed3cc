"""Engines: one process that trains, or several that train one model together, each with its rows of every batch.

With several processes each builds the model and its callbacks as one alone would; what they share are sums: of
gradients before an optimizer sees them, of the statistics of batch normalisation, of metrics at the end of an epoch.
So whatever is done with gradients (clipping, accumulation, averages of weights) is done once, with those of the whole
batch, and the weights of all processes stay the same. TensorFlow's collectives carry the sums, by the public
`tf.distribute.MultiWorkerMirroredStrategy`; no model is built in its scope, since Keras 3 cannot `fit` one there.
"""

import contextlib
import json
import os
import types

import keras
import numpy as np
import tensorflow as tf
from keras import ops


class Single:
    """The engine of one process."""

    rank = 0
    count = 1

    @property
    def shard(self):
        """Number of this process, from 0, and of all."""
        return self.rank, self.count

    @property
    def is_chief(self):
        """Whether this process writes what all of them have made."""
        return self.rank == 0

    def sum(self, tensors):
        """Returns a list of the sums over processes of tensors of the same shapes; gradients pass through."""
        return list(tensors)

    def once(self, tensor):
        """Returns a tensor that all processes have alike, whose gradient is theirs together in the first, 0 in others.

        So an optimizer that squares the rows of a lookup one by one sees them as those of one process.
        """
        return tensor

    def total(self, array):
        """Returns the sum over processes of an array of numbers."""
        return array

    def of_first(self, values):
        """Returns the numbers, name by name, that the first process has."""
        return dict(values)

    def whole(self, shape):
        """Returns the shape of an array for the whole batch, given that for the rows of this process."""
        return shape

    def own(self, values):
        """Returns the rows of this process of what was made for the whole batch."""
        return values

    @contextlib.contextmanager
    def together(self, model):
        """Makes a model and its optimizer learn from the batches of all processes inside."""
        yield


class Processes(Single):
    """The engine of several processes, as `TF_CONFIG` in the environment names them.

    To be made before TensorFlow is used in the process; it waits until all have been made.
    """

    def __init__(self):
        self._total = tf.function(self._of_numbers, input_signature=[tf.TensorSpec([None], "float64")], autograph=False)
        cluster = json.loads(os.environ["TF_CONFIG"])
        self.rank, self.count = cluster["task"]["index"], len(cluster["cluster"]["worker"])
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy()

    def sum(self, tensors):
        tensors = list(tensors)

        @tf.custom_gradient
        def summed(*own):
            # What each process adds is the same in the sum of all: so is each one's gradient.
            return self._reduced(list(own)), lambda *upstream: self._reduced(list(upstream))

        return list(summed(*tensors)) if tensors else []

    def once(self, tensor):
        @tf.custom_gradient
        def same(own):
            return tf.identity(own), lambda upstream: self._reduced([upstream])[0] * float(self.is_chief)

        return same(tensor)

    @tf.autograph.experimental.do_not_convert
    def _reduced(self, tensors):
        @tf.autograph.experimental.do_not_convert
        def reduce(*own):
            return tf.distribute.get_replica_context().all_reduce(
                tf.distribute.ReduceOp.SUM, list(map(tf.identity, own))
            )

        found = self._strategy.run(reduce, args=tuple(tensors))
        return [self._strategy.experimental_local_results(each)[0] for each in found]

    @tf.autograph.experimental.do_not_convert
    def _gathered(self, tensor):
        """Returns the rows of a tensor of all processes, one after the other."""

        @tf.autograph.experimental.do_not_convert
        def gather(own):
            return tf.distribute.get_replica_context().all_gather(tf.identity(own), axis=0)

        return self._strategy.experimental_local_results(self._strategy.run(gather, args=(tensor,)))[0]

    def _of_numbers(self, numbers):
        return self._reduced([numbers])[0]

    def total(self, array):
        flat = np.asarray(array, "float64").ravel()
        return self._total(flat).numpy().reshape(np.shape(array)) if flat.size else flat.reshape(np.shape(array))

    def of_first(self, values):
        own = np.array([float(each) for each in values.values()]) * self.is_chief
        return dict(zip(values, self.total(own).tolist(), strict=True))

    @contextlib.contextmanager
    def together(self, model):
        for variable in model.variables:  # what came before training may round otherwise in each process
            if "float" in variable.dtype:
                variable.assign(self.total(keras.ops.convert_to_numpy(variable) * self.is_chief))
        replaced = [  # of batch normalisations and of experts
            (layer, name, method)
            for layer in model._flatten_layers()
            for name, method in (("_moments", self._moments), ("batch_means", self._batch_means))
            if hasattr(layer, name)
        ]
        optimizer = model.optimizer
        apply = optimizer.apply
        optimizer.apply = types.MethodType(self._with_gradients_of_all(apply), optimizer)
        for layer, name, method in replaced:
            setattr(layer, name, types.MethodType(method, layer))
        drawing, drawn = keras.src.backend.random, {}
        for name, change in (("dropout", self._dropout), ("uniform", self._draw), ("normal", self._draw)):
            drawn[name] = getattr(drawing, name)
            setattr(drawing, name, change(drawn[name]))
        global _current
        before, _current = _current, self
        try:
            yield
        finally:
            _current = before
            for name, function in drawn.items():
                setattr(drawing, name, function)
            for layer, name, _ in replaced:
                delattr(layer, name)
            del optimizer.apply
            model.train_function = model.test_function = None  # traced with what has gone

    def _with_gradients_of_all(self, apply):
        """Returns the method `apply` of an optimizer that is given the means of the gradients of all processes."""

        def apply_all(optimizer, grads, trainable_variables=None):
            dense = [index for index, grad in enumerate(grads) if isinstance(grad, tf.Tensor)]
            found = list(grads)
            by_type = {}
            for index in dense:
                by_type.setdefault(grads[index].dtype, []).append(index)
            for indices in by_type.values():  # one sum of one vector: a message for each would wait for each
                flat = tf.concat([tf.reshape(grads[index], [-1]) for index in indices], 0)
                (flat,) = self._reduced([flat])
                parts = tf.split(flat / self.count, [grads[index].shape.num_elements() for index in indices])
                for index, part in zip(indices, parts, strict=True):
                    found[index] = tf.reshape(part, grads[index].shape)
            for index, grad in enumerate(grads):
                if isinstance(grad, tf.IndexedSlices):  # of an embedding: few of its rows
                    values, rows = self._gathered(grad.values), self._gathered(grad.indices)
                    found[index] = tf.IndexedSlices(values / self.count, rows, grad.dense_shape)
            return apply(found, trainable_variables)

        return apply_all

    def _moments(self, layer, inputs, mask):
        """Returns mean and variance of the inputs of a batch normalisation over the batches of all processes."""
        axes = layer._reduction_axes
        inputs = ops.cast(inputs, "float32" if inputs.dtype in ("float16", "bfloat16") else inputs.dtype)
        weights, shape = 1.0, ops.shape(inputs)
        count = ops.cast(ops.prod([shape[axis] for axis in axes]), inputs.dtype)
        if mask is not None:
            mask = ops.cast(mask, inputs.dtype)
            weights = ops.reshape(mask, (*ops.shape(mask), *[1] * (len(shape) - len(mask.shape))))
            count = ops.sum(ops.broadcast_to(weights, shape), axes)
        count, total = self.sum([count, ops.sum(inputs * weights, axes)])
        mean = total / ops.maximum(count, 1)
        centred = inputs - ops.reshape(mean, [1 if axis in axes else size for axis, size in enumerate(inputs.shape)])
        (spread,) = self.sum([ops.sum(centred * centred * weights, axes)])
        return mean, spread / ops.maximum(count, 1)

    def _batch_means(self, layer, values):
        """Returns what tells how evenly experts are used, means over the batches of all processes."""
        count = ops.cast(ops.prod(ops.shape(values[0])[:2]), values[0].dtype)
        count, *sums = self.sum([count, *(ops.sum(each, axis=(0, 1)) for each in values)])
        return [each / count for each in sums]

    def whole(self, shape):
        # Processes have rows in turn, and the last ones perhaps one less: a longer draw begins with what a shorter is.
        return tf.concat([shape[:1] * self.count, shape[1:]], 0)

    def own(self, values):
        return values[self.rank :: self.count]

    def _draw(self, draw):
        """Returns a function that draws random numbers for the whole batch, and returns those of its rows."""

        def cut(shape, *arguments, **options):
            if isinstance(shape[0], int):  # as in `_dropout`
                return draw(shape, *arguments, **options)
            return self.own(draw((shape[0] * self.count, *shape[1:]), *arguments, **options))

        return cut

    def _dropout(self, dropout):
        """Returns Keras' dropout with the mask that one process would draw for the whole batch, cut by rows."""

        def cut(inputs, rate, noise_shape=None, seed=None):
            if inputs.shape[0] is not None:  # no rows of examples, which are of any number: the same in all processes
                return dropout(inputs, rate, noise_shape, seed)
            own = tf.shape(inputs)
            sizes = [None] * len(inputs.shape) if noise_shape is None else noise_shape
            own = tf.stack([own[axis] if size is None else size for axis, size in enumerate(sizes)])
            if sizes[0] == 1:  # one mask for all rows
                return inputs * dropout(tf.ones(own, inputs.dtype), rate, None, seed)
            return inputs * self.own(dropout(tf.ones(self.whole(own), inputs.dtype), rate, None, seed))

        return cut


ALONE = Single()
_current = ALONE


def current():
    """Returns the engine that trains in this process."""
    return _current


@keras.saving.register_keras_serializable("kit")
class Once(keras.layers.Layer):
    """Passes on what is no example's, but the same for all of a step, such as items that are drawn for all users.

    Shape:
        in, out: anything
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.built = True

    def call(self, inputs):
        return _current.once(inputs)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, inputs.dtype)


class SummedMetrics(keras.callbacks.Callback):
    """Adds up the sums and counts of training metrics over processes behind the last batch of an epoch.

    Args:
        engine: The engine.
        steps_per_epoch: Steps of an epoch.
    """

    def __init__(self, engine, steps_per_epoch):
        super().__init__()
        self.engine, self.steps = engine, steps_per_epoch

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == self.steps:
            for variable in self.model.metrics_variables:
                variable.assign(self.engine.total(keras.ops.convert_to_numpy(variable)))


class SameLogs(keras.callbacks.Callback):
    """Gives the logs of each epoch the values that the first of several processes has.

    So all stop, lower their rate and keep weights together, whatever else they round otherwise.

    Args:
        engine: The engine.
    """

    def __init__(self, engine):
        super().__init__()
        self.engine = engine

    def on_epoch_end(self, epoch, logs=None):
        logs.update(self.engine.of_first(logs))
