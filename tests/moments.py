"""Exact moments at which a test interrupts or kills a training: after a batch, or when a file is written."""

import contextlib
import dataclasses
import os
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


@contextlib.contextmanager
def at(moment, act):
    """Calls a function without arguments at a moment of what is done inside."""
    with pytest.MonkeyPatch.context() as patch:
        (_after_batch if isinstance(moment, AfterBatch) else _at_write)(patch, moment, act)
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


def interrupt():
    """Does what Ctrl-C does."""
    raise KeyboardInterrupt
