"""Writing packs (see `kit.data.packed`): values go to shards as they come, and a pack appears when it is whole."""

import array
import contextlib
import hashlib
import json
import logging
import os
import shutil
import time
import uuid
import zlib

import numpy as np

from kit.data.packed import FILE, GROWING, NAMES, VERSION, is_pack
from kit.data.split_rule import hash_of
from kit.errors import KitError, Unavailable
from kit.files import FULL, read_json, write_text
from kit.terminal import duration

log = logging.getLogger("kit")

# Bytes of a shard.
SHARD = 1 << 30
# File that tells what was packed; it is no part of the pack, which is the same wherever its source was.
SOURCE = "source.json"
# Seconds between two lines on how far a packing is.
_SECONDS = 10


class _Column:
    """Values of different lengths, on their way to shards."""

    def __init__(self, folder, name, sums):
        self.folder, self.name, self.sums = folder, name, sums
        self.ends, self.total, self.number, self.room = array.array("q"), 0, 0, 0
        self.file = None

    def add(self, data):
        if self.file is None or len(data) > self.room:
            self._next()
        self.file.write(data)
        self.sum = zlib.crc32(data, self.sum)
        self.room -= len(data)
        self.total += len(data)
        self.ends.append(self.total)

    def _next(self):
        self.close()
        self.path = self.folder / f"{self.name}-{self.number:05d}.bin"
        self.file = open(self.path, "wb", buffering=1 << 20)  # noqa: SIM115
        self.number, self.sum, self.room = self.number + 1, 0, SHARD

    def close(self):
        if self.file is not None:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            self.sums[self.path.name] = (self.path.stat().st_size, f"{self.sum:08x}")
            self.file = None


class Writer:
    """Takes the columns of a pack in.

    Args:
        folder: The folder in which the pack grows.
    """

    def __init__(self, folder):
        self.folder, self.files, self._columns = folder, {}, {}
        self._hashes = bytearray()  # of the names, by which a rule may divide

    def add(self, name, data):
        """Adds a value, bytes or a text, to a column."""
        if name not in self._columns:
            self._columns[name] = _Column(self.folder, name, self.files)
        data = data.encode() if isinstance(data, str) else data
        self._columns[name].add(data)
        if name == NAMES:
            self._hashes += hash_of(data)

    def array(self, name, values):
        """Writes a column of numbers."""
        path = self.folder / f"{name}.npy"
        with open(path, "wb") as file:
            np.save(file, np.asarray(values), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        self.files[path.name] = (path.stat().st_size, f"{zlib.crc32(path.read_bytes()):08x}")

    def finish(self, kind, examples, content):
        """Writes the rest, and `pack.json` last."""
        for name, column in self._columns.items():
            column.close()
            self.array(f"{name}.ends", np.frombuffer(column.ends, "int64"))
        self.array(f"{NAMES}.hashes", np.frombuffer(self._hashes, "<u8"))
        files = {name: list(self.files[name]) for name in sorted(self.files)}
        told = {"version": VERSION, "kind": kind, "examples": examples, **content, "files": files}
        write_text(self.folder / FILE, json.dumps(told, indent=1, ensure_ascii=False) + "\n")

    def tell_source(self, path):
        """Writes what was packed, so that `kit pack --check` can tell whether it has changed since."""
        known = {"path": str(path)} | ({"looks": looks(path)} if isinstance(path, os.PathLike) else {})
        write_text(self.folder / SOURCE, json.dumps(known, indent=1) + "\n")

    def close(self):
        """Closes all files."""
        for column in self._columns.values():
            if column.file is not None:
                with contextlib.suppress(OSError):
                    column.file.close()


def looks(path):
    """Returns a check sum of names, sizes and times of change of a file, or of all files in a folder."""
    found = hashlib.blake2b(digest_size=16)
    for root, folders, names in os.walk(path) if os.path.isdir(path) else [("", [], [path])]:
        folders.sort()
        for name in sorted(map(os.fspath, names)):
            stat = os.stat(os.path.join(root, name))
            told = os.path.relpath(os.path.join(root, name), path) if root else ""
            found.update(f"{told} {stat.st_size} {stat.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return found.hexdigest()


class Progress:
    """Tells in the log, now and then, how far a packing is.

    Args:
        total: Number of values, or None where it is not known.
        noun: What they are called.
    """

    def __init__(self, total, noun):
        self.total, self.noun, self.done = total, noun, 0
        self.began = self.told = time.monotonic()

    def step(self, count):
        """Counts so many values more."""
        self.done += count
        now = time.monotonic()
        if now - self.told < _SECONDS:
            return
        self.told, rate = now, self.done / (now - self.began)
        left = "" if self.total is None else f", {duration((self.total - self.done) / rate)} to go"
        of = "" if self.total is None else f" of {self.total:,}"
        log.info("packed %s%s %s (%s a second%s)", f"{self.done:,}", of, self.noun, f"{rate:,.0f}", left)


@contextlib.contextmanager
def growing(out, overwrite=False):
    """Yields the `Writer` of a pack, which stands at its place when all went well, and otherwise not at all.

    What a killed process has left of it is removed first.

    Args:
        out: Folder of the pack.
        overwrite: Replace a pack that is there.

    Raises:
        KitError: there is something already, or another process packs to the same place.
        Unavailable: the disk is full.
    """
    from filelock import FileLock, Timeout

    check_free(out, overwrite)
    folder = out.with_name(f"{out.name}{GROWING}")
    lock = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f".{folder.name}.lock"))
        lock.acquire(timeout=0)
        _empty(folder)
        writer = Writer(folder)
        try:
            yield writer
            _put(folder, out)
        except BaseException:
            writer.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise
    except Timeout:
        raise Unavailable(f"{out}: another process packs to this place") from None
    except OSError as error:
        if error.errno in FULL:
            raise Unavailable(
                f"{out}: cannot be written ({os.strerror(error.errno)}); nothing of the pack is kept: make room, and "
                "the same command begins it anew"
            ) from None
        raise KitError(f"{error.filename or out}: cannot be written or read ({error.strerror})") from None
    finally:
        if lock is not None and lock.is_locked:
            lock.release()
            with contextlib.suppress(OSError):
                os.unlink(lock.lock_file)


def check_free(out, overwrite):
    """Raises KitError where a pack cannot be put."""
    if out.is_dir() and not any(out.iterdir()):
        return
    if is_pack(out) and not overwrite:
        raise KitError(f"{out}: a pack is there already; --overwrite replaces it, --check looks whether it is whole")
    if out.exists() and not is_pack(out):
        raise KitError(f"{out}: holds something else than a pack; expected a new folder")
    if out.exists():
        others = {path.name for path in out.iterdir()} - {FILE, SOURCE, *_files_of(out)}
        if others:
            raise KitError(f"{out}: {min(others)} is no file of the pack there; expected nothing else in it")


def _files_of(out):
    with contextlib.suppress(KitError, OSError, KeyError, TypeError):
        return set(read_json(out / FILE)["files"])
    return set()


def _empty(folder):
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _put(folder, out):
    """Puts the finished pack at its place; a pack that was there goes only then."""
    before = None
    if out.exists():
        before = out.with_name(f".{out.name}-{uuid.uuid4().hex[:8]}.replaced")
        os.replace(out, before)
    os.replace(folder, out)
    if before is not None:
        shutil.rmtree(before, ignore_errors=True)
