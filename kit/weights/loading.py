"""Published weights into a network, and back into the published layout."""

import fnmatch
import logging

import keras
import numpy as np

from kit.errors import KitError, shown
from kit.weights.tensors import Tensors

log = logging.getLogger("kit")


def load(model, family, folder):
    """Gives a network published weights; all of them or, if something does not fit, none.

    Args:
        model: Network of the family's architecture, also with a head; changed in place.
        family: `Family`.
        folder: Folder with `model.safetensors`, or shards of it.

    Returns:
        Names of the variables that got none: those of a head that is not published.

    Raises:
        KitError: a tensor is missing, left over or of another shape; the message names it.
    """
    tensors, variables = Tensors(folder), _variables(model)
    names = family.names(model)
    published = {name: name for name in tensors}
    published |= {name.removeprefix(family.prefix): name for name in tensors if name.startswith(family.prefix)}
    paths = [path for each in names.values() for path in _paths(each)]
    unknown = sorted(set(paths) - set(variables))
    if unknown:
        raise KitError(f"{family.name}: the network has no {shown(unknown[0])}; expected the architecture unchanged")
    missing = [name for name in names if name not in published]
    if missing:
        raise KitError(f"{folder}: {shown(missing[0])} is missing, {_count(len(missing))} for a {family.name}")
    used = {published[name] for name in names}
    rest = [name for name in tensors if name not in used and not _fits(name, family.ignored)]
    left_over = [name for name in rest if not _fits(name, family.heads)]
    if left_over:
        raise KitError(f"{folder}: {shown(left_over[0])} has no place in a {family.name}, {_count(len(left_over))}")
    for name, target in names.items():
        shape, expected = tensors.shape(published[name]), _published_shape(target, variables)
        if _bare(shape) != _bare(expected):
            raise KitError(f"{folder}: {published[name]} has shape {shape}; expected {expected}")
    for name, target in names.items():
        value = tensors[published[name]]
        values = [value] if isinstance(target, str) else target.split(value)
        for path, part in zip(_paths(target), values, strict=True):
            variable, layer = variables[path]
            part = _turned(part, variable, layer) + _difference(variable, layer, family)
            variable.assign(part.reshape(variable.shape))
    if rest:
        log.info("not used of the published weights: %s", ", ".join(rest))
    return sorted(set(variables) - set(paths))


def tensors_of(model, family):
    """Returns the weights of a network in the published layout, by published names."""
    variables, found = _variables(model), {}
    for name, target in family.names(model).items():
        values = []
        for path in _paths(target):
            variable, layer = variables[path]
            value = keras.ops.convert_to_numpy(variable) - _difference(variable, layer, family)
            values.append(_turned_back(value, variable, layer))
        found[name] = values[0] if isinstance(target, str) else target.join(values)
    return found


def _variables(model):
    """Returns each variable with its layer by path."""
    return {
        variable.path.removeprefix(f"{model.name}/"): (variable, layer)
        for layer in model._flatten_layers(include_self=False, recursive=True)
        for variable in [*layer._trainable_variables, *layer._non_trainable_variables]
        if "seed" not in variable.path.rpartition("/")[2]
    }


def _axes(variable, layer):
    """Returns the order of a published tensor's axes in which they are ours; None where it is the same."""
    if variable.path.rpartition("/")[2] != "kernel":
        return None
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return (2, 3, 0, 1)
    return {2: (1, 0), 3: (2, 1, 0), 4: (2, 3, 1, 0), 5: (2, 3, 4, 1, 0)}[len(variable.shape)]


def _difference(variable, layer, family):
    """Returns what a variance of a batch normalisation is larger by than the published one, for the same result."""
    is_variance = variable.path.rpartition("/")[2] == "moving_variance"
    return np.float32(family.epsilon - layer.epsilon) if is_variance and family.epsilon is not None else np.float32(0)


def _turned(value, variable, layer):
    axes = _axes(variable, layer)
    return value if axes is None else value.transpose(axes)


def _turned_back(value, variable, layer):
    axes = _axes(variable, layer)
    return value if axes is None else value.transpose(np.argsort(axes))


def _paths(target):
    """Returns the paths of the variables that a published tensor goes into."""
    return (target,) if isinstance(target, str) else target.paths


def _published_shape(target, variables):
    if not isinstance(target, str):
        return target.shape([_published_shape(path, variables) for path in target.paths])
    variable, layer = variables[target]
    axes = _axes(variable, layer)
    shape = tuple(variable.shape)
    return shape if axes is None else tuple(shape[axis] for axis in np.argsort(axes))


def _bare(shape):
    """Returns a shape without leading axes of one."""
    return _bare(shape[1:]) if shape[:1] == (1,) and len(shape) > 1 else shape


def _fits(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _count(number):
    return "and no other" if number == 1 else f"one of {number:,}"
