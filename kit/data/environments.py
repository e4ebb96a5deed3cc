"""Environments of gymnasium: made by name, several stepped together, every episode with a seed of its own.

Towers et al., "Gymnasium: A Standard Interface for Reinforcement Learning Environments", 2024.
"""

import contextlib
import dataclasses
import os

import numpy as np

from kit.errors import KitError, SettingError, check, closest

# An episode of an environment that states no limit is taken for endless after so many steps; Atari's limit is below.
LONGEST_EPISODE = 30_000
# A look at every observation would cost as much as a step of a small environment.
_CHECKED_EVERY = 16
_EXTRA = 'pip install ".[games]"'
# Namespace of an environment to the module that registers it, and its package.
_REGISTERED_BY = {"ALE": ("ale_py", "ale-py"), "MinAtar": ("minatar.gym", "minatar")}


@dataclasses.dataclass(frozen=True)
class Place:
    """Which environment to act in.

    Args:
        environment: Name that gymnasium knows, such as `CartPole-v1`; `module:Name-v0` imports the module first.
        time_limit: Steps after which an episode is cut; None leaves the environment's own limit.
        frame_stack: Latest images that make one observation.
    """

    environment: str
    time_limit: int | None = None
    frame_stack: int = 1

    def make(self, render_mode=None):
        """Returns the environment, its observations a float32 vector or an image (height, width, channels).

        Args:
            render_mode: What `render` returns: "rgb_array", or None for nothing.

        Raises:
            SettingError: an unknown name, a package that is missing, or a space that DQN cannot act in.
        """
        import gymnasium

        if render_mode:
            os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pictures are drawn in memory, no screen is asked for
        check(self.time_limit is None or self.time_limit >= 1, "time_limit", self.time_limit, "at least 1")
        check(self.frame_stack >= 1, "frame_stack", self.frame_stack, "at least 1")
        self._register()
        try:
            made = gymnasium.make(
                self.environment,
                max_episode_steps=self.time_limit,
                disable_env_checker=True,
                **({"render_mode": render_mode} if render_mode else {}),
                **({"frameskip": 1} if self.environment.startswith("ALE/") else {}),
            )
        except gymnasium.error.DependencyNotInstalled as error:
            reason = " ".join(str(error).split())[:120]
            raise SettingError("environment", f"{self.environment!r} lacks a package ({reason}); {_EXTRA}") from None
        except (gymnasium.error.UnregisteredEnv, ModuleNotFoundError):
            names = list(gymnasium.registry)
            raise SettingError(
                "environment", f"unknown name {self.environment!r}{closest(self.environment, names)}"
            ) from None
        except Exception as error:  # environments raise anything
            reason = " ".join(str(error).split())[:200]
            raise SettingError("environment", f"{self.environment!r} cannot be made: {reason}") from None
        if not isinstance(made.action_space, gymnasium.spaces.Discrete):
            raise SettingError(
                "environment",
                f"{self.environment!r} has actions of {made.action_space}, and DQN chooses among numbered ones; "
                "expected a recipe that learns a policy (policy_gradient)",
            )
        return self._observing(made)

    def _register(self):
        """Makes environments known that gymnasium's own registry lacks."""
        import importlib

        import gymnasium

        module, package = _REGISTERED_BY.get(self.environment.partition("/")[0], (None, None))
        if module is None:
            return
        try:
            registering = importlib.import_module(module)
        except ImportError:
            raise SettingError(
                "environment", f"{self.environment!r} needs {package}, which is not installed; {_EXTRA}"
            ) from None
        if package == "minatar":
            if self.environment not in gymnasium.registry:
                registering.register_envs()
        else:
            gymnasium.register_envs(registering)

    def _observing(self, made):
        """Returns an environment whose observations are vectors, or images with the channels last."""
        import gymnasium
        from gymnasium import wrappers

        if self.environment.startswith("ALE/"):
            try:
                made = wrappers.AtariPreprocessing(made)
            except gymnasium.error.DependencyNotInstalled:
                raise SettingError(
                    "environment", f"{self.environment!r} needs opencv-python-headless, not installed; {_EXTRA}"
                ) from None
        if not isinstance(made.observation_space, gymnasium.spaces.Box):
            made = wrappers.FlattenObservation(made)
        space = made.observation_space
        stack, rank = self.frame_stack, len(space.shape)
        check(stack == 1 or rank >= 2, "frame_stack", stack, "1 where observations are no images")
        if stack > 1:
            made = wrappers.FrameStackObservation(made, stack)
        kind = "uint8" if space.dtype in (np.uint8, np.bool_) else "float32"
        height_width = space.shape[:2]
        shape = space.shape or (1,)
        if rank == 2 or stack > 1:
            shape = (*height_width, stack * (space.shape[2] if rank == 3 else 1))

        def arranged(observation):
            array = np.asarray(observation, kind)
            if stack > 1:  # (stack, height, width, ...)
                array = np.moveaxis(array, 0, 2)
            return array.reshape(shape)

        if rank == 1 and space.dtype == np.float32:
            return made
        low, high = (0, 255) if kind == "uint8" else (-np.inf, np.inf)
        return wrappers.TransformObservation(made, arranged, gymnasium.spaces.Box(low, high, shape, kind))


