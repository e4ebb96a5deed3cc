"""Free memory: what this process may still take, within the limits that are set for it."""

import contextlib
from pathlib import Path

import psutil

_GROUP = Path("/sys/fs/cgroup")


def free_memory():
    """Returns how many bytes this process may still take.

    That is what the machine has free, or less where the process (`ulimit -v`) or its control group, such as a
    container, has a limit.
    """
    return max(0, min(psutil.virtual_memory().available, _left_of_process(), _left_of_group()))


def _left_of_process():
    """Returns how far the process's address space may still grow."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return float("inf")
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return float("inf") if limit == resource.RLIM_INFINITY else limit - psutil.Process().memory_info().vms


def _left_of_group():
    """Returns how much more the process's control group may take, where the system tells it."""
    with contextlib.suppress(OSError, ValueError):
        limit, used = ((_GROUP / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        stat = dict(line.split() for line in (_GROUP / "memory.stat").read_text().splitlines())
        # What files have left in memory is given back when it is needed.
        return int(limit) - int(used) + int(stat.get("inactive_file", 0))
    return float("inf")
