"""What is remembered, drawn and looked up, against plain loops."""

from types import SimpleNamespace

import numpy as np
import pytest

from kit.agents import replay_buffer as module
from kit.agents.environment_spec import EnvironmentSpec
from kit.agents.off_policy import ReplayExperience
from kit.agents.options import ExplorationOptions, ReplayOptions
from kit.agents.replay_buffer import ReplayBuffer, SumTree
from kit.errors import KitError, SettingError
from tests.agents.test_dqn import Tiny  # noqa: F401 - registers environments that are solved in seconds


def filled(steps, size=24, environments=3, **settings):
    """Returns a replay after some steps whose observations count them, and the steps as a list."""
    random = np.random.default_rng(0)
    replay, lived = ReplayBuffer(size, environments, (1,), "float32", **settings), []
    for step in range(steps):
        before = np.full((environments, 1), step, "float32")
        rewards = random.normal(size=environments)
        ended = random.random(environments) < 0.3
        terminated = ended & (random.random(environments) < 0.5)
        lived.append((before, random.integers(0, 2, environments), rewards, before + 0.5, ended, terminated))
        replay.add(*lived[-1])
    return replay, lived


def test_a_draw_goes_by_the_numbers():
    tree = SumTree(6)
    tree.put(np.arange(6), np.array([0, 1, 2, 0, 3, 4.0]))
    assert tree.total == 10
    assert tree.find(np.array([0, 0.5, 1, 2.9, 3, 5.9, 6, 9.99])).tolist() == [1, 1, 2, 2, 4, 4, 5, 5]
    tree.put(np.array([4, 4, 1]), np.array([7, 0, 5.0]))
    assert tree.total == 11 and tree[np.arange(6)].tolist() == [0, 5, 2, 0, 0, 4]
    assert set(tree.find(np.array([11.0, 12.0])).tolist()) == {5}  # rounding may bring a sum to the end


@pytest.mark.parametrize("steps", [5, 8, 19])
@pytest.mark.parametrize("n_step", [1, 3])
def test_returns_over_several_steps_are_those_of_a_plain_loop(steps, n_step):
    replay, lived = filled(steps)
    slots, columns, chances = replay.sample(np.random.default_rng(1), 200)
    assert chances == pytest.approx(1 / len(replay))
    before, actions, rewards, after, factors = replay.n_step_transitions(slots, columns, n_step, 0.9)
    for row in range(200):
        start, column, total, factor = int(before[row, 0]), columns[row], 0.0, 1.0
        assert start >= steps - 8 and actions[row] == lived[start][1][column]
        for step in range(start, min(start + n_step, steps)):
            total += factor * lived[step][2][column]
            factor *= 0.9
            if lived[step][4][column]:
                break
        assert rewards[row] == pytest.approx(total, abs=1e-5)
        assert after[row, 0] == step + 0.5
        assert factors[row] == pytest.approx(0.0 if lived[step][5][column] else factor)


def test_every_step_that_is_remembered_is_drawn_and_no_other():
    replay, _ = filled(19)
    slots, columns, _ = replay.sample(np.random.default_rng(0), 2000)
    found = replay.n_step_transitions(slots, columns, 1, 0.9)[0]
    assert set(found.ravel().astype(int)) == set(range(11, 19))


def test_what_was_wrong_is_drawn_more_often():
    replay, _ = filled(8, prioritized=True, priority_exponent=1.0)
    everything = np.divmod(np.arange(24), 3)
    replay.update_priorities(*everything, np.where(np.arange(24) == 5, 77.0, -1.0))
    slots, columns, chances = replay.sample(np.random.default_rng(0), 1000)
    is_wrong = (slots == 1) & (columns == 2)
    assert is_wrong.mean() == pytest.approx(0.77, abs=0.02)
    assert chances[is_wrong] == pytest.approx(0.77, abs=1e-4) and chances[~is_wrong] == pytest.approx(0.01, abs=1e-4)


