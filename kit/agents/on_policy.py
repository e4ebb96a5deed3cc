"""On-policy experience: rollouts of so many steps, or of whole episodes, learned from once they were made."""

import math

import numpy as np
import tensorflow as tf

from kit.agents.advantages import generalized_advantages
from kit.agents.environments import check_finite
from kit.agents.experience import TrainingExperience, random_states
from kit.agents.normalization import RewardNormalization, RunningMoments
from kit.errors import SettingError, check

# How many observations the moments of an earlier run count for.
_EARLIER = 10_000


class OnPolicyExperience(TrainingExperience):
    """Base of on-policy experience: normalisation of observations and rewards, and advantages of the steps of a round.

    Args:
        spec, num_environments, rollout_steps: As for `TrainingExperience`.
    """

    def __init__(self, spec, num_environments, rollout_steps=1):
        super().__init__(spec, num_environments, rollout_steps)
        self.observation_moments, self.reward_normalization = None, None

    def begin(self, model, folder, rounds):
        super().begin(model, folder, rounds)
        self._begin_normalization()

    def _begin_normalization(self):
        """Makes the running moments that the model asks for."""
        if self.model.normalize_observations and self.observation_moments is None:
            self.observation_moments = RunningMoments(self.shape)
            mean, variance = self.model.observation_moments()
            if mean.any():  # of an earlier run: what it learned is worth little by other ones
                shaped = mean.reshape(self.shape), variance.reshape(self.shape)
                self.observation_moments.put_back([_EARLIER, *shaped])
            else:
                self.observation_moments.update(random_states(self.spec))
        if self.model.normalize_rewards and self.reward_normalization is None:
            self.reward_normalization = RewardNormalization(self.num_environments, self.model.discount)

    def _begin_round(self):
        """Lets the network normalise by the moments of now; they stay as they are until the round has been learned."""
        self._begin_normalization()
        if self.observation_moments is not None:
            moments = self.observation_moments.mean, self.observation_moments.variance
            self.moments = [array.astype("float32").ravel() for array in moments]
            self.model.set_observation_moments(*self.moments)

    def _inputs(self, observations):
        """Returns the inputs of a round: observations, and the moments that they were normalised by.

        A compiled training step may read variables before its data are there, so it has to be told.
        """
        if self.observation_moments is None:
            return {"observation": observations}
        return {"observation": observations, "mean": self.moments[0], "variance": self.moments[1]}

    def _with_advantages(self, steps, active=None):
        """Returns observations, actions, advantages and returns, arrays (steps, environments, ...) by name.

        Args:
            steps: A tuple for each step: observations before, actions, rewards, whether the episode ended, whether for
                good, and the observations after it, which count for the last step and where an episode was cut.
            active: Which of them were taken, (steps, environments); by default all.
        """
        before, actions, rewards, ended, terminated = (np.stack(part) for part in list(zip(*steps, strict=True))[:5])
        after = steps[-1][5]
        check_finite(self.spec, before, rewards)
        check_finite(self.spec, after, rewards)
        count, number = rewards.shape
        values_of = self.model.inference("value")
        values = values_of(before.reshape(-1, *self.shape)).reshape(count, number)
        following = np.concatenate([values[1:], values_of(after).reshape(1, number)])
        for step, copy in np.argwhere(ended & ~terminated):  # not the first state of the next episode
            following[step, copy] = values_of(steps[step][5][copy : copy + 1])[0, 0]
        if self.reward_normalization is not None:
            rewards = self.reward_normalization(rewards, ended, active)
        advantages = generalized_advantages(
            rewards,
            values,
            following,
            ended,
            terminated,
            discount=self.model.discount,
            gae_lambda=self.model.gae_lambda,
        )
        return {
            "observation": before,
            "action": actions.astype("float32" if self.is_continuous else "int32"),
            "advantage": advantages,
            "return": (advantages + values).astype("float32"),
        }

    def _update_moments(self, observations):
        """Takes observations (number, ...) into the moments."""
        if self.observation_moments is not None:
            self.observation_moments.update(observations)

    def _signature(self, *axes):
        """Returns `tf.TensorSpec`s of inputs and of the targets `action`, `advantage` and `return`, (*axes, ...)."""
        action = (self.num_actions,) if self.is_continuous else ()
        number = tf.TensorSpec(axes, "float32")
        inputs = {"observation": tf.TensorSpec((*axes, *self.shape), self.dtype)}
        if self.model.normalize_observations:
            moments = tf.TensorSpec((math.prod(self.shape),), "float32")
            inputs |= {"mean": moments, "variance": moments}
        return (
            inputs,
            {
                "action": tf.TensorSpec((*axes, *action), "float32" if self.is_continuous else "int32"),
                "advantage": number,
                "return": number,
            },
        )

    def _normalizations(self):
        """Returns the running moments that there are, by their names in a checkpoint."""
        parts = {"moments": self.observation_moments, "scale": self.reward_normalization}
        return {name: part for name, part in parts.items() if part is not None}

    def arrays(self):
        return super().arrays() | {name: part.arrays() for name, part in self._normalizations().items()}

    def put_back(self, arrays):
        super().put_back(arrays)
        for name, part in self._normalizations().items():
            part.put_back(arrays[name])


