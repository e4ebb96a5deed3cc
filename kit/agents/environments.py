"""Vectorised environments of gymnasium: several copies stepped together, every episode with a seed of its own.

Towers et al., "Gymnasium: A Standard Interface for Reinforcement Learning Environments", 2024.
"""

import contextlib
import math

import numpy as np

from kit.errors import KitError, SettingError

# An episode of an environment that states no limit is taken for endless after so many steps; Atari's limit is below.
LONGEST_EPISODE = 30_000
# Smaller pictures are enlarged.
_LEAST_SIDE = 200


def episode_seed(*numbers):
    """Returns the seed of an episode, a function of all the numbers: of the run, of the environment, of the episode."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


class Environments:
    """Vectorised environment: several copies, stepped together.

    An episode begins with its own seed, so that its beginning and its actions are enough to come back to any step of
    it: that is how a run is carried on.

    Args:
        spec: `EnvironmentSpec`.
        count: Number of copies.
        seed_of: Function `(copy, episode) -> seed`.
        render_mode: What `frame` needs: "rgb_array", or None.

    Raises:
        SettingError: the environment cannot be made.
    """

    def __init__(self, spec, count, seed_of, render_mode=None):
        from gymnasium.vector import AutoresetMode, SyncVectorEnv

        class Vector(SyncVectorEnv):
            def _add_info(self, infos, env_info, env_num):
                return infos  # they are not used, and one that changes its shape would stop the run

        self.spec, self.count, self.seed_of = spec, count, seed_of
        with _one_line(spec.environment, "be made"):
            makers = [lambda: spec.make(render_mode)] * count
            self.vector = Vector(makers, copy=False, autoreset_mode=AutoresetMode.DISABLED)
        space = self.vector.single_action_space
        self.action_space, self.is_continuous = space, not hasattr(space, "n")
        own = self.vector.envs[0].spec.max_episode_steps
        self.limit = spec.time_limit or own or LONGEST_EPISODE
        self.restore(np.zeros(count, "int64"), [[] for _ in range(count)])

    def restore(self, episodes, histories, observations=None):
        """Brings each copy to a step of an episode, by resetting it and repeating the actions.

        Args:
            episodes: Number of the episode, (copies,).
            histories: Actions that were taken in it, a list for each copy.
            observations: Observations that are expected then, (copies, ...); or None.

        Raises:
            KitError: an environment does not do the same for the same seed and actions.
        """
        self.episodes, self.histories = np.array(episodes, "int64"), [[] for _ in histories]
        self.returns, self.lengths = np.zeros(self.count), np.zeros(self.count, "int64")
        self.reset(np.ones(self.count, bool))
        lengths = np.array([len(history) for history in histories])
        longest = int(lengths.max(initial=0))
        for moment in range(longest):  # the shorter histories begin later; what those copies do before is thrown away
            indices = moment - longest + lengths
            actions = [
                history[index] if index >= 0 else self._any_action
                for history, index in zip(histories, indices, strict=True)
            ]
            ended = self.step(actions, restart=False)[2]
            begins = (indices == -1) | (ended & (indices < 0))
            if (ended & ~begins).any():
                raise self._not_repeatable()
            if begins.any():
                self.reset(begins)
        if observations is not None and not np.array_equal(self.observations, observations):
            raise self._not_repeatable()

    def _not_repeatable(self):
        return KitError(
            f"{self.spec.environment}: does not do the same for the same seed and actions, so that the run cannot be "
            "carried on; expected an environment whose reset(seed=...) leaves nothing from before"
        )

    @property
    def _any_action(self):
        """An action whose effect does not matter."""
        return np.zeros(math.prod(self.action_space.shape), "float32") if self.is_continuous else 0

    def random_actions(self, random):
        """Returns an action for each copy: a number, or standard normal numbers."""
        if self.is_continuous:
            return random.standard_normal((self.count, len(self._any_action)), "float32")
        return random.integers(0, self.action_space.n, self.count)

    def _within_bounds(self, actions):
        """Returns actions of a policy as gymnasium takes them: shifted numbers, or vectors within their bounds."""
        space = self.action_space
        if not self.is_continuous:  # NumPy's numbers take gymnasium longer to check
            return [action + int(space.start) for action in actions]
        actions = actions.reshape(-1, *space.shape)
        if self.spec.squash_actions:
            return (space.low + (np.tanh(actions) + 1) / 2 * (space.high - space.low)).astype(space.dtype)
        return np.clip(actions, space.low, space.high).astype(space.dtype)

    def _step_some(self, actions, active):
        """Takes a step in some copies; the others stay as they are."""
        vector = self.vector
        observations = self.observations.copy()
        rewards = np.zeros(self.count)
        terminated, truncated = np.zeros(self.count, bool), np.zeros(self.count, bool)
        for copy in np.flatnonzero(active):
            observations[copy], rewards[copy], terminated[copy], truncated[copy], _ = vector.envs[copy].step(
                actions[copy]
            )
        return observations, rewards, terminated, truncated

    def begin(self):
        """Begins an episode in each copy: the present one, or the next where some of that was played."""
        self.episodes += self.lengths > 0
        self.reset(np.ones(self.count, bool))

    def reset(self, chosen):
        """Resets the chosen copies to the beginning of their present episode."""
        seeds = [self.seed_of(copy, int(self.episodes[copy])) if chosen[copy] else 0 for copy in range(self.count)]
        with _one_line(self.spec.environment, "be reset"):
            self.observations, _ = self.vector.reset(seed=seeds, options={"reset_mask": chosen})
        check_finite(self.spec, self.observations[chosen], self.returns[:0])
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
        with _one_line(self.spec.environment, "take a step"):
            if is_whole:
                observations, rewards, terminated, truncated, _ = self.vector.step(self._within_bounds(actions))
            else:
                observations, rewards, terminated, truncated = self._step_some(self._within_bounds(actions), active)
        for copy, (history, action) in enumerate(zip(self.histories, actions, strict=True)):
            if is_whole or active[copy]:
                history.append(action)
        self.returns += rewards
        self.lengths += 1 if is_whole else active
        ended = terminated | truncated
        if int(self.lengths.max()) > self.limit:
            raise SettingError(
                "data.time_limit",
                f"an episode of {self.spec.environment!r} has not ended after {self.limit:,} steps; expected a limit",
            )
        done = []
        if restart and ended.any():
            observations, rewards = observations.copy(), rewards.copy()
            terminated, ended = terminated.copy(), ended.copy()
            done = [(float(self.returns[copy]), int(self.lengths[copy])) for copy in np.flatnonzero(ended)]
            self.episodes[ended] += 1
            self.reset(ended)
        else:
            self.observations = observations
        return observations, rewards, ended, terminated, done

    def frame(self):
        """Returns a picture of the first copy, uint8 (height, width, 3)."""
        with _one_line(self.spec.environment, "draw itself"):
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
        with _one_line(self.spec.environment, "be closed"):
            self.vector.close()


def check_finite(spec, observations, rewards):
    """Raises KitError where an environment has given NaN or an infinity."""
    for name, values in (("rewards", rewards), ("observations", observations)):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            value = values[~np.isfinite(values)][0]
            raise KitError(f"{spec.environment}: gave {name} that are {value}; expected numbers")


@contextlib.contextmanager
def _one_line(environment, task):
    """Turns any exception of an environment into a KitError of one line that names it."""
    try:
        yield
    except KitError:
        raise
    except Exception as error:  # environments raise anything
        reason = " ".join(str(error).split())[:200]
        raise KitError(f"{environment}: could not {task}: {type(error).__name__}: {reason}") from None
