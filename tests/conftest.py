"""What the tests share: an empty working folder, small data made on the spot, and one small finished run."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # several processes test side by side
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # each on a processor of its own
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import atexit
import contextlib
import gc
import gzip
import hashlib
import shutil
import sys
import tempfile
import time

import numpy as np
import pytest
from PIL import Image

import kit

if "KIT_CACHE" not in os.environ:  # the processes that test side by side share it
    os.environ["KIT_CACHE"] = tempfile.mkdtemp(prefix="kit-cache-")
    atexit.register(shutil.rmtree, os.environ["KIT_CACHE"], ignore_errors=True)

TINY = {
    "backbone": {"widths": (8,), "depths": (1,), "stem": "strided"},
    "train": {"epochs": 2, "steps_per_epoch": 4, "steps_per_execution": 1},
    "evaluate": {"bootstrap_samples": 50},
}


# What takes longest is begun first, so that all processes end together.
FIRST = ("tests/tuning/test_study.py", "tests/test_conformance.py", "tests/runs/", "tests/recipes/", "tests/models/")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests of a module, or of a group with a name, share what they have trained: one process has them all."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    items.sort(key=lambda item: [not item.nodeid.startswith(prefix) for prefix in FIRST])
    if ORDER:
        items.sort(key=_at_a_drawn_place)


# Where a machine ends what takes too long, no test is begun after this time, in seconds since 1970; "" is any time.
UNTIL = os.environ.get("TESTS_UNTIL", "")
# What is begun first there, so that a change of this text has other tests left over.
ORDER = os.environ.get("TESTS_ORDER", "")
OVER = "not begun: the time was over"


def _at_a_drawn_place(item):
    return hashlib.sha256(f"{ORDER} {item.get_closest_marker('xdist_group').args[0]}".encode()).hexdigest()


def pytest_runtest_setup(item):
    """Begins no test after the time that is set."""
    if UNTIL and time.time() > float(UNTIL):
        pytest.skip(OVER)


def pytest_terminal_summary(terminalreporter):
    """Says how many tests were not begun, which is no failure and no success either."""
    left = [report.nodeid for report in terminalreporter.stats.get("skipped", []) if OVER in str(report.longrepr)]
    if left:
        terminalreporter.section(f"{len(left)} tests were not begun: the time was over")
        terminalreporter.write_line("\n".join(left))


def pytest_collection_finish(session):
    """Refuses versions of pytest and pytest-xdist that do not work together: tests would train everything twice."""
    is_grouped = getattr(session.config.option, "loadgroup", False)
    if is_grouped and any("@" not in item.nodeid for item in session.items):
        raise pytest.UsageError("pytest-xdist keeps no groups of tests together; expected the versions of setup.cfg")


def slow(*values):
    """Returns a parameter that is tested by `make test-slow`: others show the same sooner."""
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def nothing_imported_is_garbage():
    """The garbage collector leaves alone what the tests have imported: to walk through TensorFlow takes long."""
    if "tensorflow" in sys.modules:
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)


@pytest.fixture(scope="session", autouse=True)
def blank_plots():
    """Plots are made but written as blank images: to draw them takes half of a small run."""
    from matplotlib.figure import Figure

    def savefig(self, file, format=None, dpi=None):
        Image.new("L", (8, 8), 255).save(file, format)

    with pytest.MonkeyPatch.context() as patch:
        _RENDERED.append((Figure, Figure.savefig))
        patch.setattr(Figure, "savefig", savefig)
        yield


_RENDERED = []


@contextlib.contextmanager
def plots_drawn():
    """Inside, plots are drawn as they are for a user."""
    ((figure, savefig),) = _RENDERED
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure, "savefig", savefig)
        yield


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Each test works in an empty folder of its own."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A finished run on the digits."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    return kit.train("image_classification", folder=folder, **TINY)


def draw(path, size=(10, 12), mode="RGB", value=0):
    """Writes an image file; its ending says which kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 256, (*size, 3), dtype=np.uint8)
    noise[: size[0] // 2] //= 1 + 4 * (value % 3)
    Image.fromarray(noise).convert(mode).save(path)
    return path


@pytest.fixture
def photos(tmp_path):
    """A folder of two classes with 12 colour images each."""
    folder = tmp_path / "photos"
    for label in ("cat", "dog"):
        for index in range(12):
            draw(folder / label / f"{index}.png", value=index)
    return folder


def write_idx(folder, prefix, images, labels, packed=True):
    """Writes a pair of idx files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in ((f"{prefix}-images-idx3-ubyte", images), (f"{prefix}-labels-idx1-ubyte", labels)):
        header = np.array([2048 + array.ndim, *array.shape], ">i4").tobytes()
        data = header + array.astype("uint8").tobytes()
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(data))
        else:
            (folder / name).write_bytes(data)


@pytest.fixture
def idx(tmp_path):
    """A folder of idx files: 60 training and 20 test images of 12x12 pixels in 4 classes."""
    folder = tmp_path / "idx"
    random = np.random.default_rng(0)
    for prefix, count in (("train", 60), ("t10k", 20)):
        write_idx(folder, prefix, random.integers(0, 256, (count, 12, 12)), np.arange(count) % 4)
    return folder


@pytest.fixture
def in_float64(tmp_path, monkeypatch):
    """Keras as who has "floatx": "float64" in their keras.json, here and in processes that are started."""
    import keras

    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "keras.json").write_text('{"floatx": "float64", "backend": "tensorflow"}')
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])
