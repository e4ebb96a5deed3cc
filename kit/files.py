"""Writing files so that a kill at any moment leaves the old file or the new one, never half of one."""

import contextlib
import errno
import json
import os
import uuid
from pathlib import Path

from kit.errors import KitError, SettingError, Unavailable

_TEMPORARY = ".writing-"
# What a full disk says, or one on which a user or a file has had its share.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def atomic(path):
    """Yields a temporary path beside `path`; on success it is flushed to disk and takes the place of `path`.

    The temporary name ends like the real one, since some writers go by the ending.

    Raises:
        KitError: the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f"{_TEMPORARY}{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno not in _FULL:
            if error.filename is not None and str(error.filename) == str(temporary):
                error.filename, error.filename2 = str(path), None  # nobody knows the temporary name
            raise
        raise Unavailable(
            f"{path}: cannot be written ({os.strerror(error.errno)}); once there is room, the same command goes on"
        ) from None
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


def remove_temporary(folder):
    """Removes what a killed process left half-written in a folder."""
    for path in folder.rglob(f"{_TEMPORARY}*"):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def reading(path):
    """Turns whatever goes wrong while a file of a run folder is read inside into one line that names the file."""
    try:
        yield
    except KitError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise KitError(f"{path}: missing or damaged ({reason})") from None


def as_path(text, key):
    """Returns a path that a user gave, with `~` replaced.

    Raises:
        SettingError: the text cannot be a path.
    """
    try:
        path = Path(text).expanduser()
        path.exists()
    except (RuntimeError, OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingError(key, f"cannot be used as a path ({reason}): {str(text)[:80]!r}") from None
    return path


def write_text(path, text, errors="strict"):
    """Writes a text file atomically, as UTF-8.

    Args:
        path: The file.
        text: Its content.
        errors: What becomes of what is no character, such as half of a pair or a byte of a file's name that is not
            UTF-8: "strict" refuses it, "backslashreplace" spells it out, for what people read alone.

    Raises:
        KitError: something in the text is no character.
    """
    with atomic(path) as temporary:
        try:
            temporary.write_text(text, encoding="utf-8", errors=errors)
        except UnicodeEncodeError as error:
            around = text[max(error.start - 20, 0) : error.end + 20]
            raise KitError(f"{path}: cannot be written as UTF-8; expected other names than in {around!a}") from None


def write_json(path, value):
    """Writes a JSON file atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path):
    """Reads a JSON file, or raises KitError naming it."""
    with reading(path):
        return json.loads(Path(path).read_text(encoding="utf-8"))
