"""Families of published weights: a table from their names to the kit's, which is read in both directions."""

import dataclasses
from collections.abc import Callable

import numpy as np

from kit.errors import KitError, shown
from kit.weights.tensors import configuration


@dataclasses.dataclass(frozen=True)
class Family:
    """Published layout of an architecture.

    Args:
        name: Name of a variant of the architecture, `model_type` in `config.json` but for a hyphen.
        arguments: Function from `config.json` to keywords of the builder.
        configuration: Function from a model to `config.json`: the other way.
        names: Function from a model to a dictionary, from each published tensor to the path of a variable, or to
            `Joined`.
        prefix: What published names begin with where the network has a head.
        heads: Patterns of tensors of heads, that a network without this head does not use.
        ignored: Patterns of tensors that hold no weights.
        images: Mean and standard deviation of each channel that pixels from 0 to 1 are normalised by, where
            `preprocessor_config.json` does not tell; None of what takes no images.
        image_size: Side of images in pixels, where `config.json` does not tell.
        epsilon: Small number of the published batch normalisations; where the network's have another, the difference
            goes into their variances.
    """

    name: str
    arguments: Callable
    configuration: Callable
    names: Callable
    prefix: str = ""
    heads: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    images: dict | None = None
    image_size: int | None = None
    epsilon: float | None = None


@dataclasses.dataclass(frozen=True)
class Joined:
    """Several dense kernels that are published as one tensor: those of each head one below the other.

    Args:
        paths: Paths of the kernels.
        heads: Number of heads.
    """

    paths: tuple[str, ...]
    heads: int

    def split(self, value):
        """Returns the published kernels, (out, in) each, of one tensor (paths * out, in)."""
        parts = value.reshape(self.heads, len(self.paths), -1, value.shape[-1])
        return [parts[:, index].reshape(-1, value.shape[-1]) for index in range(len(self.paths))]

    def join(self, values):
        """Returns one tensor: what `split` splits."""
        parts = [value.reshape(self.heads, 1, -1, value.shape[-1]) for value in values]
        joined = np.concatenate(parts, 1)  # (heads, paths, out / heads, in)
        return joined.reshape(-1, joined.shape[-1])

    def shape(self, shapes):
        """Returns the shape of the one tensor, given those of the kernels as they would be published."""
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])


@dataclasses.dataclass(frozen=True)
class BesideEachOther:
    """Dense kernels, or biases, that are published the other way round and beside each other: (in, paths * out).

    Args:
        paths: Paths of the kernels or biases.
    """

    paths: tuple[str, ...]

    def split(self, value):
        """Returns the kernels as they would be published alone, (out, in) each, or the biases, of one tensor."""
        return [part.T for part in np.split(value, len(self.paths), -1)]

    def join(self, values):
        """Returns one tensor: what `split` splits."""
        return np.ascontiguousarray(np.concatenate([value.T for value in values], -1))

    def shape(self, shapes):
        """Returns the shape of the one tensor, given those of the parts as they would be published alone."""
        return (*shapes[0][1:], sum(shape[0] for shape in shapes))


IMAGENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}


def check_type(folder, family):
    """Returns `config.json` of a folder, or raises KitError where it is of another family."""
    found = configuration(folder)
    kind = found.get("model_type")
    if str(kind).replace("-", "_") != family.name:
        raise KitError(f"{folder}: config.json has model_type {shown(kind)}; expected {family.name!r}")
    return found


def setting(config, folder, key, *more, default=None):
    """Returns a value of `config.json`, under the first of several keys that is there.

    Raises:
        KitError: none is there, and there is no default.
    """
    for name in (key, *more):
        if config.get(name) is not None:
            return config[name]
    if default is None:
        raise KitError(f"{folder}: config.json has no {key}")
    return default


def known(config, folder, key, values, default):
    """Returns a value of `config.json`, or raises KitError where the architecture cannot be so."""
    found = config.get(key, default)
    if found not in values:
        expected = " or ".join(map(repr, values))
        raise KitError(f"{folder}: config.json has {key} {shown(found)}; expected {expected}")
    return found


def blocks(table, count, **names):
    """Returns a table for each of so many blocks: `{n}` counts from 0 in published names, `{m}` from 1 in ours."""
    return {
        theirs.format(n=number, **names): ours.format(m=number + 1, **names)
        for number in range(count)
        for theirs, ours in table.items()
    }


def with_parameters(table, ending="", own=""):
    """Returns `name.weight` and `name.bias` of layers, given their names.

    Args:
        table: Published name of a layer to ours, those of dense layers and convolutions.
        ending, own: Names of what stands for weight, of the published layer and of ours.
    """
    ending, own = ending or "weight", own or "kernel"
    return {f"{theirs}.{ending}": f"{ours}/{own}" for theirs, ours in table.items()} | {
        f"{theirs}.bias": f"{ours}/bias" for theirs, ours in table.items()
    }


def norms(table):
    """Returns weight and bias of normalisations, given their names."""
    return {f"{theirs}.weight": f"{ours}/gamma" for theirs, ours in table.items()} | {
        f"{theirs}.bias": f"{ours}/beta" for theirs, ours in table.items()
    }
