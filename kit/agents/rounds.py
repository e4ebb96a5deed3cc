"""Rounds of an agent on their way into `keras.Model.fit`: no thread and no copy between acting and learning."""

import tensorflow as tf
from keras.src.trainers.data_adapters.data_adapter import DataAdapter


class Rounds(DataAdapter):
    """Stream of rounds, each made in the thread that asks for it; `keras.Model.fit` takes it as it is.

    A `tf.data.Dataset` of a Python generator runs it in a thread of its own and copies what it makes: of a small round
    that takes as long as making it. Keras passes data adapters of one's own through, and without a strategy of several
    devices iterates over whatever their data set is.

    Args:
        rounds: Iterator of rounds, nested tuples and dictionaries of arrays.
        signature: `tf.TensorSpec`s of a round.
    """

    num_batches = batch_size = has_partial_batch = partial_batch_size = None

    def __init__(self, rounds, signature):
        self.rounds, self.signature = rounds, signature

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.rounds)

    def get_tf_dataset(self):
        return self


def learning_function(learn, signature, jit_compile):
    """Returns a compiled function from a round to what there is to log, numbers by name.

    It is traced once, for all rounds of the signature. A call takes a flat list and returns one array, since TensorFlow
    needs as long for a nested structure as for a small training step.

    Args:
        learn: Function from a round, tensors as in the signature, to a dictionary of float32 numbers.
        signature: `tf.TensorSpec`s of a round.
        jit_compile: Whether XLA compiles.
    """
    names, specs = [], tf.nest.flatten(signature)

    def step(*tensors):
        logs = learn(tf.nest.pack_sequence_as(signature, tensors))
        names[:] = logs
        return tf.stack(list(logs.values()))

    function = tf.function(step, jit_compile=jit_compile).get_concrete_function(*specs)

    def call(arrays):
        tensors = [tf.constant(array) for array in tf.nest.flatten(arrays)]
        return dict(zip(names, function(*tensors).numpy().tolist(), strict=True))

    return call
