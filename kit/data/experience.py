"""Training data that are made by acting: rounds of steps in environments, and minibatches of what was lived through."""

import dataclasses

import numpy as np
import pandas as pd
import tensorflow as tf

from kit.data.environments import Environments, check_finite, episode_seed, play
from kit.errors import KitError, SettingError, check

# The first number of each episode's seed: no two of these play the same episodes.
_TRAINING, _VALIDATION, _TEST = range(3)
# States of random play that a network's values are looked at by.
_STATES = 256
# Episodes that are played side by side.
_SIDE_BY_SIDE = 20


@dataclasses.dataclass(frozen=True)
class Exploration:
    """How often an action is chosen at random: less and less, then a fixed share.

    Args:
        start: Share in the beginning.
        end: Share that is left.
        fraction: Part of the training after which it is reached, in a straight line.

    Raises:
        SettingError: a value is out of range.
    """

    start: float = 1.0
    end: float = 0.05
    fraction: float = 0.1

    def __post_init__(self):
        for key in ("start", "end", "fraction"):
            value = getattr(self, key)
            check(0 <= value <= 1, f"exploration_{key}", value, "a share from 0 to 1")

    def at(self, progress):
        """Returns the share after a part of the training, from 0 to 1."""
        way = 1.0 if progress >= self.fraction else progress / self.fraction
        return self.start + way * (self.end - self.start)


