"""Environments of gymnasium: made by name, several stepped together, every episode with a seed of its own.

Towers et al., "Gymnasium: A Standard Interface for Reinforcement Learning Environments", 2024.
"""

import contextlib
import dataclasses
import math
import os

import numpy as np
import pandas as pd

from kit.errors import KitError, SettingError, check, guess

# An episode of an environment that states no limit is taken for endless after so many steps; Atari's limit is below.
LONGEST_EPISODE = 30_000
# Smaller pictures are enlarged.
_LEAST_SIDE = 200
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
        is_numbered: Take environments only whose actions are numbered, as agents need that value each of them.
        squash_actions: Bring actions that are vectors into their bounds by tanh; else they are clipped.
    """

    environment: str
    time_limit: int | None = None
    frame_stack: int = 1
    is_numbered: bool = True
    squash_actions: bool = False

    def make(self, render_mode=None):
        """Returns the environment, its observations a float32 vector or an image (height, width, channels).

        Args:
            render_mode: What `render` returns: "rgb_array", or None for nothing.

        Raises:
            SettingError: an unknown name, a package that is missing, or a space that cannot be acted in.
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
                # Atari's preprocessing skips frames, which this limit would count.
                max_episode_steps=None if self._is_of("ALE") else self.time_limit,
                disable_env_checker=True,
                **({"render_mode": render_mode} if render_mode else {}),
                **({"frameskip": 1} if self._is_of("ALE") else {}),
            )
            self._check_actions(made.action_space)
            return self._observing(made)
        except KitError:
            raise
        except gymnasium.error.DependencyNotInstalled as error:
            reason = " ".join(str(error).split())[:120]
            raise SettingError("environment", f"{self.environment!r} lacks a package ({reason}); {_EXTRA}") from None
        except ModuleNotFoundError as error:
            module = self.environment.rpartition(":")[0]
            problem = f"{self.environment!r} lacks the module {error.name!r}"
            if module and error.name in (None, module.partition(".")[0]):
                problem = f"unknown name {self.environment!r}: no module is called {module!r}"
            raise SettingError("environment", problem) from None
        except gymnasium.error.UnregisteredEnv:
            hint = guess(self.environment, list(gymnasium.registry))
            raise SettingError("environment", f"unknown name {self.environment!r}{hint}") from None
        except Exception as error:  # environments raise anything
            reason = " ".join(str(error).split())[:200]
            raise SettingError("environment", f"{self.environment!r} cannot be made: {reason}") from None

    def _is_of(self, namespace):
        """Returns whether the environment is of a namespace, such as "ALE"."""
        return self.environment.rpartition(":")[2].startswith(f"{namespace}/")

    def _check_actions(self, space):
        """Raises SettingError unless actions are numbered, or vectors with bounds where those are taken."""
        import gymnasium

        if isinstance(space, gymnasium.spaces.Discrete):
            check(not self.squash_actions, "squash_actions", True, "false: the environment's actions are numbered")
            return
        problem = None
        if not isinstance(space, gymnasium.spaces.Box) or space.dtype.kind != "f":
            problem = "expected numbered actions (Discrete)" + ("" if self.is_numbered else " or vectors (Box)")
        elif self.is_numbered:
            problem = (
                "and DQN chooses among numbered ones; expected a recipe that learns a policy "
                "(actor_critic or policy_gradient)"
            )
        elif not math.prod(space.shape):
            problem = "which are empty; expected at least one number in an action"
        elif not np.isfinite(np.float32(space.high) - np.float32(space.low)).all():
            problem = "without bounds; expected a lowest and a highest value of each number"
        if problem:
            shown = " ".join(str(space).split())
            shown = shown if len(shown) <= 80 else f"{shown[:80]}..."
            raise SettingError("environment", f"{self.environment!r} has actions of {shown}, {problem}")

    def _register(self):
        """Makes environments known that gymnasium's own registry lacks."""
        import importlib

        import gymnasium

        name = self.environment.rpartition(":")[2]
        module, package = _REGISTERED_BY.get(name.partition("/")[0], (None, None))
        if module is None:
            return
        try:
            registering = importlib.import_module(module)
        except ImportError:
            raise SettingError(
                "environment", f"{self.environment!r} needs {package}, which is not installed; {_EXTRA}"
            ) from None
        if package == "minatar":
            if name not in gymnasium.registry:
                registering.register_envs()
        else:
            gymnasium.register_envs(registering)

    def _observing(self, made):
        """Returns an environment whose observations are vectors, or images with the channels last."""
        import gymnasium
        from gymnasium import wrappers

        if self._is_of("ALE"):
            try:
                made = wrappers.AtariPreprocessing(made)
            except gymnasium.error.DependencyNotInstalled:
                raise SettingError(
                    "environment", f"{self.environment!r} needs opencv-python-headless, not installed; {_EXTRA}"
                ) from None
            if self.time_limit:
                made = wrappers.TimeLimit(made, self.time_limit)
        if self._is_of("MinAtar"):
            made = _forgetful(made)
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