class Rollouts(OnPolicyExperience):
    """Rollouts of a fixed number of steps in each environment, learned from in minibatches, some times over.

    Args:
        spec, num_environments, rollout_steps: As for `TrainingExperience`.
        update_epochs: How often each step is learned from.

    Raises:
        SettingError: a value is out of range, or the environment cannot be used.
    """

    def __init__(self, spec, num_environments, rollout_steps, update_epochs):
        super().__init__(spec, num_environments, rollout_steps)
        check(update_epochs >= 1, "update_epochs", update_epochs, "at least 1")
        self.update_epochs = update_epochs

    def __len__(self):
        """Returns the number of steps in a rollout."""
        return self.num_environments * self.rollout_steps

    def divide(self, batch_size):
        if len(self) % batch_size:
            raise SettingError(
                "train.batch_size",
                f"expected a divisor of the {len(self)} steps of a rollout (data.num_environments x "
                f"data.rollout_steps, {self.num_environments} x {self.rollout_steps}), got {batch_size}",
            )
        self.batches_per_step = self.update_epochs * len(self) // batch_size

    def signature(self, batch_size):
        """Returns inputs `observation`, (rollout, ...), perhaps with its moments; targets `action`, `advantage` and
        `return` of it, and `order`, which of them are in each minibatch, (gradient steps, batch).
        """
        inputs, targets = self._signature(len(self))
        updates = self.update_epochs * len(self) // batch_size
        return inputs, {**targets, "order": tf.TensorSpec((updates, batch_size), "int32")}

    def round(self, step, stop, batch_size, random):
        self._begin_round()
        environments, number = self.environments, self.num_environments
        policy, parameters_of = self.model.policy, self.model.inference("policy")
        noise = policy.noise(random, self.rollout_steps, number)
        steps = []
        for moment in range(self.rollout_steps):
            before = environments.observations.copy()
            actions = policy.sample(parameters_of(before), noise[moment])
            after, rewards, ended, terminated, done = environments.step(actions)
            self.finished += done
            is_kept = (ended & ~terminated).any() or moment == self.rollout_steps - 1
            steps.append((before, actions, rewards.copy(), ended, terminated.copy(), after.copy() if is_kept else None))
        self.steps += len(self)
        arrays = self._with_advantages(steps).items()
        rollout = {name: array.reshape(len(self), *array.shape[2:]) for name, array in arrays}
        self._update_moments(rollout["observation"])
        order = np.concatenate([random.permutation(len(self)) for _ in range(self.update_epochs)]).astype("int32")
        return self._inputs(rollout.pop("observation")), {**rollout, "order": order.reshape(-1, batch_size)}


class EpisodeRollouts(OnPolicyExperience):
    """Rollouts of whole episodes, as many in each environment, all of them learned from at once.

    Args:
        spec, num_environments: As for `TrainingExperience`.
        max_steps: Steps, those of all environments together, after which the training ends with its epoch; or None.

    Raises:
        SettingError: a value is out of range, or the environment cannot be used.
    """

    has_fixed_shapes = False

    def __init__(self, spec, num_environments, max_steps=None):
        super().__init__(spec, num_environments)
        check(max_steps is None or max_steps >= 1, "max_steps", max_steps, "at least 1")
        self.max_steps, self.episodes = max_steps, num_environments

    def __len__(self):
        """Returns the number of episodes in a round."""
        return self.episodes

    def steps_per_epoch(self, batch_size):
        return 10

    def divide(self, batch_size):
        if batch_size % self.num_environments:
            raise SettingError(
                "data.num_environments",
                f"expected a divisor of the {batch_size} episodes of a round (train.batch_size), "
                f"got {self.num_environments}",
            )
        self.episodes = batch_size

    @property
    def is_spent(self):
        return self.max_steps is not None and self.steps >= self.max_steps

    def signature(self, batch_size):
        """Returns inputs `observation` and targets `action`, `advantage` and `return`, of all steps of the episodes,
        (steps, ...).
        """
        return self._signature(None)

    def round(self, step, stop, batch_size, random):
        self._begin_round()
        parts = [self._episodes(random) for _ in range(batch_size // self.num_environments)]
        episodes = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self._update_moments(episodes["observation"])
        return self._inputs(episodes.pop("observation")), episodes

    def _episodes(self, random):
        """Plays an episode in each environment; returns arrays as `_with_advantages`, (steps of all, ...)."""
        environments, policy = self.environments, self.model.policy
        parameters_of = self.model.inference("policy")
        active, steps, were_active = np.ones(self.num_environments, bool), [], []
        while active.any():
            before = environments.observations.copy()
            actions = policy.sample(parameters_of(before), policy.noise(random, self.num_environments))
            after, rewards, ended, terminated, _ = environments.step(actions, restart=False, active=active)
            were_active.append(active)
            active = active & ~ended
            is_kept = (ended & ~terminated).any() or not active.any()
            steps.append((before, actions, rewards.copy(), ended, terminated.copy(), after.copy() if is_kept else None))
        self.finished += zip(environments.returns.tolist(), environments.lengths.tolist(), strict=True)
        self.steps += int(environments.lengths.sum())
        environments.begin()
        taken = np.stack(were_active)
        return {name: array[taken] for name, array in self._with_advantages(steps, taken).items()}
