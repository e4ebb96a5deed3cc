"""Several processes that train one model: equal to one process, and over when one of them dies."""

import os
import signal
import threading
import time

import numpy as np
import pytest

import kit
from kit.errors import KitError, SettingError
from kit.models import recommendation
from kit.runs import processes
from kit.training import checkpoint, engine, fused

# The recipes whose training several processes share; agents and those of two networks do not.
TOGETHER = {
    *("image_classification", "autoencoder", "sequence_tagging", "translation", "text_classification"),
    *("question_answering", "masked_language_modelling", "word_vectors", "tabular_prediction", "forecasting"),
    *("language_modelling", "text_to_text", "recommendation"),
}
SETTINGS = {"epochs": 2, "steps_per_epoch": 4, "batch_size": 16}
TWENTY = {"steps_per_epoch": 10}  # steps in both epochs together


def trained(recipe, folder, workers, optimizer=None, model=None, **train):
    train, tables = SETTINGS | {"workers": workers} | train, {"model": model} if model else {}
    return kit.train(recipe, config="smoke", folder=folder, train=train, optimizer=optimizer, **tables)


def state(folder):
    return checkpoint.load(folder / "checkpoint" / "state.npz")[0]["variables"]


def check_same(one, several):
    for alone, together in zip(state(one), state(several), strict=True):
        # Of a bias of keys the gradient is rounding alone, of which Adam makes steps of a size all the same.
        np.testing.assert_allclose(together, alone, rtol=1e-4, atol=5e-5)


# Batch normalisation, dropout, dropped blocks and changed images; sequences whose sizes differ; the mean over tokens.
@pytest.mark.slow
@pytest.mark.xdist_group("processes")
@pytest.mark.parametrize(
    ("recipe", "more"),
    [
        *((recipe, {}) for recipe in sorted(TOGETHER)),
        ("image_classification", {"optimizer": {"use_ema": True, "gradient_accumulation_steps": 2}}),
        ("sequence_tagging", {"optimizer": {"global_clipnorm": 0.5}}),
        # What evens the load of experts is of the whole batch.
        ("text_to_text", {"model": {"backbone": "switch_t5_tiny"}}),
        # What is drawn is dropped of items that all users share.
        *(
            ("recommendation", {"model": {"backbone": name}})
            for name in sorted({*recommendation.VARIANTS} - {"sequential"})
        ),
    ],
    ids=str,
)
def test_two_processes_train_what_one_does(recipe, more, tmp_path, in_float64):
    alone, together = (trained(recipe, tmp_path / str(workers), workers, **more, **TWENTY) for workers in (1, 2))
    for one, both in zip(state(tmp_path / "1"), state(tmp_path / "2"), strict=True):
        assert str(one.dtype) in ("float64", "int32", "int64")
        np.testing.assert_allclose(both, one, rtol=1e-9, atol=1e-9 * max(np.abs(one).max(initial=0), 1e-3))
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(together.history[name], alone.history[name], rtol=1e-7)


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
def test_two_processes_train_what_one_does_to_the_rounding_of_float32(tmp_path):
    for workers in (1, 2):
        trained("tabular_prediction", tmp_path / str(workers), workers, **TWENTY)
    for one, both in zip(state(tmp_path / "1"), state(tmp_path / "2"), strict=True):
        np.testing.assert_allclose(both, one, rtol=0, atol=1e-5 * max(np.abs(one).max(initial=0), 1e-3))


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
@pytest.mark.parametrize(("rank", "minutes"), [(0, 10.0), (1, 1e-5)], ids=["first, by the epoch", "second, within one"])
def test_a_killed_process_ends_all_and_the_same_command_goes_on(rank, minutes, tmp_path, monkeypatch):
    settings = {"epochs": 3, "steps_per_epoch": 40, "checkpoint_minutes": minutes}
    started = []
    wait = processes.wait

    def wait_and_kill(those):
        started.extend(those)
        threading.Thread(target=kill, daemon=True).start()
        wait(those)

    def kill():
        while not (tmp_path / "cut" / "checkpoint" / "state.npz").exists():
            time.sleep(0.05)
        os.kill(started[rank].process.pid, signal.SIGKILL)

    with monkeypatch.context() as patched:
        patched.setattr(processes, "wait", wait_and_kill)
        with pytest.raises(KitError, match=f"process {rank + 1} of 2 was killed by SIGKILL; the same command goes on"):
            trained("image_classification", tmp_path / "cut", 2, **settings)
    assert all(each.process.poll() is not None for each in started)
    reference = tmp_path / "reference"
    trained("image_classification", reference, 2, **settings | {"checkpoint_minutes": 0})
    trained("image_classification", tmp_path / "cut", 2, **settings)
    check_same(reference, tmp_path / "cut")


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
def test_a_process_that_has_stopped_ends_all(tmp_path, monkeypatch):
    started, wait = [], processes.wait

    def wait_and_stop(those):
        started.extend(those)
        threading.Thread(target=stop, daemon=True).start()
        wait(those)

    def stop():
        while not (tmp_path / "run" / "checkpoint" / "state.npz").exists():
            time.sleep(0.05)
        os.kill(started[1].process.pid, signal.SIGSTOP)

    monkeypatch.setattr(processes, "wait", wait_and_stop)
    # Whichever is sooner: the one that waits for both, or TensorFlow in the other one.
    said = r"process 2 of 2 has said nothing for 12 seconds|process 1 of 2 .* \(the others no longer answer\)"
    with pytest.raises(KitError, match=rf"({said}); the same command goes on from the last checkpoint"):
        trained("image_classification", tmp_path / "run", 2, epochs=50, steps_per_epoch=40)
    assert all(each.process.poll() is not None for each in started)


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ({"batch_size": 15}, "train.batch_size: expected a multiple of 2, got 15"),
        ({"minutes": 1.0}, "train.minutes: expected None with train.workers above 1, got 1.0"),
        ({"devices": 2}, "train.devices: expected 1 with train.workers above 1, got 2"),
        ({"workers": 0}, "train.workers: expected at least 1, got 0"),
    ],
)
def test_what_several_processes_cannot_do_is_one_line(train, expected, tmp_path):
    with pytest.raises(SettingError) as raised:
        trained("image_classification", tmp_path / "run", 2, **train) if "workers" not in train else kit.train(
            "image_classification", config="smoke", folder=tmp_path / "run", train=train
        )
    assert str(raised.value) == expected
    assert not (tmp_path / "run").exists()


