"""Run folders: made, found, locked against other processes, and described."""

import contextlib
import datetime
import importlib.metadata
import itertools
import logging
import os
import platform
from pathlib import Path

from kit import backend, terminal
from kit.config import read_toml
from kit.errors import KitError, Unavailable
from kit.files import read_json, reading, remove_temporary

log = logging.getLogger("kit")

# Files that a run writes before its `config.toml`, or a study before its `study.toml`: without that it has not begun.
_BEGINNING = (
    *("study.json", "run.log", "environment.json", "assets/splits.csv", "assets/splits.json"),
    *("assets/assets.json", "assets/files.csv", "assets/sums.json", "assets", "checkpoint/initial.npz", "checkpoint"),
)

_PACKAGES = (
    "tensorflow",
    "keras",
    "jax",
    "numpy",
    "pandas",
    "scikit-learn",
    "pillow",
    "kit",
)


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


def begun(folder):
    """Tells whether a run has begun in a folder: all that it needs to be carried on is there."""
    return (folder / "config.toml").exists()


def finished(folder):
    """Tells whether the run in a folder has come to its end."""
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
    if others and not begun(folder):
        raise KitError(f"{folder}: holds other files ({others[0]}); expected a new or an unfinished run folder")


@contextlib.contextmanager
def opened(folder, name):
    """Holds the folder of a run that begins or goes on inside, with its log; yields the path.

    Args:
        folder: The folder, or None for a new one.
        name: Name of the folder below `runs/` that a new one is made in.

    Raises:
        KitError: neither a new run may begin there nor an unfinished one go on.
    """
    if folder is not None:
        check(folder)
    with held(folder, name) as path, logged(path):
        check(path)  # another process may have finished it meanwhile
        yield path


@contextlib.contextmanager
def held(folder, name, begun="config.toml"):
    """Holds a folder against other processes; the system lets go of it however this one ends. Yields its path.

    Where no run has begun in the end, what was made for it is taken away, and nothing else.

    Args:
        folder, name: As for `opened`.
        begun: File whose presence says that the run has begun.
    """
    from filelock import FileLock, Timeout

    try:
        if folder is None:
            folder, made = _new(name)
        else:
            made = [path for path in (folder, *folder.parents) if not path.exists()]
            folder.mkdir(parents=True, exist_ok=True)
        made = [folder / file for file in (".lock", *_BEGINNING) if not (folder / file).exists()] + made
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
        remove_temporary(folder)
    except Timeout:
        raise Unavailable(f"{folder}: another live run holds this folder") from None
    except OSError as error:
        raise KitError(f"{folder or 'runs'}: cannot be written ({error.strerror})") from None
    try:
        yield folder
    finally:
        lock.release()
        if not (folder / begun).exists():
            with contextlib.suppress(OSError):
                for path in made:
                    path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)


def _new(name):
    """Makes the folder `runs/<name>/<stamp>`, one that no other process has made.

    Returns:
        Its path, and all folders that were made, the innermost first.
    """
    base = Path("runs") / name
    made = [path for path in (base, *base.parents) if not path.exists()]
    base.mkdir(parents=True, exist_ok=True)
    stamp = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    for count in itertools.count(1):
        path = base / (stamp if count == 1 else f"{stamp}-{count}")
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            return path, [path, *made]


class _LogFile(logging.FileHandler):
    """A log that loses a line rather than printing a traceback where the disk is full."""

    def handleError(self, record):
        pass


@contextlib.contextmanager
def logged(folder):
    """Writes the log of the kit to `run.log` too."""
    handler = _LogFile(folder / "run.log", encoding="utf-8", errors="backslashreplace", delay=True)
    handler.setFormatter(terminal.LogFormatter("%(asctime)s %(message)s"))
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
    """Returns the versions, the machine and the devices that a run is trained with."""
    versions = {"backend": backend.name()}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "devices": _devices(),
        **versions,
    }


def _devices():
    """Returns kind and name of each device that the backend sees, in words."""
    if not backend.is_tensorflow():
        import jax

        return ", ".join(f"{device.platform.upper()} {device.device_kind}" for device in jax.devices())

    import tensorflow as tf

    return ", ".join(f"{device.device_type} {device.name}" for device in tf.config.list_physical_devices())


def kept_precision(folder):
    """Returns the Keras dtype policy that the run in a folder began with; None where none has begun there.

    Runs from before it was kept had bfloat16 where there was a GPU, unless the settings said otherwise.
    """
    if not begun(folder):
        return None
    asked = read_toml(folder / "config.toml").get("train.mixed_precision", "auto")
    path = folder / "environment.json"
    before = read_json(path)
    with reading(path):
        decided = "mixed_bfloat16" if "GPU " in before.get("devices", "") else "float32"
        return before.get("mixed_precision", decided) if asked == "auto" else asked


def warn_of_changes(folder, deterministic=False):
    """Says in one line what is another than when the run in a folder began: versions, or the kind of device.

    Args:
        folder: The run folder.
        deterministic: Refuse it instead: equal bits are what the run has promised.

    Raises:
        KitError: something is another, and the run is deterministic; or another backend would draw other numbers.
    """
    if not begun(folder):
        return
    before, now = read_json(folder / "environment.json"), environment()
    began = before.get("backend", "tensorflow")
    if began != now["backend"]:
        raise KitError(f"{folder}: this run began with KERAS_BACKEND={began}; expected the same, got {now['backend']}")
    changed = [
        f"{name} {before[name]}, now {now.get(name, 'none')}"
        for name in ("tensorflow", "keras", *(["jax"] if now["backend"] == "jax" else []))
        if before.get(name) not in (None, now.get(name))
    ]
    kinds = ["GPU" if "GPU " in each.get("devices", "") else "CPU" for each in (before, now)]
    if kinds[0] != kinds[1]:
        changed.append(f"a {kinds[0]}, now a {kinds[1]}")
    if changed and deterministic:
        raise KitError(
            f"{folder}: this run began with {'; '.join(changed)}; expected the same, for train.deterministic promises "
            f"equal bits: false in {folder / 'config.toml'} lets it go on"
        )
    if changed:
        log.warning("this run began with %s: its result may differ from an uninterrupted one", "; ".join(changed))
