"""Several processes that train one model: started on this machine, watched, and ended together.

Each is `python -m kit.runs.rank`, reads the run folder as a run that is carried on does, and takes its rows of every
batch (`kit.training.engine`). The first writes the run's checkpoint; the others write into folders that go with them.
"""

import contextlib
import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kit import terminal
from kit.errors import KitError, SettingError, Unavailable, table

log = logging.getLogger("kit")

# A process that has said nothing for so many seconds has stopped, though it lives: each says something every second.
# One that imports TensorFlow on a busy machine cannot, until it says that it is ready.
_SILENCE, _SILENCE_AT_FIRST = 12.0, 120.0
READY = b"!"


def check(parts, inputs, watch):
    """Raises SettingError for what several processes cannot train together.

    Args:
        parts: `Assembled`.
        inputs: `PythonInputs`.
        watch: What is asked after each epoch whether to stop; None without.
    """
    key, workers, recipe = "workers", parts.training.workers, parts.recipe
    if workers == 1:
        return
    with table("train"):
        if inputs.data is not None or inputs.model is not None:
            raise SettingError(key, f"expected 1 with data or a model given in Python, got {workers}: they read files")
        if watch is not None:
            raise SettingError(key, f"expected 1 in a study, got {workers}: its trials are processes themselves")
        if recipe.stages.network(parts.model) is not parts.model:
            raise SettingError(key, f"expected 1, got {workers}: {recipe.name} trains more than one network")


def train(run_folder, parts):
    """Trains the run in a folder by several processes, until its checkpoint is that of a finished training.

    Args:
        run_folder: The run folder, of a run that has begun.
        parts: `Assembled` of it.

    Raises:
        KitError: a process died, or stopped; the run can be carried on.
    """
    workers, size = parts.training.workers, parts.training.batch_size
    log.info("%d processes train, each with %d of %d examples of a step", workers, size // workers, size)
    with tempfile.TemporaryDirectory() as scratch, _started(run_folder, workers, Path(scratch)) as started:
        _wait(started)


@contextlib.contextmanager
def _started(run_folder, workers, scratch):
    """Starts the processes, yields them, and ends those that are left."""
    hosts = [f"127.0.0.1:{port}" for port in _free_ports(workers)]
    started = []
    try:
        for rank in range(workers):
            started.append(_Process(run_folder, rank, hosts, scratch))
        yield started
    finally:
        for process in started:
            process.stop()


class _Process:
    """One of several processes: its pipe, from which a byte comes every second, and what it said last."""

    def __init__(self, run_folder, rank, hosts, scratch):
        self.rank, self.count = rank, len(hosts)
        self.beats, theirs = os.pipe()
        self.said = scratch / f"said-{rank}.txt"
        own = scratch / str(rank)
        own.mkdir()
        folder = run_folder.resolve() if rank == 0 else own
        cluster = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": rank}}
        threads = max((os.cpu_count() or 1) // self.count, 1)
        around = {"TF_CONFIG": json.dumps(cluster), "PYTHONUNBUFFERED": "1"}
        around |= {"TF_NUM_INTRAOP_THREADS": str(threads)} if "TF_NUM_INTRAOP_THREADS" not in os.environ else {}
        is_shown = rank == 0 and terminal.is_log_shown()
        with open(self.said, "w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kit.runs.rank", str(run_folder.resolve()), str(folder), str(theirs)],
                pass_fds=[theirs],
                stdin=subprocess.DEVNULL,
                stdout=None if is_shown else subprocess.DEVNULL,
                stderr=file,
                env=os.environ | around,
                start_new_session=True,  # Ctrl-C is for the one that waits
            )
        os.close(theirs)
        self.heard, self.patience = time.monotonic(), _SILENCE_AT_FIRST

    def stop(self):
        """Ends the process at once; a run goes on from its last checkpoint another time."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            os.close(self.beats)

    def death(self):
        """Returns in words how the process ended."""
        code, name = self.process.returncode, f"process {self.rank + 1} of {self.count}"
        if code is not None and code < 0:
            return f"{name} was killed by {signal.Signals(-code).name}"
        return f"{name} ended with status {code} ({self.last_words()})"

    def refusal(self):
        """Returns the one line with which the process refused to train, or None."""
        return self.last_words().removeprefix("kit: ") if self.process.returncode == 2 else None

    def last_words(self):
        """Returns the last line that the process wrote about an error."""
        return self.said.read_text(encoding="utf-8", errors="replace").strip().split("\n")[-1][:300]


def _wait(started):
    """Waits until all processes have ended.

    Raises:
        KitError: one of them refused, died or stopped.
    """
    again = "the same command goes on from the last checkpoint"
    with selectors.DefaultSelector() as selector:
        for process in started:
            selector.register(process.beats, selectors.EVENT_READ, process)
        while selector.get_map():
            for key, _ in selector.select(1.0):
                if said := os.read(key.fd, 4096):
                    key.data.heard = time.monotonic()
                    key.data.patience = _SILENCE if READY in said else key.data.patience
                else:  # it has ended
                    selector.unregister(key.fd)
                    key.data.process.wait()
            failed = [each for each in started if each.process.returncode not in (None, 0)]
            refusals = [each.refusal() for each in failed if each.refusal()]
            if refusals:
                raise KitError(refusals[0])
            if failed:
                raise Unavailable(f"train.workers: {failed[0].death()}; {again}")
            live = [each for each in started if each.process.returncode is None]
            silent = [each for each in live if time.monotonic() - each.heard > each.patience]
            if silent:
                name = f"process {silent[0].rank + 1} of {len(started)}"
                raise Unavailable(
                    f"train.workers: {name} has said nothing for {silent[0].patience:.0f} seconds; {again}"
                )


def _free_ports(count):
    """Returns ports of this machine that nobody uses."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
