"""The run folder as a place: made, found, held by one process, and described."""

import contextlib
import datetime
import importlib.metadata
import logging
import os
import platform
from pathlib import Path

from kit.errors import KitError, Unavailable
from kit.files import remove_temporary

log = logging.getLogger("kit")

# What a run writes before its `config.toml`, or a study before its `study.toml`; without that it has not begun.
_BEGINNING = (
    *("study.json", "run.log", "environment.json", "assets/splits.csv", "assets/assets.json", "assets"),
    *("checkpoint/initial.npz", "checkpoint"),
)

_PACKAGES = (
    "tensorflow",
    "keras",
    "numpy",
    "pandas",
    "scikit-learn",
    "pillow",
    "kit",
)


def new(recipe_name):
    """Returns a path for a new run: `runs/<recipe>/<stamp>`, never one that exists."""
    base = Path("runs") / recipe_name
    stamp = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    path, count = base / stamp, 1
    while path.exists():
        count += 1
        path = base / f"{stamp}-{count}"
    return path


def last_unfinished(recipe_name):
    """Returns the newest run folder of a recipe that has not come to its end.

    Raises:
        KitError: there is none.
    """
    folders = sorted((Path("runs") / recipe_name).glob("*/config.toml"))
    folders = [path.parent for path in folders if not finished(path.parent)]
    if not folders:
        raise KitError(f"runs/{recipe_name}: no unfinished run to resume")
    return folders[-1]


def finished(folder):
    return (folder / "metrics.json").exists()


def check(folder):
    """Raises KitError unless a run may begin or go on in a folder."""
    if folder.exists() and not folder.is_dir():
        raise KitError(f"{folder}: not a folder; expected a new or an unfinished run folder")
    if finished(folder):
        raise KitError(f"{folder}: this run is finished; expected a new or an unfinished run folder")
    known = {folder / name for name in _BEGINNING}
    found = (*folder.glob("*"), *folder.glob("assets/*"), *folder.glob("checkpoint/*"))
    others = [path for path in found if path not in known]
    others = [path.relative_to(folder) for path in others if not path.name.startswith(".")]
    if others and not (folder / "config.toml").exists():
        raise KitError(f"{folder}: holds other files ({others[0]}); expected a new or an unfinished run folder")


@contextlib.contextmanager
def held(folder, begun="config.toml"):
    """Holds a run folder against other processes; the system lets go of it however this one ends.

    Where no run has begun in the end, what was made for it is taken away, and nothing else.

    Args:
        folder: The folder.
        begun: File whose presence says that the run has begun.
    """
    from filelock import FileLock, Timeout

    made = [path for path in (folder, *folder.parents) if not path.exists()]
    made = [folder / name for name in (".lock", *_BEGINNING) if not (folder / name).exists()] + made
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
        remove_temporary(folder)
    except Timeout:
        raise Unavailable(f"{folder}: another live run holds this folder") from None
    except OSError as error:
        raise KitError(f"{folder}: cannot be written ({error.strerror})") from None
    try:
        yield
    finally:
        lock.release()
        if not (folder / begun).exists():
            with contextlib.suppress(OSError):
                for path in made:
                    path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)


class _LogFile(logging.FileHandler):
    """A log that loses a line rather than printing a traceback where the disk is full."""

    def handleError(self, record):
        pass


@contextlib.contextmanager
def logged(folder):
    """Writes the log of the kit to `run.log` too."""
    handler = _LogFile(folder / "run.log", encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    level, propagate = log.level, log.propagate
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.setLevel(level)
        log.propagate = propagate
        log.removeHandler(handler)
        handler.close()


def environment():
    import tensorflow as tf

    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "devices": ", ".join(f"{device.device_type} {device.name}" for device in tf.config.list_physical_devices()),
        **versions,
    }
