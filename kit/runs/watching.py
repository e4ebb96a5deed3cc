"""Processes that train one model, as the one sees them that started them: heard of every second, and ended in time."""

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kit.errors import KitError, Unavailable

# A process that has said nothing for so many seconds has stopped, though it lives: each says something every second.
# One that imports TensorFlow on a busy machine cannot, until it says that it is ready.
SILENCE = 12.0
_SILENCE_AT_FIRST = 120.0
# What a process says: that it lives, that all have come together, that its data and its model stand.
ALIVE, COME, READY = b".", b"+", b"!"
# File of the run folder that says that several processes have trained to the end: none are needed for the rest.
TRAINED = ".trained"


class Died(Unavailable):
    """A process of several has died or stopped; all go on from the last checkpoint.

    Args:
        reason: Which one, and how.
    """

    def __init__(self, reason):
        super().__init__(f"train.workers: {reason}; the same command goes on from the last checkpoint")
        self.reason = reason


class Child:
    """One of several processes: its pipe, from which a byte comes every second, and what it said last.

    Args:
        run_folder: The run folder, an absolute path.
        rank: Number of the process, from 0.
        hosts: Address and port of each.
        scratch: Folder for what goes with it.
        threads: Threads that TensorFlow may compute with; None leaves that to it.
        output: Where its log goes, as `subprocess.Popen` has it; None is where that of this process goes.
    """

    def __init__(self, run_folder, rank, hosts, scratch, *, threads=None, output=subprocess.DEVNULL):
        self.rank, self.count = rank, len(hosts)
        self.beats, theirs = os.pipe()
        self.said = scratch / f"said-{rank}.txt"
        own = scratch / str(rank)
        own.mkdir()
        folder = run_folder if rank == 0 else own
        cluster = {"cluster": {"worker": list(hosts)}, "task": {"type": "worker", "index": rank}}
        around = {"TF_CONFIG": json.dumps(cluster), "PYTHONUNBUFFERED": "1"}
        if threads is not None and "TF_NUM_INTRAOP_THREADS" not in os.environ:
            around["TF_NUM_INTRAOP_THREADS"] = str(threads)
        with open(self.said, "w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kit.runs.rank", str(run_folder), str(folder), str(theirs)],
                pass_fds=[theirs],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=file,
                env=os.environ | around,
                start_new_session=True,  # Ctrl-C is for the one that waits
            )
        os.close(theirs)
        self.heard, self.patience, self.has_come = time.monotonic(), _SILENCE_AT_FIRST, False

    def hear(self):
        """Takes in what it has said; returns whether it has ended."""
        said = os.read(self.beats, 4096)
        if not said:
            self.process.wait()
            return True
        self.heard, self.has_come = time.monotonic(), self.has_come or COME in said
        self.patience = SILENCE if READY in said else self.patience
        return False

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


@contextlib.contextmanager
def started(run_folder, ranks, hosts, **of_each):
    """Starts processes, yields a `Child` for each, and ends those that are left.

    Args:
        run_folder: The run folder.
        ranks: Their numbers among all.
        hosts: Address and port of each of all.
        of_each: As for `Child`: `threads`, and `output` of the first of all; the others have none.
    """
    children = []
    output = of_each.pop("output", subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            for rank in ranks:
                own = output if rank == 0 else subprocess.DEVNULL
                children.append(Child(run_folder.resolve(), rank, hosts, Path(scratch), output=own, **of_each))
            yield children
        finally:
            for child in children:
                child.stop()


def wait(children, while_coming=None):
    """Waits until processes have ended.

    Args:
        children: A `Child` for each.
        while_coming: Function that is called every second until all have come together, and may raise; or None.

    Raises:
        Died: one of them died or stopped.
        KitError: one of them refused.
    """
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child.beats, selectors.EVENT_READ, child)
        while selector.get_map():
            for key, _ in selector.select(1.0):
                if key.data.hear():
                    selector.unregister(key.fd)
            failed = [each for each in children if each.process.returncode not in (None, 0)]
            refusals = [each.refusal() for each in failed if each.refusal()]
            if refusals:
                raise KitError(refusals[0])
            if failed:
                raise Died(failed[0].death())
            live = [each for each in children if each.process.returncode is None]
            silent = [each for each in live if time.monotonic() - each.heard > each.patience]
            if silent:
                name = f"process {silent[0].rank + 1} of {silent[0].count}"
                raise Died(f"{name} has said nothing for {silent[0].patience:.0f} seconds")
            if while_coming is not None and not all(each.has_come for each in children):
                while_coming()


def free_ports(count, address="127.0.0.1"):
    """Returns ports of this machine that nobody uses.

    Args:
        count: How many.
        address: Its address that they are of; "" is all.
    """
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((address, 0))
        return [each.getsockname()[1] for each in sockets]
