"""One process of each machine, where an environment has started the same command on all: Slurm, Kubernetes.

Slurm's `srun` says in variables of its own which machine is which; others, such as Kubeflow, in `TF_CONFIG`. The first
one's command prepares the run folder and finishes the run; those of the others train with it, and nothing else.
"""

import collections
import contextlib
import dataclasses
import json
import logging
import os
import subprocess
import threading
import time

from kit import terminal
from kit.errors import SettingError, Unavailable, check
from kit.runs.watching import TRAINED, started, wait
from kit.training.cluster import LOCAL

log = logging.getLogger("kit")

# Seconds that a process waits for the others, while nothing is heard of them.
_PATIENCE = 300
# Seconds between two signs, in the run folder, that the first one's command still prepares; the file that they are in.
_SIGN, _FILE = 5, ".preparing"
# Ports of a Slurm job: below those that systems give to connections, and apart for jobs that share a machine.
_PORTS, _PORTS_OF_A_JOB, _JOBS = 12_000, 64, 300


@dataclasses.dataclass(frozen=True)
class Place:
    """Place of this process among several that an environment has started.

    Args:
        rank: Its number, from 0.
        hosts: Address and port of each.
    """

    rank: int
    hosts: tuple

    @property
    def is_first(self):
        """Whether the command of this process prepares and finishes the run."""
        return self.rank == 0

    @property
    def threads(self):
        """Threads that TensorFlow may compute with, where several processes share this machine; else None."""
        machines = [host.rpartition(":")[0] for host in self.hosts]
        count = collections.Counter(machines)[machines[self.rank]]
        return max((os.cpu_count() or 1) // count, 1) if count > 1 else None


def are_named():
    """Tells whether the environment names several processes, of which this is one."""
    return "TF_CONFIG" in os.environ or int(os.environ.get("SLURM_STEP_NUM_TASKS") or 1) > 1


def place(workers):
    """Returns the `Place` of this process, or None where `train.workers` are processes of this machine.

    Args:
        workers: `train.workers`.

    Raises:
        SettingError: the environment names another number of processes, or says it in a form that is not known.
    """
    if workers == 1 or not are_named():
        return None
    where, found = ("TF_CONFIG", _of_tf_config()) if "TF_CONFIG" in os.environ else ("Slurm", _of_slurm())
    count = len(found.hosts)
    if count == 1:
        return None
    check(count == workers, "train.workers", workers, f"{count}, the processes that {where} names")
    return found


def asked(settings, folder, inputs):
    """Returns the `Place` of this process for the settings of a run; or None.

    Args:
        settings: The settings, table by table.
        folder: The run folder, or None.
        inputs: `PythonInputs`.

    Raises:
        SettingError: what is asked for goes on one machine alone.
    """
    own = settings["train"]
    if own["cluster"] != LOCAL or own["workers"] == 1 or not are_named():
        return None
    terminal.load_tensorflow()
    found = place(own["workers"])
    if found is None:
        return None
    if folder is None:
        raise SettingError("folder", "expected a folder that all machines share, where each trains a part of one model")
    for key, single in (("seeds", 1), ("folds", 0)):
        check(own[key] == single, f"train.{key}", own[key], f"{single} where each machine trains a part of one model")
    if inputs.data is not None or inputs.model is not None:
        raise SettingError("train.workers", f"expected 1 with data or a model given in Python, got {own['workers']}")
    return found


@contextlib.contextmanager
def preparing(place, run_folder):
    """Lets the others know, inside, that the command of the first one is at work.

    Args:
        place: `Place`, or None where there are no others.
        run_folder: The run folder.
    """
    if place is None:
        yield
        return
    over, path = threading.Event(), run_folder / _FILE

    def show():
        while not over.is_set():
            with contextlib.suppress(OSError):
                path.write_text(str(time.time_ns()), encoding="utf-8")
            over.wait(_SIGN)

    signs = threading.Thread(target=show, daemon=True)
    signs.start()
    try:
        yield
    finally:
        over.set()
        signs.join()
        path.unlink(missing_ok=True)


def train(run_folder, place):
    """Trains with the processes of other machines, as one of them.

    Args:
        run_folder: The run folder, which all share.
        place: `Place`.

    Raises:
        KitError: a process died or stopped, or the others have not come.
    """
    others = _Others(run_folder, place)
    output = None if terminal.is_log_shown() else subprocess.DEVNULL
    with started(run_folder, [place.rank], place.hosts, threads=place.threads, output=output) as children:
        wait(children, others.look)


def take_part(run_folder, place):
    """Trains as one of the others, and says so.

    Args:
        run_folder, place: As for `train`.
    """
    name = f"process {place.rank + 1} of {len(place.hosts)}"
    if (run_folder / TRAINED).exists():
        log.info("%s: the training in %s is over", name, run_folder)
        return
    log.info("%s: it trains with the one at %s, which writes %s", name, place.hosts[0], run_folder)
    train(run_folder, place)
    log.info("%s: the training is over", name)


class _Others:
    """The others, while not all have come: the first one may prepare for long, and shows that it does."""

    def __init__(self, run_folder, place):
        self.path, self.place = run_folder / _FILE, place
        self.sign, self.since, self.looked = None, time.monotonic(), 0.0

    def look(self):
        """Raises Unavailable where nothing has been heard of them for long."""
        now = time.monotonic()
        if not self.place.is_first and now - self.looked > _SIGN:
            self.looked = now
            with contextlib.suppress(OSError):
                sign = self.path.read_text(encoding="utf-8")
                self.since = now if sign and sign != self.sign else self.since
                self.sign = sign
        if now - self.since > _PATIENCE:
            count = len(self.place.hosts)
            who = f"not all of the {count} processes have come within"
            if not self.place.is_first:
                who = f"nothing has come of process 1 of {count}, at {self.place.hosts[0]} or in the run folder, for"
            raise Unavailable(f"train.workers: {who} {_PATIENCE:g} seconds; the run goes on once all are started")


def _of_tf_config():
    """Returns the `Place` that `TF_CONFIG` tells."""
    text = os.environ["TF_CONFIG"]
    try:
        content = json.loads(text)
        cluster, task = content["cluster"], content["task"]
        chiefs = cluster.get("chief", [])
        hosts = [*chiefs, *cluster["worker"]]
        rank = int(task["index"]) + {"chief": 0, "worker": len(chiefs)}[task["type"]]
        is_known = 0 <= rank < len(hosts) and all(isinstance(each, str) and ":" in each for each in hosts)
    except (ValueError, KeyError, TypeError, AttributeError):
        is_known = False
    if not is_known:
        expected = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
        raise SettingError("train.workers", f"expected in TF_CONFIG {expected}, got {text[:200]}")
    return Place(rank, tuple(hosts))


def _of_slurm():
    """Returns the `Place` in a step of Slurm: the processes that one `srun` has started."""
    import tensorflow as tf

    count = int(os.environ["SLURM_STEP_NUM_TASKS"])
    base = _PORTS + _PORTS_OF_A_JOB * (int(os.environ.get("SLURM_JOB_ID") or 0) % _JOBS)
    try:
        # Slurm itself gives each its GPUs. What is said of them here only lets every process be counted.
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=base, gpus_per_node=count, gpus_per_task=1, auto_set_gpu=False
        )
        hosts = resolver.cluster_spec().job_tasks("worker")
    except (RuntimeError, ValueError, KeyError) as error:
        raise SettingError("train.workers", f"Slurm does not tell who trains: {error}") from None
    # The resolver has the machines in the order of their names, in which n10 stands before n9; Slurm counts otherwise.
    own = f"{os.environ.get('SLURMD_NODENAME')}:{base + int(os.environ.get('SLURM_LOCALID') or 0)}"
    return Place(hosts.index(own) if own in hosts else int(os.environ["SLURM_PROCID"]), tuple(hosts))
