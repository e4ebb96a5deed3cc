"""Packs: data larger than memory, written once by `kit pack` and read at random, value by value.

A pack is a folder. Values of different lengths, such as image files and texts, stand end to end in shards
`NAME-00000.bin`, the end of each in `NAME.ends.npy`; numbers are arrays `NAME.npy`. `pack.json` tells the kind, the
counts, and size and check sum of each file; it is written last, so its presence says that the pack is whole. Nothing is
pickled.

Shards are read by position (`pread`), and not through a memory map: the pages of a map count as memory of the process,
and a file that is cut while it is read ends a process with a map instead of raising an error.
"""

import collections.abc
import dataclasses
import mmap
import os
import threading
import zlib
from pathlib import Path

import numpy as np

from kit.data.split_rule import hashes_of
from kit.errors import KitError, SettingError
from kit.files import read_json, reading

FILE = "pack.json"
VERSION = 1
# Column of the names of examples.
NAMES = "name"
# Folder beside the pack in which it grows; a killed `kit pack` leaves it.
GROWING = ".packing"
_BLOCK = 1 << 20
# A map gives its pages back after so many rows: each may have brought 64 kB with it.
_ROWS_OF_A_MAP = 4096


@dataclasses.dataclass
class Named:
    """Names and identity of the texts of a pack, beside those fields that unpacked texts have.

    Args:
        stored_names: Name of each text.
        fingerprint: Check sum of all of them.
        files: File that tells the pack from others.
    """

    stored_names: object = None
    fingerprint: str = ""
    files: tuple = ()

    @property
    def names(self):
        """Name of each text, with a check sum of it and of its target, where it has one."""
        return self.stored_names

    @staticmethod
    def fields(pack):
        """Returns these fields of a `Pack`, by name."""
        known = {"fingerprint": pack.content["fingerprint"], "files": (pack.folder / FILE,)}
        return known | {"stored_names": pack.texts("name")}


def is_pack(path):
    """Tells whether a path is a pack, or one that is not whole, which `Pack` then says."""
    return path.is_dir() and ((path / FILE).is_file() or path.name.endswith(GROWING))


class Pack:
    """A pack, opened: each of its files is there, and of the right size.

    Args:
        folder: The folder.
        kinds: Names of the kinds of examples that are expected, such as "labelled images"; None takes any.

    Attributes:
        content: What `pack.json` tells.

    Raises:
        KitError: the pack is not whole, or a file is missing or has another size; the message names it.
        SettingError: it is a pack of another kind.
    """

    def __init__(self, folder, kinds=None):
        self.folder = Path(folder)
        if not (self.folder / FILE).is_file():
            raise KitError(f"{folder}: a pack that is not whole; the same `kit pack` begins it anew")
        with reading(self.folder / FILE):
            self.content = read_json(self.folder / FILE)
            version = self.content["version"]
            self.kind, self.examples = str(self.content["kind"]), int(self.content["examples"])
            files = {str(name): (int(size), str(sum_)) for name, (size, sum_) in self.content["files"].items()}
        if version != VERSION:
            raise KitError(f"{self.folder / FILE}: a pack of version {version!r}; expected {VERSION}: pack it anew")
        if kinds is not None and self.kind not in kinds:
            raise SettingError("source", f"{folder} is a pack of {self.kind}; expected {' or '.join(kinds)}")
        self.files = files
        for name, (size, _) in files.items():
            _check_name(self.folder, name)
            found = _size(self.folder / name)
            if found is None:
                raise KitError(f"{self.folder / name}: missing; expected all files of the pack: copy or pack it anew")
            if found != size:
                raise KitError(f"{self.folder / name}: {found:,} bytes; expected {size:,}: copy or pack it anew")

    def check(self):
        """Reads all files once, and raises KitError for the first whose check sum is another one."""
        for name, (_, expected) in self.files.items():
            if check_sum(self.folder / name) != expected:
                raise KitError(f"{self.folder / name}: damaged (another check sum); copy or pack it anew")

    def has(self, name):
        """Tells whether there is a column of that name."""
        return f"{name}.npy" in self.files or f"{name}.ends.npy" in self.files

    def array(self, name):
        """Returns a column of numbers, in memory."""
        path = self.folder / f"{name}.npy"
        with reading(path):
            return np.load(path, allow_pickle=False)

    def values(self, name):
        """Returns a column of values of different lengths, on disk."""
        shards = [self.folder / each for each in self.files if _shard_of(each) == name]
        return Values(self.folder, name, sorted(shards), [self.files[path.name][0] for path in sorted(shards)])

    def texts(self, name):
        """Returns a column of texts, on disk; that of names knows their hashes."""
        return Strings(self.values(name), self.array(f"{NAMES}.hashes") if name == NAMES else None)


def _check_name(folder, name):
    if Path(name).name != name or name in (".", ".."):
        raise KitError(f"{folder / FILE}: damaged; {name!r} is no name of a file in it")


def _size(path):
    try:
        return path.stat().st_size
    except OSError:
        return None


def _shard_of(name):
    """Returns the name of the column that a file is a shard of, or None."""
    stem, _, number = name.removesuffix(".bin").rpartition("-")
    return stem if name.endswith(".bin") and number.isdecimal() else None


def check_sum(path):
    """Returns the check sum of a file's content as text."""
    value = 0
    with reading(path), open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            value = zlib.crc32(block, value)
    return f"{value:08x}"


