"""Measures a study of 12 trials on one machine, and on a Ray cluster of three nodes that loses one of them.

    python benchmarks/cluster_trials.py [--write]

The nodes are three raylets on this machine with one processor each; one is killed while each works in the middle of a
trial. `--write` puts the table into recipes/scale.md.
"""

import argparse
import os
import re
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

from measure import day, scratch_folder

_ROOT = Path(__file__).parents[1]
_PAGE = _ROOT / "recipes" / "scale.md"
_TRIALS, _NODES, _PROCESSORS = 12, 3, 2
_SPACE = {"optimizer.learning_rate": {"min": 1e-3, "max": 3e-2, "sampling": "log"}, "train.batch_size": [16, 32]}
_NODE = {"num_cpus": 1, "object_store_memory": 100_000_000}


def study(folder, **settings):
    """Returns a study of 12 small networks on the digits, and the seconds that it took."""
    import kit

    began = time.perf_counter()
    done = kit.tune(
        "image_classification",
        trials=_TRIALS,
        folder=folder,
        seed=0,
        space=_SPACE,
        tune={"threads": 1, "median_stop": False} | settings,
        model={"backbone": "mlp"},
        train={"epochs": 5},
    )
    return done, time.perf_counter() - began


class Watch:
    """Notes how long each trial takes from its order to its first epoch, and may kill a node of a cluster.

    The node is killed once a third of the trials has ended and every node is in the middle of another.
    """

    def __init__(self):
        from kit.tuning.running import Running

        self.cluster, self.is_over, self.seconds = None, False, []
        self.start, self.hear, self.orders = Running._start, Running._hear, {}
        Running._start = lambda running, trial, slot: self.note_order(running, trial, slot)
        Running._hear = lambda running, worker: self.hear_first(running, worker)

    def note_order(self, running, trial, slot):
        began = time.perf_counter()
        self.start(running, trial, slot)
        self.orders[list(running.busy)[-1]] = began

    def hear_first(self, running, worker):
        is_time = self.cluster is not None and not self.is_over and len(running.journal.ended) >= _TRIALS // 3
        is_time = is_time and len(running.busy) == _NODES
        if is_time and not any(running.curves[each.name] for each in running.busy.values()):
            while len(running.workers.wait(list(running.busy), timeout=1)) < _NODES:
                pass
            self.cluster.remove_node(sorted(self.cluster.worker_nodes, key=str)[0], allow_graceful=False)
            self.is_over = True
        if worker in self.orders:
            self.seconds.append(time.perf_counter() - self.orders.pop(worker))
        self.hear(running, worker)


def on_cluster(folder, watch):
    """Returns the study on a cluster that loses a node, its seconds, and those until the cluster stood."""
    from ray.cluster_utils import Cluster

    began = time.perf_counter()
    cluster = Cluster(initialize_head=True, head_node_args=_NODE | {"include_dashboard": False})
    try:
        for _ in range(_NODES - 1):
            cluster.add_node(**_NODE)
        os.environ["RAY_ADDRESS"] = cluster.address
        start = time.perf_counter() - began
        watch.cluster = cluster
        done, seconds = study(folder, cluster="ray")
        assert watch.is_over, "no node was lost"
        return done, seconds, start
    finally:
        cluster.shutdown()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table into recipes/scale.md")
    parser.add_argument("--output", help="folder for the two studies; one that is removed by default")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = str(_ROOT)  # of the nodes
    watch = Watch()
    with scratch_folder(options.output) as scratch:
        here, seconds_here = study(Path(scratch) / "here", workers=_PROCESSORS)
        begun_here, watch.seconds = statistics.median(watch.seconds), []
        there, seconds_there, start = on_cluster(Path(scratch) / "there", watch)
        begun_there = statistics.median(watch.seconds)
    rows = [
        (f"one machine, {_PROCESSORS} workers", here, seconds_here, begun_here, 0.0),
        (f"{_NODES} nodes, one of them lost", there, seconds_there, begun_there, start),
    ]
    names = ("where", "finished", "best", "its settings", "seconds", "to the first epoch of a trial", "to start Ray")
    lines = [f"| {' | '.join(names)} |", "| --- " * len(names) + "|"]
    for name, done, seconds, begun, before in rows:
        finished = f"{(done.trials['state'] == 'completed').sum()} of {_TRIALS}"
        settings = ", ".join(f"{key} {value:.4g}" for key, value in done.best.items())
        best = f"{done.monitor} {done.score:.4f}"
        lines.append(f"| {name} | {finished} | {best} | {settings} | {seconds:.0f} | {begun:.1f} | {before:.0f} |")
    is_same = here.best == there.best and here.score == there.score
    lines += [
        "",
        f"{'The same best.' if is_same else 'NOT the same best.'} Seed 0, {day()}, {os.cpu_count()} CPU cores.",
    ]
    table = "\n".join(lines)
    print(table)
    if options.write:
        text = _PAGE.read_text(encoding="utf-8")
        marked = re.compile(r"(<!-- trials -->\n).*?(\n<!-- end -->)", re.DOTALL)
        _PAGE.write_text(marked.sub(lambda found: found[1] + table + found[2], text), encoding="utf-8")
    return 0 if is_same else 1


if __name__ == "__main__":
    sys.exit(main())
