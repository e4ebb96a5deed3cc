"""Studies whose trials are Ray actors, on clusters of several nodes that are all on this machine."""

import contextlib
from pathlib import Path

import pytest

import kit
from kit.tuning.running import Running
from tests.tuning.test_study import SMALL, SPACE, settings_of

# One after the other: each keeps both processors busy.
pytestmark = pytest.mark.xdist_group("ray")
NODE = {"num_cpus": 1, "object_store_memory": 100_000_000}


@contextlib.contextmanager
def nodes(count, **of_head):
    """Yields a Ray cluster of several nodes, one trial each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(Path(kit.__file__).parents[1]))  # nodes have the kit that is tested
        patch.setenv("RAY_health_check_period_ms", "1000")  # a lost node is found out sooner
        head = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False} | of_head)
        try:
            for _ in range(count - 1):
                head.add_node(**NODE)
            patch.setenv("RAY_ADDRESS", head.address)
            yield head
        finally:
            head.shutdown()


def study(folder, trials=12, **settings):
    settings = {"threads": 1, "median_stop": False, "workers": 3} | settings
    return kit.tune(
        "image_classification", trials=trials, folder=folder, space=SPACE, tune=settings, verbose=False, seed=3, **SMALL
    )


class Loss:
    """Removes a node while every worker waits in the middle of its trial, after the first trials have ended."""

    def __init__(self, patch, head):
        self.head, self.is_over = head, False
        self.hear = Running._hear
        patch.setattr(Running, "_hear", lambda running, worker: self.hear_first(running, worker))

    def hear_first(self, running, worker):
        is_time = len(running.journal.ended) >= 3 and len(running.busy) == 3
        if is_time and not self.is_over and not any(running.curves[each.name] for each in running.busy.values()):
            while len(running.workers.wait(list(running.busy), timeout=1)) < 3:
                pass
            self.head.remove_node(sorted(self.head.worker_nodes, key=str)[0], allow_graceful=False)
            self.is_over = True
        self.hear(running, worker)


@pytest.mark.slow
def test_a_study_that_loses_a_node_is_that_of_one_machine(monkeypatch, empty_folder, capfd):
    here = study("here", workers=2)
    with nodes(3) as head, monkeypatch.context() as patch:
        loss = Loss(patch, head)
        there = study("there", cluster="ray")
    assert loss.is_over and "its node was lost" in (there.folder / "run.log").read_text(encoding="utf-8")
    assert list(there.trials["state"]) == ["completed"] * 12
    assert settings_of(there.trials) == settings_of(here.trials)
    assert there.best == here.best and there.score == here.score
    assert not list(there.folder.glob(".cluster"))
    assert capfd.readouterr().out == ""
