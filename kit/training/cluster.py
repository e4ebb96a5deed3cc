"""Ray clusters: an address is checked and connected to, and nodes are looked at before they get work.

Ray starts the processes on other machines and notices their death; here is what the kit asks of a cluster.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import platform
import re
import secrets
import signal
import socket
import threading
import time
import warnings
from pathlib import Path

from kit.errors import SettingError, check

log = logging.getLogger("kit")

# This machine alone; the Ray cluster that this machine is part of.
LOCAL, HERE = "local", "ray"

# File in a shared folder that nodes are shown, with words that nobody else has written.
_TOKEN = ".cluster"
# Seconds: to reach a cluster's port; for nodes to answer; for a file to appear on all machines that share a folder.
_REACH, _ANSWER, _APPEAR = 5, 90, 5


def check_name(cluster, key):
    """Checks a setting that says where work is done: "local", "ray" or "ray://HOST:PORT".

    Args:
        cluster: The value.
        key: Name of the setting, for the message.

    Raises:
        SettingError: it is none of these, or Ray is not installed.
    """
    if cluster == LOCAL:
        return
    address = re.fullmatch(r"ray://[^\s/]+:(\d{1,5})", cluster) if isinstance(cluster, str) else None
    is_known = cluster == HERE or (address is not None and 0 < int(address[1]) < 2**16)
    check(is_known, key, cluster, "'local', 'ray' or an address such as 'ray://10.0.0.1:10001'")
    if importlib.util.find_spec("ray") is None:
        raise SettingError(key, f'Ray, which {cluster!r} needs, is not installed; pip install ".[cluster]"')


@contextlib.contextmanager
def connected(cluster, key):
    """Connects this process to a Ray cluster while what is inside runs; yields the module `ray`.

    Where the process is connected already, as in a notebook, it stays so.

    Args:
        cluster: "ray" for the cluster that this machine is part of (or `RAY_ADDRESS`), or "ray://HOST:PORT".
        key: Name of the setting, for the message.

    Raises:
        SettingError: no cluster answers there, or it does not let this process in, or has another Ray or Python; or it
            is lost meanwhile.
    """
    import ray

    if ray.is_initialized():
        yield ray
        return
    address = cluster if cluster != HERE else os.environ.get("RAY_ADDRESS", "auto")
    _reach(address, key)
    try:
        with _signals_kept(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Ray's, of its future versions
            _keep_off_standard_output()
            ray.init(address, log_to_driver=False, configure_logging=False)
    except Exception as error:
        raise SettingError(key, _refusal(cluster, error)) from None
    try:
        yield ray
    except ConnectionError as error:
        said = " ".join(str(error).split())[:300]
        raise SettingError(key, f"{cluster} is lost ({said}); once it is back, the same command goes on") from None
    finally:
        ray.shutdown()


def _reach(address, key):
    """Raises SettingError unless something listens at an address: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return  # one that Ray looks up
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH).close()
    except OSError as error:
        raise SettingError(
            key, f"no Ray cluster answers at {address} ({error.strerror or error}); `ray status` there tells of it"
        ) from None


@contextlib.contextmanager
def _signals_kept():
    """Keeps what signals do in this process: Ray would end it at SIGTERM without a word to the caller."""
    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)} if is_main else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _keep_off_standard_output():
    """Ray prints what it hears of dead processes to standard output, where `--json` has its line."""
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = _log_lines


def _log_lines(data, *_, **__):
    logging.getLogger("ray").debug("%s", "\n".join(data["lines"]))


def _refusal(cluster, error):
    """Returns in one line why Ray did not connect."""
    said = " ".join(str(error).split())
    if "ersion mismatch" in said:
        return f"{cluster} is a cluster of another version: {said[said.index('ersion mismatch') - 1 :][:300]}"
    if cluster == HERE and isinstance(error, ConnectionError):
        return (
            "no Ray cluster runs on this machine, and RAY_ADDRESS names none that answers; expected one that "
            "`ray start --head` began, or 'ray://HOST:PORT'"
        )
    if type(error).__name__ == "AuthenticationError" or "nauthenticated" in said or isinstance(error, PermissionError):
        return f"{cluster} does not let this process in; expected its token in RAY_AUTH_TOKEN: {said[:300]}"
    return f"no connection to {cluster} ({type(error).__name__}: {said[:300]})"