class Experience:
    """The training split of an agent: has the interface of `Examples`, and acts to fill it.

    A round is some steps in every environment, then as many minibatches as the wrapper takes gradient steps in one
    call. A round's random numbers are a function of the seed and its number; the environments and the replay are
    carried by the checkpoint (`arrays`, `put_back`).

    Args:
        place: `Place`.
        replay: `Replay`.
        exploration: `Exploration`.
        rollout_steps: Steps of every environment in a round.
        gradient_steps: Minibatches of a round.
        learning_starts: Steps at random before the first round, those of all environments together.
        importance_exponent: How far the weights of the losses make up for drawing the worse ones more often, in the
            beginning; it grows to 1 in the end.
        clip_rewards: Take the sign of each reward in its place (Mnih et al., 2015).

    Raises:
        SettingError: a value is out of range.
    """

    # What is streamed depends on the model's weights: no step may be prepared before the one before it is done.
    follows_model = True

    def __init__(
        self,
        place,
        replay,
        exploration,
        *,
        rollout_steps,
        gradient_steps,
        learning_starts=0,
        importance_exponent=0.4,
        clip_rewards=False,
    ):
        for key, value, least in (
            ("rollout_steps", rollout_steps, 1),
            ("gradient_steps", gradient_steps, 1),
            ("learning_starts", learning_starts, 0),
        ):
            check(value >= least, key, value, f"at least {least}")
        check(0 <= importance_exponent <= 1, "importance_exponent", importance_exponent, "a number from 0 to 1")
        self.place, self.replay, self.exploration = place, replay, exploration
        self.rollout_steps, self.batches_per_step = rollout_steps, gradient_steps
        self.learning_starts, self.importance_exponent = learning_starts, importance_exponent
        self.clip_rewards = clip_rewards
        self.model, self.shape = None, None
        self.environments = None
        self.drawn = None
        self.saved = None
        self.failure = None  # why the stream broke off: TensorFlow tells it in many lines
        self.finished, self.share, self.steps = [], exploration.start, 0

    def __len__(self):
        return self.replay.slots * self.replay.environments

    def steps_per_epoch(self, batch_size):
        """Returns the rounds of an interval of about a thousand steps."""
        return max(1, round(1000 / (self.rollout_steps * self.replay.environments)))

    def join(self, others):
        raise SettingError("train.use_validation", "an agent is judged by playing; expected false")

    def take(self, rows):
        """Returns itself: what is looked at before any step is made at random."""
        return self

    def batches(self, batch_size):
        """Returns observations of random play, once."""
        return _observations(self.place, _TRAINING, batch_size)

    def stream(self, batch_size, seed, start, stop):
        """Returns rounds number `start` to `stop`, each made when it is asked for, with the model's weights of then.

        Args:
            batch_size: Steps in a minibatch.
            seed: Seed of actions, draws and episodes.
            start: First round.
            stop: Round before which the stream ends; exploration and importance weights go by it.

        Returns:
            A `tf.data.Dataset` of inputs `observation` and `following`, targets `action`, `reward` and `factor`, and
            weights, all of them (gradient steps, batch, ...).
        """
        shape = self.shape = (self.batches_per_step, batch_size)
        seen = tf.TensorSpec((*shape, *self.replay.shape), self.replay.dtype)
        number = tf.TensorSpec(shape, "float32")
        signature = (
            {"observation": seen, "following": seen},
            {"action": tf.TensorSpec(shape, "int32"), "reward": number, "factor": number},
            number,
        )

        def rounds():
            for step in range(start, stop):
                try:
                    yield self._round(step, stop, batch_size, seed)
                except KitError as error:
                    self.failure = error
                    raise

        made = tf.data.Dataset.from_generator(rounds, output_signature=signature)
        options = tf.data.Options()
        options.autotune.enabled = False
        options.experimental_optimization.inject_prefetch = False
        return made.with_options(options)

    def _round(self, step, stop, batch_size, seed):
        """Acts, draws, and returns the minibatches of a round."""
        random = np.random.default_rng([seed, step])
        if self.environments is None:
            self.environments = Environments(
                self.place, self.replay.environments, lambda copy, episode: episode_seed(_TRAINING, seed, copy, episode)
            )
            if self.saved:
                self.environments.restore(*self.saved)
                self.saved = None
        if not self.steps and self.learning_starts:
            self._act(random, -(-self.learning_starts // self.replay.environments), 1.0)
        self.share = self.exploration.at(step / stop)
        self._act(random, self.rollout_steps, self.share)
        self.learn_priorities()
        slots, columns, probabilities = self.replay.draw(random, self.batches_per_step * batch_size)
        weights = np.ones(len(slots), "float32")
        if self.replay.prioritized:
            exponent = self.importance_exponent + (1 - self.importance_exponent) * step / stop
            weights = (len(self.replay) * probabilities) ** -exponent
            weights = (weights / weights.max()).astype("float32")
            self.drawn = slots, columns
        found = self.replay.look_up(slots, columns, self.model.n_step, self.model.discount)
        before, actions, rewards, after, factors = (
            each.reshape(self.batches_per_step, batch_size, *each.shape[1:]) for each in found
        )
        targets = {"action": actions, "reward": rewards, "factor": factors}
        return {"observation": before, "following": after}, targets, weights.reshape(actions.shape)

    def _act(self, random, count, share):
        """Takes so many steps in every environment, a share of the actions at random."""
        environments, number = self.environments, self.replay.environments
        values_of = self.model.acting() if share < 1 else None
        chosen = random.integers(0, self.model.num_actions, (count, number))
        is_random = random.random((count, number)) < share
        for step in range(count):
            before = environments.observations.copy()
            actions = chosen[step]
            if not is_random[step].all():
                actions = np.where(is_random[step], actions, values_of(before).argmax(-1))
            after, rewards, ended, terminated, done = environments.step(actions)
            check_finite(self.place, after, rewards)
            self.finished += done
            if self.clip_rewards:
                rewards = np.sign(rewards)
            self.replay.add(before, actions, rewards, after, ended, terminated)
        self.steps += count * number

    def learn_priorities(self):
        """Takes over how wrong the network was about what was drawn last, where steps are drawn by that."""
        if self.drawn is None or self.model.errors is None:
            return
        self.replay.revalue(*self.drawn, self.model.errors.numpy().ravel())
        self.drawn = None

    def arrays(self):
        """Returns what a checkpoint keeps: the replay, and where each environment is."""
        self.learn_priorities()
        environments = self.environments
        last = np.array(self.finished[-1:], "float64").reshape(-1, 2)
        histories = [np.array(history, "int32") for history in environments.histories]
        return {
            "replay": self.replay.arrays(),
            "environments": [environments.episodes, np.array(self.steps), last, *histories],
        }

    def put_back(self, arrays):
        """Takes over what `arrays` returned."""
        self.replay.put_back(arrays["replay"])
        episodes, steps, last, *histories = arrays["environments"]
        self.saved = episodes, [history.tolist() for history in histories]
        self.steps, self.finished = int(steps), [tuple(row) for row in last.tolist()]
        self.environments = None


@dataclasses.dataclass
class Episodes:
    """Episodes that an agent is judged by: has the interface of `Examples`, and seeds in place of columns.

    Args:
        place: `Place`.
        split: Number of the split, part of each seed.
        numbers: Number of each episode.
    """

    place: object
    split: int
    numbers: np.ndarray

    def __len__(self):
        return len(self.numbers)

    def take(self, rows):
        """Returns the episodes in the given rows."""
        return dataclasses.replace(self, numbers=self.numbers[rows])

    def batches(self, batch_size):
        """Returns observations of random play, once."""
        return _observations(self.place, self.split, batch_size)

    def play(self, act):
        """Plays them; see `kit.data.environments.play`."""
        seeds = [episode_seed(self.split, number) for number in self.numbers.tolist()]
        if not hasattr(self, "_environments"):
            count = min(len(self), _SIDE_BY_SIDE)
            self._environments = Environments(self.place, count, lambda copy, episode: 0)
        return play(self._environments, seeds, act)


def judging(place, split, count):
    """Returns the episodes of the "validation" or "test" split; they are the same for every run."""
    return Episodes(place, {"validation": _VALIDATION, "test": _TEST}[split], np.arange(count))


def _observations(place, split, batch_size):
    """Returns observations of random play as a `tf.data.Dataset` of batches (batch, ...)."""
    random = np.random.default_rng(split)
    environments = Environments(place, 8, lambda copy, episode: episode_seed(split, 1 << 30, copy, episode))
    number = environments.vector.single_action_space.n
    found = []
    while len(found) * environments.count < _STATES:
        found.append(environments.observations.copy())
        environments.step(random.integers(0, number, environments.count))
    environments.close()
    found = np.concatenate(found)[:_STATES]
    batches = tf.data.Dataset.from_tensor_slices((found,)).batch(min(batch_size, _STATES))
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def assignment(validation, test):
    """Returns which episode belongs to which split, as a table."""
    rows = [
        (f"{name} {number}", name)
        for name, part in (("validation", validation), ("test", test))
        for number in part.numbers.tolist()
    ]
    return pd.DataFrame(rows, columns=["example", "split"])
