"""One model that several machines train: found in the environment, in agreement with each other, or refused."""

import concurrent.futures
import json
import os
import shutil
import signal
import threading
import time
import types
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

import kit
from kit.config import write_toml
from kit.errors import KitError, SettingError, Unavailable
from kit.runs import agreement, hosts, ray_processes, schema
from kit.runs import settings as run_settings
from kit.runs.python_inputs import PythonInputs
from kit.runs.watching import free_ports
from kit.training import engine
from tests import processes
from tests.runs.test_processes import SETTINGS, check_same, trained
from tests.tuning.test_cluster import nodes

VARIABLES = ("TF_CONFIG", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_JOB_ID", "SLURMD_NODENAME", "SLURM_LOCALID")


@pytest.fixture(autouse=True)
def without_machines(monkeypatch):
    """The environment of these tests, which may itself be a job's, names no machines."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def tf_config(index, addresses=("a:1", "b:2"), **others):
    cluster = {"worker": list(addresses)} | others
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})}


def slurm(rank, machines="n[9-10]", tasks="2(x2)", count=4, name=None, local=None):
    own = {} if name is None else {"SLURMD_NODENAME": name, "SLURM_LOCALID": str(local)}
    step = {"SLURM_STEP_NUM_TASKS": str(count), "SLURM_STEP_NODELIST": machines, "SLURM_STEP_TASKS_PER_NODE": tasks}
    return {"SLURM_JOB_ID": "77", "SLURM_PROCID": str(rank)} | step | own


@pytest.fixture
def machine(monkeypatch):
    def set_environment(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_environment


def settings_of(**train):
    overrides = {f"train.{key}": value for key, value in (SETTINGS | train).items()}
    return run_settings.resolve(schema.get("image_classification"), "smoke", overrides, None)


# Where processes are


def test_processes_are_of_this_machine_unless_the_environment_names_others(machine):
    assert hosts.place(2) is None
    machine(tf_config(0, ["a:1"]))
    assert hosts.place(2) is None and hosts.place(1) is None
    machine(tf_config(1, ["a:1", "b:2"]))
    assert hosts.place(2) == hosts.Place(1, ("a:1", "b:2")) and hosts.place(1) is None


def test_a_chief_is_the_first_of_the_workers(machine):
    machine(tf_config(1, chief=["c:3"]))
    assert hosts.place(3) == hosts.Place(2, ("c:3", "a:1", "b:2"))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"cluster": {"worker": ["a", "b"]}, "task": {}}', "\n"])
def test_a_tf_config_that_says_nothing_is_one_line(text, machine):
    machine({"TF_CONFIG": text})
    with pytest.raises(SettingError, match=r"train.workers: expected in TF_CONFIG \{.cluster.: .*, got"):
        hosts.place(2)


def test_another_number_of_machines_is_refused(machine):
    machine(tf_config(0))
    with pytest.raises(SettingError, match="train.workers: expected 2, the processes that TF_CONFIG names, got 3"):
        hosts.place(3)


def test_slurm_tells_who_trains_where(machine):
    found = []
    for rank in range(4):
        machine(slurm(rank, name=f"n{9 + rank // 2}", local=rank % 2))
        found.append(hosts.place(4))
    assert len({each.hosts for each in found}) == 1 and len(set(found[0].hosts)) == 4
    assert sorted(each.rank for each in found) == [0, 1, 2, 3]
    # By names n10 is before n9, of which Slurm's first process is: each has the address of the machine that it is on.
    for rank, each in enumerate(found):
        assert each.hosts[each.rank].startswith(f"n{9 + rank // 2}:")
    assert [each.threads for each in found] == [max(os.cpu_count() // 2, 1)] * 4
    machine(slurm(0) | {"SLURM_STEP_NODELIST": "n[9-"})
    with pytest.raises(SettingError, match=r"train.workers: Slurm does not tell who trains: Invalid hostlist"):
        hosts.place(4)


def test_one_task_of_slurm_is_one_machine(machine):
    machine(slurm(0, "n1", "1", 1))
    assert hosts.place(2) is None


@pytest.mark.parametrize(
    ("train", "folder", "expected"),
    [
        ({}, None, "folder: expected a folder that all machines share"),
        ({"seeds": 2}, "run", "train.seeds: expected 1 where each machine trains a part of one model, got 2"),
        ({"folds": 3}, "run", "train.folds: expected 0 where each machine trains a part of one model, got 3"),
    ],
)
def test_what_goes_on_one_machine_alone_is_one_line(train, folder, expected, machine):
    machine(tf_config(1))
    with pytest.raises(SettingError, match=expected):
        hosts.asked(settings_of(workers=2, **train), folder and Path(folder), PythonInputs())


def test_a_machine_of_a_cluster_is_not_asked_for_others(machine):
    machine(tf_config(1, ["a:1", "b:2", "c:3"]))
    assert hosts.asked(settings_of(workers=2, cluster="ray"), None, PythonInputs()) is None
    assert hosts.asked(settings_of(), None, PythonInputs()) is None


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ({"cluster": "ray"}, "train.cluster: expected 'local' where train.workers is 1, got 'ray'"),
        ({"cluster": "Ray", "workers": 2}, "train.cluster: expected 'local', 'ray' or an address such as"),
    ],
)
def test_a_cluster_that_cannot_be_is_one_line(train, expected, empty_folder):
    with pytest.raises(SettingError, match=expected):
        kit.train("image_classification", config="smoke", folder="run", train=train)
    assert not list(empty_folder.iterdir())


def test_a_run_may_go_on_elsewhere(tmp_path):
    offered = schema.get("image_classification")
    write_toml(tmp_path / "config.toml", settings_of(workers=2))
    now = run_settings.of_run(offered, tmp_path, None, {"train.cluster": "ray"}, None)
    assert now["train"]["cluster"] == "ray"
    assert run_settings.changes(offered, tmp_path, now) == {"train.cluster": ("local", "ray")}
    with pytest.raises(SettingError, match="train.workers: the run in .* was started with 2, not 3"):
        run_settings.of_run(offered, tmp_path, None, {"train.workers": 3}, None)


def test_processes_share_out_what_a_cluster_has(monkeypatch):
    def share(workers, *found):
        nodes = [{"cpus": cpus, "gpus": gpus} for cpus, gpus in found]
        monkeypatch.setattr(ray_processes.cluster, "nodes", lambda ray, key: nodes)
        found = ray_processes._share(None, workers)
        return found.bundle, found.room

    assert share(4, (8, 0), (8, 0), (8, 0), (8, 0)) == ({"CPU": 8}, 4)
    assert share(4, (8, 0), (8, 0), (8, 0)) == ({"CPU": 4}, 6)
    assert share(2, (8, 0), (4, 0)) == ({"CPU": 4}, 3)
    assert share(4, (2, 0), (1, 0)) == ({"CPU": 1}, 3)
    assert share(2, (64, 2), (64, 4)) == ({"GPU": 1}, 6)


# Agreement


class Second(engine.Single):
    """The second of two processes, for which the first one's numbers are those given."""

    rank, count = 1, 2

    def __init__(self, **of_first):
        self.numbers = of_first

    def of_first(self, values):
        return values | self.numbers


@pytest.fixture
def run_folder(tmp_path, monkeypatch):
    """The run folder of a first process that has looked at it."""
    monkeypatch.setattr(agreement, "_APPEAR", 0)
    (tmp_path / "config.toml").write_text("seed = 0\n", encoding="utf-8")
    agreement.check_folder(engine.ALONE, tmp_path)
    return tmp_path


def test_what_another_process_has_otherwise_is_named(run_folder):
    word = int((run_folder / ".together").read_text())
    agreement.check_folder(Second(folder=word), run_folder)
    mine = "train.workers: process 2 of 2, on .*,"
    with pytest.raises(KitError, match=f"{mine} does not see the run folder of the first one at .*; expected one that"):
        agreement.check_folder(Second(), run_folder)
    with pytest.raises(KitError, match=f"{mine} reads other settings in .*config.toml than the first one"):
        agreement.check_folder(Second(folder=word, settings=1), run_folder)
    for key, name in (("keras", "keras"), ("the kit, by its sources,", "kit")):
        with pytest.raises(KitError, match=f"{mine} has another {name} than the first one; expected the same"):
            agreement.check_folder(Second(folder=word, **{key: 1}), run_folder)
    empty = run_folder / "elsewhere"
    with pytest.raises(KitError, match=f"{mine} does not see the run folder of the first one"):
        agreement.check_folder(Second(folder=word), empty)


def test_other_data_are_named():
    def splits(names):
        assignment = pd.DataFrame({"example": names, "split": "train"})
        return types.SimpleNamespace(assignment=assignment, assets={"a": 1}, train=names, validation=[], test=[])

    known = []
    first = engine.Single()
    first.of_first = lambda values: known.append(values["data"]) or values
    agreement.check_data(first, splits(["a", "b"]))
    agreement.check_data(Second(data=known[0]), splits(["a", "b"]))
    with pytest.raises(KitError, match="process 2 of 2, on .*, reads other data than the first one"):
        agreement.check_data(Second(data=known[0]), splits(["a", "c"]))


def test_check_sums_pass_through_sums_of_all():
    number = agreement._number("text")
    assert 0 <= number < 2**48 and float(number) + 0.0 == number


def test_only_one_command_trains_in_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(agreement, "_PATIENCE", 0)
    refused = pytest.raises(Unavailable, match="processes of another command still train here")
    first = agreement.held(tmp_path, engine.ALONE)
    with first, agreement.held(tmp_path, Second()), refused, agreement.held(tmp_path, engine.ALONE):
        pass
    with agreement.held(tmp_path, engine.ALONE):
        pass


def test_who_prepares_is_waited_for_and_who_does_not_come_is_not(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(hosts.time, "monotonic", lambda: now[0])
    first, second = (hosts._Others(tmp_path, hosts.Place(rank, ("a:1", "b:1"))) for rank in (0, 1))
    for sign in range(1, 6):
        now[0] = sign * 250.0
        (tmp_path / ".preparing").write_text(str(sign))
        second.look()
    with pytest.raises(Unavailable, match="train.workers: not all of the 2 processes have come within 300 seconds"):
        first.look()
    now[0] += 290
    second.look()
    now[0] += 20
    with pytest.raises(Unavailable, match="nothing has come of process 1 of 2, at a:1 or in the run folder, for 300"):
        second.look()


def test_signs_of_who_prepares_go_with_it(tmp_path):
    sign = tmp_path / ".preparing"
    with hosts.preparing(hosts.Place(0, ("a:1", "b:1")), tmp_path):
        while not sign.exists():
            time.sleep(0.01)
    with hosts.preparing(None, tmp_path):
        assert not sign.exists()


# Trainings: each machine is a command of its own


def command(variables, constants, words):
    """Runs a command in a new process, as on a machine with these variables."""
    os.environ.update(variables)
    for name, value in constants.items():
        setattr(hosts, name, value)
    processes._command(words, None, signal.SIGKILL)


def run(machines, folders, constants=None, **train):
    """Runs the same command on several machines; returns each one's `Ended`."""
    train = SETTINGS | {"workers": 2} | train
    words = ["train", "image_classification", "--config", "smoke", *(f"--train.{key}={train[key]}" for key in train)]
    with concurrent.futures.ThreadPoolExecutor(len(machines)) as pool:
        jobs = [
            pool.submit(processes.call, command, variables, constants or {}, [*words, "--folder", str(folder)])
            for variables, folder in zip(machines, folders, strict=True)
        ]
        return [job.result() for job in jobs]


def by_tf_config():
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    return [tf_config(rank, addresses) for rank in (0, 1)]


def by_slurm():
    return [slurm(rank, "localhost", "2", 2, "localhost", rank) for rank in (0, 1)]


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
@pytest.mark.parametrize("named", [by_tf_config, by_slurm])
def test_two_machines_train_what_one_process_does(named, tmp_path):
    trained("image_classification", tmp_path / "one", 1)
    first, second = run(named(), [tmp_path / "two"] * 2)
    assert (first.status, second.status) == (0, 0), first.output + second.output
    assert "page " in first.output and "epoch 2/2" in first.output
    assert len(second.output.splitlines()) == 2 and "process 2 of 2: the training is over" in second.output
    check_same(tmp_path / "one", tmp_path / "two")
    assert not [each for each in (tmp_path / "two").iterdir() if each.name in (".together", ".preparing")]
    # Killed while it wrote the rest, the first one needs no others: their machines may have gone. Nor do they need it.
    (tmp_path / "two" / "metrics.json").unlink()
    for machine in reversed(named()):
        (again,) = run([machine], [tmp_path / "two"])
        assert again.status == 0, again.output
    assert (tmp_path / "two" / "metrics.json").exists() and "going on" not in again.output


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
def test_a_folder_that_is_not_shared_is_one_line(tmp_path):
    first, second = run(by_tf_config(), [tmp_path / "first", tmp_path / "second"])
    assert (first.status, second.status) == (2, 2)
    assert "does not see the run folder of the first one at" in second.output.splitlines()[-1]
    assert "train.workers: process 1 of 2" in first.output.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
def test_another_kit_is_one_line(tmp_path):
    shutil.copytree(Path(kit.__file__).parent, tmp_path / "other" / "kit")
    with open(tmp_path / "other" / "kit" / "errors.py", "a") as file:
        file.write("# changed\n")
    first, second = by_tf_config()
    found = run([first, second | {"PYTHONPATH": str(tmp_path / "other")}], [tmp_path / "run"] * 2)
    assert [each.status for each in found] == [2, 2]
    assert "has another kit than the first one" in found[1].output.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
@pytest.mark.parametrize("rank", [0, 1])
def test_machines_that_do_not_come_are_one_line(rank, tmp_path):
    (found,) = run([by_tf_config()[rank]], [tmp_path / "run"], {"_PATIENCE": 15})
    assert found.status == 2
    said = "not all of the 2 processes have come within 15 s" if rank == 0 else "nothing has come of process 1 of 2"
    assert said in found.output.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_a_process_killed_on_a_node_is_made_up_for(tmp_path, capfd):
    several = {"steps_per_epoch": 40, "epochs": 3}
    trained("image_classification", tmp_path / "here", 2, **several)

    def kill():
        while not (tmp_path / "there" / "checkpoint" / "state.npz").exists():
            time.sleep(0.05)
        is_other = [each for each in psutil.process_iter(["cmdline"]) if _is_second(each, tmp_path / "there")]
        is_other[0].kill()

    with nodes(2):
        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        trained("image_classification", tmp_path / "there", 2, cluster="ray", **several)
        killer.join()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ray_processes, "_PATIENCE", 0)
            expected = "train.workers: expected at most 2, what the cluster has room for, got 4"
            with pytest.raises(SettingError, match=expected):
                trained("image_classification", tmp_path / "more", 4, cluster="ray")
    check_same(tmp_path / "here", tmp_path / "there")
    said = (tmp_path / "there" / "run.log").read_text(encoding="utf-8")
    assert "process 2 of 2 was killed by SIGKILL, on " in said and "all begin again from the last checkpoint" in said
    assert "epoch 3/3" in capfd.readouterr().out
    assert np.isfinite(pd.read_csv(tmp_path / "there" / "history.csv")["loss"]).all()


def _is_second(process, folder):
    words = process.info["cmdline"] or []
    return "kit.runs.rank" in words and str(folder) in words and words.count(str(folder)) == 1
