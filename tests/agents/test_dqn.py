"""Learning by acting: targets against plain loops, and tiny environments that any correct learner solves."""

import gymnasium
import keras
import numpy as np
import pytest

from kit.agents.deep_q_learning import greedy
from kit.agents.environment_spec import EnvironmentSpec
from kit.agents.evaluation import evaluation_episodes
from kit.agents.inference import inference_function
from kit.agents.off_policy import ReplayExperience
from kit.agents.options import ExplorationOptions, ReplayOptions
from kit.errors import SettingError
from kit.recipes.dqn import dqn_agent
from tests.conftest import slow


class Tiny(gymnasium.Env):
    """An episode of few steps whose answers are known.

    Args:
        kind: "bandit": the second action pays; "contextual": the action that the observation names pays; "delayed": the
            first of two steps decides what the second pays; "discounted": no choice, a reward at the end of two steps.
    """

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), "float32")
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, kind):
        self.kind = kind

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.moment, self.side = 0, int(self.np_random.integers(2))
        return self._observation(), {}

    def _observation(self):
        side = self.side if self.kind == "contextual" or self.moment else 0
        return np.array([2 * side - 1, self.moment], "float32")

    def step(self, action):
        self.moment += 1
        if self.kind == "bandit":
            return self._observation(), float(action == 1), True, False, {}
        if self.kind == "contextual":
            return self._observation(), float(action == self.side), True, False, {}
        if self.moment == 1:
            self.side = int(action)
            return self._observation(), 0.0, False, False, {}
        reward = 1.0 if self.kind == "discounted" else float(self.side)
        return self._observation(), reward, True, False, {}


for kind in ("bandit", "contextual", "delayed", "discounted"):
    gymnasium.register(f"Tiny{kind.capitalize()}-v0", lambda kind=kind, **_: Tiny(kind))


def learned(kind, *, prioritized=False, steps=6, **settings):
    """Returns an agent that has learned for some rounds, and its training split."""
    keras.utils.set_random_seed(0)
    spec = EnvironmentSpec(f"Tiny{kind.capitalize()}-v0")
    options = ReplayOptions(gradient_steps=40, replay_size=800, learning_starts=0, prioritized=prioritized)
    experience = ReplayExperience(spec, 4, 20, options, ExplorationOptions(1.0, 0.5, 1.0))
    network = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(2)], name="values"
    )
    settings = {"target_update_steps": 20, "discount": 0.9, **settings}
    agent = dqn_agent((2,), 2, network=lambda dueling: network, optimizer=keras.optimizers.Adam(1e-2), **settings)
    experience.model = agent
    if prioritized:
        agent.keep_td_errors((40, 32))
    agent.fit(experience.stream(32, 0, 0, steps), steps_per_epoch=steps, verbose=0)
    return agent, experience, spec


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        slow("bandit", {}),
        slow("contextual", {"double": False}),
        ("contextual", {"prioritized": True}),
        ("delayed", {"target_update": "soft", "target_update_rate": 0.1}),
        ("delayed", {"n_step": 3, "huber_delta": 0.0}),
    ],
)
def test_a_task_with_a_known_answer_is_solved(kind, settings):
    agent, _, spec = learned(kind, **settings)
    returns, lengths, _ = evaluation_episodes(spec, "test", 20).play(greedy(agent.network))
    assert returns.mean() == 1.0
    assert set(lengths) == {2 if kind == "delayed" else 1}


def test_a_later_reward_is_worth_less():
    agent, _, _ = learned("discounted", steps=10)
    values = inference_function(agent.network)(np.array([[-1, 0], [-1, 1], [1, 1]], "float32"))
    assert values[0] == pytest.approx([0.9, 0.9], abs=0.05)
    assert values[1:].ravel() == pytest.approx([1.0] * 4, abs=0.05)


def round_of(random, count=6, batch=5):
    shape = (count, batch)
    seen = {name: random.normal(size=(*shape, 3)).astype("float32") for name in ("observation", "following")}
    targets = {
        "action": random.integers(0, 4, shape).astype("int32"),
        "reward": random.normal(size=shape).astype("float32"),
        "factor": random.choice([0.0, 0.9], shape).astype("float32"),
    }
    return seen, targets, random.random(shape).astype("float32")


def dense(weights, x):
    hidden = np.maximum(x @ weights[0] + weights[1], 0)
    return hidden, hidden @ weights[2] + weights[3]


