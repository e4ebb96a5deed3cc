"""Files at an address, such as s3://bucket/photos: copied once into the cache, and read there as files of this machine.

`fsspec` speaks with the stores; a package for each kind of them, such as `s3fs` or `gcsfs`, is the user's to install.
"""

import contextlib
import logging
import os
import re
from pathlib import PurePosixPath

from kit.data import cache
from kit.errors import KitError, SettingError
from kit.files import as_path
from kit.terminal import counted

log = logging.getLogger("kit")

# Stores that hold plain files. Others that fsspec knows are archives or indices, in which a stranger has a say.
STORES = (
    *("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "hdfs", "webhdfs", "smb"),
    *("http", "https", "ftp", "sftp", "ssh", "memory"),
)

# Folder of a copy in which the files lie.
_FILES = "files"


def is_address(source):
    """Tells whether a source is an address, such as s3://bucket/photos, and no path of this machine."""
    return isinstance(source, str) and bool(re.match(r"[a-z][a-z0-9+.-]*://", source))


def local(source, key="source"):
    """Returns the path of a source on this machine: of a copy where it is an address, else as it is.

    The copy is made anew when names, sizes, dates or check sums at the address have changed.

    Args:
        source: Path, or address of a file or of a folder.
        key: Name of the setting, for messages.

    Raises:
        SettingError: the store is unknown, its package is missing, it lets nobody in, or nothing is there.
    """
    if not is_address(source):
        return as_path(source, key)
    store, root = _opened(source, key)
    with _named(source, key):
        found = {name: info for name, info in store.find(root, detail=True).items() if info["type"] == "file"}
        if not found:
            raise SettingError(key, f"no file at {source!r}")
        files = {_below(root, name, source, key): (name, info) for name, info in found.items()}

        def copy(folder):
            size = sum(info.get("size") or 0 for _, info in files.values())
            log.info("%s: %s, %.1f MB, copied into %s", source, counted(len(files), "file"), size / 1e6, cache.folder())
            for below, (name, _) in files.items():
                target = folder / _FILES / below
                target.parent.mkdir(parents=True, exist_ok=True)
                store.get_file(name, str(target))

        what = {below: _version(store, name, info) for below, (name, info) in sorted(files.items())}
        copied = cache.kept("remote", {"address": source, "files": what}, copy) / _FILES
    return copied / _name(root)


def send(path, address, key="output"):
    """Copies a file or folder of this machine to an address.

    Args:
        path: The file or folder.
        address: Where it is to be; nothing may be there.
        key: Name of the setting, for messages.

    Raises:
        SettingError: as for `local`; or something is there already.
    """
    check_free(address, key)
    store, root = _opened(address, key)
    with _named(address, key):
        store.makedirs(str(PurePosixPath(root).parent), exist_ok=True)
        for file in sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]:
            target = f"{root}/{file.relative_to(path).as_posix()}" if path.is_dir() else root
            store.makedirs(str(PurePosixPath(target).parent), exist_ok=True)
            store.put_file(os.fspath(file), target)


def check_free(address, key="output"):
    """Raises SettingError where something is at an address, or the address cannot be used."""
    store, root = _opened(address, key)
    with _named(address, key):
        if store.exists(root):
            raise SettingError(key, f"{address!r} exists already; expected a new one")


def _opened(address, key):
    """Returns the store of an address, and the place in it."""
    protocol = address.partition("://")[0]
    if "::" in address:  # of fsspec: a store inside another one
        raise SettingError(key, f"{address!r} is not one address; expected none with '::'")
    if protocol not in STORES:
        raise SettingError(key, f"unknown store {protocol!r} in {address!r}; expected {', '.join(STORES)}")
    try:
        import fsspec
    except ImportError:
        raise SettingError(key, f'{address!r} needs fsspec; pip install ".[remote]"') from None
    with _named(address, key):
        store, root = fsspec.core.url_to_fs(address)
    return store, root.rstrip("/")


@contextlib.contextmanager
def _named(address, key):
    """Turns what goes wrong with a store inside into one line: stores raise anything."""
    try:
        yield
    except KitError:
        raise
    except FileNotFoundError:
        raise SettingError(key, f"nothing at {address!r}") from None
    except Exception as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise SettingError(key, f"{address!r} cannot be used ({said})") from None


def _below(root, name, source, key):
    """Returns the path of a file below the folder of a copy, beginning with the name of what was asked for."""
    rest = PurePosixPath(name).relative_to(PurePosixPath(root)) if name != root else PurePosixPath()
    below = PurePosixPath(_name(root)) / rest
    if ".." in below.parts:
        raise SettingError(key, f"{source!r} has a file {name!r}; expected names without '..'")
    return str(below)


def _name(root):
    """Returns the name of the file or folder that was asked for, by which some sources go."""
    return PurePosixPath(root).name or "files"


def _version(store, name, info):
    """Returns what tells one content of a file from another, as far as its store says."""
    marks = ("size", "ETag", "etag", "md5Hash", "crc32c", "mtime", "created", "LastModified", "last_modified")
    found = {mark: str(info[mark]) for mark in marks if info.get(mark) is not None}
    return found if len(found) > 1 else found | {"sum": str(store.checksum(name))}