def nodes(ray, key):
    """Returns the nodes of a cluster that can take work: those with a GPU where any has one, else with a processor.

    Args:
        ray: The connected module.
        key: Name of the setting, for the message.

    Returns:
        List of dictionaries: `id`, `address`, `cpus` and `gpus`.

    Raises:
        SettingError: there is none.
    """
    alive = [
        {
            "id": node["NodeID"],
            "address": node["NodeManagerAddress"],
            "cpus": int(node["Resources"].get("CPU", 0)),
            "gpus": int(node["Resources"].get("GPU", 0)),
        }
        for node in ray.nodes()
        if node["Alive"]
    ]
    kind = "gpus" if any(node["gpus"] for node in alive) else "cpus"
    able = [node for node in alive if node[kind]]
    if not able:
        raise SettingError(key, "no node of the cluster has a processor or a GPU for work; `ray status` lists them")
    return able


def is_lost(ray, node, seconds):
    """Tells whether a node is lost, or is within so many seconds.

    Args:
        ray: The connected module.
        node: Its id.
        seconds: Seconds to wait for that.
    """
    until = time.monotonic() + seconds
    while True:
        with contextlib.suppress(Exception):  # the cluster is lost
            if not any(each["NodeID"] == node and each["Alive"] for each in ray.nodes()):
                return True
        if time.monotonic() > until:
            return False
        time.sleep(0.5)


@contextlib.contextmanager
def requirements(ray, folder, key):
    """Looks whether every node has this kit and this folder; yields what a node that joins later is asked for.

    The folder has to be shared: what one node writes, another carries on. A file of random words in it shows that.

    Args:
        ray: The connected module.
        folder: The folder.
        key: Name of the setting, for the message.

    Yields:
        Dictionary for `missing_here`.

    Raises:
        SettingError: a node has another kit, or does not see the folder.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    token = Path(folder).resolve() / _TOKEN
    words = secrets.token_hex(8)
    asked = {"file": str(token), "words": words, "versions": versions()}
    try:
        token.write_text(words, encoding="utf-8")
        look = ray.remote(num_cpus=0, max_retries=0)(missing_here)
        answers = {}
        for node in nodes(ray, key):
            place = NodeAffinitySchedulingStrategy(node["id"], soft=False)
            answers[look.options(scheduling_strategy=place).remote(asked)] = node["address"]
        _wait_for(ray, answers, key)
        yield asked
    finally:
        with contextlib.suppress(OSError):
            token.unlink(missing_ok=True)


def _wait_for(ray, answers, key):
    """Raises SettingError where a node lacks something, or none answers."""
    ended, silent = ray.wait(list(answers), num_returns=len(answers), timeout=_ANSWER)
    for answer in ended:
        try:
            missing = ray.get(answer)
        except Exception as error:
            if type(error).__name__ in ("TaskUnschedulableError", "NodeDiedError", "WorkerCrashedError"):
                silent.append(answer)
                continue
            # The last line of a traceback: on that node this module could not be imported.
            said = str(error).strip().splitlines()[-1].strip()[:300]
            missing = f"cannot run this kit ({said}); expected the same on every node"
        if missing:
            raise SettingError(key, f"node {answers[answer]} {missing}")
    for answer in silent:
        log.warning("node %s of the cluster does not answer", answers[answer])
    if len(silent) == len(answers):
        raise SettingError(key, "no node of the cluster answers; `ray status` lists them")


def missing_here(asked):
    """Returns in words what this machine lacks of what `requirements` asks for, or None; it is called on nodes.

    Args:
        asked: What `requirements` yields.
    """
    here = versions()
    for name, version in asked["versions"].items():
        if here.get(name) != version:
            return f"has {name} {here.get(name)}, not {version} as here; expected the same kit on every node"
    token = Path(asked["file"])
    until = time.monotonic() + _APPEAR
    while True:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if token.read_text(encoding="utf-8") == asked["words"]:
                return None
        if time.monotonic() > until:
            return f"does not see the folder {token.parent}; expected one that all nodes share, such as on NFS"
        time.sleep(0.2)


@functools.cache
def versions():
    """Returns what has to be the same on every node: versions of packages, and a digest of the kit's sources."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    found |= {name: importlib.metadata.version(name) for name in ("tensorflow", "keras")}
    return found | {"the kit, by its sources,": digest.hexdigest()[:12]}
