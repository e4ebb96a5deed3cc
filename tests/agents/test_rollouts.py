"""Advantages, running moments and rollouts against plain loops."""

import numpy as np
import pytest

from kit.agents.advantages import generalized_advantages
from kit.agents.environment_spec import EnvironmentSpec
from kit.agents.normalization import RewardNormalization, RunningMoments
from kit.agents.on_policy import EpisodeRollouts, Rollouts
from kit.agents.policies import Categorical
from kit.errors import SettingError
from tests.agents.test_dqn import Tiny  # noqa: F401 - registers environments that are solved in seconds
from tests.agents.test_environments import Faulty  # noqa: F401 - registers environments that go wrong


def slow_advantages(rewards, values, following, ended, terminated, discount, gae_lambda):
    """The sum of equation 16, term by term, each step by itself."""
    steps, environments = rewards.shape
    found = np.zeros(rewards.shape)
    for copy in range(environments):
        for start in range(steps):
            factor = 1.0
            for step in range(start, steps):
                after = 0.0 if terminated[step, copy] else following[step, copy]
                found[start, copy] += factor * (rewards[step, copy] + discount * after - values[step, copy])
                factor *= discount * gae_lambda
                if ended[step, copy]:
                    break
    return found


@pytest.mark.parametrize("gae_lambda", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("discount", [0.0, 0.95, 1.0])
def test_advantages_are_those_of_a_plain_loop(discount, gae_lambda):
    random = np.random.default_rng(0)
    rewards, values, following = random.normal(size=(3, 17, 4))
    ended = random.random((17, 4)) < 0.2
    terminated = ended & (random.random((17, 4)) < 0.5)
    arguments = rewards, values, following, ended, terminated
    found = generalized_advantages(*arguments, discount=discount, gae_lambda=gae_lambda)
    assert terminated.any() and (ended & ~terminated).any()
    np.testing.assert_allclose(found, slow_advantages(*arguments, discount, gae_lambda), atol=1e-5)


def test_moments_of_parts_are_those_of_the_whole():
    random = np.random.default_rng(0)
    parts = [random.normal(3, 5, (count, 2)) for count in (1, 7, 100)]
    moments = RunningMoments((2,))
    for part in parts:
        moments.update(part)
    whole = np.concatenate(parts)
    np.testing.assert_allclose(moments.mean, whole.mean(0))
    np.testing.assert_allclose(moments.variance, whole.var(0))
    again = RunningMoments((2,))
    again.put_back(moments.arrays())
    again.update(parts[0])
    moments.update(parts[0])
    np.testing.assert_array_equal(again.variance, moments.variance)


def test_rewards_are_scaled_by_their_discounted_sum():
    random = np.random.default_rng(0)
    scale, sums, seen = RewardNormalization(3, 0.9), np.zeros(3), []
    for _ in range(4):
        rewards, ended = random.normal(0, 100, (10, 3)), random.random((10, 3)) < 0.2
        found = scale(rewards, ended)
        for reward, over in zip(rewards, ended, strict=True):
            sums = 0.9 * sums + reward
            seen.append(sums)
            sums = np.where(over, 0, sums)
        np.testing.assert_allclose(found, rewards / np.std(seen), rtol=1e-6)
    assert np.abs(scale(np.full((1, 3), 1e9), np.zeros((1, 3), bool))).max() <= 10
    waiting = RewardNormalization(2, 0.9)
    waiting(np.array([[1.0, 3.0], [0.0, 5.0]]), np.zeros((2, 2), bool), np.array([[True, True], [False, True]]))
    assert waiting.moments.count == 3 and waiting.moments.mean == pytest.approx((1 + 3 + 7.7) / 3)


class Fixed:
    """A model that takes the first action and says of each state what its first number is."""

    policy = Categorical(2)
    discount, gae_lambda = 0.5, 1.0
    normalize_observations = normalize_rewards = False

    def inference(self, output):
        if output == "value":
            return lambda observations: observations[:, :1]
        return lambda observations: np.tile(np.array([100, 0], "float32"), (len(observations), 1))


def test_a_rollout_says_what_happened():
    """TinyDelayed-v0: two steps of observations (-1, 0) and (-1, 1), no reward for the first action."""
    rollouts = Rollouts(EnvironmentSpec("TinyDelayed-v0"), 3, 5, 2)
    rollouts.divide(5)
    assert len(rollouts) == 15 and rollouts.batches_per_step == 6
    rollouts.begin(Fixed(), None, 1)
    seen, targets = next(iter(rollouts.stream(5, 0, 0, 2)))
    np.testing.assert_array_equal(seen["observation"][:, 0], -np.ones(15))
    np.testing.assert_array_equal(np.asarray(seen["observation"]).reshape(5, 3, 2)[:, 0, 1], [0, 1, 0, 1, 0])
    assert not np.asarray(targets["action"]).any()
    # Values are -1: of the last step of an episode the return is 0, of the first 0.5 * 0, of the cut one 0.5 * -1.
    np.testing.assert_allclose(np.asarray(targets["return"]).reshape(5, 3)[:, 0], [0, 0, 0, 0, -0.5])
    np.testing.assert_allclose(targets["advantage"], np.asarray(targets["return"]) + 1)
    order = np.asarray(targets["order"])
    assert order.shape == (6, 5)
    for half in (order[:3], order[3:]):
        assert sorted(half.ravel()) == list(range(15))
    assert rollouts.steps == 15 and [length for _, length in rollouts.finished] == [2] * 6


def test_a_time_limit_is_no_end():
    rollouts = Rollouts(EnvironmentSpec("FaultyEndless-v0", 2), 1, 4, 1)
    rollouts.divide(4)
    model = Fixed()
    model.inference = lambda output: lambda seen: np.ones((len(seen), 1 if output == "value" else 2), "float32")
    rollouts.begin(model, None, 1)
    _, targets = next(iter(rollouts.stream(4, 0, 0, 1)))
    np.testing.assert_allclose(targets["return"], [0.25, 0.5, 0.25, 0.5])  # the value 1 behind the second step, halved


def test_whole_episodes_are_whole():
    episodes = EpisodeRollouts(EnvironmentSpec("CartPole-v1"), 4, max_steps=300)
    with pytest.raises(SettingError, match="num_environments: expected a divisor of the 6 episodes"):
        episodes.divide(6)
    episodes.divide(8)
    assert len(episodes) == 8
    model = Fixed()
    model.inference = lambda output: lambda seen: np.zeros((len(seen), 1 if output == "value" else 2), "float32")
    model.discount = 1.0
    episodes.begin(model, None, 1)
    rounds = list(episodes.stream(8, 0, 0, 3))
    assert len(rounds) == 3 and len(episodes.finished) == 24
    total = sum(len(targets["return"]) for _, targets in rounds)
    assert total == episodes.steps == sum(length for _, length in episodes.finished) and episodes.is_spent
    returns = np.asarray(rounds[0][1]["return"])
    assert sorted(length for _, length in episodes.finished[:8])[-1] == returns.max()  # the return of each first step
    assert (returns == 1).sum() == 8  # each ends once
    again = EpisodeRollouts(EnvironmentSpec("CartPole-v1"), 4)
    again.divide(8)
    again.begin(model, None, 1)
    first = list(again.stream(8, 0, 0, 2))
    arrays = again.arrays()
    later = EpisodeRollouts(EnvironmentSpec("CartPole-v1"), 4)
    later.begin(model, None, 1)
    later.put_back(arrays)
    resumed = list(later.stream(8, 0, 2, 3))
    for one, other in ((rounds[1], first[1]), (rounds[2], resumed[0])):
        np.testing.assert_array_equal(one[0]["observation"], other[0]["observation"])


def test_a_batch_that_does_not_fit_is_refused():
    with pytest.raises(SettingError, match=r"train.batch_size: expected a divisor of the 40 steps .*8 x 5.*got 16"):
        Rollouts(EnvironmentSpec("CartPole-v1"), 8, 5, 1).divide(16)
    with pytest.raises(SettingError, match="update_epochs"):
        Rollouts(EnvironmentSpec("CartPole-v1"), 8, 5, 0)


def test_observations_are_seen_by_moments_of_before():
    rollouts = Rollouts(EnvironmentSpec("CartPole-v1"), 2, 10, 1)
    rollouts.divide(20)
    model = Fixed()
    model.normalize_observations, seen_by = True, []
    model.observation_moments = lambda: (np.zeros(4), np.ones(4))
    model.set_observation_moments = lambda mean, variance: seen_by.append(mean.copy())
    model.inference = lambda output: lambda seen: np.zeros((len(seen), 1 if output == "value" else 2), "float32")
    rollouts.begin(model, None, 1)
    assert rollouts.observation_moments.count == 256  # random play, so that the first round is scaled too
    rounds = list(rollouts.stream(20, 0, 0, 2))
    assert rollouts.observation_moments.count == 256 + 40
    np.testing.assert_array_equal(rounds[1][0]["mean"], seen_by[1])  # a training step is told, too
    first = np.asarray(rounds[0][0]["observation"], "float64")
    np.testing.assert_allclose(seen_by[1], (seen_by[0] * 256 + first.sum(0)) / 276, atol=1e-6)


def test_the_environment_says_which_policy():
    rollouts = Rollouts(EnvironmentSpec("Pendulum-v1", is_numbered=False), 2, 4, 1)
    assert (rollouts.num_actions, rollouts.is_continuous, rollouts.shape) == (1, True, (3,))
    rollouts.model = Fixed()
    assert rollouts.signature(8)[1]["action"].shape == (8, 1)
