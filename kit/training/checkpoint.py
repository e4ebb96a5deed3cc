"""Checkpoint: the whole state of a training run, from which it resumes exactly.

Keras' `BackupAndRestore` keeps weights, optimizer and epoch. Exact resume also needs the random-number states, the
counters of every callback, and the history; the position in the data follows from the step (`Examples.stream`).

What seldom changes and may be large, such as the best weights, lies in files beside that of the state, which names
them; they are written before it, and removed behind it.
"""

import concurrent.futures
import json
import re

import keras
import numpy as np
import tensorflow as tf

from kit.errors import KitError
from kit.files import atomic, reading

# Name of the value that says which files lie beside, and what these are called.
_BESIDE = "files_beside"
_NUMBERED = re.compile(r"([a-z]+)-(\d+)\.npz")


def optimizers(model):
    """Returns all optimizers of a model: one, or those of a training wrapper with several."""
    several = getattr(model, "optimizers", None)
    return list(several) if several else [model.optimizer]


def inside(optimizer):
    """Returns the optimizer that was chosen, out of the one that Keras puts around it with float16.

    That one, which scales the loss, has the attributes of every optimizer, but at their defaults.
    """
    return getattr(optimizer, "inner_optimizer", optimizer)


def averages(model):
    """Returns whether an optimizer of a model averages its weights."""
    return any(getattr(inside(optimizer), "use_ema", False) for optimizer in optimizers(model))


def variables(model):
    """Returns all variables that training changes: weights, random-number states, optimizers'."""
    found = list(model.variables)
    for optimizer in optimizers(model):
        found += optimizer.variables
    return found


def copied(variables, into=None):
    """Returns copies of variables as arrays.

    Args:
        variables: The variables.
        into: Arrays of earlier copies, which are written over: memory that is there already takes half the time.
    """
    views = [_view(variable) for variable in variables]
    if into is None or [(each.shape, each.dtype) for each in into] != [(each.shape, each.dtype) for each in views]:
        return [view.copy() for view in views]
    for array, view in zip(into, views, strict=True):
        np.copyto(array, view)
    return into


def _view(variable):
    """Returns an array of the values of a variable, their own memory where TensorFlow lends it."""
    value = variable.value
    return np.asarray(value.read_value()) if isinstance(value, tf.Variable) else keras.ops.convert_to_numpy(variable)


