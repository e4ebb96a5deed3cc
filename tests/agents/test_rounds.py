"""Rounds on their way into `keras.Model.fit`: made in turn with learning, and learned from as Keras' own loop does."""

import threading

import keras
import numpy as np
import pytest

from kit.agents.environment_spec import EnvironmentSpec
from kit.agents.on_policy import EpisodeRollouts, Rollouts
from kit.errors import KitError
from kit.recipes.actor_critic import actor_critic_agent
from kit.recipes.policy_gradient import policy_agent
from tests.agents.test_dqn import Tiny  # noqa: F401 - registers environments that are solved in seconds
from tests.agents.test_environments import Faulty  # noqa: F401 - registers environments that go wrong

SPEC = EnvironmentSpec("TinyDelayed-v0")


def agent_and_rounds(build=actor_critic_agent, spec=SPEC):
    """Returns an agent, its experience, and the examples of its minibatches."""
    keras.utils.set_random_seed(0)
    experience = EpisodeRollouts(spec, 2) if build is policy_agent else Rollouts(spec, 2, 4, 2)
    experience.divide(4)
    agent = build(experience.shape, experience.num_actions, optimizer=keras.optimizers.AdamW(weight_decay=0.1))
    experience.begin(agent, None, 3)
    return agent, experience


@pytest.mark.parametrize("build", [actor_critic_agent, policy_agent])
def test_what_is_learned_is_what_keras_own_loop_learns(build):
    agent, experience = agent_and_rounds(build)
    logs = agent.fit(experience.stream(4, 0, 0, 6), epochs=2, steps_per_epoch=3, verbose=0).history
    other, experience = agent_and_rounds(build)
    expected = []
    for round_ in experience.stream(4, 0, 0, 6):
        expected.append(other.train_on_batch(*round_, return_dict=True))
    for name, values in logs.items():
        means = np.reshape([each[name] for each in expected], (2, 3)).mean(1)
        np.testing.assert_allclose(values, means, rtol=1e-4, atol=1e-6)
    for one, two in zip(agent.network.get_weights(), other.network.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_each_round_is_made_by_the_weights_of_then_in_the_thread_that_asks():
    agent, experience = agent_and_rounds()
    make, weights, threads = experience.round, [], set()

    def watched(*arguments):
        weights.append(agent.network.get_weights())
        made = make(*arguments)
        for before, after in zip(weights[-1], agent.network.get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)
        threads.add(threading.current_thread())
        return made

    experience.round = watched
    learned = []
    after = keras.callbacks.Callback()
    after.on_train_batch_end = lambda batch, logs: learned.append(agent.network.get_weights())
    agent.fit(experience.stream(4, 0, 0, 3), steps_per_epoch=3, verbose=0, callbacks=[after])
    assert threads == {threading.main_thread()} and len(weights) == len(learned) == 3
    for seen, then in zip(weights[1:], learned, strict=False):
        for one, two in zip(seen, then, strict=True):
            np.testing.assert_array_equal(one, two)


def test_what_goes_wrong_in_a_round_comes_out_as_it_is():
    agent, experience = agent_and_rounds(spec=EnvironmentSpec("FaultyRaises-v0"))
    with pytest.raises(KitError, match="could not take a step"):
        agent.fit(experience.stream(4, 0, 0, 3), steps_per_epoch=3, verbose=0)


def test_a_function_of_the_former_layers_is_made_anew():
    agent, experience = agent_and_rounds()
    stream = experience.stream(4, 0, 0, 2)
    agent.fit(stream, steps_per_epoch=1, verbose=0)
    before = agent.network.get_weights()
    for layer in agent.network.layers:
        layer.trainable = layer.name == "policy"
    agent.make_train_function(force=True)
    agent.fit(stream, steps_per_epoch=1, verbose=0)
    assert sum(not np.array_equal(*pair) for pair in zip(before, agent.network.get_weights(), strict=True)) == 2
