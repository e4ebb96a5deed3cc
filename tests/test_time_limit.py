"""Where a machine ends what takes too long: tests that are not begun are named, and no others."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.mark.parametrize(("seconds", "said"), [(-1, "tests were not begun: the time was over"), (3600, None)])
def test_what_is_not_begun_is_named(seconds, said):
    until = {"TESTS_UNTIL": str(time.time() + seconds), "TESTS_ORDER": "any"}
    command = [sys.executable, "-m", "pytest", "-n0", "-p", "no:cacheprovider", "tests/test_config.py"]
    root = Path(__file__).parents[1]
    ended = subprocess.run(command, cwd=root, env=os.environ | until, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout
    if said is None:
        assert "not begun" not in ended.stdout
    else:
        assert said in ended.stdout and "tests/test_config.py::" in ended.stdout