class Values(collections.abc.Sequence):
    """Values of different lengths in the shards of a pack, each read when it is asked for.

    Args:
        folder: Folder of the pack.
        name: Name of the column.
        shards: Paths of its shards, in order.
        sizes: Bytes of each.
    """

    def __init__(self, folder, name, shards, sizes):
        self.folder, self.name, self.shards = folder, name, shards
        path = folder / f"{name}.ends.npy"
        with reading(path):
            self.ends = np.load(path, allow_pickle=False)  # of all shards end to end, (examples,)
        self.starts_of_shards = np.concatenate([[0], np.cumsum(sizes)]).astype("int64")
        in_order = not len(self.ends) or (self.ends[0] >= 0 and (np.diff(self.ends) >= 0).all())
        last = self.ends[-1] if len(self.ends) else 0
        if not in_order or last != self.starts_of_shards[-1]:
            raise KitError(f"{path}: damaged; its positions do not fit the shards")
        self._files, self._lock = {}, threading.Lock()

    def __len__(self):
        return len(self.ends)

    @property
    def sizes(self):
        """Bytes of each value, (examples,)."""
        return np.diff(self.ends, prepend=0)

    def __getitem__(self, row):
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        row = range(len(self))[row]
        start, end = int(self.ends[row - 1]) if row else 0, int(self.ends[row])
        shard = int(np.searchsorted(self.starts_of_shards, start, "right")) - 1
        shard = min(shard, len(self.shards) - 1)  # an empty last value
        return self._read(shard, start - int(self.starts_of_shards[shard]), end - start)

    def __iter__(self):
        for start in range(0, len(self), 1024):
            yield from self._together(start, min(start + 1024, len(self)))

    def _together(self, start, stop):
        """Returns neighbours, read in one piece where they are in one shard."""
        begin, end = int(self.ends[start - 1]) if start else 0, int(self.ends[stop - 1])
        first, last = np.searchsorted(self.starts_of_shards, [begin, max(end - 1, begin)], "right") - 1
        if first != last or end - begin > 64 << 20:
            return [self[row] for row in range(start, stop)]
        data = self._read(int(min(first, len(self.shards) - 1)), begin - int(self.starts_of_shards[first]), end - begin)
        ends = (self.ends[start:stop] - begin).tolist()
        return [data[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]

    def _read(self, shard, start, size):
        if not size:
            return b""
        path = self.shards[shard]
        try:
            file = self._files.get(shard)
            if file is None:
                with self._lock:
                    file = self._files.setdefault(shard, None) or open(path, "rb", buffering=0)  # noqa: SIM115
                    self._files[shard] = file
            found = os.pread(file.fileno(), size, start)
        except OSError as error:
            raise KitError(f"{path}: cannot be read ({error.strerror})") from None
        if len(found) != size:
            raise KitError(f"{path}: ends too early; copy or pack it anew")
        return found

    def __getstate__(self):
        return {**self.__dict__, "_files": {}, "_lock": None}

    def __setstate__(self, state):
        self.__dict__.update(state | {"_lock": threading.Lock()})


class Strings(collections.abc.Sequence):
    """Texts of a pack, each read when it is asked for.

    Args:
        values: `Values`, their bytes UTF-8.
        hashes: Hash of each, uint64 (examples,), where it is known.
    """

    def __init__(self, values, hashes=None):
        self.values, self._hashes = values, hashes

    def __len__(self):
        return len(self.values)

    def __getitem__(self, row):
        if isinstance(row, slice):
            return [each.decode() for each in self.values[row]]
        return self.values[row].decode()

    def __iter__(self):
        return (each.decode() for each in self.values)

    def hashes(self):
        """Returns the number of each text, by which a rule divides; see `kit.data.split_rule`."""
        return hashes_of(self) if self._hashes is None else self._hashes

    def arrow(self):
        """Returns the texts as a column of pandas that holds them as bytes end to end, and makes no Python objects."""
        import pandas as pd
        import pyarrow as pa

        ends = np.concatenate([[0], self.values.ends]).astype("int64")
        data = b"".join(path.read_bytes() for path in self.values.shards)
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(data)]
        return pd.array(pa.LargeStringArray.from_buffers(len(self), *buffers[1:]), dtype="str")


class Mapped:
    """Array on disk, read through a memory map whose pages are given back, so that memory does not grow with it.

    Args:
        path: An `.npy` file.
    """

    def __init__(self, path):
        with reading(path):
            self._array = np.load(path, mmap_mode="r", allow_pickle=False)
        self._rows = 0
        if len(self._array) and hasattr(mmap, "MADV_RANDOM"):
            self._array._mmap.madvise(mmap.MADV_RANDOM)

    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)
    ndim = property(lambda self: self._array.ndim)
    nbytes = property(lambda self: self._array.nbytes)

    def __len__(self):
        return len(self._array)

    def __getitem__(self, rows):
        found = np.array(self._array[rows])
        self._rows += found.size if self.ndim == 1 else len(found)
        if self._rows > _ROWS_OF_A_MAP:
            self.forget()
        return found

    def forget(self):
        """Gives the pages back that were read; the system may keep them, but they are no memory of this process."""
        self._rows = 0
        if len(self._array) and hasattr(mmap, "MADV_DONTNEED"):
            self._array._mmap.madvise(mmap.MADV_DONTNEED)
