"""Another Keras backend: JAX trains, resumes and scores as TensorFlow does, and divides a network among devices."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kit
from kit import recipes
from kit.errors import SettingError
from kit.training import layouts
from tests import conformance, moments

ROOT = Path(__file__).parents[2]
JAX = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
RECIPES = [name for name in recipes.names() if "jax" in recipes.get(name).backends]
# Settings under which nothing is drawn while a small network trains.
STEADY = {
    "language_modelling": {"backbone": {"dropout": 0.0}},
    "image_classification": {
        "model": {"dropout": 0.0},
        "backbone": {"stochastic_depth": 0.0},
        "data": {"translation": 0.1, "flip": True},
    },
    "text_classification": {
        "model": {"dropout": 0.0, "embedding_dropout": 0.0},
        # Of a word that comes twice in a batch Keras' Adam squares each gradient with TensorFlow, their sum with JAX.
        "optimizer": {"name": "sgd", "learning_rate": 0.1},
    },
}


def under_jax(*words):
    """Runs a command of the kit by JAX in a process of its own; returns exit status and output."""
    done = subprocess.run([sys.executable, "-m", "kit", *words], capture_output=True, text=True, env=os.environ | JAX)
    return done.returncode, done.stdout + done.stderr


def words_of(tables):
    values = ((f"--{table}.{key}", value) for table, own in tables.items() for key, value in own.items())
    return [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in values]


def test_three_recipes_have_both_backends():
    assert set(RECIPES) >= set(STEADY)


def test_tensorflow_divides_no_network(tmp_path):
    with pytest.raises(SettingError, match=r"train.model_parallel: expected 1 with TensorFlow; KERAS_BACKEND=jax .*"):
        kit.train("language_modelling", config="smoke", folder=tmp_path / "run", train={"model_parallel": 2})


@pytest.mark.parametrize(
    ("path", "shape", "axis"),
    [
        ("decoder/block1/self_attention/query/kernel", (8, 8), 1),
        ("decoder/block1/self_attention/output/kernel", (8, 8), 0),
        ("decoder/block1/feedforward_in/kernel", (8, 32), 1),
        ("decoder/block1/feedforward_out/kernel", (32, 8), 0),
        ("decoder/block1/feedforward/expert3_gate/kernel", (8, 32), 1),
        ("decoder/block1/feedforward/expert3_out/kernel", (32, 8), 0),
        ("token_embedding/embeddings", (257, 8), 1),
        ("stem_conv/kernel", (3, 3, 1, 16), 3),
        ("stem_conv/kernel", (3, 3, 1, 15), None),  # not divisible
        ("stem_norm/gamma", (16,), None),
    ],
)
def test_a_table_says_what_is_divided(path, shape, axis):
    assert layouts.axis_of(path, shape, 2) == axis


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_conformance(name):
    longer = "".join(f" and not {other}" for other in recipes.names() if name in other and other != name)
    words = ["-m", "pytest", "-n0", "-vv", "tests/test_conformance.py", "-k", f"{name}{longer}"]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, env=os.environ | JAX)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") > 10, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_twenty_steps_end_with_the_loss_of_tensorflow_and_two_devices_with_that_of_one(name, tmp_path):
    beginning = kit.train(name, config="smoke", folder=tmp_path / "beginning", verbose=False, train={"epochs": 0})
    steps = {"epochs": 1, "steps_per_epoch": 20, "start_from": str(beginning.folder)}
    tables = STEADY[name] | {"train": steps}
    here = kit.train(name, config="smoke", folder=tmp_path / "here", verbose=False, **tables)
    for parts in (1, 2):
        more = {**tables, "train": steps | {"model_parallel": parts}}
        words = ("train", name, "--config", "smoke", "--folder", str(tmp_path / f"there{parts}"), *words_of(more))
        status, output = under_jax(*words)
        assert status == 0, output
    there, divided = (pd.read_csv(tmp_path / f"there{parts}" / "history.csv") for parts in (1, 2))
    for value in ("loss", "val_loss"):
        np.testing.assert_allclose(there[value], here.history[value], atol=1e-4)
        np.testing.assert_allclose(divided[value], there[value], atol=1e-5)
    assert "each of 2 devices has" in output
    weights = [kit.load(tmp_path / f"there{parts}").model.get_weights() for parts in (1, 2)]
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)


LARGEST = """
import sys
import jax, math

import kit
from kit.training import device

device.split_cpu(2)
with device.session(model_parallel=2):
    model = kit.load(sys.argv[1]).model
largest = max(model.weights, key=lambda weight: math.prod(weight.shape))
parts = [math.prod(part.data.shape) for part in largest.value.addressable_shards]
print(largest.path, [2 * part == math.prod(largest.shape) for part in parts])
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_of_the_largest_tensor_a_device_has_a_half(name, tmp_path):
    run = kit.train(name, config="smoke", folder=tmp_path / "run", verbose=False, train={"epochs": 0})
    words = [sys.executable, "-c", LARGEST, str(run.folder)]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | JAX)
    assert "[True, True]" in done.stdout, done.stdout + done.stderr


