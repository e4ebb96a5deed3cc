"""Compares what a training step costs with TensorFlow and with JAX, in CPU-seconds.

    .venv/bin/python benchmarks/backends.py

The same training of `language_modelling` on its embedded data, of 100 and of 400 steps, each in a process of its own:
the difference is that of 300 steps, with neither compilation nor validation in it. They run in turn on one processor.
"""

import argparse
import os
import statistics

from measure import day, machine, scratch_folder, train

_STEPS = (100, 400)
_BACKENDS = ("tensorflow", "jax")


def seconds(backend, scratch):
    """Returns CPU-seconds of a training step."""
    os.environ["KERAS_BACKEND"] = backend
    runs = []
    for steps in _STEPS:
        options = ("--train.epochs", "1", "--train.steps_per_epoch", str(steps))
        runs.append(train("language_modelling", f"{scratch}/{backend}-{steps}", *options)["train_cpu_seconds"])
    return (runs[1] - runs[0]) / (_STEPS[1] - _STEPS[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="not used: the data are embedded")
    parser.add_argument("--write", action="store_true", help="accepted for `make bench`; the rows are printed alone")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    found = {backend: [] for backend in _BACKENDS}
    for _ in range(options.rounds):
        for backend in _BACKENDS:
            with scratch_folder(None) as scratch:
                found[backend].append(seconds(backend, scratch))
    ours, theirs = (statistics.median(found[backend]) for backend in _BACKENDS)
    print(f"a step: TensorFlow {1000 * ours:.0f} ms, JAX {1000 * theirs:.0f} ms of CPU time, {theirs / ours:.2f} times")
    print(f"{day()}, {machine()}")


if __name__ == "__main__":
    main()