def _forgetful(made):
    """Returns an environment of MinAtar whose last action, which it repeats at times, does not outlive a reset."""
    import gymnasium

    class Forgetful(gymnasium.Wrapper):
        def reset(self, *, seed=None, options=None):
            self.unwrapped.game.last_action = 0
            return super().reset(seed=seed, options=options)

    return Forgetful(made)


def actions_of(made):
    """Returns how many actions an environment has, or how many numbers are in one, and whether it is the latter."""
    space = made.action_space
    is_continuous = not hasattr(space, "n")
    return (math.prod(space.shape) if is_continuous else int(space.n)), is_continuous


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

        class Vector(SyncVectorEnv):
            def _add_info(self, infos, env_info, env_num):
                return infos  # nobody looks at them, and what changes its shape would stop the run

        self.place, self.count, self.seed_of = place, count, seed_of
        with _one_line(place.environment, "be made"):
            makers = [lambda: place.make(render_mode)] * count
            self.vector = Vector(makers, copy=False, autoreset_mode=AutoresetMode.DISABLED)
        space = self.vector.single_action_space
        self.action_space, self.is_continuous = space, not hasattr(space, "n")
        own = self.vector.envs[0].spec.max_episode_steps
        self.limit = place.time_limit or own or LONGEST_EPISODE
        self.restore(np.zeros(count, "int64"), [[] for _ in range(count)])

    def restore(self, episodes, histories, observations=None):
        """Goes to a step of an episode in each copy.

        Args:
            episodes: Number of the episode, (copies,).
            histories: Actions that were taken in it, a list for each copy.
            observations: What is then to be observed, (copies, ...); or None.

        Raises:
            KitError: an environment does not do the same for the same seed and actions.
        """
        self.episodes, self.histories = np.array(episodes, "int64"), [[] for _ in histories]
        self.returns, self.lengths = np.zeros(self.count), np.zeros(self.count, "int64")
        self._reset(np.ones(self.count, bool))
        lengths = np.array([len(history) for history in histories])
        longest = int(lengths.max(initial=0))
        for moment in range(longest):  # the shorter histories begin later; what those copies do before is thrown away
            places = moment - longest + lengths
            actions = [
                history[place] if place >= 0 else self._any for history, place in zip(histories, places, strict=True)
            ]
            ended = self.step(actions, restart=False)[2]
            begins = (places == -1) | (ended & (places < 0))
            if (ended & ~begins).any():
                raise self._unlike()
            if begins.any():
                self._reset(begins)
        if observations is not None and not np.array_equal(self.observations, observations):
            raise self._unlike()

    def _unlike(self):
        return KitError(
            f"{self.place.environment}: does not do the same for the same seed and actions, so that the run cannot be "
            "carried on; expected an environment whose reset(seed=...) leaves nothing from before"
        )

    @property
    def _any(self):
        """An action that does as well as another."""
        return np.zeros(math.prod(self.action_space.shape), "float32") if self.is_continuous else 0

    def random_actions(self, random):
        """Returns an action for each copy: a number, or standard normal numbers."""
        if self.is_continuous:
            return random.standard_normal((self.count, len(self._any)), "float32")
        return random.integers(0, self.action_space.n, self.count)

    def _taken(self, actions):
        """Returns actions as the environment wants them, within their bounds."""
        space = self.action_space
        if not self.is_continuous:  # NumPy's numbers take gymnasium longer to check
            return [action + int(space.start) for action in actions]
        actions = actions.reshape(-1, *space.shape)
        if self.place.squash_actions:
            return (space.low + (np.tanh(actions) + 1) / 2 * (space.high - space.low)).astype(space.dtype)
        return np.clip(actions, space.low, space.high).astype(space.dtype)

    def _step_some(self, taken, active):
        """Takes a step in some copies; the others stay as they are."""
        vector = self.vector
        observations = self.observations.copy()
        rewards = np.zeros(self.count)
        terminated, truncated = np.zeros(self.count, bool), np.zeros(self.count, bool)
        for copy in np.flatnonzero(active):
            observations[copy], rewards[copy], terminated[copy], truncated[copy], _ = vector.envs[copy].step(
                taken[copy]
            )
        return observations, rewards, terminated, truncated

    def begin(self):
        """Begins an episode in each copy: the present one, or the next where some of that was played."""
        self.episodes += self.lengths > 0
        self._reset(np.ones(self.count, bool))

    def _reset(self, chosen):
        """Begins the present episode of the chosen copies."""
        seeds = [self.seed_of(copy, int(self.episodes[copy])) if chosen[copy] else 0 for copy in range(self.count)]
        with _one_line(self.place.environment, "be reset"):
            self.observations, _ = self.vector.reset(seed=seeds, options={"reset_mask": chosen})
        check_finite(self.place, self.observations[chosen], self.returns[:0])
        for copy in np.flatnonzero(chosen):
            self.histories[copy], self.returns[copy], self.lengths[copy] = [], 0.0, 0

    def step(self, actions, restart=True, active=None):
        """Takes an action in each copy.

        Args:
            actions: Number of the action of each copy, or a vector that is brought into the bounds, (copies, numbers).
            restart: Begin the next episode wherever one ended; `observations` are then those of its beginning.
            active: Which copies take theirs, (copies,); by default all.

        Returns:
            Observations after the step, (copies, ...), rewards, whether the episode ended, whether it ended for good
            (not by a time limit), and return and length of each episode that ended.
        """
        actions = np.array(actions, "float32") if self.is_continuous else np.asarray(actions, "int64").tolist()
        is_whole = active is None or active.all()
        with _one_line(self.place.environment, "take a step"):
            if is_whole:
                observations, rewards, terminated, truncated, _ = self.vector.step(self._taken(actions))
            else:
                observations, rewards, terminated, truncated = self._step_some(self._taken(actions), active)
        for copy, (history, action) in enumerate(zip(self.histories, actions, strict=True)):
            if is_whole or active[copy]:
                history.append(action)
        self.returns += rewards
        self.lengths += 1 if is_whole else active
        ended = terminated | truncated
        if int(self.lengths.max()) > self.limit:
            raise SettingError(
                "data.time_limit",
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
            picture = np.asarray(self.vector.envs[0].render())
        if picture.dtype.kind == "f":  # MinAtar's are between 0 and 1
            picture = np.clip(picture * 255, 0, 255)
        enlarged = max(1, _LEAST_SIDE // min(picture.shape[:2]))
        return picture.astype("uint8").repeat(enlarged, 0).repeat(enlarged, 1)

    @property
    def frames_per_second(self):
        """Pictures that make a second, as the environment says."""
        return self.vector.envs[0].metadata.get("render_fps") or 30

    def close(self):
        with _one_line(self.place.environment, "be closed"):
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


def watch(place, seeds, act, see=None):
    """Plays an episode for each seed, one after the other, and lets someone see it.

    Args:
        place: `Place`.
        seeds: Seed of each episode.
        act: As for `play`.
        see: Function that gets a function which draws a picture, uint8 (height, width, 3), at the beginning of each
            episode and after each step; or None.

    Returns:
        Table with a row an episode, `episode`, from 1, `return` and `length`; and the pictures that make a second.
    """
    environments = Environments(place, 1, lambda copy, episode: 0, "rgb_array" if see else None)

    def look():
        if see:
            see(environments.frame)

    found, lengths, _ = play(environments, seeds, act, look)
    speed = environments.frames_per_second
    environments.close()
    return pd.DataFrame({"episode": np.arange(1, len(seeds) + 1), "return": found, "length": lengths}), speed


def play(environments, seeds, act, look=None):
    """Plays an episode for each seed, as many at once as there are environments.

    Args:
        environments: `Environments`; what they do before and after is theirs.
        seeds: Seed of each episode.
        act: Function from observations (copies, ...) to actions (copies,) and the value of each, (copies,).
        look: Function that is called at the beginning of an episode and after each step; or None.

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
    look = look or (lambda: None)
    look()
    while is_open.any():
        actions, value = act(environments.observations)
        sums += value
        ended = environments.step(actions, restart=False, active=is_open)[2]
        look()
        moment += 1
        if moment % _CHECKED_EVERY == 0:
            check_finite(environments.place, environments.observations, environments.returns)
        if not ended.any():
            continue
        check_finite(environments.place, environments.observations, environments.returns)
        begins = np.zeros(count, bool)
        for copy in np.flatnonzero(ended & is_open):
            episode = playing[copy]
            returns[episode], lengths[episode] = environments.returns[copy], environments.lengths[copy]
            values[episode] = sums[copy] / environments.lengths[copy]
            if following < total:
                playing[copy], following = following, following + 1
                begins[copy] = True
            else:
                is_open[copy] = False
        if begins.any():  # before the first copy closes: those beyond are stepped one by one
            environments._reset(begins)
            sums[begins] = 0.0
            look()
    return returns, lengths, values
