"""Data that are made by acting in environments: what every way of it shares, and the episodes that judge an agent."""

import dataclasses

import numpy as np
import pandas as pd
import tensorflow as tf

from kit.agents.environments import Environments, check_finite, episode_seed, play
from kit.errors import KitError, SettingError, check

# The first number of each episode's seed: no two of these play the same episodes.
_TRAINING, _VALIDATION, _TEST = range(3)
# States of random play that a network is looked at by.
_STATES = 256
# Episodes that are played side by side.
_SIDE_BY_SIDE = 20


class Acted:
    """The training split of an agent: has the interface of `Examples`, and acts to fill it.

    A step of training is a round: some steps in the environments, and what is learned from. A round's random numbers
    are a function of the seed and its number; the environments are carried by the checkpoint (`arrays`, `put_back`).
    What inherits says what a round is made of (`signature`), and makes it (`round`).

    Args:
        place: `Place`.
        num_environments: Environments that are stepped together.
        rollout_steps: Steps of every environment in a round.

    Raises:
        SettingError: a value is out of range.
    """

    is_spent = False  # whether the training should end for want of steps
    # What is streamed depends on the model's weights: no step may be prepared before the one before it is done.
    follows_model = True
    batches_per_step = 1
    has_fixed_shapes = True  # all rounds are of equal size: XLA compiles for each size anew

    def __init__(self, place, num_environments, rollout_steps=1):
        for key, value in (("num_environments", num_environments), ("rollout_steps", rollout_steps)):
            check(value >= 1, key, value, "at least 1")
        self.place, self.num_environments, self.rollout_steps = place, num_environments, rollout_steps
        self.model = None
        self.environments = None
        self.saved = None
        self.failure = None  # why the stream broke off: TensorFlow tells it in many lines
        self.finished, self.known, self.steps = [], 0, 0  # `known`: how many of these are of an earlier epoch

    def steps_per_epoch(self, batch_size):
        """Returns the rounds of an interval of about a thousand steps."""
        return max(1, round(1000 / (self.rollout_steps * self.num_environments)))

    def divide(self, batch_size):
        """Takes the number of examples in a minibatch into account; raises SettingError where it does not fit."""

    def join(self, others):
        raise SettingError("train.use_validation", "an agent is judged by playing; expected false")

    def take(self, rows):
        """Returns itself: what is looked at before any step is made at random."""
        return self

    def batches(self, batch_size):
        """Returns observations of random play, once."""
        return _observations(self.place, _TRAINING, batch_size)

    def begin(self, model, folder, rounds):
        """Gets ready to act.

        Args:
            model: Training wrapper that chooses the actions.
            folder: Run folder.
            rounds: Rounds between two checkpoints.
        """
        self.model = model

    def stream(self, batch_size, seed, start, stop):
        """Returns rounds number `start` to `stop`, each made when it is asked for, with the model's weights of then.

        Args:
            batch_size: Examples in a minibatch.
            seed: Seed of actions, draws and episodes.
            start: First round.
            stop: Round before which the stream ends.

        Returns:
            A `tf.data.Dataset` of what `signature` says.
        """

        def rounds():
            for step in range(start, stop):
                try:
                    if self.environments is None:
                        self._enter(seed)
                    yield self.round(step, stop, batch_size, np.random.default_rng([seed, step]))
                except KitError as error:
                    self.failure = error
                    raise

        made = tf.data.Dataset.from_generator(rounds, output_signature=self.signature(batch_size))
        options = tf.data.Options()
        options.autotune.enabled = False
        options.experimental_optimization.inject_prefetch = False
        return made.with_options(options)

    def _enter(self, seed):
        """Makes the environments, and goes to where they were."""
        self.environments = Environments(
            self.place, self.num_environments, lambda copy, episode: episode_seed(_TRAINING, seed, copy, episode)
        )
        if self.saved:
            self.environments.restore(*self.saved)
            self.saved = None

    def logs(self):
        """Returns what is worth a column of the history, of the epoch that ends."""
        found = {"environment_steps": self.steps}
        if self.finished:
            # Where none has ended since, the last one that did stands for it.
            latest = self.finished[self.known :] or self.finished
            found["return"] = float(np.mean([value for value, _ in latest]))
        self.finished = self.finished[-1:]
        self.known = len(self.finished)
        return found

    def end(self, folder):
        """Throws away what only training needed in a run folder; called once the run is finished."""

    def arrays(self):
        """Returns what a checkpoint keeps: where each environment is."""
        environments = self.environments
        last = np.array(self.finished[-1:], "float64").reshape(-1, 2)
        kind = "float32" if environments.is_continuous else "int32"
        histories = [np.array(history, kind) for history in environments.histories]
        seen = environments.observations.copy()
        return {"environments": [environments.episodes, np.array(self.steps), last, seen, *histories]}

    def put_back(self, arrays):
        """Takes over what `arrays` returned."""
        episodes, steps, last, seen, *histories = arrays["environments"]
        self.saved = episodes, [list(history) for history in histories], seen
        self.steps, self.finished = int(steps), [tuple(row) for row in last.tolist()]
        self.known = len(self.finished)
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
        """Plays them; see `kit.agents.environments.play`."""
        seeds = [episode_seed(self.split, number) for number in self.numbers.tolist()]
        if not hasattr(self, "_environments"):
            count = min(len(self), _SIDE_BY_SIDE)
            self._environments = Environments(self.place, count, lambda copy, episode: 0)
        return play(self._environments, seeds, act)


def judging(place, split, count):
    """Returns the episodes of the "validation" or "test" split; they are the same for every run."""
    return Episodes(place, {"validation": _VALIDATION, "test": _TEST}[split], np.arange(count))


def random_states(place, split=_TRAINING):
    """Returns observations of random play, the same every time, (states, ...)."""
    random = np.random.default_rng(split)
    environments = Environments(place, 8, lambda copy, episode: episode_seed(split, 1 << 30, copy, episode))
    found = []
    while len(found) * environments.count < _STATES:
        found.append(environments.observations.copy())
        environments.step(environments.random_actions(random))
        check_finite(place, environments.observations, environments.returns)
    environments.close()
    return np.concatenate(found)[:_STATES]


def _observations(place, split, batch_size):
    """Returns observations of random play as a `tf.data.Dataset` of batches (batch, ...)."""
    batches = tf.data.Dataset.from_tensor_slices((random_states(place, split),)).batch(min(batch_size, _STATES))
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
