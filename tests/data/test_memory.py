"""Free memory: what the machine has, or less where the process or its control group has a limit."""

import psutil

from kit.data import memory
from tests import processes


def _left_under_a_limit():
    import resource

    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 28), used + (1 << 28)))
    return memory.free_memory()


def test_a_limit_of_the_process_counts():
    assert memory.free_memory() > 1 << 28
    assert (1 << 27) < processes.call(_left_under_a_limit).result <= 1 << 28


def test_a_limit_of_the_control_group_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    for name, content in (("max", "1000\n"), ("current", "700\n"), ("stat", "anon 600\ninactive_file 100\n")):
        (tmp_path / f"memory.{name}").write_text(content)
    assert memory.free_memory() == 400
    (tmp_path / "memory.max").write_text("max\n")  # it has none
    assert memory.free_memory() > 1 << 28
