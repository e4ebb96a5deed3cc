"""Environments by name: what is refused in one line, and how an episode is come back to."""

import gymnasium
import numpy as np
import pytest

from kit import config
from kit.agents import environments as module
from kit.agents.environment_spec import EnvironmentSpec, _without_last_action
from kit.agents.environments import Environments, episode_seed
from kit.agents.evaluation import play_episodes
from kit.errors import KitError, SettingError


class Faulty(gymnasium.Env):
    """Goes wrong in a way of its own."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), "float32")
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, fault):
        self.fault = fault

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if self.fault == "reset":
            raise RuntimeError("no door")
        return np.full(2, np.nan if self.fault == "nanreset" else 0, "float32"), {}

    def step(self, action):
        if self.fault == "raises":
            raise RuntimeError("the motor\nis on fire")
        observation = np.full(2, np.nan if self.fault == "nan" else 0, "float32")
        return observation, 0.0, False, False, {}


for fault in ("raises", "nan", "endless", "reset", "nanreset"):
    gymnasium.register(f"Faulty{fault.capitalize()}-v0", lambda fault=fault, **_: Faulty(fault))


def seeded(copy, episode):
    return episode_seed(7, copy, episode)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("CartPole-v9", "environment: unknown name 'CartPole-v9'; did you mean 'CartPole-v"),
        ("CartPol-v1", "environment: unknown name 'CartPol-v1'; did you mean 'CartPole-v1'"),
        ("nothing_here:Game-v0", "environment: unknown name 'nothing_here:Game-v0'"),
        ("Pendulum-v1", r"actions of Box.*DQN chooses.*expected a recipe that learns a policy \(actor_critic"),
    ],
)
def test_what_cannot_be_acted_in_is_named(name, said):
    config.note_typed(name)
    with pytest.raises(SettingError, match=said):
        EnvironmentSpec(name).make()


@pytest.mark.parametrize(
    ("name", "package", "module_name"),
    [("ALE/Pong-v5", "ale-py", "ale_py"), ("MinAtar/Breakout-v1", "minatar", "minatar.gym")],
)
def test_a_missing_package_names_the_extra(name, package, module_name, monkeypatch):
    import importlib

    found = importlib.import_module

    def importing(wanted, *rest):
        if wanted == module_name:
            raise ImportError(wanted)
        return found(wanted, *rest)

    monkeypatch.setattr(importlib, "import_module", importing)
    with pytest.raises(SettingError, match=rf"environment: '{name}' needs {package}, .*\.\[games\]"):
        EnvironmentSpec(name).make()


def test_what_goes_wrong_in_a_step_is_one_line(monkeypatch):
    with pytest.raises(KitError, match="FaultyRaises-v0: could not take a step: RuntimeError: the motor is on fire"):
        Environments(EnvironmentSpec("FaultyRaises-v0"), 2, seeded).step([0, 0])
    with pytest.raises(KitError, match="FaultyReset-v0: could not be reset: RuntimeError: no door"):
        Environments(EnvironmentSpec("FaultyReset-v0"), 2, seeded)
    with pytest.raises(KitError, match="FaultyNanreset-v0: gave observations that are nan"):
        Environments(EnvironmentSpec("FaultyNanreset-v0"), 2, seeded)
    environments = Environments(EnvironmentSpec("FaultyNan-v0"), 2, seeded)
    with pytest.raises(KitError, match="FaultyNan-v0: gave observations that are nan; expected numbers"):
        play_episodes(environments, [1, 2], lambda observations: (np.zeros(2, int), np.zeros(2)))
    monkeypatch.setattr(module, "LONGEST_EPISODE", 20)
    environments = Environments(EnvironmentSpec("FaultyEndless-v0"), 2, seeded)
    with pytest.raises(SettingError, match="time_limit: an episode of 'FaultyEndless-v0' has not ended after 20 steps"):
        play_episodes(environments, [1, 2], lambda observations: (np.zeros(2, int), np.zeros(2)))
    _, lengths, _ = play_episodes(
        Environments(EnvironmentSpec("FaultyEndless-v0", 9), 2, seeded),
        [1],
        lambda seen: (np.zeros(2, int), np.zeros(2)),
    )
    assert lengths.tolist() == [9]


@pytest.mark.parametrize("steps", [0, 1, 30, 57])
def test_an_episode_is_come_back_to(steps):
    random = np.random.default_rng(steps)
    environments = Environments(EnvironmentSpec("CartPole-v1"), 4, seeded)
    for _ in range(steps):
        environments.step(random.integers(0, 2, 4))
    again = Environments(EnvironmentSpec("CartPole-v1"), 4, seeded)
    again.restore(environments.episodes, [list(history) for history in environments.histories])
    np.testing.assert_array_equal(again.observations, environments.observations)
    assert again.histories == environments.histories
    for _ in range(30):
        actions = random.integers(0, 2, 4)
        for one, other in zip(environments.step(actions), again.step(actions), strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_is_played_side_by_side_is_played_alone():
    def act(observations):
        return (observations[:, 2] > 0).astype(int), observations[:, 0]

    together = play_episodes(Environments(EnvironmentSpec("CartPole-v1"), 3, seeded), list(range(8)), act)
    alone = [play_episodes(Environments(EnvironmentSpec("CartPole-v1"), 1, seeded), [seed], act) for seed in range(8)]
    for index in range(3):
        np.testing.assert_allclose(together[index], [one[index][0] for one in alone])
    assert len(set(together[0])) > 2


def test_observations_become_vectors_or_images():
    assert EnvironmentSpec("FrozenLake-v1").make().observation_space.shape == (16,)
    assert str(EnvironmentSpec("FrozenLake-v1").make().observation_space.dtype) == "float32"
    with pytest.raises(SettingError, match="frame_stack: expected 1 where observations are no images"):
        EnvironmentSpec("CartPole-v1", frame_stack=4).make()


class Picture(gymnasium.Env):
    """Shows its moment as an image."""

    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, shape):
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, "uint8")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.moment = 0
        return np.zeros(self.observation_space.shape, "uint8"), {}

    def step(self, action):
        self.moment += 1
        return np.full(self.observation_space.shape, self.moment, "uint8"), 0.0, self.moment > 9, False, {}


@pytest.mark.parametrize(("shape", "channels"), [((5, 6), 1), ((5, 6, 3), 3)])
@pytest.mark.parametrize("stack", [1, 4])
def test_frames_are_stacked_as_channels(shape, channels, stack):
    name = f"Picture{channels}-v0"
    if name not in gymnasium.registry:
        gymnasium.register(name, lambda **_: Picture(shape))
    environment = EnvironmentSpec(name, frame_stack=stack).make()
    observation, _ = environment.reset(seed=0)
    assert environment.observation_space.shape == observation.shape == (5, 6, channels * stack)
    for _ in range(6):
        observation = environment.step(0)[0]
    assert observation.dtype == np.uint8
    assert observation[0, 0].tolist() == [moment for moment in range(7 - stack, 7) for _ in range(channels)]


class Acts(gymnasium.Env):
    """Observes the action that it was given; `memory` counts steps of all episodes."""

    def __init__(self, space, memory=False):
        self.action_space, self.memory, self.count = space, memory, 0
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), "float32")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, "float32"), {}

    def step(self, action):
        self.count += 1
        seen = self.count if self.memory else np.ravel(action)[0]
        return np.array([seen], "float32"), 0.0, False, False, {"length": np.zeros(self.count)}


BOX = gymnasium.spaces.Box
for name, space in (
    ("Shifted", gymnasium.spaces.Discrete(3, start=2)),
    ("Bounded", BOX(np.array([-1.0, 0.0]), np.array([3.0, 1.0]), dtype=np.float32)),
    ("Unbounded", BOX(-np.inf, np.inf, (2,), "float32")),
    ("Empty", BOX(-1, 1, (0,), "float32")),
    ("Many", gymnasium.spaces.MultiDiscrete([3] * 60)),
):
    gymnasium.register(f"{name}-v0", lambda space=space, **_: Acts(space), max_episode_steps=50)
gymnasium.register("Remembering-v0", lambda **_: Acts(gymnasium.spaces.Discrete(2), True), max_episode_steps=50)


def test_actions_are_numbered_from_where_the_environment_does():
    environments = Environments(EnvironmentSpec("Shifted-v0"), 2, seeded)
    assert environments.step([0, 2])[0].ravel().tolist() == [2, 4]


def test_vectors_are_brought_into_their_bounds():
    clipped = Environments(EnvironmentSpec("Bounded-v0", is_numbered=False), 2, seeded)
    assert clipped.step(np.array([[9.0, 0], [-0.5, 0]]))[0].ravel().tolist() == [3.0, -0.5]
    squashed = Environments(EnvironmentSpec("Bounded-v0", is_numbered=False, squash_actions=True), 2, seeded)
    found = squashed.step(np.array([[9.0, 0], [0.0, 0]]))[0].ravel()
    np.testing.assert_allclose(found, [1 + 2 * np.tanh(9), 1.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "is_numbered", "said"),
    [
        ("Unbounded-v0", False, "without bounds; expected a lowest and a highest value"),
        ("Empty-v0", False, "which are empty"),
        ("Many-v0", True, r"actions of MultiDiscrete\(.*\.\.\., expected numbered actions \(Discrete\)"),
        ("Many-v0", False, r"expected numbered actions \(Discrete\) or vectors \(Box\)"),
    ],
)
def test_spaces_that_cannot_be_acted_in(name, is_numbered, said):
    with pytest.raises(SettingError, match=said) as caught:
        EnvironmentSpec(name, is_numbered=is_numbered).make()
    assert len(str(caught.value)) < 250 and "\n" not in str(caught.value)


def test_some_copies_may_wait():
    environments = Environments(EnvironmentSpec("Shifted-v0"), 3, seeded)
    environments.step([0, 1, 2])
    environments.step([1, 1, 1], active=np.array([True, False, True]))
    assert environments.observations.ravel().tolist() == [3, 3, 3]
    assert environments.lengths.tolist() == [2, 1, 2] and environments.histories == [[0, 1], [1], [2, 1]]
    environments.begin()
    assert environments.episodes.tolist() == [1, 1, 1] and environments.observations.ravel().tolist() == [0, 0, 0]


def test_an_environment_that_does_not_repeat_itself_is_found_out():
    environments = Environments(EnvironmentSpec("Remembering-v0"), 2, seeded)
    for _ in range(60):
        environments.step([0, 1])
    saved = environments.episodes, [list(each) for each in environments.histories], environments.observations
    with pytest.raises(KitError, match="Remembering-v0: does not do the same for the same seed and actions"):
        Environments(EnvironmentSpec("Remembering-v0"), 2, seeded).restore(*saved)


class Game:
    last_action = 3


class Sticky(Acts):
    """Repeats an action over a reset, as MinAtar does."""

    game = Game()

    def reset(self, *, seed=None, options=None):
        return np.array([self.game.last_action], "float32"), {}


def test_what_minatar_keeps_over_a_reset_is_forgotten():
    made = _without_last_action(Sticky(gymnasium.spaces.Discrete(2)))
    assert made.reset(seed=1)[0].tolist() == [0]


class Custom(gymnasium.Env):
    """Environment of ten steps with one thing of its own."""

    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, space, observation, reward=1.0, size=0):
        self.observation_space, self.observation, self.reward, self.size = space, observation, reward, size

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self.observation, {}

    def step(self, action):
        self.time += 1
        return self.observation, self.reward, False, self.time >= 10, {}


class OldReset(Custom):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)[0]


class ResetWithoutSeed(Custom):
    def reset(self):
        return super().reset()


class OldStep(Custom):
    def step(self, action):
        return super().step(action)[:4]


class NeedsSize(Custom):
    def __init__(self, size, kind="plain", **_):
        super().__init__(_PAIR, np.zeros(2, "float32"), size=size)
        self.kind = kind


_PAIR, _IMAGE = gymnasium.spaces.Box(-1, 1, (2,), "float32"), gymnasium.spaces.Box(0, 255, (8, 9, 1), "uint8")
_FIRST = gymnasium.spaces.Box(0, 255, (3, 8, 9), "uint8")
_CUSTOM = {
    "OldReset": lambda: OldReset(_PAIR, np.zeros(2, "float32")),
    "ResetWithoutSeed": lambda: ResetWithoutSeed(_PAIR, np.zeros(2, "float32")),
    "OldStep": lambda: OldStep(_PAIR, np.zeros(2, "float32")),
    "ArrayReward": lambda: Custom(_PAIR, np.zeros(2, "float32"), np.ones(1)),
    "NoReward": lambda: Custom(_PAIR, np.zeros(2, "float32"), None),
    "OtherShape": lambda: Custom(_PAIR, np.zeros((1, 2), "float32")),
    "OneNumber": lambda: Custom(_PAIR, np.float32(0)),
    "Fractions": lambda: Custom(_IMAGE, np.full((8, 9, 1), 0.5, "float32")),
    "TooLarge": lambda: Custom(_IMAGE, np.full((8, 9, 1), 256)),
    "NoChoice": lambda: Custom(gymnasium.spaces.Discrete(3), 3),
    "Sequence": lambda: Custom(gymnasium.spaces.Sequence(gymnasium.spaces.Discrete(3)), (1,)),
    "ImageAndVector": lambda: Custom(
        gymnasium.spaces.Dict({"camera": gymnasium.spaces.Box(0, 255, (8, 9, 3), "uint8"), "speed": _PAIR}),
        {"camera": np.zeros((8, 9, 3), "uint8"), "speed": np.zeros(2, "float32")},
    ),
    "Outside": lambda: Custom(_PAIR, np.full(2, 5, "float32")),
    "Whole": lambda: Custom(_IMAGE, np.full((8, 9, 1), 7.0)),
    "SmallNumbers": lambda: Custom(gymnasium.spaces.Box(0, 1, (8, 9, 1), "float32"), np.ones((8, 9, 1), "float32")),
    "ChannelsFirst": lambda: Custom(_FIRST, np.arange(216, dtype="uint8").reshape(3, 8, 9)),
}
for name, make in _CUSTOM.items():
    gymnasium.register(f"Custom{name}-v0", lambda make=make, **_: make(), max_episode_steps=20)
gymnasium.register("CustomNeedsSize-v0", NeedsSize)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("OldReset", r"its reset returned one ndarray; expected \(observation, information\)"),
        ("ResetWithoutSeed", r"its reset takes no seed; expected \(observation, information\) for reset\(seed=..."),
        (
            "OldStep",
            r"its step returned 4 values; expected \(observation, reward, terminated, truncated, information\)",
        ),
        ("ArrayReward", r"gave a reward of shape \(1,\); expected one number"),
        ("NoReward", "gave a reward None; expected one number"),
        ("OtherShape", r"gave an observation of shape \(1, 2\); its space has \(2,\)"),
        ("OneNumber", r"gave an observation of shape \(\); its space has \(2,\)"),
        ("Fractions", r"gave the number 0.5 in an observation; its space promises whole numbers, 0 to 255 \(uint8\)"),
        ("TooLarge", "gave the number 256 in an observation"),
        ("NoChoice", r"gave the observation 3; expected one of Discrete\(3\)"),
        ("Sequence", "has observations of Sequence.*of no fixed length"),
        ("ImageAndVector", r"has an image, \(8, 9, 3\), among its observations as 'camera'"),
    ],
)
def test_an_environment_that_does_not_keep_its_promises_is_named(name, said):
    with pytest.raises(KitError, match=f"Custom{name}-v0.*{said}"):
        Environments(EnvironmentSpec(f"Custom{name}-v0"), 2, seeded).step([0, 0])


def test_whole_numbers_of_another_type_are_taken_and_channels_put_last(caplog):
    caplog.set_level("INFO", logger="kit")
    whole = Environments(EnvironmentSpec("CustomWhole-v0"), 2, seeded)
    assert whole.observations.dtype == "uint8" and (whole.observations == 7).all()
    first = Environments(EnvironmentSpec("CustomChannelsFirst-v0"), 2, seeded)
    assert np.array_equal(first.observations[1], np.moveaxis(np.arange(216).reshape(3, 8, 9), 0, -1))
    stacked = Environments(EnvironmentSpec("CustomChannelsFirst-v0", frame_stack=2), 2, seeded)
    assert stacked.observations.shape == (2, 8, 9, 6)
    Environments(EnvironmentSpec("CustomSmallNumbers-v0"), 2, seeded)
    assert "images of numbers up to 1; backbone.highest=1 tells the network" in caplog.text
    assert caplog.text.count("the channels are first, and are put last") == 1
    outside = Environments(EnvironmentSpec("CustomOutside-v0"), 2, seeded)
    assert (outside.observations == 5).all()
    assert caplog.text.count("CustomOutside-v0 gives observations outside of its space") == 1


def test_an_environment_is_looked_at_in_its_first_steps_alone():
    environment = EnvironmentSpec("CustomOutside-v0", time_limit=1000).make()
    environment.reset(seed=0)
    for _ in range(101):
        environment.step(0)
    environment.unwrapped.reward = np.ones(1)
    assert environment.step(0)[1] == np.ones(1)


def test_arguments_reach_the_class_of_an_environment():
    name = "CustomNeedsSize-v0"
    with pytest.raises(SettingError, match="cannot be made: .*'size'.*data.environment_arguments are those"):
        EnvironmentSpec(name).make()
    environment = EnvironmentSpec(name, arguments=("size = 5", "kind=8x8")).make().unwrapped
    assert (environment.size, environment.kind) == (5, "8x8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["size"], "expected name=value, such as size=5, got 'size'"),
        (["a-b=3"], "expected name=value"),
        (["size=3", "size=4"], "'size' is given more than once"),
        (["max_episode_steps=3"], "expected data.time_limit"),
    ],
)
def test_arguments_that_are_none_are_named(arguments, said):
    with pytest.raises(SettingError, match=f"environment_arguments: .*{said}"):
        EnvironmentSpec("CustomNeedsSize-v0", arguments=tuple(arguments)).make()
