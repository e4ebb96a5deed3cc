"""Agreement of the processes of a distributed training: the same run folder, settings, versions and data.

The first one's is shared as numbers of 48 bits, which sums of floating-point numbers keep, and every other compares.
"""

import contextlib
import hashlib
import json
import platform
import secrets
import time

from kit.data import split_rule
from kit.errors import KitError, Unavailable
from kit.files import write_text
from kit.training.cluster import versions

# File of the run folder with a number that the first process draws: who reads another one has another folder.
_FILE = ".together"
# Seconds: for a file to appear on all machines that share a folder; for one that trained before, whose machine a file
# server has to forget, to let go of the folder.
_APPEAR, _PATIENCE = 10, 150


@contextlib.contextmanager
def held(run_folder, engine):
    """Holds the checkpoint of a run, in the first process, against one of an earlier command that is about to end.

    Raises:
        Unavailable: it is still held.
    """
    from filelock import FileLock, Timeout

    if not engine.is_chief:
        yield
        return
    lock = FileLock(run_folder / ".training")
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        raise Unavailable(f"{run_folder}: processes of another command still train here") from None
    try:
        yield
    finally:
        (run_folder / _FILE).unlink(missing_ok=True)
        lock.release()


def check_folder(engine, run_folder):
    """Raises KitError in a process that has another run folder, other settings or another kit than the first one.

    Args:
        engine: `kit.training.engine.Processes`.
        run_folder: The run folder.
    """
    word = secrets.randbits(48)
    if engine.is_chief:
        write_text(run_folder / _FILE, str(word))
    here = versions()
    path = run_folder / "config.toml"
    settings = path.read_text(encoding="utf-8") if path.exists() else ""
    numbers = {"folder": word, "settings": _number(settings)}
    first = engine.of_first(numbers | {name: _number(value) for name, value in here.items()})
    if engine.is_chief:
        return
    for name, value in here.items():
        if first[name] != _number(value):
            what = name if name in ("python", "tensorflow", "keras") else "kit"
            raise _refusal(engine, f"has another {what} than the first one; expected the same on every machine")
    until = time.monotonic() + _APPEAR
    while not _has_word(run_folder / _FILE, first["folder"]):
        if time.monotonic() > until:
            shared = "expected one that all machines share, such as on NFS"
            raise _refusal(engine, f"does not see the run folder of the first one at {run_folder}; {shared}")
        time.sleep(0.2)
    if first["settings"] != _number(path.read_text(encoding="utf-8")):
        raise _refusal(engine, f"reads other settings in {path} than the first one")


def check_data(engine, splits):
    """Raises KitError in a process whose data, their division, or what was learned of them, are not the first one's.

    Args:
        engine: `kit.training.engine.Processes`.
        splits: The `Splits`.
    """
    rule = split_rule.facts_of(splits.assignment)
    division = splits.assignment.to_csv(index=False) if rule is None else json.dumps(rule, sort_keys=True)
    sizes = [len(part) for part in (splits.train, splits.validation, splits.test)]
    number = _number(json.dumps([sizes, division, splits.assets], sort_keys=True))
    if engine.of_first({"data": number})["data"] != number:
        raise _refusal(engine, f"reads other data than the first one ({sizes[0]:,} training examples here)")


def _refusal(engine, what):
    return KitError(f"train.workers: process {engine.rank + 1} of {engine.count}, on {platform.node()}, {what}")


def _has_word(path, word):
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text(encoding="utf-8")) == word
    return False


def _number(text):
    """Returns a check sum of 48 bits."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
