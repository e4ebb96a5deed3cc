"""Is this machine ready? Looks at what a run needs, and says what to do about each problem."""

import dataclasses
import importlib.metadata
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path

from kit.commands.flags import refuse_settings
from kit.errors import KitError

_LEAST_FREE_BYTES = 2_000_000_000
_RECIPE = "image_classification"
_TINY = {
    "data": {"source": "digits"},
    "backbone": {"widths": (8, 16), "depths": (1, 1)},
    "train": {"epochs": 1, "steps_per_epoch": 8},
    "evaluate": {"bootstrap_samples": 10},
}


@dataclasses.dataclass(frozen=True)
class Finding:
    """Result of one check.

    Args:
        name: What was looked at.
        state: "ok"; "note" for what is no obstacle; "problem".
        found: What there is.
        remedy: What to do about it, where it is not ok.
    """

    name: str
    state: str
    found: str
    remedy: str = ""


def findings():
    """Yields a `Finding` for each look, the quick ones first."""
    yield python()
    yield packages()
    yield devices()
    yield disk(Path.cwd())
    yield writing(Path.cwd())
    yield network()
    yield training()


def python():
    version = platform.python_version()
    if (3, 11) <= tuple(map(int, platform.python_version_tuple()[:2])) < (3, 14):
        return Finding("Python", "ok", version)
    return Finding("Python", "problem", version, "use Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 setup")


def packages():
    """Compares the installed packages with what the kit declares."""
    from packaging.requirements import Requirement

    wrong = []
    try:
        declared = importlib.metadata.requires("kit") or []
    except importlib.metadata.PackageNotFoundError:
        return Finding("packages", "note", "the kit itself is not installed", "pip install -c constraints.txt .")
    needed = [Requirement(text) for text in declared]
    needed = [each for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    for each in needed:
        try:
            version = importlib.metadata.version(each.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{each.name} is missing")
            continue
        if not each.specifier.contains(version, prereleases=True):
            wrong.append(f"{each.name} {version}, expected {each.specifier}")
    both = [name for name in ("tensorflow", "tensorflow-cpu") if _installed(name)]
    if len(both) == 2:
        wrong.append("tensorflow and tensorflow-cpu overwrite each other")
    if wrong:
        return Finding("packages", "problem", "; ".join(wrong), "pip install -c constraints.txt . in a new environment")
    shown = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("tensorflow", "keras"))
    return Finding("packages", "ok", f"{len(needed)} as declared, {shown}")


def _installed(name):
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def devices():
    import tensorflow as tf

    from kit.training import device

    gpus = tf.config.list_physical_devices("GPU")
    cores = f"{os.cpu_count()} CPU cores"
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
        return Finding("devices", "ok", f"{', '.join(names)}; {cores}")
    if device.has_unseen_card():
        return Finding(
            "devices",
            "problem",
            f"{cores}; TensorFlow does not see the NVIDIA GPU",
            'pip install ".[cuda]", then try again',
        )
    return Finding("devices", "ok", f"{cores}, no GPU")


def disk(folder):
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free in {folder}"
    if free < _LEAST_FREE_BYTES:
        return Finding("disk", "problem", found, "make room: checkpoints and best models need it")
    return Finding("disk", "ok", found)


def writing(folder):
    """Tries to write where `runs/` would be."""
    place = folder / "runs" if (folder / "runs").is_dir() else folder
    try:
        with tempfile.NamedTemporaryFile(dir=place):
            pass
    except OSError as error:
        remedy = "change into a folder of your own, or give --folder"
        return Finding("write access", "problem", f"{place}: {error.strerror}", remedy)
    return Finding("write access", "ok", str(place))


def network():
    from kit.data.sources.tfds_builder import has_network

    if has_network():
        return Finding("network", "ok", "tensorflow-datasets can be reached")
    return Finding("network", "note", "tensorflow-datasets cannot be reached", "only tfds: sources need it")


def training():
    """Trains, saves, loads and predicts on the embedded digits."""
    from kit.runs import finished, run

    start = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "run"
            settings = {f"{table}.{key}": value for table, keys in _TINY.items() for key, value in keys.items()}
            run.train_with(_RECIPE, settings, folder=folder)
            loaded = finished.load(folder)
            shape = tuple(loaded.assets["input_shape"])
            import numpy as np

            count = len(loaded.predict(np.zeros((2, *shape), "uint8")))
            if count != 2:
                raise KitError(f"2 images, {count} predictions")
    except Exception as error:  # whatever it is, it is the finding
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return Finding("training", "problem", reason, f"see the line above; kit train {_RECIPE} shows more")
    return Finding("training", "ok", f"trained, saved, loaded and predicted in {time.perf_counter() - start:.0f} s")


def run(options, overrides):
    """Prints one finding after the other, and returns them."""
    refuse_settings(overrides)
    marks = {"ok": "ok      ", "note": "note    ", "problem": "PROBLEM "}
    found = []
    for finding in findings():
        found.append(finding)
        if not options.json:
            print(f"{marks[finding.state]} {finding.name}: {finding.found}", flush=True)
            if finding.remedy:
                print(f"          {finding.remedy}", flush=True)
    problems = [finding.name for finding in found if finding.state == "problem"]
    if problems:
        raise KitError(f"doctor: mend first: {', '.join(problems)}")
    return {"findings": [dataclasses.asdict(finding) for finding in found]}
