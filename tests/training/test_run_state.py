"""Checkpoints within epochs, behind training, and of what seldom changes."""

import threading

import numpy as np
import pytest

import kit
from kit.errors import KitError, SettingError
from kit.training import checkpoint
from kit.training.run_state import RunState

SETTINGS = {"epochs": 2, "steps_per_epoch": 12, "batch_size": 16, "steps_per_execution": 1}


def trained(folder, **train):
    return kit.train("image_classification", config="smoke", folder=folder, train=SETTINGS | train, verbose=False)


def test_a_run_that_dies_within_an_epoch_goes_on_from_its_minutes(tmp_path, monkeypatch):
    whole = trained(tmp_path / "whole")
    ended = RunState.on_train_batch_end

    def dying(self, batch, logs=None):
        ended(self, batch, logs)
        if self.epoch == 1 and batch == 6:
            raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(RunState, "on_train_batch_end", dying)
        with pytest.raises(ZeroDivisionError):
            trained(tmp_path / "cut", checkpoint_minutes=1e-5)
    _, values = checkpoint.load(tmp_path / "cut" / "checkpoint" / "state.npz")
    assert (values["epochs"], values["steps"]) == (1, 7)
    again = trained(tmp_path / "cut", checkpoint_minutes=1e-5)
    for one, other in zip(whole.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert whole.history.equals(again.history)


def test_nothing_is_saved_within_an_epoch_before_its_minutes(tmp_path, monkeypatch):
    calls = []
    saved = RunState._save
    monkeypatch.setattr(RunState, "_save", lambda self, *args, **more: calls.append(args) or saved(self, *args, **more))
    trained(tmp_path / "run")
    trained(tmp_path / "never", checkpoint_minutes=0)
    assert [args[0] for args in calls] == [1, 2, 1, 2]


def test_the_best_weights_are_written_when_they_change(tmp_path):
    path = tmp_path / "state.npz"
    weights = [np.arange(3.0)]
    arrays, values = {"variables": [np.ones(2)]}, {"epochs": 1}
    checkpoint.save(path, arrays, values, {"best": (1, weights)})
    before = (tmp_path / "best-1.npz").stat().st_mtime_ns
    checkpoint.save(path, arrays, {"epochs": 2}, {"best": (1, None)})
    assert (tmp_path / "best-1.npz").stat().st_mtime_ns == before
    loaded, found = checkpoint.load(path)
    assert found == {"epochs": 2}
    np.testing.assert_array_equal(loaded["best"][0], weights[0])
    checkpoint.save(path, arrays, {"epochs": 3}, {"best": (3, weights)})
    assert sorted(each.name for each in tmp_path.glob("*.npz")) == ["best-3.npz", "state.npz"]


@pytest.mark.parametrize("beside", [{"../best": 1}, {"best": "1/../x"}, {"best": None}, 5, {"best": 7}])
def test_files_beside_are_those_of_a_checkpoint(beside, tmp_path):
    path = tmp_path / "state.npz"
    checkpoint.save(path, {"variables": [np.ones(2)]}, {"epochs": 1, "files_beside": beside})
    with pytest.raises(KitError, match=r"(state|best-7).npz: (missing or )?damaged"):
        checkpoint.load(path)


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    writes, may_write = checkpoint.save, threading.Event()

    def slow(*arguments):
        assert may_write.wait(60)
        writes(*arguments)

    monkeypatch.setattr(checkpoint, "save", slow)
    writer = checkpoint.Writer(tmp_path / "state.npz")
    writer.save({"variables": [np.ones(2)]}, {"epochs": 1})
    assert not (tmp_path / "state.npz").exists()
    may_write.set()
    writer.save({"variables": [np.ones(2)]}, {"epochs": 2})
    writer.close()
    assert checkpoint.load(tmp_path / "state.npz")[1] == {"epochs": 2}


def test_what_acts_waits_until_its_experience_is_written(tmp_path, monkeypatch):
    ended, left = RunState.on_epoch_end, []

    def on_epoch_end(self, epoch, logs=None):
        ended(self, epoch, logs)
        left.append(self.writer._pending)

    monkeypatch.setattr(RunState, "on_epoch_end", on_epoch_end)
    kit.train("dqn", config="smoke", folder=tmp_path / "run", verbose=False)
    assert left and not any(left)


def test_what_could_not_be_written_is_told(tmp_path):
    writer = checkpoint.Writer(tmp_path / "missing" / "state.npz")
    writer.save({"variables": [np.ones(2)]}, {"epochs": 1})
    with pytest.raises(OSError, match="No such file"):
        writer.close()
    writer.close()


def test_minutes_are_not_below_zero(tmp_path):
    with pytest.raises(SettingError, match="train.checkpoint_minutes: expected a number of minutes, or 0, got -1.0"):
        trained(tmp_path / "run", checkpoint_minutes=-1.0)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_copies_are_no_longer_the_variable(dtype):
    import keras

    variable = keras.Variable(np.arange(4.0), dtype=dtype)
    first = checkpoint.copied([variable])
    before = first[0].copy()
    variable.assign(variable + 1)
    np.testing.assert_array_equal(first[0], before)
    again = checkpoint.copied([variable], first)
    assert again[0] is first[0] and first[0].dtype == keras.ops.convert_to_numpy(variable).dtype
    np.testing.assert_array_equal(first[0].astype("float32"), np.arange(1.0, 5.0))
    other = checkpoint.copied([keras.Variable(np.zeros(3), dtype=dtype)], first)
    assert other[0].shape == (3,)


def test_a_writer_writes_what_lies_beside_once_for_each_number(tmp_path):
    writer, weights = checkpoint.Writer(tmp_path / "state.npz"), [np.zeros(2)]
    times = []
    for number in (1, 1, 2):
        writer.save({"variables": [np.ones(2)]}, {"epochs": number}, {"best": (number, weights)})
        writer.wait()
        times.append((tmp_path / f"best-{number}.npz").stat().st_mtime_ns)
    writer.close()
    assert times[0] == times[1] < times[2]
    assert [each.name for each in tmp_path.glob("best-*")] == ["best-2.npz"]
