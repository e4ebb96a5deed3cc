"""Studies whose trials are Ray actors, on clusters of several nodes that are all on this machine."""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

import kit
from kit.errors import SettingError
from kit.training import cluster
from kit.tuning import ray_worker
from kit.tuning.running import Running
from kit.tuning.search import Search
from tests import processes
from tests.moments import AtCall
from tests.tuning.test_study import FLAGS, SMALL, SPACE, settings_of

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
            node = sorted(self.head.worker_nodes, key=str)[0]
            # With a machine its processes end, which otherwise may live for longer than their trials.
            raylet = node.all_processes["raylet"][0].process.pid
            subprocess.run(["pkill", "-KILL", "-P", str(raylet)], check=True)
            self.head.remove_node(node, allow_graceful=False)
            self.is_over = True
        self.hear(running, worker)


@pytest.mark.slow
def test_a_study_that_loses_a_node_is_that_of_one_machine(monkeypatch, empty_folder, capfd):
    here = study("here", workers=2)
    with nodes(3) as head, monkeypatch.context() as patch:
        loss = Loss(patch, head)
        there = study("there", cluster="ray")
    # Of a node and its processes, which end together, either may be heard of first.
    said = (there.folder / "run.log").read_text(encoding="utf-8")
    assert loss.is_over and re.search(r"its node was lost|its process on \S+ ended", said)
    assert list(there.trials["state"]) == ["completed"] * 12
    assert settings_of(there.trials) == settings_of(here.trials)
    assert there.best == here.best and there.score == here.score
    assert not list(there.folder.glob(".cluster"))
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    "address",
    ["Local", "ray:", "ray://", "ray://host", "ray://:10001", "ray://host:0", "ray://host:99999", "http://h:1"],
)
def test_an_unknown_form_of_cluster_is_refused(address):
    with pytest.raises(SettingError, match=r"cluster: expected 'local', 'ray' or an address such as"):
        Search(cluster=address)


def test_the_forms_of_a_cluster_are_known():
    assert [Search(cluster=each).cluster for each in ("local", "ray", "ray://10.0.0.1:10001", "ray://[::1]:1")]


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"cluster: Ray, which 'ray' needs, is not installed; .*\[cluster\]"):
        Search(cluster="ray")
    assert Search(cluster="local")


@pytest.mark.parametrize("address", ["ray", "ray://127.0.0.1:9"])
def test_a_cluster_that_is_not_there_is_one_line_and_leaves_nothing(address, monkeypatch, empty_folder):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(SettingError, match=r"tune.cluster: no Ray cluster answers at (ray://)?127.0.0.1:9"):
        study("study", cluster=address)
    assert list(empty_folder.iterdir()) == []


def test_a_node_with_another_kit_or_another_disk_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_APPEAR", 0)
    (tmp_path / ".cluster").write_text("words")
    asked = {"file": str(tmp_path / ".cluster"), "words": "words", "versions": cluster.versions()}
    assert cluster.missing_here(asked) is None
    assert "does not see the folder" in cluster.missing_here(asked | {"words": "others"})
    assert "does not see the folder" in cluster.missing_here(asked | {"file": str(tmp_path / "none" / ".cluster")})
    for name in ("keras", "the kit, by its sources,"):
        others = asked["versions"] | {name: "0"}
        assert f"has {name} " in cluster.missing_here(asked | {"versions": others})


def test_a_death_says_whether_the_machine_was_lost():
    import ray
    from ray import exceptions

    lost = exceptions.ActorUnavailableError("unavailable", None)
    died = exceptions.RayActorError("1", "The actor died because its node has died. Node Id: 1")
    killed = exceptions.RayActorError("1", "Its worker process has died. Worker exit detail: Unexpected end. More")
    for error, is_of_machine in ((lost, True), (died, True), (killed, False)):
        worker = object.__new__(ray_worker.Worker)
        worker.ray, worker.error, worker.begun = ray, error, None
        assert worker.death().is_of_machine is is_of_machine


@pytest.mark.slow
def test_what_a_cluster_lacks_is_one_line_and_leaves_nothing(monkeypatch, empty_folder):
    import ray

    with nodes(1):
        with monkeypatch.context() as patch:
            patch.setattr(ray, "__version__", "0.1")
            with pytest.raises(SettingError, match=r"tune.cluster: ray is a cluster of another version: .*Ray: 0.1"):
                study("study", cluster="ray")
        with monkeypatch.context() as patch:
            others = cluster.versions() | {"tensorflow": "1.0"}
            patch.setattr(cluster, "versions", lambda: others)
            with pytest.raises(SettingError, match=r"tune.cluster: node .* has tensorflow .*, not 1.0 as here"):
                study("study", cluster="ray")
        with monkeypatch.context() as patch:
            found = cluster.nodes

            def without_the_file(*arguments):  # what is written here is not seen there
                (empty_folder / "study" / ".cluster").unlink(missing_ok=True)
                return found(*arguments)

            patch.setattr(cluster, "nodes", without_the_file)
            with pytest.raises(SettingError, match=r"tune.cluster: node .* does not see the folder .*study; expected"):
                study("study", cluster="ray")
        with pytest.raises(SettingError, match=r"threads: expected at most 1, the processors of a node, got 2"):
            study("study", cluster="ray", threads=2)
        assert list(empty_folder.iterdir()) == []
        assert not ray.is_initialized()


@pytest.mark.slow
def test_a_process_that_is_killed_on_a_node_is_tried_again(monkeypatch, empty_folder):
    hear, killed = Running._hear, []

    def hear_and_kill(self, worker):
        attempt = self.busy[worker]
        hear(self, worker)
        if not killed and len(self.curves[attempt.name]) == 1:
            import ray

            ray.kill(worker.actor)
            killed.append(attempt.number)

    monkeypatch.setattr(Running, "_hear", hear_and_kill)
    with nodes(1):
        found = study("study", trials=2, cluster="ray", workers=1)
    log = (empty_folder / "study" / "run.log").read_text(encoding="utf-8")
    assert killed and "it goes on from its last epoch" in log and list(found.trials["state"]) == ["completed"] * 2


def command(address, words, dies):
    """Runs a command in a new process, which is forked off one that knows another cluster."""
    os.environ["RAY_ADDRESS"] = address
    processes._command(words, dies, signal.SIGKILL)


@pytest.mark.slow
def test_a_killed_command_carries_on(empty_folder):
    words = ["tune", "image_classification", *FLAGS, "--folder", "study", "--tune.cluster=ray", "--tune.trials=3"]
    words += [
        "--tune.median_stop=false",
        "--tune.threads=1",
        "--tune.space.optimizer.learning_rate=[0.001, 0.003, 0.01]",
    ]
    for key in ("model.backbone", "model.label_smoothing", "optimizer.name", "optimizer.weight_decay"):
        words.append(f"--tune.space.{key}=false")
    words += [f"--tune.space.{key}=false" for key in ("optimizer.momentum", "data.translation")]
    with nodes(1) as head:
        moment = AtCall("kit.tuning.running.Running._hear", count=6)
        killed = processes.call(command, head.address, words, moment)
        assert killed.status == -signal.SIGKILL, killed.output
        assert "best  trial" in processes.call(command, head.address, words, None).output
    assert list(kit.tuning.study.load("study").trials["state"]) == ["completed"] * 3
