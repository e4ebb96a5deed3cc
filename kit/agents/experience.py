"""Experience: examples that are made by acting in an environment, the second kind of examples beside `kit.data`'s.

`Experience` is the protocol that training, runs and commands rely on; `kit.agents.on_policy`, `off_policy` and
`evaluation` implement it.
"""

import abc

import numpy as np
import tensorflow as tf

from kit.agents.environment_spec import actions_of
from kit.agents.environments import Environments, check_finite, episode_seed
from kit.agents.rounds import Rounds
from kit.errors import SettingError, check

# Number of each split, the first number of its episodes' seeds: no two splits play the same episodes.
TRAINING, VALIDATION, TEST = range(3)
# Number of observations of random play.
_STATES = 256


class Experience(abc.ABC):
    """A split of an agent: the protocol of examples that are made by acting.

    What others rely on, by name:

    - every split has `len(examples)`, `take(rows)`, `batches(batch_size)`, `join(others)` and the attributes below;
    - `kit.training.plan` and `fit` call `divide`, `steps_per_epoch` and `stream` of the training split;
    - a run sets `model`, the training wrapper, before `fit`, and calls `end` once it is finished;
    - the callback `kit.agents.agent.ExperienceCallback` calls `begin`, `logs`, `arrays` and `put_back`, and ends the
      training where `is_spent`.

    Args:
        spec: `EnvironmentSpec`.
        split: Number of the split, part of every episode's seed.

    Attributes:
        follows_model: The examples depend on the model's weights: no step may be prepared before the one before it is
            done, on one device and one step in each call.
        has_fixed_shapes: All steps of the stream have the same shapes; XLA compiles for each shape anew.
        batches_per_step: Minibatches in a step of the stream, each a gradient step.
        shared: Names of inputs that are no example's, as of `Examples`.
    """

    follows_model = True
    has_fixed_shapes = True
    batches_per_step = 1
    shared = frozenset()
    model = None

    def __init__(self, spec, split):
        self.spec, self.split = spec, split

    @abc.abstractmethod
    def __len__(self):
        """Returns the number of examples, which `train.batch_size` may not exceed."""

    @abc.abstractmethod
    def take(self, rows):
        """Returns the examples in the given rows."""

    def batches(self, batch_size):
        """Returns observations of random play once, the same every time, for `keras.Model.evaluate` and export.

        Returns:
            A `tf.data.Dataset` of tuples of one array, (batch, *observation_shape).
        """
        states = random_states(self.spec, self.split)
        batches = tf.data.Dataset.from_tensor_slices((states,)).batch(min(batch_size, _STATES))
        options = tf.data.Options()
        options.autotune.enabled = False
        return batches.with_options(options)

    def join(self, others):
        """Refuses to train on the validation split, too: it has no examples, but episodes to play."""
        raise SettingError("train.use_validation", "an agent is judged by playing; expected false")


class TrainingExperience(Experience):
    """The training split of an agent: a stream of rounds, each made by acting in vectorised environments.

    A round is a step of `fit`: some steps in the environments (a rollout), and what is learned from. Its random numbers
    are a function of the seed and its number; the environments are carried by the checkpoint. A subclass says what a
    round consists of (`signature`), and makes it (`round`).

    Args:
        spec: `EnvironmentSpec`.
        num_environments: Environments that are stepped together.
        rollout_steps: Steps of every environment in a round.

    Attributes:
        is_spent: The training is to end with this epoch, for want of steps.
        steps: Steps taken so far, those of all environments together.
        finished: Return and length of the episodes that ended in this epoch, behind those of the last one before it.

    Raises:
        SettingError: a value is out of range, or the environment cannot be used.
    """

    is_spent = False

    def __init__(self, spec, num_environments, rollout_steps=1):
        super().__init__(spec, TRAINING)
        for key, value in (("num_environments", num_environments), ("rollout_steps", rollout_steps)):
            check(value >= 1, key, value, "at least 1")
        self.num_environments, self.rollout_steps = num_environments, rollout_steps
        environment = spec.make()
        self.shape, self.dtype = environment.observation_space.shape, str(environment.observation_space.dtype)
        self.num_actions, self.is_continuous = actions_of(environment)
        environment.close()
        self.environments, self.restored = None, None
        self.finished, self.finished_before, self.steps = [], 0, 0

    @abc.abstractmethod
    def signature(self, batch_size):
        """Returns `tf.TensorSpec`s of a round: inputs and targets as dictionaries, and perhaps weights."""

    @abc.abstractmethod
    def round(self, step, stop, batch_size, random):
        """Acts with the weights of now, and returns a round.

        Args:
            step: Number of the round.
            stop: Number of rounds in the whole training.
            batch_size: Examples in a minibatch.
            random: NumPy generator of this round.
        """

    def steps_per_epoch(self, batch_size):
        """Returns the number of rounds in about a thousand steps of the environments."""
        return max(1, round(1000 / (self.rollout_steps * self.num_environments)))

    def divide(self, batch_size):
        """Takes the number of examples in a minibatch into account; raises SettingError where it does not fit."""

    def take(self, rows):
        """Returns itself: what is looked at before the first step is random play."""
        return self

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
            `Rounds`.
        """

        def rounds():
            for step in range(start, stop):
                if self.environments is None:
                    self.make_environments(seed)
                yield self.round(step, stop, batch_size, np.random.default_rng([seed, step]))

        return Rounds(rounds(), self.signature(batch_size))

    def make_environments(self, seed):
        """Makes the environments, and brings them to where a checkpoint left them."""
        self.environments = Environments(
            self.spec, self.num_environments, lambda copy, episode: episode_seed(TRAINING, seed, copy, episode)
        )
        if self.restored:
            self.environments.restore(*self.restored)
            self.restored = None

    def logs(self):
        """Returns columns of the history for the epoch that ends: steps so far, and mean return while exploring."""
        columns = {"environment_steps": self.steps}
        if self.finished:
            # Where none has ended since, the last one that did stands for it.
            latest = self.finished[self.finished_before :] or self.finished
            columns["return"] = float(np.mean([value for value, _ in latest]))
        self.finished = self.finished[-1:]
        self.finished_before = len(self.finished)
        return columns

    def end(self, folder):
        """Deletes what only training needed in a run folder; called once the run is finished."""

    def arrays(self):
        """Returns arrays for the checkpoint: where each environment is."""
        environments = self.environments
        last = np.array(self.finished[-1:], "float64").reshape(-1, 2)
        dtype = "float32" if environments.is_continuous else "int32"
        histories = [np.array(history, dtype) for history in environments.histories]
        observations = environments.observations.copy()
        return {"environments": [environments.episodes, np.array(self.steps), last, observations, *histories]}

    def put_back(self, arrays):
        """Takes over the arrays of a checkpoint."""
        episodes, steps, last, observations, *histories = arrays["environments"]
        self.restored = episodes, [list(history) for history in histories], observations
        self.steps, self.finished = int(steps), [tuple(row) for row in last.tolist()]
        self.finished_before = len(self.finished)
        self.environments = None


def random_states(spec, split=TRAINING):
    """Returns observations of random play, the same every time, (states, *observation_shape)."""
    random = np.random.default_rng(split)
    environments = Environments(spec, 8, lambda copy, episode: episode_seed(split, 1 << 30, copy, episode))
    states = []
    while len(states) * environments.count < _STATES:
        states.append(environments.observations.copy())
        environments.step(environments.random_actions(random))
        check_finite(spec, environments.observations, environments.returns)
    environments.close()
    return np.concatenate(states)[:_STATES]