@pytest.mark.parametrize("steps", [5, 19])
@pytest.mark.parametrize("prioritized", [False, True])
def test_it_comes_back_from_its_arrays(steps, prioritized):
    replay, lived = filled(steps, prioritized=prioritized)
    again = ReplayBuffer(24, 3, (1,), "float32", prioritized=prioritized)
    again.put_back([np.asarray(array) for array in replay.arrays()])
    for each in (replay, again):
        each.add(*lived[0])
    drawn = replay.sample(np.random.default_rng(2), 50)
    slots, columns, _ = drawn
    for one, other in zip(again.sample(np.random.default_rng(2), 50), drawn, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(
        replay.n_step_transitions(slots, columns, 3, 0.9), again.n_step_transitions(slots, columns, 3, 0.9), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("prioritized", [False, True])
def test_images_in_a_file_outlive_a_kill(prioritized, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAPPED_BYTES", 10)

    def made():
        replay = ReplayBuffer(24, 3, (1,), "float32", prioritized=prioritized)
        replay.map_to_file(tmp_path / "replay.dat", 6)
        return replay

    _, lived = filled(40)
    replay = made()
    for step in lived[:20]:
        replay.add(*step)
    saved = [np.array(array) for array in replay.arrays()]
    for step in lived[20:26]:  # behind the checkpoint, lost
        replay.add(*step)
    again = made()
    again.put_back(saved)
    slots, columns, _ = again.sample(np.random.default_rng(0), 500)
    found = again.n_step_transitions(slots, columns, 1, 0.9)[0]
    assert set(found.ravel().astype(int)) == set(range(12, 20))


def test_too_large_for_memory():
    with pytest.raises(SettingError, match=r"replay_size: 10,000,000,000 steps take 391.* GiB, and .*fewer"):
        ReplayBuffer(10_000_000_000, 8, (84, 84, 4), "uint8", prioritized=True).check_memory()
    with pytest.raises(SettingError, match=r"replay_size: 1,000,000,000,000 steps take"):
        ReplayBuffer(1_000_000_000_000, 8, (4,), "float32").check_memory()
    with pytest.raises(SettingError, match="replay_size: expected at least 8"):
        ReplayBuffer(7, 8, (4,), "float32")


def test_errors_go_to_the_steps_that_were_drawn():
    """Once the replay is full, acting overwrites the oldest steps: what was learned of these must be stored before."""
    options = ReplayOptions(gradient_steps=1, replay_size=8, learning_starts=0, prioritized=True, priority_exponent=1.0)
    experience = ReplayExperience(EnvironmentSpec("TinyBandit-v0"), 1, 4, options, ExplorationOptions(1.0, 1.0, 1.0))
    replay = experience.buffer
    experience.model = SimpleNamespace(num_actions=2, n_step=1, discount=0.9, td_errors=None, inference=lambda: None)
    experience.make_environments(0)
    for step in range(3):
        experience.round(step, 10, 6, np.random.default_rng(step))
    assert len(replay) == 8 and replay.position == 4
    slots, columns = np.arange(4, 8), np.zeros(4, int)  # the next four to be overwritten
    experience.sampled = slots, columns
    experience.model.td_errors = SimpleNamespace(numpy=lambda: np.full((1, 4), 50.0))
    experience.round(3, 10, 6, np.random.default_rng(3))
    np.testing.assert_allclose(replay.tree[np.arange(4, 8)], replay.greatest)  # new steps, of which nothing is known
    assert replay.greatest == pytest.approx(50)


def test_a_file_that_is_missing_is_said_so(tmp_path, monkeypatch):
    saved = filled(5)[0].arrays()
    monkeypatch.setattr(module, "MAPPED_BYTES", 10)
    again = ReplayBuffer(24, 3, (1,), "float32")
    again.map_to_file(tmp_path / "replay.dat", 6)
    with pytest.raises(KitError, match="replay.dat: missing or damaged"):
        again.put_back(saved)
