"""A trial in a process of its own: settings in, score out, as JSON through one connection.

A worker has four messages, wherever it works: `send`, `receive` (None where it has died), `stop` and `death`. Here it
is a child process; `ray_worker` has the one on other machines. What it carries out is the same, `perform`.

Processes are forked from a server (`multiprocessing`'s "forkserver") that has imported TensorFlow and never used it:
they start in a moment, give their memory back, and take no other trial with them when they die. Nothing of the caller
is imported or pickled for them.
"""

import contextlib
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import types
from pathlib import Path
from typing import NamedTuple

from kit import config as toml
from kit import terminal
from kit.errors import KitError, SettingError, Unavailable

# What the server has imported when a trial begins.
_PRELOAD = ["kit.tuning.preload"]
_WANT_OF_MEMORY = ", perhaps for want of memory"


def start_server():
    """Starts the server, if it does not run: it imports what trials need while the caller goes on."""
    if hasattr(os, "fork"):
        from multiprocessing import forkserver

        forkserver.set_forkserver_preload(_PRELOAD)
        with _no_main_module():
            forkserver.ensure_running()


class Death(NamedTuple):
    """How a worker ended that did not end its order.

    Args:
        reason: In words.
        is_of_machine: Whether its machine was lost, which says nothing against what it did.
    """

    reason: str
    is_of_machine: bool = False


class Worker:
    """One process that carries out one order.

    Args:
        order: Dictionary of plain values: `kind`, one of "trial", "rehearsal" and "retraining", and its arguments, the
            parameters of the function of that name in this module.
        threads: Threads that TensorFlow may compute with.
        processors: Numbers of the processors that it keeps to, where the system can do that; None is all.
        gpu: The one GPU that it sees, as `CUDA_VISIBLE_DEVICES` names it; None is all.
    """

    def __init__(self, order, threads, processors=None, gpu=None):
        context = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
        start_server()
        self.order = order
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, threads), daemon=True)
        with _no_main_module():
            self.process.start()
        theirs.close()
        around = {"cwd": os.getcwd(), "processors": processors, "gpu": gpu, "typed": toml.typed()}
        self.send(order | around)

    def send(self, message):
        with contextlib.suppress(OSError):  # it has died; who waits for it will see
            self.connection.send_bytes(json.dumps(message).encode())

    def receive(self):
        """Returns the next message, or None where the process has died; its last is `done`, with what came out."""
        try:
            message = json.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            message = None
        if message is None or "done" in message:
            self._close()
        return message

    def stop(self):
        """Ends the process at once; a trial goes on from its last epoch another time."""
        self.process.kill()
        self._close()

    def _close(self):
        self.process.join()
        self.connection.close()

    def death(self):
        """Returns how the process ended, as a `Death`."""
        code = self.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return Death(f"its process was killed by {name}" + _WANT_OF_MEMORY * (name == "SIGKILL"))
        return Death(f"its process ended with status {code}")


class Processes:
    """Workers of this machine, several at a time.

    Args:
        search: `Search`.
    """

    def __init__(self, search):
        self.count, self.threads = search.machine()
        self.where = ""

    def start(self, order, slot):
        """Returns a `Worker` with its share of the machine.

        Args:
            order: As for `Worker`.
            slot: Its place among the workers, from 0.
        """
        return Worker(order, self.threads, self._processors(slot), self._gpu(order, slot))

    def alone(self, order):
        """Returns a `Worker` that has the machine for itself."""
        return Worker(order, self.count * self.threads)

    def wait(self, workers, timeout):
        """Waits until some of the workers have something to say, or have died, or for some seconds; returns these."""
        connections = {worker.connection: worker for worker in workers}
        return [connections[each] for each in multiprocessing.connection.wait(list(connections), timeout)]

    def _processors(self, slot):
        """Returns the processors that a worker keeps to, where there are enough for each to have its own; else None."""
        everyone = processors()
        if self.count * self.threads > len(everyone) or self.count == 1:
            return None
        return everyone[slot * self.threads : (slot + 1) * self.threads]

    def _gpu(self, order, slot):
        """Returns the GPU that a worker sees, where several share several; None is all."""
        cards = gpus() if self.count > 1 else []
        takes_several = len(cards) > 1 and toml.read_toml(order["config"]).get("train.devices", 1) > 1
        return cards[slot % len(cards)] if len(cards) > 1 and not takes_several else None


