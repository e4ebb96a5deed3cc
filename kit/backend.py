"""Keras backend that trains: TensorFlow, or JAX where `KERAS_BACKEND=jax` says so. tf.data feeds both."""

import contextlib
import os

from kit.errors import check


def name():
    """Returns the name of the backend."""
    import keras

    return keras.backend.backend()


def is_tensorflow():
    """Returns whether TensorFlow trains, not JAX."""
    return name() == "tensorflow"


def gpus():
    """Returns JAX's GPUs."""
    import jax

    with contextlib.suppress(RuntimeError):  # it was built without any
        return jax.devices("gpu")
    return []


def split_cpu(parts):
    """Lets JAX see so many devices in the CPU; possible only before it is used in the process.

    Of a computation that devices share each holds a thread until all have one, and more threads wait to start the next
    computation once many are under way: with a thread for each device they would wait for each other for ever.
    """
    import jax

    os.environ.setdefault("PJRT_NPROC", str(max(os.cpu_count() or 1, 3 * parts)))
    with contextlib.suppress(RuntimeError):  # it is in use: `layouts.divided` says so
        jax.config.update("jax_num_cpu_devices", parts)


def sync(model):
    """Gives the variables of a model the values that a training under JAX keeps outside of them within an epoch."""
    if not is_tensorflow():
        model.jax_state_sync()


def need_tensorflow(purpose):
    """Raises SettingError under JAX for what TensorFlow alone can do, said in words."""
    check(is_tensorflow(), "KERAS_BACKEND", name(), f"'tensorflow' to {purpose}")


def predict_on_batch(model, inputs):
    """Returns what a model's `predict_on_batch` returns, arrays (rows, ...), each row once.

    Where a model is on several devices, Keras gives each of them the whole batch, and returns what all have found, one
    after the other.
    """
    from keras import tree

    rows = len(tree.flatten(inputs)[0])
    return tree.map_structure(lambda each: each[:rows], model.predict_on_batch(inputs))
