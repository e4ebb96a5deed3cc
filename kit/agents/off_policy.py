"""Off-policy experience: epsilon-greedy steps into a replay buffer, and minibatches out of it."""

import numpy as np
import tensorflow as tf

from kit.agents.environments import check_finite
from kit.agents.experience import TrainingExperience
from kit.agents.options import ExplorationOptions, ReplayOptions
from kit.agents.replay_buffer import ReplayBuffer

# File of large observations in the run folder.
_FILE = "checkpoint/replay.dat"


class ReplayExperience(TrainingExperience):
    """Experience replay: steps of an agent that values actions go into a buffer, minibatches are sampled from it.

    A round is some steps in every environment, then as many minibatches as the wrapper takes gradient steps in one
    call. The checkpoint carries the replay buffer, too.

    Args:
        spec, num_environments, rollout_steps: As for `TrainingExperience`.
        options: `ReplayOptions`.
        exploration: `ExplorationOptions`.

    Raises:
        SettingError: a value is out of range, or the environment cannot be used.
    """

    def __init__(
        self, spec, num_environments, rollout_steps, options=ReplayOptions(), exploration=ExplorationOptions()
    ):
        super().__init__(spec, num_environments, rollout_steps)
        self.buffer = ReplayBuffer(
            options.replay_size,
            num_environments,
            self.shape,
            self.dtype,
            prioritized=options.prioritized,
            priority_exponent=options.priority_exponent,
        )
        self.options, self.exploration = options, exploration
        self.batches_per_step = options.gradient_steps
        self.share = exploration.exploration_start  # of random actions
        self.sampled = None

    def __len__(self):
        """Returns the number of steps that the buffer holds once it is full."""
        return self.buffer.slots * self.buffer.environments

    def begin(self, model, folder, rounds):
        super().begin(model, folder, rounds)
        if self.buffer.prioritized:
            model.keep_td_errors((self.batches_per_step, self.batch_size))
        slack = rounds * self.rollout_steps + -(-self.options.learning_starts // self.num_environments)
        self.buffer.map_to_file(folder / _FILE, slack)

    def end(self, folder):
        self.buffer.observations = None  # TensorFlow may hold on to the generator that fills it
        (folder / _FILE).unlink(missing_ok=True)

    def divide(self, batch_size):
        self.batch_size = batch_size

    def logs(self):
        return {**super().logs(), "exploration": self.share}

    def signature(self, batch_size):
        """Returns inputs `observation` and `following`, targets `action`, `reward` and `factor`, and weights, all of
        them (gradient steps, batch, ...).
        """
        axes = self.batches_per_step, batch_size
        observation = tf.TensorSpec((*axes, *self.shape), self.dtype)
        number = tf.TensorSpec(axes, "float32")
        return (
            {"observation": observation, "following": observation},
            {"action": tf.TensorSpec(axes, "int32"), "reward": number, "factor": number},
            number,
        )

    def round(self, step, stop, batch_size, random):
        self.update_priorities()  # before acting puts other steps where these were
        starts = self.options.learning_starts
        if not self.steps and starts:
            self._act(random, -(-starts // self.num_environments), 1.0)
        self.share = self.exploration.share(step / stop)
        self._act(random, self.rollout_steps, self.share)
        slots, columns, probabilities = self.buffer.sample(random, self.batches_per_step * batch_size)
        weights = np.ones(len(slots), "float32")
        if self.buffer.prioritized:
            exponent = self.options.importance_exponent
            exponent += (1 - exponent) * step / stop
            weights = (len(self.buffer) * probabilities) ** -exponent
            weights = (weights / weights.max()).astype("float32")
            self.sampled = slots, columns
        transitions = self.buffer.n_step_transitions(slots, columns, self.model.n_step, self.model.discount)
        before, actions, rewards, after, factors = (
            array.reshape(self.batches_per_step, batch_size, *array.shape[1:]) for array in transitions
        )
        targets = {"action": actions, "reward": rewards, "factor": factors}
        return {"observation": before, "following": after}, targets, weights.reshape(actions.shape)

    def _act(self, random, count, share):
        """Takes so many steps in every environment, a share of the actions at random."""
        environments, number = self.environments, self.num_environments
        values_of = self.model.inference() if share < 1 else None
        random_actions = random.integers(0, self.model.num_actions, (count, number))
        is_random = random.random((count, number)) < share
        for step in range(count):
            before = environments.observations.copy()
            actions = random_actions[step]
            if not is_random[step].all():
                actions = np.where(is_random[step], actions, values_of(before).argmax(-1))
            after, rewards, ended, terminated, done = environments.step(actions)
            check_finite(self.spec, after, rewards)
            self.finished += done
            if self.options.clip_rewards:
                rewards = np.sign(rewards)
            self.buffer.add(before, actions, rewards, after, ended, terminated)
        self.steps += count * number

    def update_priorities(self):
        """Sets the priorities of the steps sampled last, by the errors that the model kept of them."""
        if self.sampled is None or self.model.td_errors is None:
            return
        self.buffer.update_priorities(*self.sampled, self.model.td_errors.numpy().ravel())
        self.sampled = None

    def arrays(self):
        self.update_priorities()
        return {**super().arrays(), "replay": self.buffer.arrays()}

    def put_back(self, arrays):
        super().put_back(arrays)
        self.buffer.put_back(arrays["replay"])
