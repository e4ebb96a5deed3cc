"""Measures what becomes of a training by two processes when one of them, or what started it, is killed or frozen.

    python benchmarks/processes.py [--write] [--only NAME ...] [--steps NUMBER] [--backbone NAME]
    python benchmarks/processes.py --sums

Each fault comes once the first checkpoint stands. Measured are the seconds until it is noticed, and the largest
difference of the weights in the end from those of an undisturbed training, as a share of the largest weight beside it.
The nodes of the Ray cluster are raylets on this machine with one processor each. `--write` puts the table into
recipes/scale.md. `--sums` measures what several machines add to a training, as far as one machine can tell: the sum of
as many gradients as ResNet-50 and BERT-base have over two processes, and writing and reading of their checkpoints.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import numpy as np
import psutil
from measure import day, scratch_folder

_ROOT = Path(__file__).parents[1]
_PAGE = _ROOT / "recipes" / "scale.md"
_WORDS = (*("train", "image_classification", "--config", "smoke", "--train.epochs", "3", "--train.batch_size", "16"),)
_NODE = {"num_cpus": 1, "object_store_memory": 100_000_000}
# Steps of an epoch: more let a training last until Ray has noticed what happens to a raylet; and the network.
_CHOSEN = {"steps": "300", "backbone": "mlp"}
# Parameters of ResNet-50 and BERT-base, in millions; sums of each that are timed.
_PARAMETERS, _SUMS = {"ResNet-50": 25.6, "BERT-base": 110}, 5
# Seconds that anything may take.
_LIMIT = 400


class Command:
    """A `kit train` in a process of its own."""

    def __init__(self, folder, *words, **around):
        self.folder, self.output = Path(folder), Path(f"{folder}-{time.time_ns()}.txt")
        with open(self.output, "w") as file:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "kit",
                    *_WORDS,
                    "--train.steps_per_epoch",
                    _CHOSEN["steps"],
                    "--model.backbone",
                    _CHOSEN["backbone"],
                    *words,
                    "--folder",
                    str(folder),
                ],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | around,
            )

    def wait(self):
        """Waits until it has ended; returns the exit status."""
        return self.process.wait(_LIMIT)

    def done(self):
        """Waits until it has ended, and stops the measurement unless it has succeeded."""
        if self.wait():
            raise SystemExit(self.output.read_text())

    def until(self, test):
        """Waits until something is true."""
        began = time.monotonic()
        while not test():
            if self.process.poll() is not None or time.monotonic() - began > _LIMIT:
                raise SystemExit(f"{self.folder}: {self.output.read_text()}")
            time.sleep(0.02)

    def trains(self):
        """Waits until the first checkpoint stands."""
        self.until((self.folder / "checkpoint" / "state.npz").exists)


def ranks(folder):
    """Returns the processes that train the run in a folder, the first one first."""
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "kit.runs.rank" in words and str(Path(folder).resolve()) in words:
            at = words.index("kit.runs.rank")
            found[words[at + 1] != words[at + 2]] = process
    return [found[key] for key in sorted(found)]


def two_machines(folder):
    """Returns two commands as if on two machines."""
    from kit.runs.watching import free_ports

    hosts = [f"127.0.0.1:{port}" for port in free_ports(2)]
    specs = [{"cluster": {"worker": hosts}, "task": {"type": "worker", "index": rank}} for rank in (0, 1)]
    return [Command(folder, "--train.workers", "2", TF_CONFIG=json.dumps(spec)) for spec in specs]


def ended(*processes):
    """Returns a function that tells whether processes have ended."""
    return lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes)


def local(folder, numbers, number=signal.SIGKILL):
    """Kills or freezes processes of this machine; returns the seconds until the command ends."""
    command = Command(folder, "--train.workers", "2")
    command.trains()
    those = ranks(folder)
    began = time.monotonic()
    for rank in numbers:
        those[rank].send_signal(number)
    assert command.wait(), "nothing was noticed"
    seconds = time.monotonic() - began
    assert ended(*those)()
    Command(folder, "--train.workers", "2").done()
    return seconds


def killed_command(folder, *words):
    """Kills a command; returns the seconds until its processes have ended."""
    command = Command(folder, "--train.workers", "2", *words)
    command.trains()
    those = ranks(folder)
    began = time.monotonic()
    command.process.kill()
    command.wait()
    while not ended(*those)():
        assert time.monotonic() - began < _LIMIT
        time.sleep(0.02)
    seconds = time.monotonic() - began
    Command(folder, "--train.workers", "2", *words).done()
    return seconds


def machines(folder, rank, number=signal.SIGKILL):
    """Kills or freezes a process of two machines; returns the seconds until both commands have ended."""
    commands = two_machines(folder)
    commands[0].trains()
    those = ranks(folder)
    began = time.monotonic()
    those[rank].send_signal(number)
    assert all(command.wait() for command in commands), "nothing was noticed"
    seconds = time.monotonic() - began
    for command in two_machines(folder):
        command.done()
    return seconds


def undisturbed_machines(folder):
    """Trains with two commands as if on two machines."""
    for command in two_machines(folder):
        command.done()


@contextlib.contextmanager
def cluster():
    """Yields a Ray cluster of three nodes beside its head."""
    from ray.cluster_utils import Cluster

    head = Cluster(initialize_head=True, head_node_args=_NODE | {"include_dashboard": False, "num_cpus": 0})
    try:
        for _ in range(3):
            head.add_node(**_NODE)
        os.environ["RAY_ADDRESS"] = head.address
        yield
    finally:
        head.shutdown()


def on_ray(folder, kill):
    """Lets something of a cluster be killed; returns the seconds until all begin again.

    Args:
        folder: The run folder.
        kill: Function that gets the second of the processes.
    """
    with cluster():
        command = Command(folder, "--train.workers", "2", "--train.cluster", "ray")
        command.trains()
        second = ranks(folder)[1]
        began = time.monotonic()
        kill(second)
        command.until(lambda: "all begin again" in command.output.read_text())
        seconds = time.monotonic() - began
        command.done()
    return seconds


def kill_raylet(process):
    """Kills the raylet of the node that a process trains on."""
    next(each for each in process.parents() if each.name() == "raylet").kill()


def killed_driver(folder):
    """Kills a command that trains on a cluster; returns the seconds until its processes have ended."""
    with cluster():
        return killed_command(folder, "--train.cluster", "ray")


def undisturbed_ray(folder):
    """Trains on a cluster."""
    with cluster():
        Command(folder, "--train.workers", "2", "--train.cluster", "ray").done()


_CASES = {
    "one process": lambda folder: Command(folder).done(),
    "two processes of one machine": lambda folder: Command(folder, "--train.workers", "2").done(),
    "one process whose kernels round otherwise": lambda folder: Command(folder, TF_ENABLE_ONEDNN_OPTS="0").done(),
    "the second killed": lambda folder: local(folder, [1]),
    "the first killed": lambda folder: local(folder, [0]),
    "both killed": lambda folder: local(folder, [0, 1]),
    "the second frozen (SIGSTOP)": lambda folder: local(folder, [1], signal.SIGSTOP),
    "the command killed": killed_command,
    "two commands by TF_CONFIG, as on two machines": undisturbed_machines,
    "their second process killed": lambda folder: machines(folder, 1),
    "their first process killed": lambda folder: machines(folder, 0),
    "their second process frozen": lambda folder: machines(folder, 1, signal.SIGSTOP),
    "Ray, three nodes": undisturbed_ray,
    "a process on a node killed": lambda folder: on_ray(folder, lambda process: process.kill()),
    "an actor killed": lambda folder: on_ray(folder, lambda process: process.parent().kill()),
    "a process on a node frozen": lambda folder: on_ray(folder, lambda process: process.suspend()),
    "a raylet killed": lambda folder: on_ray(folder, kill_raylet),
    "the command on Ray killed": killed_driver,
}


def weights(folder):
    """Returns all that the last checkpoint of a run holds of model and optimizer."""
    from kit.training import checkpoint

    return checkpoint.load(Path(folder) / "checkpoint" / "state.npz")[0]["variables"]


def difference(first, second):
    """Returns the largest difference of two lists of arrays, as a share of the largest number of each array."""
    shares = [
        np.max(np.abs(one - other)) / max(np.max(np.abs(one)), 1e-30)
        for one, other in zip(first, second, strict=True)
        if np.size(one) and "float" in str(one.dtype)
    ]
    return max(map(float, shares))


def sum_with_another():
    """Sums gradients with another process, as `TF_CONFIG` tells, and prints the seconds of each sum."""
    import tensorflow as tf

    from kit.training.engine import Processes

    engine = Processes()
    for name, millions in _PARAMETERS.items():
        gradients = tf.ones([int(millions * 1e6)])
        summed = tf.function(engine.sum, autograph=False)
        summed([gradients])
        began = time.perf_counter()
        for _ in range(_SUMS):
            (found,) = summed([gradients])
        assert float(found[0]) == engine.count
        print(f"{name}: {(time.perf_counter() - began) / _SUMS:.2f} s a sum over {engine.count} processes", flush=True)


def sums(scratch):
    """Prints how long sums of gradients, and checkpoints, take."""
    from kit.runs.watching import free_ports
    from kit.training import checkpoint

    for name, millions in _PARAMETERS.items():
        path, began = Path(scratch) / "state.npz", time.perf_counter()
        # Of AdamW: the weights, two moments, and the weights of the best epoch.
        checkpoint.save(path, {"variables": [np.ones(int(millions * 1e6), "float32") for _ in range(4)]}, {})
        written, began = time.perf_counter() - began, time.perf_counter()
        checkpoint.load(path)
        read = time.perf_counter() - began
        print(
            f"{name}: checkpoint of {path.stat().st_size / 1e9:.2f} GB written in {written:.1f} s, read in {read:.1f} s"
        )
        path.unlink()
    hosts = [f"127.0.0.1:{port}" for port in free_ports(2)]
    specs = [{"cluster": {"worker": hosts}, "task": {"type": "worker", "index": rank}} for rank in (1, 0)]
    words = [sys.executable, __file__, "--sum"]
    outputs = [subprocess.DEVNULL, None]
    those = [
        subprocess.Popen(
            words, env=os.environ | {"TF_CONFIG": json.dumps(spec)}, stdout=output, stderr=subprocess.DEVNULL
        )
        for spec, output in zip(specs, outputs, strict=True)
    ]
    for each in those:
        each.wait(_LIMIT)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table into recipes/scale.md")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="faults whose names hold one of these")
    parser.add_argument("--output", help="folder for the runs; one that is removed by default")
    parser.add_argument("--steps", default=_CHOSEN["steps"], help="steps of an epoch")
    parser.add_argument("--backbone", default=_CHOSEN["backbone"], help="network that trains")
    parser.add_argument("--sums", action="store_true", help="measure sums of gradients and checkpoints")
    parser.add_argument("--sum", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    _CHOSEN.update(steps=options.steps, backbone=options.backbone)
    os.environ["PYTHONPATH"] = str(_ROOT)  # of the commands and the nodes
    sys.path.insert(0, str(_ROOT))
    if options.sum:
        sum_with_another()
        return
    if options.sums:
        with scratch_folder(options.output) as scratch:
            sums(scratch)
        return
    lines = ["| what | noticed after | difference from one process | from two undisturbed |", "| --- " * 4 + "|"]
    with scratch_folder(options.output) as scratch:
        kept = {}
        for number, (name, case) in enumerate(_CASES.items()):
            is_asked = not options.only or any(each in name for each in options.only)
            if number > 1 and not is_asked:
                continue
            folder = Path(scratch) / f"{number:02}"
            seconds = case(folder)
            kept[name] = weights(folder)
            one, two = (kept[each] for each in list(_CASES)[:2] if each in kept) if number else (kept[name], kept[name])
            noticed = "" if seconds is None else f"{seconds:.1f} s"
            apart = [f"{difference(each, kept[name]):.1e}" if number > at else "" for at, each in enumerate((one, two))]
            lines.append(f"| {name} | {noticed} | {' | '.join(apart)} |")
            print(lines[-1], flush=True)
    table = "\n".join(lines) + f"\n\nSeed 0, {day()}, {os.cpu_count()} CPU cores."
    print(table)
    if options.write:
        text = _PAGE.read_text(encoding="utf-8")
        marked = re.compile(r"(<!-- processes -->\n).*?(\n<!-- end of processes -->)", re.DOTALL)
        _PAGE.write_text(marked.sub(lambda found: found[1] + table + found[2], text), encoding="utf-8")


if __name__ == "__main__":
    main()
