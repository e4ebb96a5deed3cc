"""Tensors of safetensors files, one file or shards with an index: each is read when it is asked for.

Nothing is ever unpickled: weights that are there as pickles alone are refused.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kit.errors import KitError, shown
from kit.files import read_json, reading

_ONE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLES = ("*.bin", "*.pth", "*.pt", "*.ckpt", "*.pkl")


class Tensors(Mapping):
    """Tensors in a folder of published weights, by name; floats of fewer bits come as float32.

    Args:
        folder: Path of the folder, with `model.safetensors` or with shards and `model.safetensors.index.json`.

    Raises:
        KitError: a file is missing or damaged, or there are pickles alone.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self._open = {}
        self._files = self._index()

    def __getitem__(self, name):
        with reading(self._files[name]):
            value = self._file(name).get_tensor(name)
        is_short = value.dtype.itemsize < 4 and value.dtype.kind not in "biu"  # bfloat16 is no kind of NumPy's own
        return value.astype(np.float32) if is_short else value

    def __iter__(self):
        return iter(self._files)

    def __len__(self):
        return len(self._files)

    def shape(self, name):
        """Returns the shape of a tensor, which is not read for that."""
        with reading(self._files[name]):
            return tuple(self._file(name).get_slice(name).get_shape())

    def _file(self, name):
        path = self._files[name]
        if path not in self._open:
            self._open[path] = _opened(path)
        return self._open[path]

    def _index(self):
        """Returns the file of each tensor."""
        index = self.folder / _INDEX
        if index.exists():
            return self._of_shards(index)
        path = self.folder / _ONE
        if not path.exists():
            alone = sorted(self.folder.glob("*.safetensors"))
            if len(alone) != 1:
                raise KitError(f"{self.folder}: {_ONE} is missing{self._pickles()}")
            path = alone[0]
        self._open[path] = _opened(path)
        return dict.fromkeys(self._open[path].keys(), path)

    def _of_shards(self, index):
        names = read_json(index).get("weight_map")
        if not isinstance(names, dict) or not all(isinstance(file, str) for file in names.values()):
            raise KitError(f"{index}: expected weight_map, from each tensor to the name of its file")
        for file in sorted(set(names.values())):
            if Path(file).name != file:
                raise KitError(f"{index}: expected files in the same folder, got {shown(file)}")
            if not (self.folder / file).exists():
                raise KitError(f"{self.folder}: {file} is missing, one of {len(set(names.values()))} in {_INDEX}")
        held = {}
        for path in {self.folder / file for file in names.values()}:
            self._open[path] = _opened(path)
            held[path] = set(self._open[path].keys())
        files = {name: self.folder / file for name, file in names.items()}
        for name, path in files.items():
            if name not in held[path]:
                raise KitError(f"{path}: {name} is missing, which {_INDEX} says is in it")
        return files

    def _pickles(self):
        """Returns in words what pickles there are in place of tensors."""
        pickles = [path.name for pattern in _PICKLES for path in sorted(self.folder.glob(pattern))]
        if not pickles:
            return ""
        return f"; {pickles[0]} is a pickle, which can run code and is never opened: ask for the same as safetensors"


def _opened(path):
    from safetensors import safe_open

    with reading(path):
        return safe_open(path, framework="numpy")


def configuration(folder):
    """Returns `config.json` of a folder of published weights.

    Raises:
        KitError: it is missing, or is no table.
    """
    path = Path(folder) / "config.json"
    if not path.exists():
        raise KitError(f"{folder}: config.json is missing, which tells the sizes of the network")
    found = read_json(path)
    if not isinstance(found, dict):
        raise KitError(f"{path}: expected a table, got {shown(found)}")
    return found


def save(tensors, path):
    """Writes tensors, by name, as a safetensors file."""
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, path, {"format": "pt"})
