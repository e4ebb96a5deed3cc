"""Devices, as far as they can be looked at without a GPU: what TensorFlow says of them is made up here."""

import gc
import logging
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from kit import terminal
from kit.training import device
from kit.tuning import worker


class Card:
    name = "/physical_device:GPU:0"


@pytest.fixture
def cards(monkeypatch):
    """Makes TensorFlow see GPUs of these compute capabilities."""

    def seen(*capabilities):
        several = [Card() for _ in capabilities]
        details = {id(card): capability for card, capability in zip(several, capabilities, strict=True)}
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: several)
        monkeypatch.setattr(
            tf.config.experimental,
            "get_device_details",
            lambda card: {"device_name": "T4", "compute_capability": details[id(card)]},
        )
        return several

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return seen


@pytest.mark.parametrize(
    ("capabilities", "chosen"),
    [
        ([], "float32"),
        ([(7, 5)], "float32"),
        ([(8, 0)], "mixed_bfloat16"),
        ([(9, 0), (7, 0)], "float32"),
        ([None], "float32"),
    ],
)
def test_precision_is_what_the_cards_can(cards, capabilities, chosen):
    cards(*capabilities)
    assert device.precision("auto") == chosen
    assert device.precision("mixed_float16") == "mixed_float16"


def test_precision_without_a_card_is_the_floatx_of_keras(cards, monkeypatch):
    cards()
    monkeypatch.setattr(keras.config, "floatx", lambda: "float64")
    assert device.precision("auto") == "float64"


def test_bfloat16_on_a_card_without_it_is_said(cards, caplog):
    cards((7, 5))
    with device.session(mixed_precision="mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert "T4 has no bfloat16 (compute capability 7.5)" in caplog.text


@pytest.mark.parametrize(
    ("features", "layers", "said"),
    [
        ({"avx2"}, 3, "no instructions for bfloat16"),
        ({"avx2", "amx_bf16"}, 3, ""),
        (set(), 3, ""),  # not known
        ({"avx2"}, 0, "nothing changes"),
    ],
)
def test_a_cpu_that_has_no_products_of_bfloat16_is_said(cards, monkeypatch, caplog, features, layers, said):
    cards()
    monkeypatch.setattr(device, "_cpu_features", lambda: features)
    with caplog.at_level(logging.WARNING):
        device.tell_matmul_precision(layers)
    assert said in caplog.text and bool(said) == bool(caplog.text)


@pytest.mark.parametrize(
    ("hidden", "path", "sees", "said"),
    [
        (None, "/usr/bin/nvidia-smi", 0, True),
        (None, None, 0, False),
        ("-1", "/usr/bin/nvidia-smi", 0, False),
        ("", "/usr/bin/nvidia-smi", 0, False),
        (None, "/usr/bin/nvidia-smi", 1, False),
    ],
)
def test_a_card_that_is_not_seen_is_said_once(cards, monkeypatch, caplog, hidden, path, sees, said):
    cards(*[(8, 0)] * sees)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    monkeypatch.setattr(device.shutil, "which", lambda name: path)
    monkeypatch.setattr(device.os.path, "exists", lambda path: False)
    device.warn_of_unseen_card.cache_clear()
    with caplog.at_level(logging.WARNING):
        device.warn_of_unseen_card()
        device.warn_of_unseen_card()
    assert caplog.text.count("TensorFlow does not see it") == said
    device.warn_of_unseen_card.cache_clear()


def test_memory_of_a_card_grows_unless_it_is_to_be_taken(cards, monkeypatch):
    several, grown = cards((8, 0), (8, 0)), []
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda card, is_on: grown.append((card, is_on)))
    terminal.load_tensorflow()
    assert grown == [(card, True) for card in several]
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    terminal.load_tensorflow()
    assert len(grown) == 2


def test_the_time_of_a_step_is_that_of_the_device(monkeypatch):
    waited = []
    monkeypatch.setattr(tf.test.experimental, "sync_devices", lambda: waited.append(None))
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    device.steps_per_execution(model, np.zeros((2, 4), "float32"), 8)
    assert len(waited) == 4


@pytest.mark.parametrize(
    ("visible", "workers", "devices", "chosen"),
    [
        (None, 3, 1, ["0", "1", "0"]),
        ("5, 7", 3, 1, ["5", "7", "5"]),
        (None, 1, 1, [None]),
        (None, 2, 2, [None, None]),
    ],
)
def test_every_worker_sees_one_card(cards, monkeypatch, tmp_path, visible, workers, devices, chosen):
    cards((8, 0), (8, 0))
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    (tmp_path / "study.toml").write_text(f"[train]\ndevices = {devices}\n")
    those = object.__new__(worker.Processes)
    those.count = workers
    order = {"config": tmp_path / "study.toml"}
    assert [those._gpu(order, slot) for slot in range(workers)] == chosen


def test_a_worker_takes_its_orders():
    order = {"kind": "rehearsal", "recipe": "", "config": None, "seed": 0, "variants": []}
    one = worker.Worker(order, 1, gpu="0")
    assert one.receive() == {"done": {}}
    one.stop()


def test_custom_gradients_of_a_session_are_let_go():
    """TensorFlow would keep each of them, and the graph that it is for, as long as the process lives."""

    @tf.custom_gradient
    def doubled(x):
        return 2 * x, lambda upstream: 2 * upstream

    with device.session():
        function = tf.function(lambda x: tf.gradients(doubled(x), x)[0])
        assert float(function(tf.constant(3.0))) == 2
        graph = weakref.ref(function.get_concrete_function(tf.constant(3.0)).graph)
    assert float(function(tf.constant(4.0))) == 2  # what was traced has its gradient
    del function
    gc.collect()
    assert graph() is None
