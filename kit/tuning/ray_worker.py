"""A trial as a Ray actor, on whichever node of a cluster has room: the worker's four messages, over Ray.

Ray starts the processes, gives each its processors or its GPU, and notices their death and that of nodes. Actors end
with the process that made them.
"""

import contextlib
import json
import logging
import os
import queue
import re
import time

from kit import config as toml
from kit.errors import check
from kit.terminal import counted
from kit.training import cluster
from kit.tuning.worker import _WANT_OF_MEMORY, Death, perform

log = logging.getLogger("kit")

_KEY = "tune.cluster"
# Seconds that a trial waits for its folder: a process that is cut off may hold it until the cluster has ended it, and a
# file server until it has forgotten a machine.
_PATIENCE = 150
# Seconds in which Ray notices the loss of a node whose processes have ended.
_NOTICE = 20
# Seconds after which it is said that there is no room.
_LONG = 60
# What Ray says of an actor that ended with its node; it has one kind of error for all deaths.
_OF_NODE = re.compile(r"node (has )?died|node was (terminated|drained|preempted)|node is dead|preempt", re.IGNORECASE)


class Actor:
    """The far end: carries out one order in the process of a Ray actor. Its functions run beside each other."""

    def __init__(self):
        self.said, self.answers = queue.SimpleQueue(), queue.SimpleQueue()

    def begin(self):
        """Returns address and id of the node, once there is room for the actor."""
        import ray

        return ray.util.get_node_ip_address(), ray.get_runtime_context().get_node_id()

    def work(self, order, threads):
        """Carries out an order: JSON, as for `kit.tuning.worker.Worker`."""
        order = json.loads(order)
        missing = cluster.missing_here(order.pop("asked"))
        if missing:
            reason = f"{_KEY}: node {self.begin()[0]} {missing}"
            self.said.put(json.dumps({"done": {"failed": reason, "is_passing": True}}))
            return
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with contextlib.suppress(OSError):  # a folder that this node may lack: all paths of an order are absolute
            os.chdir(order.pop("cwd"))
        perform(order, threads, lambda message: self.said.put(json.dumps(message)), self.answers.get, _PATIENCE)

    def receive(self):
        """Returns the next message of the work, JSON, once there is one."""
        return self.said.get()

    def send(self, answer):
        """Takes in the answer that the work waits for, JSON."""
        self.answers.put(answer)


class Worker:
    """The near end: one actor that carries out one order.

    Args:
        ray: The connected module.
        order: As for `kit.tuning.worker.Worker`, and what nodes are asked for.
        threads: Threads that TensorFlow may compute with.
        resources: What of a node the actor takes: `num_cpus`, `num_gpus`.
    """

    def __init__(self, ray, order, threads, resources):
        self.ray = ray
        self.error = None
        # One function beside the others each: the work, the next message, an answer.
        self.actor = ray.remote(max_concurrency=4, max_restarts=0, **resources)(Actor).remote()
        self.begun = self.actor.begin.remote()
        self.is_begun = False
        self.started = time.monotonic()
        self.actor.work.remote(json.dumps(order), threads)
        self.next = self.actor.receive.remote()

    def send(self, message):
        self.actor.send.remote(json.dumps(message))

    def receive(self):
        """Returns the next message, or None where the actor has died; its last is `done`, with what came out."""
        try:
            message = json.loads(self.ray.get(self.next))
        except self.ray.exceptions.RayError as error:
            self.error = error
            message = None
        if message is None or "done" in message:
            self.stop()
        else:
            self.next = self.actor.receive.remote()
        return message

    def stop(self):
        """Ends the actor at once; a trial goes on from its last epoch another time."""
        with contextlib.suppress(Exception):  # it is dead, or the cluster is
            self.ray.kill(self.actor)

    def death(self):
        """Returns how the actor ended, as a `Death`."""
        where, node = "", None
        with contextlib.suppress(Exception):
            address, node = self.ray.get(self.begun, timeout=0)
            where = f" on {address}"
        is_lost = isinstance(self.error, self.ray.exceptions.ActorUnavailableError) or _OF_NODE.search(str(self.error))
        # A process ends with its node, and may be heard of first: what is tried again at once would go there once more.
        if is_lost or (node is not None and cluster.is_lost(self.ray, node, _NOTICE)):
            return Death(f"its node was lost{where.replace(' on ', ': ')}", True)
        said = re.search(r"exit detail: ([^.]*)", str(self.error))
        reason = f"its process{where} ended ({said[1] if said else type(self.error).__name__})"
        return Death(reason + _WANT_OF_MEMORY)


class Actors:
    """Workers of a cluster, several at a time.

    Args:
        ray: The connected module.
        asked: What `kit.training.cluster.requirements` yields.
        search: `Search`.
        devices: GPUs of each trial, where the cluster has any.
    """

    def __init__(self, ray, asked, search, devices):
        self.ray, self.asked = ray, asked
        nodes = cluster.nodes(ray, _KEY)
        cpus, gpus = sum(node["cpus"] for node in nodes), sum(node["gpus"] for node in nodes)
        self.threads = search.threads if search.threads != "auto" else max(1, cpus * devices // gpus) if gpus else 1
        if gpus:
            most = max(node["gpus"] for node in nodes)
            check(devices <= most, "train.devices", devices, f"at most {most}, the GPUs of a node")
            self.resources = {"num_gpus": devices, "num_cpus": 0}
            room = sum(node["gpus"] // devices for node in nodes)
        else:
            most = max(node["cpus"] for node in nodes)
            check(self.threads <= most, "tune.threads", self.threads, f"at most {most}, the processors of a node")
            self.resources = {"num_cpus": self.threads}
            room = sum(node["cpus"] // self.threads for node in nodes)
        self.count = search.workers if search.workers != "auto" else room
        has = counted(gpus, "GPU") if gpus else counted(cpus, "processor")
        self.where = f" on {counted(len(nodes), 'node')} with {has}"

    def start(self, order, slot):
        """Returns a `Worker` wherever there is room for one; until then it waits.

        Args:
            order: As for `kit.tuning.worker.Worker`.
            slot: Its place among the workers, which means nothing here.
        """
        around = {"cwd": os.getcwd(), "typed": toml.typed(), "asked": self.asked}
        return Worker(self.ray, order | around, self.threads, self.resources)

    def alone(self, order):
        """Returns a `Worker` while no other works."""
        return self.start(order, 0)

    def wait(self, workers, timeout):
        """Waits until some of the workers have something to say, or have died, or for some seconds; returns these."""
        waiting = {worker.next: worker for worker in workers}
        ready, _ = self.ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
        if not ready:
            ready, _ = self.ray.wait(list(waiting), num_returns=1, timeout=timeout)
        for worker in workers:
            if not worker.is_begun:
                worker.is_begun = bool(self.ray.wait([worker.begun], timeout=0)[0])
                if not worker.is_begun and time.monotonic() - worker.started > _LONG:
                    log.warning("a trial waits for room on the cluster; `ray status` tells who has it")
                    worker.is_begun = True  # that is said once
        return [waiting[each] for each in ready]


@contextlib.contextmanager
def actors(search, folder, devices):
    """Connects to a cluster and looks at its nodes; yields `Actors`.

    Args:
        search: `Search`.
        folder: Folder of the study, which all nodes share.
        devices: `train.devices`.

    Raises:
        SettingError: the cluster is not there, or a node lacks something.
    """
    with cluster.connected(search.cluster, _KEY) as ray, cluster.requirements(ray, folder, _KEY) as asked:
        yield Actors(ray, asked, search, devices)
