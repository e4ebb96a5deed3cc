"""Several processes that train one model: of this machine, of a Ray cluster, or those that an environment has started.

Each is `python -m kit.runs.rank`, reads the run folder as a run that is carried on does, and takes its rows of every
batch (`kit.training.engine`). The first writes the run's checkpoint; the others write into folders that go with them.
"""

import logging
import os
import subprocess

from kit import terminal
from kit.errors import SettingError, table
from kit.runs import hosts, ray_processes
from kit.runs.watching import TRAINED, free_ports, started, wait
from kit.training.cluster import LOCAL

log = logging.getLogger("kit")


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
        if parts.splits.train.follows_model or len(recipe.optimizers) > 1:
            why = "learns by acting" if parts.splits.train.follows_model else "trains two networks in turn"
            raise SettingError(key, f"expected 1, got {workers}: {recipe.name} {why}")


def train(run_folder, parts):
    """Trains the run in a folder by several processes, until its checkpoint is that of a finished training.

    Args:
        run_folder: The run folder, of a run that has begun.
        parts: `Assembled` of it.

    Raises:
        KitError: a process died, or stopped; the run can be carried on.
    """
    if (run_folder / TRAINED).exists():
        return
    workers, size = parts.training.workers, parts.training.batch_size
    log.info("%d processes train, each with %d of %d examples of a step", workers, size // workers, size)
    if parts.training.cluster != LOCAL:
        ray_processes.train(run_folder, workers, parts.training.cluster)
        return
    place = hosts.place(workers)
    if place is not None:
        hosts.train(run_folder, place)
        return
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    threads = max((os.cpu_count() or 1) // workers, 1)
    output = None if terminal.is_log_shown() else subprocess.DEVNULL
    with started(run_folder, range(workers), addresses, threads=threads, output=output) as children:
        wait(children)
