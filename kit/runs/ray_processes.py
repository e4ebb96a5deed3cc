"""Several processes that train one model on the nodes of a Ray cluster: an actor starts and watches each.

Ray finds room for the actors, gives each its GPU, and ends them with the command that made them. Where one of them, its
process or its node is lost, all begin again from the last checkpoint, on whatever nodes there are.
"""

import contextlib
import dataclasses
import logging
import queue
import subprocess
import threading
import time

from kit import terminal
from kit.errors import KitError, SettingError, Unavailable
from kit.files import as_path
from kit.runs.watching import SILENCE, Died, free_ports, started, wait
from kit.terminal import counted
from kit.training import cluster

log = logging.getLogger("kit")

_KEY = "train.cluster"
# Seconds: that a training waits for room, or for its processes to come together; after which it says so.
_PATIENCE, _LONG = 300, 10
# Losses in a row, without a new checkpoint between them, that end a command.
_MOST_IN_A_ROW = 3


class Actor:
    """The far end: starts one of the processes on its node. Its functions run beside each other."""

    def __init__(self):
        self.said = queue.SimpleQueue()

    def place(self, asked):
        """Returns address and free port of the node, and what it lacks or None."""
        import ray

        missing = cluster.missing_here(asked)
        return f"{ray.util.get_node_ip_address()}:{free_ports(1, '')[0]}", missing

    def work(self, run_folder, rank, hosts, threads, is_shown):
        """Carries out one of the processes, and says how it has ended.

        Args:
            run_folder, rank, hosts, threads: As for `kit.runs.watching.Child`.
            is_shown: Whether the log of the first one is sent.
        """
        output = subprocess.PIPE if is_shown else subprocess.DEVNULL
        until = time.monotonic() + _PATIENCE

        def look():
            if time.monotonic() > until:
                raise Died(f"{len(hosts)} processes have not come together within {_PATIENCE:g} seconds")

        try:
            with started(as_path(run_folder, "folder"), [rank], hosts, threads=threads, output=output) as children:
                lines = children[0].process.stdout
                reader = threading.Thread(target=self._read, args=(lines,), daemon=True)
                reader.start()
                wait(children, look)
                reader.join()
            self.said.put(("done", None))
        except Died as error:
            self.said.put(("died", f"{error.reason}, on {hosts[rank].rpartition(':')[0]}"))
        except Exception as error:  # whatever it is, the command has to hear of it
            self.said.put(("refused", str(error)))

    def _read(self, lines):
        for line in lines or ():
            self.said.put(("line", line.decode("utf-8", "replace")))

    def receive(self):
        """Returns the messages of a second, at least: none are a sign of life."""
        found = []
        with contextlib.suppress(queue.Empty):
            found.append(self.said.get(timeout=1))
            while True:
                found.append(self.said.get_nowait())
        return found


@dataclasses.dataclass(frozen=True)
class _Share:
    """Resources of each process on a Ray cluster: processors or GPUs.

    Args:
        cpus, gpus: Processors and GPUs.
        room: Number of processes that all nodes together have room for.
    """

    cpus: int
    gpus: int
    room: int

    @property
    def bundle(self):
        """Resource bundle of a Ray placement group."""
        return {"GPU": self.gpus} if self.gpus else {"CPU": self.cpus}


def train(run_folder, workers, address):
    """Trains the run in a folder by processes on a cluster, until its checkpoint is that of a finished training.

    Args:
        run_folder: The run folder, which all nodes share.
        workers: Number of processes.
        address: `train.cluster`.

    Raises:
        KitError: the cluster is not there, lacks room, or loses processes again and again.
    """
    losses, before = 0, _checkpoint(run_folder)
    with cluster.connected(address, _KEY) as ray, cluster.requirements(ray, run_folder, _KEY) as asked:
        while True:
            reason = _attempt(ray, run_folder, workers, asked)
            if reason is None:
                return
            now = _checkpoint(run_folder)
            losses, before = (1 if now != before else losses + 1), now
            if losses >= _MOST_IN_A_ROW:
                raise Died(f"{reason}; {losses} losses in a row without a new checkpoint")
            log.warning("%s; all begin again from the last checkpoint", reason)


def _checkpoint(run_folder):
    """Returns what tells one checkpoint of a run from the next."""
    with contextlib.suppress(OSError):
        return (run_folder / "checkpoint" / "state.npz").stat().st_mtime_ns
    return None


