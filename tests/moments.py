"""Exact moments at which a test interrupts or kills a process: after a batch, at the writing of a file, at a call."""

import contextlib
import dataclasses
import os
import pkgutil
from pathlib import Path

import pytest


@dataclasses.dataclass(frozen=True)
class AfterBatch:
    """The end of a batch, or of the compiled call that it is in.

    Args:
        epoch, batch: Their numbers, from 1.
    """

    epoch: int
    batch: int


@dataclasses.dataclass(frozen=True)
class AtWrite:
    """The moment before a whole file takes its place, or after.

    Args:
        file: Name of the file.
        count: At which of the times that such a file is written.
        is_written: After it has taken its place, not before.
    """

    file: str
    count: int = 1
    is_written: bool = False


@dataclasses.dataclass(frozen=True)
class AtAnyWrite:
    """The moment before any whole file takes its place, while half of it is written, or after.

    Args:
        count: At which of all files.
        state: "half", "whole" or "placed".
    """

    count: int
    state: str


@dataclasses.dataclass(frozen=True)
class AtCall:
    """The moment before a function is called.

    Args:
        name: Its dotted name, that of its class included.
        count: At which of its calls.
    """

    name: str
    count: int = 1


@contextlib.contextmanager
def at(moment, act):
    """Calls a function without arguments at a moment of what is done inside."""
    patches = {AfterBatch: _after_batch, AtWrite: _at_write, AtAnyWrite: _at_any_write, AtCall: _at_call}
    with pytest.MonkeyPatch.context() as patch:
        patches[type(moment)](patch, moment, act)
        yield


def _after_batch(patch, moment, act):
    from keras.callbacks import CallbackList

    begin, end = CallbackList.on_epoch_begin, CallbackList.on_train_batch_end

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1
        begin(self, epoch, logs)

    def on_train_batch_end(self, batch, logs=None):
        end(self, batch, logs)
        if self.epoch == moment.epoch and batch + 1 >= moment.batch:
            act()

    patch.setattr(CallbackList, "on_epoch_begin", on_epoch_begin)
    patch.setattr(CallbackList, "on_train_batch_end", on_train_batch_end)


def _at_write(patch, moment, act):
    replace, written = os.replace, []

    def replace_and_act(source, target, **options):
        written.append(Path(target).name)
        is_now = written[-1] == moment.file and written.count(moment.file) == moment.count
        if is_now and not moment.is_written:
            act()
        replace(source, target, **options)
        if is_now and moment.is_written:
            act()

    patch.setattr(os, "replace", replace_and_act)


def _at_any_write(patch, moment, act):
    replace, written = os.replace, []

    def replace_and_act(source, target, **options):
        written.append(target)
        is_now = len(written) == moment.count
        if is_now and moment.state == "half":
            os.truncate(source, os.path.getsize(source) // 2)
        if is_now and moment.state != "placed":
            act()
        replace(source, target, **options)
        if is_now:
            act()

    patch.setattr(os, "replace", replace_and_act)


def _at_call(patch, moment, act):
    owner, _, name = moment.name.rpartition(".")
    owner, calls = pkgutil.resolve_name(owner), []
    function = getattr(owner, name)

    def act_and_call(*arguments, **settings):
        calls.append(None)
        if len(calls) == moment.count:
            act()
        return function(*arguments, **settings)

    patch.setattr(owner, name, act_and_call)


def interrupt():
    """Does what Ctrl-C does."""
    raise KeyboardInterrupt


@contextlib.contextmanager
def interrupted(monkeypatch, run, epoch):
    """Has Ctrl-C pressed in one of several runs of a command, where an epoch begins, and expects it to come out.

    Args:
        monkeypatch: pytest's.
        run: Number of the run, from 1.
        epoch: Number of the epoch, from 0.
    """
    from kit.training.callbacks import Progress

    runs = []
    begin_training, begin_epoch = Progress.on_train_begin, Progress.on_epoch_begin

    def counted(self, logs=None):
        runs.append(self)
        begin_training(self, logs)

    def pressed(self, number, logs=None):
        if (len(runs), number) == (run, epoch):
            raise KeyboardInterrupt
        begin_epoch(self, number, logs)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Progress, "on_train_begin", counted)
        patch.setattr(Progress, "on_epoch_begin", pressed)
        yield
