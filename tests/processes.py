"""New processes that start in a moment: forked from a server that has imported TensorFlow and never used it.

It is the server that forks the workers of `kit tune`. A subprocess of `python -m kit` would import all of that anew.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from kit.tuning.worker import start_server
from tests import moments


@dataclasses.dataclass(frozen=True)
class Ended:
    """A process that has ended.

    Args:
        status: Its exit status; minus the number of the signal that killed it.
        output: What it wrote to standard output and standard error.
        result: What its function returned.
    """

    status: int
    output: str
    result: object = None


def call(function, *arguments):
    """Runs a function of a module in a new process, in this folder; returns `Ended`.

    Args:
        function: The function; with its arguments and its result it travels between the processes.
        arguments: Its arguments.
    """
    start_server()
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        process = context.Process(target=_work, args=(theirs, output, function, arguments))
        process.start()
        theirs.close()
        try:
            result = ours.recv()
        except EOFError:  # it has died, or failed
            result = None
        process.join()
        return Ended(process.exitcode, output.read_text(encoding="utf-8"), result)


def kit(*words, dies=None, signal_=signal.SIGKILL):
    """Runs a command of the kit in a new process; returns `Ended`.

    Args:
        words: The command, without `kit`.
        dies: Moment of `tests.moments` at which the process sends itself a signal; or None.
        signal_: That signal.
    """
    return call(_command, [str(word) for word in words], dies, signal_)


def kit_done(*words):
    """Runs a command of the kit that has to succeed in a new process; returns its output."""
    ended = kit(*words)
    assert ended.status == 0, ended.output
    return ended.output


def assert_killed_ends_alike(folder, moment, *words):
    """Runs a command of the kit twice, once killed and carried on: both have to end with the same model.

    Args:
        folder: Folder for the two run folders.
        moment: Moment of `tests.moments` at which the second is killed.
        words: The command, without `kit` and `--folder`.
    """
    kit_done(*words, "--folder", folder / "whole")
    ended = kit(*words, "--folder", folder / "killed", dies=moment)
    assert ended.status == -signal.SIGKILL, ended.output
    kit_done(*words, "--folder", folder / "killed")
    assert (folder / "whole" / "best.keras").read_bytes() == (folder / "killed" / "best.keras").read_bytes()


def _work(connection, output, function, arguments):
    """The life of such a process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with open(output, "w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115 - as long as the process
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    status = 1
    try:
        connection.send(function(*arguments))
        status = 0
    except SystemExit as error:
        status = error.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(status)  # no clean-up of TensorFlow's, which may take long


def _command(words, dies, signal_):
    from kit.cli import main
    from kit.tasks import image_features

    image_features._STEPS = 40  # images are scored by classifiers that are trained less

    def die():
        os.kill(os.getpid(), signal_)

    with moments.at(dies, die) if dies else contextlib.nullcontext():
        sys.exit(main(words))
