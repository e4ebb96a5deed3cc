"""Sixty kills: every recipe is killed at files and batches that are drawn, again and again, and ends like unkilled."""

import random
import signal

import pytest

from kit import recipes
from tests import processes
from tests.conformance import CONFIG, assert_same
from tests.moments import AfterBatch, AtAnyWrite

_KILLS = 7
NAMES = [pytest.param(name, marks=pytest.mark.xdist_group(f"killed {name}")) for name in recipes.names()]


def words(name, folder):
    return ["train", name, "--config", CONFIG, "--train.deterministic=true", "--folder", folder]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_seven_kills_leave_the_same_bits(name, tmp_path):
    unkilled, folder, draw = tmp_path / "unkilled", tmp_path / "killed", random.Random(name)
    processes.kit_done(*words(name, unkilled))
    first = [AfterBatch(epoch, draw.randint(1, 3)) for epoch in (1, 2)]
    killed, done = 0, 0
    while killed < _KILLS:
        moment = AtAnyWrite(draw.randint(1, 8), draw.choice(("half", "whole", "placed")))
        ended = processes.kit(*words(name, folder), dies=first.pop(0) if first else moment)
        if ended.status == 0:  # so many files were not left to write: it is done, and another run begins
            assert_same(unkilled, folder)
            done += 1
            folder = tmp_path / f"killed {done}"
            continue
        assert ended.status == -signal.SIGKILL, ended.output
        killed += 1
    if not (folder / "metrics.json").exists():
        processes.kit_done(*words(name, folder))
    assert_same(unkilled, folder)
    assert not list(tmp_path.rglob(".writing-*"))


def test_there_are_sixty_kills():
    assert len(recipes.names()) * _KILLS > 60