MANY_AT_A_TIME = """
import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from kit.training import device

device.split_cpu(2)
mesh = jax.make_mesh((2,), ("model",))
divided, whole = (NamedSharding(mesh, PartitionSpec(None, axis)) for axis in ("model", None))
kernels = [jax.device_put(np.eye(256, dtype="float32"), divided) for _ in range(20)]


@jax.jit
def step(kernels, total):
    for kernel in kernels:
        total = total @ kernel
    return total


total = jax.device_put(np.ones((64, 256), "float32"), whole)
for _ in range(200):
    total = step(kernels, total)
print("sum", float(total.sum()))
"""


@pytest.mark.slow
def test_many_steps_on_two_devices_of_a_cpu_do_not_wait_for_each_other():
    environment = {key: value for key, value in os.environ.items() if key != "PJRT_NPROC"} | JAX
    done = subprocess.run([sys.executable, "-c", MANY_AT_A_TIME], capture_output=True, text=True, env=environment)
    assert done.stdout == "sum 16384.0\n", done.stdout + done.stderr


TOLD_TO_END = """
import contextlib
import signal
import sys
from pathlib import Path

import kit
from tests import moments
from tests.conformance import assert_same, train

name, folder = sys.argv[1], Path(sys.argv[2])
settings = {
    "optimizer": {"use_ema": True, "ema_momentum": 0.9, "schedule": "reduce_on_plateau", "plateau_patience": 1},
    "train": {"epochs": 4, "average_epochs": 2, "deterministic": True},
}
train(name, folder / "whole", **settings)
for moment in (moments.AfterBatch(1, 2), moments.AfterBatch(3, 1)):
    with moments.at(moment, lambda: signal.raise_signal(signal.SIGINT)), contextlib.suppress(KeyboardInterrupt):
        train(name, folder / "stopped", **settings)
    log = (folder / "stopped" / "run.log").read_text()
    assert f"saved in epoch {moment.epoch}, after step" in log, log
train(name, folder / "stopped", **settings)
assert_same(folder / "whole", folder / "stopped")
print("the same bits")
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_told_to_end_within_an_epoch_nothing_is_lost(name, tmp_path):
    words = [sys.executable, "-c", TOLD_TO_END, name, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=os.environ | JAX)
    assert "the same bits" in done.stdout, done.stdout + done.stderr


def test_an_unknown_backend_is_one_line():
    words = [sys.executable, "-m", "kit", "train", "language_modelling"]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | JAX | {"KERAS_BACKEND": "torch"})
    assert done.returncode == 2
    assert done.stderr.strip() == "kit: KERAS_BACKEND: expected 'tensorflow' or 'jax', got 'torch'"


@pytest.mark.slow
@pytest.mark.parametrize("words", [("tune",), ("train", "--find-learning-rate")])
def test_what_is_measured_beforehand_is_measured_by_tensorflow(words, tmp_path):
    verb, *flags = words
    own = ("--tune.trials", "1", "--folder", str(tmp_path / "study")) if verb == "tune" else ()
    status, output = under_jax(verb, "language_modelling", "--config", "smoke", *flags, *own)
    assert status == 2 and "KERAS_BACKEND: expected 'tensorflow' to " in output, output


@pytest.mark.slow
def test_a_run_goes_on_with_the_backend_that_it_began_with(tmp_path):
    with moments.at(conformance.INTERRUPTED, moments.interrupt), pytest.raises(KeyboardInterrupt):
        conformance.train("language_modelling", tmp_path / "run")
    status, output = under_jax("train", "--folder", str(tmp_path / "run"))
    assert status == 2 and "this run began with KERAS_BACKEND=tensorflow; expected the same, got jax" in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("gan",), "KERAS_BACKEND: expected tensorflow for gan, got 'jax'"),
        (
            ("language_modelling", "--train.devices", "2", "--train.batch_size", "16"),
            "train.devices: expected 1 under JAX",
        ),
        (("language_modelling", "--train.workers", "2"), "train.workers: expected 1 under JAX"),
        (("language_modelling", "--train.minutes", "1"), "train.minutes: expected None under JAX"),
        (("image_classification", "--train.freeze", "stem*"), "train.freeze: expected () under JAX"),
        (("language_modelling", "--train.model_parallel", "0"), "train.model_parallel: expected at least 1"),
    ],
)
def test_what_tensorflow_alone_can_do_is_one_line(words, line, tmp_path):
    folder = tmp_path / "run"
    status, output = under_jax("train", *words, "--config", "smoke", "--folder", str(folder))
    assert status == 2 and line in output, output
    assert "Traceback" not in output and not (folder / "config.toml").exists()
