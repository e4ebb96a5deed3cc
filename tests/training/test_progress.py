"""Signs of life within an epoch: where nothing moves, a line of the log at least every half minute."""

import io
import sys

import keras
import numpy as np
import pytest

from kit import terminal
from kit.runs import folder as folders
from kit.training import callbacks


class Clock:
    """A clock that moves by so many seconds whenever it is looked at."""

    def __init__(self, seconds):
        self.now, self.seconds = 0.0, seconds

    def __call__(self):
        self.now += self.seconds
        return self.now


def trained(monkeypatch, folder, seconds, out=None):
    """Trains two epochs of 12 steps under a clock of its own; returns the lines of `run.log`."""
    monkeypatch.setattr(callbacks.time, "perf_counter", Clock(seconds))
    if out is not None:
        monkeypatch.setattr(sys, "stdout", out)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    x = np.ones((48, 2), "float32")
    best = callbacks.BestWeights(model, "val_loss", "min")
    progress = callbacks.Progress(2, 12, 4, best)
    with folders.logged(folder), terminal.log_shown():
        data = (x, x[:, :1])
        model.fit(*data, batch_size=4, epochs=2, validation_data=data, callbacks=[best, progress], verbose=0)
    monkeypatch.undo()
    return (folder / "run.log").read_text().splitlines()


def test_a_slow_epoch_tells_step_loss_and_time_left(monkeypatch, tmp_path, capsys):
    lines = trained(monkeypatch, tmp_path, 6.0)
    within = [line for line in lines if " step " in line]
    assert len(within) >= 6
    assert all("loss " in line and "left" in line for line in within)
    assert "epoch 1/2  step " in within[0] and "/12" in within[0]
    assert any("validation, batch" in line for line in lines)
    assert " step " in capsys.readouterr().out


def test_a_quick_epoch_is_one_line(monkeypatch, tmp_path):
    lines = trained(monkeypatch, tmp_path, 0.01)
    assert [" step " in line for line in lines] == [False, False]


class Screen(io.StringIO):
    """Standard output that says it is a terminal."""

    def isatty(self):
        return True


def test_where_a_line_moves_the_log_alone_has_the_others(monkeypatch, tmp_path):
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    lines = trained(monkeypatch, tmp_path, 6.0, screen)
    assert [line for line in lines if "  step " in line]
    assert "  step " not in screen.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_the_bar_is_drawn_with_characters_that_there_are(monkeypatch, tmp_path, encoding):
    monkeypatch.setenv("TERM", "xterm")
    out = io.TextIOWrapper(io.BytesIO(), encoding, errors="backslashreplace")
    monkeypatch.setattr(out, "isatty", lambda: True, raising=False)
    trained(monkeypatch, tmp_path, 0.01, out)
    out.flush()
    assert b"\\u" not in out.buffer.getvalue()
