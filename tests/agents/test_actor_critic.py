"""Learning a policy: losses against plain loops, and tiny environments that any correct learner solves."""

import math

import gymnasium
import keras
import numpy as np
import pytest
import tensorflow as tf

from kit.agents.actor_critic import clipped_loss, most_probable
from kit.agents.environment_spec import EnvironmentSpec
from kit.agents.evaluation import evaluation_episodes
from kit.agents.inference import inference_function
from kit.agents.on_policy import EpisodeRollouts, Rollouts
from kit.agents.policies import Categorical, Gaussian
from kit.errors import SettingError
from kit.recipes.actor_critic import actor_critic_agent
from kit.recipes.policy_gradient import policy_agent
from tests.agents.test_dqn import Lamp, Tiny  # noqa: F401 - register environments
from tests.conftest import slow


class Target(gymnasium.Env):
    """One step; the nearer the action is to the number that is observed, the better."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), "float32")
    action_space = gymnasium.spaces.Box(-4, 4, (1,), "float32")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.side = int(self.np_random.integers(2))
        return np.array([2 * self.side - 1], "float32"), {}

    def step(self, action):
        return np.zeros(1, "float32"), -abs(float(action[0]) - (2 * self.side - 1)), True, False, {}


gymnasium.register("Target-v0", Target)


@pytest.mark.parametrize("clip_ratio", [0.1, 0.3])
def test_the_clipped_loss_is_that_of_a_plain_loop(clip_ratio):
    random = np.random.default_rng(0)
    now, before, advantages = random.normal(size=(3, 40)).astype("float32")
    slow = []
    for new, old, advantage in zip(now, before, advantages, strict=True):
        ratio = math.exp(new - old)
        clipped = min(max(ratio, 1 - clip_ratio), 1 + clip_ratio)
        slow.append(min(ratio * advantage, clipped * advantage))
    found = float(clipped_loss(tf.constant(now), before, advantages, clip_ratio))
    assert found == pytest.approx(-np.mean(slow), rel=1e-5)


def test_a_categorical_policy_is_a_softmax():
    policy, random = Categorical(3), np.random.default_rng(0)
    logits = np.array([[0.0, 1.0, -1.0]], "float32")
    probabilities = np.exp(logits[0]) / np.exp(logits).sum()
    drawn = policy.sample(np.tile(logits, (50_000, 1)), policy.noise(random, 50_000))
    np.testing.assert_allclose(np.bincount(drawn) / 50_000, probabilities, atol=0.01)
    for action in range(3):
        found = float(policy.log_prob(logits, np.array([action]))[0])
        assert found == pytest.approx(math.log(probabilities[action]), abs=1e-5)
    assert float(policy.entropy(logits)[0]) == pytest.approx(-(probabilities * np.log(probabilities)).sum(), abs=1e-5)
    assert policy.mode(logits).tolist() == [1]


def test_a_gaussian_policy_is_a_normal_distribution():
    from scipy import stats

    policy, random = Gaussian(2), np.random.default_rng(0)
    parameters = np.array([[1.0, -2.0, 0.5, -1.0]], "float32")
    spread = np.exp([0.5, -1.0])
    drawn = policy.sample(np.tile(parameters, (50_000, 1)), policy.noise(random, 50_000))
    np.testing.assert_allclose(drawn.mean(0), [1, -2], atol=0.03)
    np.testing.assert_allclose(drawn.std(0), spread, rtol=0.02)
    action = np.array([[0.3, -1.7]], "float32")
    wanted = stats.norm.logpdf(action[0], [1, -2], spread).sum()
    assert float(policy.log_prob(parameters, action)[0]) == pytest.approx(wanted, rel=1e-5)
    wanted = stats.norm.entropy([1, -2], spread).sum()
    assert float(policy.entropy(parameters)[0]) == pytest.approx(wanted, rel=1e-5)
    assert policy.mode(parameters).tolist() == [[1, -2]]


def plain_step(agent, observations, actions, advantages, returns, before, clip_ratio, rate):
    """One step of plain descent on the whole loss, differentiated numerically in every weight."""
    start = [weight.astype("float64") for weight in agent.network.get_weights()]

    def loss(weights):
        w1, b1, w2, b2, v1, c1, v2, c2 = weights
        logits = np.tanh(observations @ w1 + b1) @ w2 + b2
        values = (np.tanh(observations @ v1 + c1) @ v2 + c2)[:, 0]
        logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        chosen = logs[np.arange(len(actions)), actions]
        scaled = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        if clip_ratio is None:
            gain = chosen * scaled
        else:
            ratio = np.exp(chosen - before)
            gain = np.minimum(ratio * scaled, np.clip(ratio, 1 - clip_ratio, 1 + clip_ratio) * scaled)
        entropy = -(np.exp(logs) * logs).sum(-1)
        return -gain.mean() + 0.5 * np.square(returns - values).mean() - 0.1 * entropy.mean()

    found = []
    for place, weight in enumerate(start):
        gradient = np.zeros_like(weight)
        for index in np.ndindex(weight.shape):
            sides = []
            for sign in (1, -1):
                moved = [each.copy() for each in start]
                moved[place][index] += sign * 1e-5
                sides.append(loss(moved))
            gradient[index] = (sides[0] - sides[1]) / 2e-5
        found.append(weight - rate * gradient)
    return found


@pytest.mark.parametrize("algorithm", ["a2c", "ppo"])
def test_gradient_steps_are_those_of_a_plain_loop(algorithm):
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(0)
    agent = actor_critic_agent(
        (3,), 2, algorithm=algorithm, clip_ratio=0.05, entropy_coefficient=0.1, optimizer=keras.optimizers.SGD(0.5),
        network=lambda head, normalizes: _network(head),
    )  # fmt: skip
    observations = random.normal(size=(12, 3)).astype("float32")
    actions = random.integers(0, 2, 12).astype("int32")
    advantages, returns = random.normal(size=(2, 12)).astype("float32")
    order = np.stack([np.arange(6), np.arange(6, 12), np.arange(0, 12, 2)]).astype("int32")
    logits = np.asarray(agent.network(observations)[0])
    before = (logits - np.log(np.exp(logits).sum(-1, keepdims=True)))[np.arange(12), actions]
    by_hand = actor_critic_agent((3,), 2, network=lambda head, normalizes: _network(head))
    by_hand.network.set_weights(agent.network.get_weights())
    for rows in order:
        parts = (each[rows] for each in (observations, actions, advantages, returns, before))
        weights = plain_step(by_hand, *parts, 0.05 if algorithm == "ppo" else None, 0.5)
        by_hand.network.set_weights(weights)
    targets = {"action": actions, "advantage": advantages, "return": returns, "order": order}
    one_round = tf.data.Dataset.from_tensors(({"observation": observations}, targets))
    agent.fit(one_round, verbose=0)
    for one, other in zip(agent.network.get_weights(), by_hand.network.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)


def _network(head):
    inputs = keras.Input((3,))
    dense = keras.layers.Dense
    logits = head(dense(4, "tanh")(inputs))
    value = dense(1)(dense(4, "tanh")(inputs))
    network = keras.Model(inputs, [logits, value])
    names = [weight.path for weight in network.weights]
    assert len(names) == 8
    # Policy first, value second, whatever the order of the graph.
    policy, other = keras.Model(inputs, logits), keras.Model(inputs, value)
    network.get_weights = lambda: policy.get_weights() + other.get_weights()
    network.set_weights = lambda weights: (policy.set_weights(weights[:4]), other.set_weights(weights[4:]))
    return network


def learned(kind, recipe, steps=20, rate=1e-2, **settings):
    """Returns an agent that has learned for some rounds, and its environment."""
    keras.utils.set_random_seed(0)
    spec = EnvironmentSpec(kind, is_numbered=False)
    if recipe == "reinforce":
        rollouts, build, batch = EpisodeRollouts(spec, 8), policy_agent, 32
    else:
        rollouts, build, batch = Rollouts(spec, 8, 16, 1 if recipe == "a2c" else 4), actor_critic_agent, 32
        settings["algorithm"] = recipe
        batch = 128 if recipe == "a2c" else 32
    rollouts.divide(batch)
    agent = build(
        rollouts.shape,
        rollouts.num_actions,
        is_continuous=rollouts.is_continuous,
        optimizer=keras.optimizers.Adam(rate),
        **settings,
    )
    rollouts.begin(agent, None, steps)
    agent.fit(rollouts.stream(batch, 0, 0, steps), steps_per_epoch=steps, verbose=0)
    return agent, spec


@pytest.mark.parametrize("recipe", ["reinforce", "a2c", "ppo"])
@pytest.mark.parametrize("kind", [slow("TinyBandit-v0"), slow("TinyContextual-v0"), "TinyDelayed-v0"])
def test_a_task_with_a_known_answer_is_solved(kind, recipe):
    agent, spec = learned(kind, recipe)
    returns, lengths, _ = evaluation_episodes(spec, "test", 20).play(most_probable(agent.network, agent.policy))
    assert returns.mean() == 1.0
    assert set(lengths) == {2 if kind == "TinyDelayed-v0" else 1}


@pytest.mark.parametrize("recipe", ["reinforce", "a2c", "ppo"])
def test_a_number_is_found(recipe):
    settings = {"normalize_rewards": True, "normalize_observations": True, "entropy_coefficient": 0.02}
    agent, spec = learned("Target-v0", recipe, 60, 3e-3 if recipe == "ppo" else 1e-2, **settings)
    returns, _, _ = evaluation_episodes(spec, "test", 20).play(most_probable(agent.network, agent.policy))
    assert returns.min() > -0.35


def test_images_are_learned_from():
    agent, spec = learned("Lamp-v0", "ppo", 10, network="cnn_policy_small")
    returns, _, _ = evaluation_episodes(spec, "test", 20).play(most_probable(agent.network, agent.policy))
    assert returns.mean() == 1.0


def test_values_become_what_follows():
    agent, _ = learned("TinyDiscounted-v0", "a2c", 150, discount=0.9, entropy_coefficient=0.1)
    values = agent.inference("value")(np.array([[-1, 0], [-1, 1], [1, 1]], "float32"))
    assert values.ravel() == pytest.approx([0.9, 1.0, 1.0], abs=0.05)


@pytest.mark.parametrize("settings", [{}, {"normalize_observations": True}, {"is_continuous": True}])
@pytest.mark.parametrize(
    ("name", "shape"), [("mlp_policy", (3,)), ("mlp_policy", (2, 3)), ("cnn_policy_small", (6, 6, 2))]
)
def test_acting_asks_the_network(name, shape, settings):
    if name == "cnn_policy_small" and "normalize_observations" in settings:
        with pytest.raises(SettingError, match="normalize_observations: images are scaled by backbone.highest"):
            actor_critic_agent(shape, 2, network=name, **settings)
        return
    agent = actor_critic_agent(shape, 2, network=name, **settings)
    random = np.random.default_rng(0)
    if "normalize_observations" in settings:
        agent.set_observation_moments(random.normal(size=shape).ravel(), random.random(shape).ravel())
    observations = random.normal(size=(5, *shape)).astype("float32") * 3
    for index, output in enumerate(("policy", "value")):
        found = agent.inference(output)(observations)
        np.testing.assert_allclose(found, np.asarray(agent.network(observations)[index]), atol=1e-4)
    assert inference_function(agent.network, 0)(observations[:1]).shape == (1, 4 if "is_continuous" in settings else 2)


def test_a_round_ends_where_the_policy_has_moved_too_far():
    random = np.random.default_rng(0)
    observations = random.normal(size=(64, 3)).astype("float32")
    targets = {
        "action": random.integers(0, 2, 64).astype("int32"),
        "advantage": random.normal(size=64).astype("float32"),
        "return": np.zeros(64, "float32"),
        "order": np.tile(np.arange(64, dtype="int32"), (50, 1)),
    }
    steps = []
    for target_kl in (None, 1e-4):
        keras.utils.set_random_seed(0)
        agent = actor_critic_agent((3,), 2, target_kl=target_kl, optimizer=keras.optimizers.Adam(1e-2))
        agent.fit(tf.data.Dataset.from_tensors(({"observation": observations}, targets)), verbose=0)
        steps.append(int(agent.optimizer.iterations))
    assert steps[0] == 50 and 1 <= steps[1] < 20


@pytest.mark.parametrize("recipe", [actor_critic_agent, policy_agent])
def test_nothing_is_written_before_the_round_is_there(recipe):
    """The round is made with the weights of before: weight decay, which needs no data, has to wait for it."""
    agent = recipe((3,), 2, optimizer=keras.optimizers.AdamW(weight_decay=0.1))
    floats = tf.TensorSpec((None,), "float32")
    targets = {"action": tf.TensorSpec((None,), "int32"), "advantage": floats, "return": floats}
    step = tf.function(lambda *data: agent.train_step(data))
    graph = step.get_concrete_function({"observation": tf.TensorSpec((None, 3), "float32")}, targets).graph
    waiting = {each.op.name for each in graph.inputs if each.dtype != tf.resource}
    writing = []
    for operation in graph.get_operations():  # each after those that it needs
        needed = [each.op for each in operation.inputs] + list(operation.control_inputs)
        if any(each.name in waiting for each in needed):
            waiting.add(operation.name)
        if operation.type.startswith("Assign"):
            writing.append(operation.name)
    assert len(writing) > 2 * len(agent.network.trainable_variables) and not set(writing) - waiting


@pytest.mark.slow
def test_compiled_with_xla_it_is_the_same():
    random = np.random.default_rng(0)
    targets = {
        "action": random.integers(0, 2, 32).astype("int32"),
        "advantage": random.normal(size=32).astype("float32"),
        "return": random.normal(size=32).astype("float32"),
        "order": random.permutation(32).astype("int32").reshape(4, 8),
    }
    observations, found = random.normal(size=(32, 3)).astype("float32"), []
    for jit in (False, True):
        keras.utils.set_random_seed(0)
        agent = actor_critic_agent((3,), 2)
        agent.jit_compile = jit
        agent.fit(tf.data.Dataset.from_tensors(({"observation": observations}, targets)), verbose=0)
        found.append(agent.network.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"discount": 1.5}, "discount: expected a number from 0 to 1"),
        ({"gae_lambda": -0.1}, "gae_lambda"),
        ({"clip_ratio": 0.0}, "clip_ratio: expected a share between 0 and 1"),
        ({"target_kl": 0.0}, "target_kl"),
        ({"algorithm": "pop"}, "algorithm: expected 'ppo' or 'a2c', got 'pop'"),
        ({"entropy_coefficient": -1.0}, "entropy_coefficient"),
        ({"policy": "gaussian"}, "policy: the environment's actions are numbered: expected 'categorical'"),
        ({"policy": "categorical", "is_continuous": True}, "policy: .*vectors: expected 'gaussian', got 'categorical'"),
        ({"network": "mlp_polcy"}, "backbone: unknown name 'mlp_polcy'; did you mean 'mlp_policy'"),
        ({"network": "cnn_policy"}, "model.backbone: takes images; .*expected mlp_policy"),
    ],
)
def test_bad_settings_name_themselves(settings, said):
    with pytest.raises(SettingError, match=said):
        actor_critic_agent((4,), 2, **settings)


def test_one_step_alone_is_learned_from():
    targets = {"action": np.zeros(1, "int32"), "advantage": np.ones(1, "float32"), "return": np.ones(1, "float32")}
    agent = actor_critic_agent((3,), 2)
    before = agent.network.get_layer("policy").get_weights()[0]
    agent.fit(tf.data.Dataset.from_tensors(({"observation": np.ones((1, 3), "float32")}, targets)), verbose=0)
    assert (agent.network.get_layer("policy").get_weights()[0] != before).any()


def test_any_number_of_observations_is_one_trace():
    agent = actor_critic_agent((6, 6, 2), 2, network="cnn_policy_small")
    ask = inference_function(agent.network, (0, 1))
    for count in (3, 5, 8):
        assert [each.shape for each in ask(np.zeros((count, 6, 6, 2), "float32"))] == [(count, 2), (count, 1)]
    assert len(agent.network._inference) == 2  # the function, and its trace


def centred(x):
    return keras.layers.BatchNormalization(scale=False, trainable=False, beta_initializer="ones")(x)


@pytest.mark.parametrize(
    "end",
    [
        lambda x, y, z: keras.layers.Add()([x, y, keras.layers.Flatten()(z)]),
        lambda x, y, z: x + 1.0,
        lambda x, y, z: 1.0 - x,
        lambda x, y, z: keras.layers.Flatten()(keras.layers.Concatenate(1)([z, z + z])),
        lambda x, y, z: centred(x),
    ],
)
def test_operations_that_numpy_would_get_wrong_are_compiled(end):
    inputs = keras.Input((2, 3))
    x, y = (keras.layers.Dense(4)(keras.layers.Flatten()(inputs)) for _ in range(2))
    network = keras.Model(inputs, end(x, y, keras.layers.Dense(2)(inputs)))
    observations = np.random.default_rng(0).normal(size=(5, 2, 3)).astype("float32")
    np.testing.assert_allclose(inference_function(network)(observations), np.asarray(network(observations)), atol=1e-5)


def test_a_network_without_biases_acts():
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, "tanh", use_bias=False)(inputs)
    network = keras.Model(inputs, keras.layers.Dense(2, use_bias=False)(hidden))
    seen = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    np.testing.assert_allclose(inference_function(network)(seen), np.asarray(network(seen)), atol=1e-5)
