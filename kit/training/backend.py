"""Keras backend that trains: TensorFlow, or JAX where `KERAS_BACKEND=jax` says so. tf.data feeds both."""

import contextlib

import keras

from kit.errors import check

# Settings of `[train]` that TensorFlow's own functions carry out, each with its values elsewhere.
_OF_TENSORFLOW = {
    "devices": (1,),
    "workers": (1,),
    "freeze": ((), []),
    "tensorboard": (False,),
    "minutes": (None,),
}


def is_tensorflow():
    """Returns whether TensorFlow trains, not JAX."""
    return keras.backend.backend() == "tensorflow"


def check_settings(training):
    """Refuses what only the other backend can do.

    Args:
        training: Settings of `[train]`.

    Raises:
        SettingError: one is not for this backend.
    """
    if is_tensorflow():
        parts = training["model_parallel"]
        check(parts == 1, "model_parallel", parts, "1 with TensorFlow; KERAS_BACKEND=jax divides a network")
        return
    for key, allowed in _OF_TENSORFLOW.items():
        check(training[key] in allowed, key, training[key], f"{allowed[0]!r} under JAX: only TensorFlow does that")
    check(not training["deterministic"] or not gpus(), "deterministic", True, "false under JAX on a GPU")


def gpus():
    """Returns JAX's GPUs."""
    import jax

    with contextlib.suppress(RuntimeError):  # it was built without any
        return jax.devices("gpu")
    return []


def split_cpu(parts):
    """Lets JAX see so many devices in the CPU; possible only before it is used in the process."""
    import jax

    with contextlib.suppress(RuntimeError):  # it is in use: `layouts.divided` says so
        jax.config.update("jax_num_cpu_devices", parts)


def sync(model):
    """Gives the variables of a model the values that a training under JAX keeps outside of them within an epoch."""
    if not is_tensorflow():
        model.jax_state_sync()


def need_tensorflow(purpose):
    """Raises SettingError under JAX for what TensorFlow alone can do, said in words."""
    used = keras.backend.backend()
    check(used == "tensorflow", "KERAS_BACKEND", used, f"'tensorflow' to {purpose}")
