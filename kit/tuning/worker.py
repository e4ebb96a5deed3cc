"""A trial in a process of its own: settings in, score out, as JSON through one connection.

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
import traceback
import types
from pathlib import Path

from kit import config as toml
from kit import terminal
from kit.errors import KitError, SettingError, Unavailable

# What the server has imported when a trial begins.
_PRELOAD = ["kit.tuning.preload"]


def start_server():
    """Starts the server, if it does not run: it imports what trials need while the caller goes on."""
    if hasattr(os, "fork"):
        from multiprocessing import forkserver

        forkserver.set_forkserver_preload(_PRELOAD)
        with _no_main_module():
            forkserver.ensure_running()


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
        """Returns the next message, or None where the process has died."""
        try:
            return json.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            return None

    def stop(self):
        """Ends the process at once; a trial goes on from its last epoch another time."""
        self.process.kill()
        self.close()

    def close(self):
        self.process.join()
        self.connection.close()

    def death(self):
        """Returns in words how the process ended."""
        code = self.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return f"its process was killed by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")
        return f"its process ended with status {code}"


def carried_out(order, threads, answer=None):
    """Has one worker carry out one order, and waits for it.

    Args:
        order, threads: As for `Worker`.
        answer: Function from what the worker says on the way to what it is answered; or None.

    Returns:
        What it has found out; under `failed` why it could not.
    """
    worker = Worker(order, threads)
    try:
        message = worker.receive()
        while message is not None and "done" not in message:
            worker.send(answer(message))
            message = worker.receive()
    except BaseException:
        worker.stop()
        raise
    worker.close()
    return {"failed": worker.death()} if message is None else message["done"]


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
    kind = order.pop("kind")
    os.chdir(order.pop("cwd"))  # the server stands where it was started
    processors = order.pop("processors")
    gpu = order.pop("gpu")
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    toml.note_typed(order.pop("typed"))
    if processors and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, processors)
    log = logging.getLogger("kit")
    log.setLevel(logging.INFO)
    log.propagate = False

    def send(message):
        connection.send_bytes(json.dumps(message).encode())

    def ask(message):
        send(message)
        return json.loads(connection.recv_bytes())

    try:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        terminal.grow_memory()
        result = _KINDS[kind](ask, **order)
    except KitError as error:
        result = {"failed": str(error), "is_passing": isinstance(error, Unavailable)}
    except BaseException as error:  # whatever it is, it fails this trial alone, and its reason stands in the table
        with contextlib.suppress(OSError, KeyError), open(Path(order["folder"]) / "run.log", "a") as file:
            file.write(traceback.format_exc())
        reason = " ".join(str(error).split())[:300]
        result = {"failed": f"{type(error).__name__}: {reason}", "is_passing": False}
    send({"done": result})
    connection.close()
    os._exit(0)  # no clean-up of TensorFlow's, which may take long


def _die_with_parent():
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def trial(ask, recipe, overrides, config, folder, seed, monitor, last_epoch):
    """Trains until the end, or `last_epoch`, or the parent's word; returns the score and the costs."""
    import resource
    import time

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