def slow(weights, target, seen, targets, weight, rate, double, period, share):
    """Gradient steps of plain descent on the Huber loss, one example at a time; returns weights, target, errors."""
    weights, target = [each.astype("float64") for each in weights], [each.astype("float64") for each in target]
    errors = np.zeros(weight.shape)
    for turn in range(len(weight)):
        if period and turn % period == 0:
            target = [each.copy() for each in weights]
        gradients = [np.zeros_like(each) for each in weights]
        for row in range(weight.shape[1]):
            following = dense(target, seen["following"][turn, row])[1]
            choice = np.argmax(dense(weights, seen["following"][turn, row])[1] if double else following)
            wanted = targets["reward"][turn, row] + targets["factor"][turn, row] * following[choice]
            action, x = targets["action"][turn, row], seen["observation"][turn, row]
            hidden, values = dense(weights, x)
            error = errors[turn, row] = wanted - values[action]
            slope = -np.clip(error, -1, 1) * weight[turn, row] / weight.shape[1]
            back = slope * weights[2][:, action] * (hidden > 0)
            gradients[0] += np.outer(x, back)
            gradients[1] += back
            gradients[2][:, action] += slope * hidden
            gradients[3][action] += slope
        for each, gradient in zip(weights, gradients, strict=True):
            each -= rate * gradient
        if share:
            target = [old + share * (new - old) for old, new in zip(target, weights, strict=True)]
    return weights, target, errors


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("period", [0, 2, 4, 12])
def test_gradient_steps_are_those_of_a_plain_loop(double, period):
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(period)
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(4)])
    kind = {"target_update_steps": period} if period else {"target_update": "soft", "target_update_rate": 0.2}
    agent = dqn_agent((3,), 4, network=lambda _: network, double=double, optimizer=keras.optimizers.SGD(0.3), **kind)
    agent.keep_td_errors((6, 5))
    before = agent.target.get_weights()
    seen, targets, weight = round_of(random)
    expected = slow(network.get_weights(), before, seen, targets, weight, 0.3, double, period, 0 if period else 0.2)
    agent.train_on_batch(seen, targets, weight)
    weights = network.get_weights() + agent.target.get_weights()
    for found, wanted in zip(weights, expected[0] + expected[1], strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(agent.td_errors.numpy(), expected[2], atol=1e-5)


@pytest.mark.slow
def test_compiled_with_xla_it_is_the_same():
    seen, targets, weight = round_of(np.random.default_rng(0))
    found = []
    for jit in (False, True):
        keras.utils.set_random_seed(0)
        agent = dqn_agent((3,), 4, dueling=True, target_update_steps=3)
        agent.jit_compile = jit
        agent.train_on_batch(seen, targets, weight)
        found.append(agent.network.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("dueling", [False, True])
@pytest.mark.parametrize(("name", "shape"), [("mlp_q", (3,)), ("mlp_q", (2, 3)), ("cnn_q_small", (6, 6, 2))])
def test_acting_values_actions_as_the_network_does(name, shape, dueling):
    agent = dqn_agent(shape, 4, network=name, dueling=dueling)
    observations = np.random.default_rng(0).normal(size=(5, *shape)).astype("float32")
    np.testing.assert_allclose(agent.inference()(observations), np.asarray(agent.network(observations)), atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"discount": 1.5}, "discount: expected a number from 0 to 1"),
        ({"target_update_rate": 0.0}, "target_update_rate: expected a share above 0"),
        ({"network": "mlp"}, "backbone: unknown name 'mlp'; did you mean 'mlp_q'"),
        ({"network": "cnn_q"}, "backbone: takes images"),
        ({"huber_delta": -1.0}, "huber_delta"),
        ({"target_update": "sotf"}, "target_update: expected 'hard' or 'soft', got 'sotf'"),
    ],
)
def test_bad_settings_name_themselves(settings, said):
    with pytest.raises(SettingError, match=said):
        dqn_agent((4,), 2, **settings)


class Lamp(gymnasium.Env):
    """Shows on which side of an image it is bright; the action that names the side pays."""

    observation_space = gymnasium.spaces.Box(0, 255, (6, 6), "uint8")
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.side = int(self.np_random.integers(2))
        image = np.zeros((6, 6), "uint8")
        image[:, 3 * self.side : 3 * self.side + 3] = 200
        return image, {}

    def step(self, action):
        return np.zeros((6, 6), "uint8"), float(action == self.side), True, False, {}


gymnasium.register("Lamp-v0", Lamp)