class Writer:
    """Writes checkpoints behind what goes on, one after the other.

    The arrays that it is given must not change before it is done with them; `wait` tells.

    Args:
        path: File of the state, `.npz`; see `save`.
    """

    def __init__(self, path):
        self.path = path
        self._pool = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._pending = None
        self._written = {}  # name of what lies beside to its number

    def save(self, arrays, values, beside=None, then=None):
        """Begins to write a checkpoint, as soon as the one before is written.

        Args:
            arrays, values: As for `save`.
            beside: As for `save`; what has the number of the one before is not written again.
            then: Function that is called behind it; or None.

        Raises:
            KitError: the one before could not be written.
        """
        self.wait()
        self._pending = self._pool.submit(self._write, arrays, values, beside, then)

    def _write(self, arrays, values, beside, then):
        numbers = {name: number for name, (number, _) in (beside or {}).items()}
        new = {name: None if self._written.get(name) == numbers[name] else beside[name][1] for name in numbers}
        save(self.path, arrays, values, {name: (numbers[name], several) for name, several in new.items()})
        self._written = numbers
        if then is not None:
            then()

    def wait(self):
        """Returns once everything is written.

        Raises:
            KitError: it could not be.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self):
        """Waits, and ends the thread."""
        try:
            self.wait()
        finally:
            self._pool.shutdown()


def save(path, arrays, values, beside=None):
    """Writes a checkpoint; until it is whole, the previous one stays.

    Args:
        path: File to write, `.npz`.
        arrays: Dictionary of lists of arrays.
        values: Dictionary of anything JSON can hold.
        beside: Dictionary from a name of further arrays, which `load` returns with the others, to a number and a list:
            those arrays lie in the file `<name>-<number>.npz` beside it. None in place of the list: that file is there
            already.
    """
    beside = beside or {}
    for name, (number, several) in beside.items():
        if several is not None:
            _save(path.with_name(f"{name}-{number}.npz"), {name: several}, {})
    kept = {name: number for name, (number, _) in beside.items()}
    _save(path, arrays, values | {_BESIDE: kept} if kept else values)
    for other in path.parent.glob("*.npz"):
        found = _NUMBERED.fullmatch(other.name)
        if found and found[1] in kept and int(found[2]) != kept[found[1]]:
            other.unlink(missing_ok=True)


def _save(path, arrays, values):
    flat = {
        f"{name}/{index}": np.asarray(array) for name, several in arrays.items() for index, array in enumerate(several)
    }
    # NumPy knows bfloat16 and its like by their size alone: it writes their bits, and their names are kept beside.
    types = {key: array.dtype.name for key, array in flat.items() if array.dtype.kind == "V"}
    flat |= {key: flat[key].view(f"u{flat[key].dtype.itemsize}") for key in types}
    text, types = (np.frombuffer(json.dumps(each).encode(), dtype=np.uint8) for each in (values, types))
    with atomic(path) as temporary:
        np.savez(temporary, values=text, types=types, **flat)


def load(path):
    """Reads a checkpoint; nothing in it is unpickled.

    Returns:
        The arrays, those beside among them, and the values, as `save` took them, of the same types.

    Raises:
        KitError: a file is damaged.
    """
    arrays, values = _load(path)
    with reading(path):
        names = [f"{name}-{number}.npz" for name, number in dict(values.pop(_BESIDE, {})).items()]
        if not all(map(_NUMBERED.fullmatch, names)):
            raise KitError(f"{path}: damaged; expected names of files beside it, such as best-3.npz, got {names[0]!r}")
    for name in names:
        arrays |= _load(path.with_name(name))[0]
    return arrays, values


def _load(path):
    with reading(path), np.load(path, allow_pickle=False) as file:
        values = json.loads(file["values"].tobytes())
        types = json.loads(file["types"].tobytes()) if "types" in file.files else {}
        arrays = {}
        for key in file.files:
            name, _, index = key.partition("/")
            if index:
                arrays.setdefault(name, {})[int(index)] = (
                    file[key].view(tf.as_dtype(types[key]).as_numpy_dtype) if key in types else file[key]
                )
    ordered = {name: [several[index] for index in sorted(several)] for name, several in arrays.items()}
    return ordered, values


def load_state(path, most):
    """Reads the checkpoint of a training, as `RunState` writes it.

    Args:
        path: The file.
        most: Epochs of the whole training.

    Returns:
        As for `load`.

    Raises:
        KitError: the file is damaged, or holds something else.
    """
    arrays, values = load(path)
    with reading(path):
        epochs, history, seconds = values["epochs"], values["history"], values["seconds"]
        steps = values.get("steps", 0)  # runs from before they were kept lack them
        is_right = (
            (type(epochs), type(steps), type(values["stopped"])) == (int, int, bool)
            and 0 <= epochs <= most
            and steps >= 0
            and [row["epoch"] for row in history] == list(range(1, epochs + 1))
            and all(isinstance(each, int | float) for each in (*seconds, *(v for row in history for v in row.values())))
            and all(isinstance(each, dict) for each in values["counters"])
            and {"variables", *(["best"] if epochs else [])} <= arrays.keys()
        )
    if not is_right:
        raise KitError(f"{path}: damaged; expected the state of a training of at most {most} epochs")
    return arrays, values


def check_fits(path, restored, network, callbacks):
    """Raises KitError where a checkpoint has other best weights than a network, or the counters of other callbacks.

    Args:
        path: The file.
        restored: What `load_state` returned.
        network: The model whose best weights are kept.
        callbacks: Number of callbacks whose counters are kept.
    """
    arrays, values = restored
    shapes = [weight.shape for weight in network.get_weights()]
    best = [array.shape for array in arrays.get("best", [])]
    if len(values["counters"]) != callbacks or (best and best != shapes):
        raise KitError(f"{path}: the checkpoint belongs to another model or training; expected the same one")


def assign(targets, arrays):
    """Puts saved arrays back into variables.

    Raises:
        KitError: their number or a shape differs, so the checkpoint is of another model.
    """
    shapes = [tuple(variable.shape) for variable in targets]
    saved = [array.shape for array in arrays]
    if shapes != saved:
        raise KitError("the checkpoint belongs to another model; expected the same one")
    for variable, array in zip(targets, arrays, strict=True):
        variable.assign(array)
