"""Writing files so that a kill at any moment leaves the old file or the new one, never half of one."""

import contextlib
import json
import os
import uuid
from pathlib import Path


@contextlib.contextmanager
def atomic(path):
    """Yields a temporary path beside `path`; on success it is flushed to disk and takes the place of `path`.

    The temporary name ends like the real one, since some writers go by the ending.
    """
    path = Path(path)
    temporary = path.with_name(f".{uuid.uuid4().hex[:8]}.{path.name}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder):
    """Makes a rename durable; platforms that cannot open a folder need no such thing."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path, text):
    """Writes a text file atomically, as UTF-8."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path, value):
    """Writes a JSON file atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path):
    """Reads a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
