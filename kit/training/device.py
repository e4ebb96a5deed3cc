"""Devices: GPUs, precision, compilation, and how many steps run in one call."""

import contextlib
import functools
import logging
import os
import shutil
import statistics
import time

import keras
import tensorflow as tf
from tensorflow.python.framework.ops import gradient_registry

from kit import backend
from kit.errors import SettingError, check
from kit.training import layouts

log = logging.getLogger("kit")

# One call of the compiled training function should last about this long: Keras' overhead between two calls is then lost
# in it, while the progress line still moves. Beyond 64 steps nothing more is gained.
_SECONDS_PER_EXECUTION = 0.3
_MOST_STEPS_PER_EXECUTION = 64
# Compute capability of the first NVIDIA cards that calculate in bfloat16.
_BFLOAT16_CAPABILITY = (8, 0)
# Settings of `[train]` that TensorFlow's own functions carry out, each with its values elsewhere.
_OF_TENSORFLOW = {
    "devices": (1,),
    "workers": (1,),
    "freeze": ((), []),
    "matmul_precision": ("float32",),
    "tensorboard": (False,),
    "minutes": (None,),
}
# A training step costs about this many forward passes.
_FORWARD_PASSES_PER_STEP = 3


def has_gpu():
    """Tells whether the backend sees a GPU."""
    if not backend.is_tensorflow():
        return bool(backend.gpus())
    return bool(tf.config.list_physical_devices("GPU"))


def has_unseen_card():
    """Tells whether there is an NVIDIA card that TensorFlow does not see, though nothing hides it."""
    is_hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1")
    is_there = shutil.which("nvidia-smi") is not None or os.path.exists("/dev/nvidia0")
    return is_there and not is_hidden and not has_gpu()


@functools.cache
def warn_of_unseen_card():
    """Says, once, that an NVIDIA card is there and that the CPU does the work all the same."""
    if has_unseen_card():
        reason = "its CUDA libraries were not found" if tf.test.is_built_with_cuda() else "it was built without CUDA"
        log.warning(
            "an NVIDIA card is here, but TensorFlow does not see it (%s) and the CPU does the work; "
            'pip install ".[cuda]", and `kit doctor` looks again',
            reason,
        )


def precision(mixed_precision):
    """Returns the name of the Keras dtype policy: that which was asked for, or for "auto" the one for this machine.

    Cards before compute capability 8 (T4, V100) have no bfloat16; there, and on a CPU, it is Keras' `floatx`: float32,
    unless keras.json says otherwise.
    """
    if mixed_precision != "auto":
        return mixed_precision
    cards = _cards()
    has_it = all(capability and capability >= _BFLOAT16_CAPABILITY for _, capability in cards)
    return "mixed_bfloat16" if cards and has_it else keras.config.floatx()


def tell_matmul_precision(layers):
    """Says in the log how many layers of a network multiply in bfloat16, and where that is no help.

    Args:
        layers: Number of the layers whose products these are.
    """
    if not layers:
        log.warning("train.matmul_precision: no layer of this network has such products of float32; nothing changes")
        return
    log.info("train.matmul_precision: %d layers multiply in bfloat16 while they are trained", layers)
    features = _cpu_features()
    if features and not has_gpu() and not features & {"amx_bf16", "avx512_bf16"}:
        log.warning("this CPU has no instructions for bfloat16 (AMX, AVX-512 BF16): this will be slow")


