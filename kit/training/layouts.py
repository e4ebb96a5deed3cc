"""Model parallelism: tables of layouts that divide the matrices of a network among several devices.

Shoeybi et al., "Megatron-LM: Training Multi-Billion Parameter Language Models Using Model Parallelism", 2019, section
3: of two matrices behind each other the first is divided by columns and the second by rows, so that what is between
them, heads or hidden units, never leaves its device. XLA puts the sums in.
"""

import contextlib
import logging
import math
import re

import keras

from kit.errors import SettingError

log = logging.getLogger("kit")

# For each family of layers: pattern of a variable's path, and the axis that is divided; the first that fits counts.
_ATTENTION = (
    (r"(query|key|value)\w*/(kernel|bias)$", -1),
    (r"attention/output/kernel$", 0),
)
_FEEDFORWARD = (
    (r"feedforward_(in|gate)\w*/(kernel|bias)$", -1),
    (r"feedforward_out/kernel$", 0),
)
_EXPERTS = (
    (r"expert\d+_(in|gate)/(kernel|bias)$", -1),
    (r"expert\d+_out/kernel$", 0),
)
_EMBEDDINGS = ((r"embeddings$", -1),)
_RECURRENT = ((r"recurrent_kernel$", -1),)
_CONVOLUTIONS_AND_DENSE = ((r"kernel$", -1),)
TABLE = (*_ATTENTION, *_FEEDFORWARD, *_EXPERTS, *_EMBEDDINGS, *_RECURRENT, *_CONVOLUTIONS_AND_DENSE)


def axis_of(path, shape, parts):
    """Returns the axis along which a variable is divided into so many parts; None where it is not."""
    for pattern, axis in TABLE:
        if re.search(pattern, path):
            return axis % len(shape) if shape and shape[axis] % parts == 0 else None
    return None


@contextlib.contextmanager
def divided(parts):
    """Divides the variables that are made inside among several devices; each has every example of a batch.

    Args:
        parts: Number of devices; with 1 nothing is divided.

    Raises:
        SettingError: there are fewer devices.
    """
    if parts == 1:
        yield
        return
    devices = keras.distribution.list_devices()
    if len(devices) < parts:
        expected = f"at most {len(devices)}, the devices that JAX sees; a CPU is divided in a fresh process alone"
        raise SettingError("train.model_parallel", f"expected {expected}, got {parts}")
    mesh = keras.distribution.DeviceMesh((1, parts), ("batch", "model"), devices[:parts])

    class Divided(keras.distribution.ModelParallel):
        """Model parallelism whose layouts go by the table and by the shape."""

        def get_variable_layout(self, variable):
            axes = [None] * len(variable.shape)
            axis = axis_of(variable.path, variable.shape, parts)
            if axis is not None:
                axes[axis] = "model"
            return keras.distribution.TensorLayout(axes, self.device_mesh)

    with Divided(layout_map=keras.distribution.LayoutMap(mesh), batch_dim_name="batch").scope():
        yield


def tell(network, parts):
    """Says in the log how many of the parameters of a network each device has."""
    sizes = [(math.prod(weight.shape), axis_of(weight.path, weight.shape, parts)) for weight in network.weights]
    own = sum(size if axis is None else size // parts for size, axis in sizes)
    every = sum(size for size, _ in sizes)
    log.info("train.model_parallel: each of %d devices has %s of %s parameters", parts, f"{own:,}", f"{every:,}")