def test_data_given_in_python_stays_in_this_process(tmp_path):
    images, labels = np.zeros((40, 8, 8, 1), "uint8"), np.arange(40) % 2
    with pytest.raises(SettingError, match="train.workers: expected 1 with data or a model given in Python, got 2"):
        kit.train(
            "image_classification", data=(images, labels), folder=tmp_path / "run", train=SETTINGS | {"workers": 2}
        )
    assert not (tmp_path / "run").exists()


class OneOf(engine.Single):
    """One of two processes that draws for both and talks to nobody."""

    count = 2
    whole, own = engine.Processes.whole, engine.Processes.own

    def __init__(self, rank):
        self.rank = rank


@pytest.mark.parametrize("rows", [6, 7])
@pytest.mark.parametrize("is_fused", [True, False])
def test_dropout_is_drawn_for_the_whole_batch_and_once_of_what_is_no_batch(rows, is_fused, monkeypatch):
    import keras
    import tensorflow as tf

    inputs = np.ones((rows, 5, 3), "float32")

    def dropped(drawing, values, count=None):
        keras.utils.set_random_seed(1)
        layer, drop = keras.layers.Dropout(0.4), keras.src.backend.random.dropout
        monkeypatch.setattr(engine, "_current", drawing)

        @tf.function(input_signature=[tf.TensorSpec((count, 5, 3))])
        def made(values):
            if is_fused:
                return fused._drop(layer, values, training=True)
            drop_own = drop if drawing is engine.ALONE else engine.Processes._dropout(drawing, drop)
            return drop_own(values, 0.4, None, layer.seed_generator)

        return made(values).numpy()

    whole = dropped(engine.ALONE, inputs)
    for rank in (0, 1):
        np.testing.assert_array_equal(dropped(OneOf(rank), inputs[rank::2]), whole[rank::2])
        np.testing.assert_array_equal(dropped(OneOf(rank), inputs, rows), whole)