def episode_seed(*numbers):
    """Returns the seed of an episode, a function of all the numbers: of the run, of the environment, of the episode."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


class Environments:
    """Several copies of an environment, stepped together.

    An episode begins with its own seed, so that its beginning and its actions are enough to come back to any step of
    it: that is how a run is carried on.

    Args:
        place: `Place`.
        count: Number of copies.
        seed_of: Function `(copy, episode) -> seed`.
        render_mode: What `frame` needs: "rgb_array", or None.

    Raises:
        SettingError: the environment cannot be made.
    """

    def __init__(self, place, count, seed_of, render_mode=None):
        from gymnasium.vector import AutoresetMode, SyncVectorEnv

        self.place, self.count, self.seed_of = place, count, seed_of
        with _one_line(place.environment, "be made"):
            makers = [lambda: place.make(render_mode)] * count
            self.vector = SyncVectorEnv(makers, copy=False, autoreset_mode=AutoresetMode.DISABLED)
        own = self.vector.envs[0].spec.max_episode_steps
        self.limit = place.time_limit or own or LONGEST_EPISODE
        self.restore(np.zeros(count, "int64"), [[] for _ in range(count)])

    def restore(self, episodes, histories):
        """Goes to a step of an episode in each copy.

        Args:
            episodes: Number of the episode, (copies,).
            histories: Actions that were taken in it, a list for each copy.
        """
        self.episodes, self.histories = np.array(episodes, "int64"), [[] for _ in histories]
        self.returns, self.lengths = np.zeros(self.count), np.zeros(self.count, "int64")
        self._reset(np.ones(self.count, bool))
        lengths = np.array([len(history) for history in histories])
        longest = int(lengths.max(initial=0))
        for moment in range(longest):  # the shorter histories begin later; what those copies do before is thrown away
            places = moment - longest + lengths
            actions = [history[place] if place >= 0 else 0 for history, place in zip(histories, places, strict=True)]
            ended = self.step(actions, restart=False)[2]
            begins = (places == -1) | (ended & (places < 0))
            if begins.any():
                self._reset(begins)

    def _reset(self, chosen):
        """Begins the present episode of the chosen copies."""
        seeds = [self.seed_of(copy, int(self.episodes[copy])) if chosen[copy] else 0 for copy in range(self.count)]
        with _one_line(self.place.environment, "be reset"):
            self.observations, _ = self.vector.reset(seed=seeds, options={"reset_mask": chosen})
        for copy in np.flatnonzero(chosen):
            self.histories[copy], self.returns[copy], self.lengths[copy] = [], 0.0, 0

    def step(self, actions, restart=True):
        """Takes an action in each copy.

        Args:
            actions: Number of the action of each copy.
            restart: Begin the next episode wherever one ended; `observations` are then those of its beginning.

        Returns:
            Observations after the step, (copies, ...), rewards, whether the episode ended, whether it ended for good
            (not by a time limit), and return and length of each episode that ended.
        """
        actions = np.asarray(actions, "int64").tolist()  # NumPy's numbers take gymnasium longer to check
        with _one_line(self.place.environment, "take a step"):
            observations, rewards, terminated, truncated, _ = self.vector.step(actions)
        for history, action in zip(self.histories, actions, strict=True):
            history.append(action)
        self.returns += rewards
        self.lengths += 1
        ended = terminated | truncated
        if int(self.lengths.max()) > self.limit:
            raise SettingError(
                "time_limit",
                f"an episode of {self.place.environment!r} has not ended after {self.limit:,} steps; expected a limit",
            )
        done = []
        if restart and ended.any():
            observations, rewards = observations.copy(), rewards.copy()
            terminated, ended = terminated.copy(), ended.copy()
            done = [(float(self.returns[copy]), int(self.lengths[copy])) for copy in np.flatnonzero(ended)]
            self.episodes[ended] += 1
            self._reset(ended)
        else:
            self.observations = observations
        return observations, rewards, ended, terminated, done

    def frame(self):
        """Returns a picture of the first copy, uint8 (height, width, 3)."""
        with _one_line(self.place.environment, "draw itself"):
            return np.asarray(self.vector.envs[0].render(), "uint8")

    def close(self):
        self.vector.close()


def check_finite(place, observations, rewards):
    """Raises KitError where an environment has given what is no number."""
    for name, values in (("rewards", rewards), ("observations", observations)):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            found = values[~np.isfinite(values)][0]
            raise KitError(f"{place.environment}: gave {name} that are {found}; expected numbers")


@contextlib.contextmanager
def _one_line(environment, task):
    """Turns whatever an environment raises into one line that names it."""
    try:
        yield
    except KitError:
        raise
    except Exception as error:  # environments raise anything
        reason = " ".join(str(error).split())[:200]
        raise KitError(f"{environment}: could not {task}: {type(error).__name__}: {reason}") from None


def play(environments, seeds, act):
    """Plays an episode for each seed, as many at once as there are environments.

    Args:
        environments: `Environments`; what they do before and after is theirs.
        seeds: Seed of each episode.
        act: Function from observations (copies, ...) to actions (copies,) and the value of each, (copies,).

    Returns:
        Return, length, and mean value of the states of each episode, three arrays (episodes,).
    """
    count, total = environments.count, len(seeds)
    returns, lengths, values = np.zeros(total), np.zeros(total, "int64"), np.zeros(total)
    playing = np.arange(count) % total
    is_open = np.arange(count) < total
    following = count
    environments.seed_of = lambda copy, episode: seeds[playing[copy]]
    environments.restore(np.zeros(count), [[] for _ in range(count)])
    sums, moment = np.zeros(count), 0
    while is_open.any():
        actions, value = act(environments.observations)
        ended = environments.step(actions, restart=False)[2]
        sums += value
        moment += 1
        if moment % _CHECKED_EVERY == 0:
            check_finite(environments.place, environments.observations, environments.returns)
        if not ended.any():
            continue
        check_finite(environments.place, environments.observations, environments.returns)
        for copy in np.flatnonzero(ended & is_open):
            episode = playing[copy]
            returns[episode], lengths[episode] = environments.returns[copy], environments.lengths[copy]
            values[episode] = sums[copy] / environments.lengths[copy]
            if following < total:
                playing[copy], following = following, following + 1
            else:
                is_open[copy] = False
        environments._reset(ended)
        sums[ended] = 0.0
    return returns, lengths, values