def _cpu_features():
    """Returns what the CPU has instructions for, in Linux' names; nothing where that is not known."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        return next((set(line.split()) for line in lines if line.startswith(("flags", "Features"))), set())
    return set()


def _cards():
    """Returns name and compute capability of each GPU; None where it is not known."""
    if not backend.is_tensorflow():
        known = ((each.device_kind, getattr(each, "compute_capability", None)) for each in backend.gpus())
        return [(name, which and tuple(map(int, which.split(".")))) for name, which in known]
    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return [(each.get("device_name", "the GPU"), each.get("compute_capability")) for each in details]


@contextlib.contextmanager
def session(devices=1, mixed_precision="auto", deterministic=False, model_parallel=1):
    """Sets up devices, precision and determinism for what is built and trained inside.

    Args:
        devices: Number of GPUs to train on; on a machine without any, of logical CPU devices.
        mixed_precision: "auto" (see `precision`) or the name of a Keras dtype policy.
        deterministic: Make every TensorFlow operation deterministic; TensorFlow cannot take that back in the process.
        model_parallel: Number of devices among which a network's variables are divided, under JAX.

    Raises:
        SettingError: there are fewer devices, or a CPU was asked for float16.
    """
    warn_of_unseen_card()
    mixed_precision = precision(mixed_precision)
    if mixed_precision == "mixed_bfloat16":
        for name, capability in _cards():
            if capability and capability < _BFLOAT16_CAPABILITY:
                log.warning("%s has no bfloat16 (compute capability %d.%d): this will be slow", name, *capability)
    if mixed_precision == "mixed_float16" and not has_gpu():
        raise SettingError(
            "train.mixed_precision",
            "mixed_float16 makes a CPU about six times slower; expected 'float32' or 'mixed_bfloat16' without a GPU",
        )
    strategy = _strategy(devices) if devices > 1 else contextlib.nullcontext()
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(mixed_precision)
    if deterministic and backend.is_tensorflow():
        tf.config.experimental.enable_op_determinism()
    try:
        with strategy, layouts.divided(model_parallel), _gradients_let_go():
            yield
    finally:
        keras.config.set_dtype_policy(previous)


@contextlib.contextmanager
def _gradients_let_go():
    """Lets go of the custom gradients that are registered inside: TensorFlow keeps each, with its graph, for ever.

    What was traced has its gradients in it and needs them no more; what is traced later registers its own.
    """
    registry = getattr(gradient_registry, "_registry", {})
    before = set(registry)
    try:
        yield
    finally:
        for name in registry.keys() - before:
            if name.startswith("CustomGradient-"):
                del registry[name]


def _strategy(devices):
    kind = "GPU" if has_gpu() else "CPU"
    physical = tf.config.list_physical_devices(kind)
    if kind == "CPU" and len(tf.config.list_logical_devices("CPU")) < devices:
        raise SettingError(
            "train.devices",
            f"{devices} CPU devices have to be set up before TensorFlow starts; expected a fresh process",
        )
    if kind == "GPU" and len(physical) < devices:
        raise SettingError("train.devices", f"expected at most {len(physical)}, got {devices}")
    names = [f"{kind}:{index}" for index in range(devices)]
    return tf.distribute.MirroredStrategy(names).scope()


def split_cpu(devices):
    """Makes several logical devices of the CPU, where there is no GPU; possible only before it is used."""
    if devices > 1 and not backend.is_tensorflow():
        backend.split_cpu(devices)
        return
    if devices < 2 or has_gpu():
        return
    with contextlib.suppress(RuntimeError):  # TensorFlow is in use: _strategy says so
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * devices,
        )


def use_one_thread():
    """Lets operations work on one processor, where no setting says otherwise; possible only before the first one.

    Of steps that take less than a millisecond several threads spend most of their time waiting for each other.
    """
    if "TF_NUM_INTRAOP_THREADS" not in os.environ:
        with contextlib.suppress(RuntimeError):  # TensorFlow is in use
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)


def check_one_to_pretrain():
    """Raises SettingError where there are several devices: what is trained before training uses one.

    Raises:
        SettingError: there are several.
    """
    if tf.distribute.has_strategy():
        raise SettingError(
            "train.devices", "expected 1 with layers that are trained alone first, or backbone.pretraining_epochs=0"
        )


def compilation(jit_compile):
    """Resolves `train.jit_compile`.

    XLA made small convolutional networks slower on a CPU and nothing faster; on a GPU Keras' own choice stands, and JAX
    compiles all.
    """
    if jit_compile != "auto":
        return jit_compile
    if not backend.is_tensorflow():
        return "auto"
    log.info("compilation with XLA: %s", "Keras decides" if has_gpu() else "off, it is slower on a CPU")
    return "auto" if has_gpu() else False


def steps_per_execution(model, inputs, steps_per_epoch):
    """Measures the model on this machine and returns how many steps should run in one call.

    Args:
        model: The built model.
        inputs: One batch of inputs.
        steps_per_epoch: Steps of an epoch.

    Returns:
        A divisor of `steps_per_epoch`, at most 64: Keras would run past the end of an epoch with any other number.
    """
    if not backend.is_tensorflow():
        return 1  # Keras' other engines call each step by itself all the same
    forward = tf.function(lambda batch: model(batch, training=False))
    forward(inputs)
    tf.test.experimental.sync_devices()
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        forward(inputs)
        tf.test.experimental.sync_devices()  # a GPU has only been told by now what to do
        seconds.append(time.perf_counter() - start)
    step = max(_FORWARD_PASSES_PER_STEP * statistics.median(seconds), 1e-6)
    wanted = min(_MOST_STEPS_PER_EXECUTION, max(1, _SECONDS_PER_EXECUTION / step))
    steps = max(divisor for divisor in range(1, int(wanted) + 1) if steps_per_epoch % divisor == 0)
    log.info(
        "steps per execution: %d (a training step takes about %.1f ms here)",
        steps,
        step * 1000,
    )
    return steps


def check_backend(training):
    """Refuses what only the other backend can do.

    Args:
        training: Settings of `[train]`.

    Raises:
        SettingError: one is not for this backend.
    """
    if backend.is_tensorflow():
        parts = training["model_parallel"]
        check(parts == 1, "model_parallel", parts, "1 with TensorFlow; KERAS_BACKEND=jax divides a network")
        return
    for key, allowed in _OF_TENSORFLOW.items():
        check(training[key] in allowed, key, training[key], f"{allowed[0]!r} under JAX: only TensorFlow does that")
    check(not training["deterministic"] or not has_gpu(), "deterministic", True, "false under JAX on a GPU")


def check_combination(devices, steps_per_execution, jit_compile, accumulation, shared):
    """Refuses pairs of settings that Keras 3.15 fails on, before any training.

    Raises:
        SettingError: several devices together with compiled loops, XLA or gradient accumulation, or with inputs that
            all examples of a step share, which would be divided as if they were examples.
    """
    if devices == 1:
        return
    shares = f"1 where all examples of a step share what is drawn ({', '.join(sorted(shared))}); see train.workers"
    check(not shared, "train.devices", devices, shares)
    for key, value, allowed in (
        ("train.steps_per_execution", steps_per_execution, ("auto", 1)),
        ("train.jit_compile", jit_compile, ("auto", False)),
        ("optimizer.gradient_accumulation_steps", accumulation, (None, 1)),
    ):
        check(value in allowed, key, value, "the default together with train.devices above 1")