def carried_out(worker, answer=None):
    """Waits for what one worker finds out.

    Args:
        worker: The worker.
        answer: Function from what the worker says on the way to what it is answered; or None.

    Returns:
        What it has found out; under `failed` why it could not.
    """
    try:
        message = worker.receive()
        while message is not None and "done" not in message:
            worker.send(answer(message))
            message = worker.receive()
    except BaseException:
        worker.stop()
        raise
    return {"failed": worker.death().reason} if message is None else message["done"]


def processors():
    """Returns the numbers of the processors that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def gpus():
    """Returns the GPUs that this process may use, each as `CUDA_VISIBLE_DEVICES` names it."""
    import tensorflow as tf

    count = len(tf.config.list_physical_devices("GPU"))
    named = [each.strip() for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each.strip()]
    return (named or [str(index) for index in range(count)])[:count]


@contextlib.contextmanager
def _no_main_module():
    """Hides the caller's program, which `multiprocessing` would otherwise run again in the new process."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def work(connection, threads):
    """Carries out the order that comes through a connection; the life of a worker's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    order = json.loads(connection.recv_bytes())
    os.chdir(order.pop("cwd"))  # the server stands where it was started
    processors = order.pop("processors")
    gpu = order.pop("gpu")
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    if processors and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, processors)
    perform(order, threads, lambda message: connection.send_bytes(json.dumps(message).encode()), connection.recv_bytes)
    connection.close()
    os._exit(0)  # no clean-up of TensorFlow's, which may take long


def perform(order, threads, send, receive, patience=0):
    """Carries out an order in this process, which has nothing else to do, and sends what came out as `done`.

    Args:
        order: As for `Worker`, and what `kit.config.typed` noted as `typed`.
        threads: Threads that TensorFlow may compute with.
        send: Function that gets each message.
        receive: Function that waits for an answer, and returns it as JSON.
        patience: Seconds to wait for a folder that another process holds: one whose machine was lost may still have it.
    """
    kind = order.pop("kind")
    toml.note_typed(order.pop("typed"))
    log = logging.getLogger("kit")
    log.setLevel(logging.INFO)
    log.propagate = False
    said = []

    def ask(message):
        said.append(True)
        send(message)
        return json.loads(receive())

    until = time.monotonic() + patience
    try:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        terminal.grow_memory()
        while True:
            try:
                result = _KINDS[kind](ask, **order)
                break
            except Unavailable:
                if said or time.monotonic() > until:
                    raise
            time.sleep(1)
    except KitError as error:
        result = {"failed": str(error), "is_passing": isinstance(error, Unavailable)}
    except BaseException as error:  # whatever it is, it fails this trial alone, and its reason stands in the table
        with contextlib.suppress(OSError, KeyError), open(Path(order["folder"]) / "run.log", "a") as file:
            file.write(traceback.format_exc())
        reason = " ".join(str(error).split())[:300]
        result = {"failed": f"{type(error).__name__}: {reason}", "is_passing": False}
    send({"done": result})


def _die_with_parent():
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def trial(ask, recipe, overrides, config, folder, seed, monitor, last_epoch):
    """Trains until the end, or `last_epoch`, or the parent's word; returns the score and the costs."""
    import resource

    from kit.files import as_path
    from kit.runs import run

    started = time.perf_counter()

    def watch(epoch, value):
        return ask({"epoch": epoch, "value": value})["stop"] or epoch == last_epoch

    trained, found, mode = run.train_trial(
        recipe, overrides, config=config, folder=as_path(folder, "folder"), seed=seed, watch=watch
    )
    if found != monitor:
        raise SettingError("train.monitor", f"this trial goes by {found!r}, the others by {monitor!r}")
    curve = [row[monitor] for row in trained.history]
    best = (max if mode == "max" else min)(curve)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "score": best,
        "best_epoch": curve.index(best) + 1,
        "epochs": len(curve),
        "seconds": time.perf_counter() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss,
    }


def rehearsal(ask, recipe, config, seed, variants):
    """Builds the model and takes a few steps under every variant of the settings, and looks at the monitored value."""
    from kit.runs import rehearsal

    found = {}
    for overrides in variants:
        ask({"variant": overrides})
        this = rehearsal.monitored(recipe, overrides, config=config, seed=seed)
        if found and this["monitor"] != found["monitor"]:
            raise SettingError("train.monitor", f"{this['monitor']!r} here, {found['monitor']!r} elsewhere")
        found = found or this
    return found


def retraining(ask, recipe, overrides, config, folder, seed):
    """Trains a run to its end and scores it on the test split."""
    from kit.runs import run

    done = run.train_with(recipe, overrides, config=config, folder=folder, seed=seed)
    return {"metrics": done.metrics["test"]}


_KINDS = {"trial": trial, "rehearsal": rehearsal, "retraining": retraining}
