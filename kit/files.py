"""Writing files so that a kill at any moment leaves the old file or the new one, never half of one."""

import contextlib
import errno
import json
import math
import os
import uuid
import zlib
from pathlib import Path

from kit.errors import KitError, SettingError, Unavailable

_TEMPORARY = ".writing-"
# What a full disk says, or one on which a user or a file has had its share.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


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
        if error.errno not in FULL:
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
    """Reads a JSON file, or raises KitError naming it; of a run folder's files the content is checked, too."""
    path = Path(path)
    with reading(path):
        content = json.loads(path.read_text(encoding="utf-8"))
    is_right, expected = _CONTENTS.get(path.name, (lambda content: True, ""))
    if not is_right(content):
        raise KitError(f"{path}: damaged; expected {expected}")
    return content


def text_sum(path):
    """Returns the check sum of a text file, whichever way its lines end."""
    with reading(path):
        return f"{zlib.crc32(Path(path).read_text(encoding='utf-8').encode()):08x}"


def _is_object(content):
    return isinstance(content, dict) and bool(content)


def _is_environment(content):
    if not _is_object(content):
        return False
    steps, compiled = content.get("steps_per_execution", 1), content.get("jit_compile", False)
    texts = [content.get(name, "") for name in ("tensorflow", "keras", "devices", "mixed_precision")]
    is_known = compiled == "auto" or isinstance(compiled, bool)
    return type(steps) is int and steps >= 1 and is_known and all(isinstance(each, str) for each in texts)


def _is_calibration(content):
    def is_number(value):
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

    if not isinstance(content, dict):
        return False
    numbers = [each for value in content.values() for each in (value if isinstance(value, list) else [value])]
    return all(map(is_number, numbers)) and content.get("temperature", 1) > 0


# The JSON files of a run folder: whether a content may be theirs, and what is expected in words.
_CONTENTS = {
    "metrics.json": (lambda content: _is_object(content) and isinstance(content.get("test"), dict), "scores of 'test'"),
    "environment.json": (_is_environment, "versions, and how the run was compiled"),
    "assets.json": (_is_object, "what prediction needs, by name"),
    "calibration.json": (_is_calibration, "numbers, a temperature being above 0"),
}