def _attempt(ray, run_folder, workers, asked):
    """Trains once; returns None, or in words what was lost."""
    with _room(ray, workers) as (group, share):
        try:
            actors = _actors(ray, group, share, workers)
            try:
                found = ray.get([actor.place.remote(asked) for actor in actors], timeout=_PATIENCE)
                for address, missing in found:
                    if missing:
                        raise SettingError(_KEY, f"node {address.rpartition(':')[0]} {missing}")
                hosts = [address for address, _ in found]
                machines = sorted({host.rpartition(":")[0] for host in hosts})
                log.info("on %s: %s", counted(len(machines), "machine"), ", ".join(machines))
                for rank, actor in enumerate(actors):
                    is_shown = rank == 0 and terminal.is_log_shown()
                    threads = share.cpus or None
                    actor.work.remote(str(run_folder.resolve()), rank, hosts, threads, is_shown)
                return _watched(ray, dict(zip(actors, hosts, strict=True)))
            finally:
                for actor in actors:
                    with contextlib.suppress(Exception):  # it is dead, or the cluster is
                        ray.kill(actor)
        except ray.exceptions.RayError as error:
            return f"an actor was lost ({_said(error)})"


def _actors(ray, group, share, workers):
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    own = {"num_cpus": share.cpus, "num_gpus": share.gpus}
    # One function beside the others each: the work, the next messages.
    make = ray.remote(max_concurrency=3, max_restarts=0, **own)(Actor)
    places = [PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank) for rank in range(workers)]
    return [make.options(scheduling_strategy=place).remote() for place in places]


def _watched(ray, actors):
    """Waits until all processes have ended; returns None, or in words what was lost.

    Args:
        ray: The connected module.
        actors: Each actor, with its address.
    """
    heard = dict.fromkeys(actors, time.monotonic())
    waiting = {actor.receive.remote(): actor for actor in actors}
    numbers = {actor: f"process {rank} of {len(actors)}" for rank, actor in enumerate(actors, 1)}
    while waiting:
        ready, _ = ray.wait(list(waiting), num_returns=1, timeout=1)
        for each in ready and ray.wait(list(waiting), num_returns=len(waiting), timeout=0)[0]:
            actor = waiting.pop(each)
            try:
                messages = ray.get(each)
            except ray.exceptions.RayError as error:
                return f"{numbers[actor]}, at {actors[actor]}, was lost: its actor or its node died ({_said(error)})"
            heard[actor] = time.monotonic()
            for kind, text in messages:
                if kind == "line":
                    print(text, end="", flush=True)
                elif kind == "refused":
                    raise KitError(text)
                elif kind == "died":
                    return text
            if ("done", None) not in messages:
                waiting[actor.receive.remote()] = actor
        for actor in waiting.values():
            if time.monotonic() - heard[actor] > SILENCE:
                return f"{numbers[actor]}, at {actors[actor]}, has said nothing for {SILENCE:.0f} seconds"
    return None


def _said(error):
    """Returns the name of an error of Ray, whose text has many lines."""
    return type(error).__name__


@contextlib.contextmanager
def _room(ray, workers):
    """Yields a placement group with room for all processes, spread over nodes, and the `_Share` of each.

    Raises:
        SettingError: the cluster is too small.
        Unavailable: others have what there is.
    """
    from ray.util import placement_group, remove_placement_group

    began, is_said, group, share = time.monotonic(), False, None, None
    try:
        while True:
            now = _share(ray, workers)
            if now != share:  # a node has come or gone
                if group is not None:
                    remove_placement_group(group)
                share, group = now, placement_group([now.bundle] * workers, strategy="SPREAD")
            if group.wait(timeout_seconds=2):
                break
            gone = time.monotonic() - began
            if gone > _LONG and not is_said:
                lack = f"it has room for {share.room}" if share.room < workers else "others have it"
                log.warning("%d processes wait for room on the cluster: %s; `ray status` tells more", workers, lack)
                is_said = True
            if gone > _PATIENCE:
                if share.room < workers:
                    expected = f"expected at most {share.room}, what the cluster has room for"
                    raise SettingError("train.workers", f"{expected}, got {workers}")
                raise Unavailable("train.workers: others have the room of the cluster; `ray status` tells who")
        yield group, share
    finally:
        if group is not None:
            with contextlib.suppress(Exception):  # the cluster is lost
                remove_placement_group(group)


def _share(ray, workers):
    """Returns the `_Share` of each process: a GPU, or as many processors as there are for so many processes."""
    try:
        nodes = cluster.nodes(ray, _KEY)
    except SettingError:  # the last one was lost
        return _Share(1, 0, 0)
    gpus = sum(node["gpus"] for node in nodes)
    if gpus:
        return _Share(0, 1, gpus)
    cpus = [node["cpus"] for node in nodes]
    for count in range(max(cpus), 1, -1):
        room = sum(each // count for each in cpus)
        if room >= workers:
            return _Share(count, 0, room)
    return _Share(1, 0, sum(cpus))
