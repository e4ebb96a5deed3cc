"""Cache on disk of what is learned from data, such as tokenizers and tokenised texts, by the fingerprints of both.

It lies in `KIT_CACHE`, or in the folder `kit` of the user's folder for caches. Whatever is removed there is made anew.
"""

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from pathlib import Path

from kit.errors import KitError, Unavailable
from kit.files import FULL, write_json

_KEY = "key.json"


def folder():
    """Returns the folder of what the kit keeps for other runs."""
    own = os.environ.get("KIT_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kit"


def kept(kind, key, make):
    """Returns a folder with files that are made from data, and makes them where they are not there.

    Args:
        kind: Name of the folder that holds all of a kind.
        key: All that decides what is made, as a JSON value: fingerprints, settings.
        make: Function of an empty folder, which writes the files into it.

    Raises:
        KitError: the cache cannot be written.
        Unavailable: the disk is full.
    """
    from filelock import FileLock

    text = json.dumps(key, sort_keys=True)
    path = folder() / kind / hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    if (path / _KEY).is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f"{path.name}.lock")):  # another process may make the same
            if not (path / _KEY).is_file():
                _make(path, key, make)
    except OSError as error:
        if error.errno in FULL:
            raise Unavailable(
                f"{folder()}: cannot be written ({error.strerror}); KIT_CACHE names another folder"
            ) from None
        raise KitError(f"{error.filename or path}: cannot be written ({error.strerror})") from None
    return path


def _make(path, key, make):
    _remove_left(path)
    temporary = path.with_name(f"{path.name}.making-{uuid.uuid4().hex[:8]}")
    temporary.mkdir()
    try:
        make(temporary)
        write_json(temporary / _KEY, key)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_left(path):
    """Removes what a killed process has left of the same."""
    for left in path.parent.glob(f"{path.name}.making-*"):
        with contextlib.suppress(OSError):
            shutil.rmtree(left)
    if path.exists():
        shutil.rmtree(path)
