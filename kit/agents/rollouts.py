"""Acting by a policy, and learning from what was just lived through: rollouts of so many steps, or whole episodes."""

import math

import numpy as np
import tensorflow as tf

from kit.agents.advantages import Moments, RewardScale, generalized_advantages
from kit.agents.environment_spec import actions_of
from kit.agents.environments import check_finite
from kit.agents.rounds import Acted, random_states
from kit.errors import SettingError, check

# How many observations the moments of an earlier run count for.
_EARLIER = 10_000


class _OnPolicy(Acted):
    """What both have in common: moments of observations and rewards, and what is made of the steps of a round."""

    def __init__(self, place, num_environments, rollout_steps=1):
        super().__init__(place, num_environments, rollout_steps)
        made = place.make()
        self.shape, self.dtype = made.observation_space.shape, str(made.observation_space.dtype)
        self.num_actions, self.is_continuous = actions_of(made)
        made.close()
        self.seen, self.scale = None, None

    def begin(self, model, folder, rounds):
        super().begin(model, folder, rounds)
        self._ready()

    def _ready(self):
        """Makes what the model scales by."""
        if self.model.normalizes_observations and self.seen is None:
            self.seen = Moments(self.shape)
            mean, variance = self.model.sees_by()
            if mean.any():  # of an earlier run: what it learned is worth little by other ones
                self.seen.put_back([_EARLIER, mean.reshape(self.shape), variance.reshape(self.shape)])
            else:
                self.seen.update(random_states(self.place))
        if self.model.normalizes_rewards and self.scale is None:
            self.scale = RewardScale(self.num_environments, self.model.discount)

    def _start(self):
        """Lets the network see by the moments of now; they stay as they are until what is seen has been learned."""
        self._ready()
        if self.seen is not None:
            self.moments = [each.astype("float32").ravel() for each in (self.seen.mean, self.seen.variance)]
            self.model.see_by(*self.moments)

    def _inputs(self, observations):
        """Returns what the network sees, and the moments by which it did.

        A compiled training step may read variables before its data are there, so it has to be told.
        """
        if self.seen is None:
            return {"observation": observations}
        return {"observation": observations, "mean": self.moments[0], "variance": self.moments[1]}

    def _learned_from(self, steps, active=None):
        """Returns what is learned from: arrays (steps, environments, ...) by name.

        Args:
            steps: A tuple for each step: observations before, actions, rewards, whether the episode ended, whether for
                good, and the observations after it, which count for the last step and where an episode was cut.
            active: Which of them were taken, (steps, environments); by default all.
        """
        before, actions, rewards, ended, terminated = (np.stack(each) for each in list(zip(*steps, strict=True))[:5])
        after = steps[-1][5]
        check_finite(self.place, before, rewards)
        check_finite(self.place, after, rewards)
        count, number = rewards.shape
        values_of = self.model.acting("value")
        values = values_of(before.reshape(-1, *self.shape)).reshape(count, number)
        following = np.concatenate([values[1:], values_of(after).reshape(1, number)])
        for step, copy in np.argwhere(ended & ~terminated):  # not the first state of the next episode
            following[step, copy] = values_of(steps[step][5][copy : copy + 1])[0, 0]
        if self.scale is not None:
            rewards = self.scale(rewards, ended, active)
        advantages = generalized_advantages(
            rewards,
            values,
            following,
            ended,
            terminated,
            discount=self.model.discount,
            gae_lambda=self.model.gae_lambda,
        )
        kind = "float32" if self.is_continuous else "int32"
        return {
            "observation": before,
            "action": actions.astype(kind),
            "advantage": advantages,
            "return": (advantages + values).astype("float32"),
        }

    def _look_at(self, observations):
        """Takes observations (number, ...) into the moments."""
        if self.seen is not None:
            self.seen.update(observations)

    def signature_of(self, *axes):
        """Returns what is learned from, each array (*axes, ...)."""
        action = (self.num_actions,) if self.is_continuous else ()
        number = tf.TensorSpec(axes, "float32")
        inputs = {"observation": tf.TensorSpec((*axes, *self.shape), self.dtype)}
        if self.model.normalizes_observations:
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

    def arrays(self):
        found = super().arrays()
        for name, part in (("moments", self.seen), ("scale", self.scale)):
            if part is not None:
                found[name] = part.arrays()
        return found

    def put_back(self, arrays):
        super().put_back(arrays)
        for name, part in (("moments", self.seen), ("scale", self.scale)):
            if part is not None:
                part.put_back(arrays[name])


class Rollouts(_OnPolicy):
    """Acts for so many steps in each environment, and learns from these in minibatches, some times over.

    Args:
        place: `Place`.
        num_environments: Environments that are stepped together.
        rollout_steps: Steps of every environment in a round.
        update_epochs: How often each step is learned from.

    Raises:
        SettingError: a value is out of range, or the environment cannot be used.
    """

    def __init__(self, place, num_environments, rollout_steps, update_epochs):
        super().__init__(place, num_environments, rollout_steps)
        check(update_epochs >= 1, "update_epochs", update_epochs, "at least 1")
        self.update_epochs = update_epochs

    def __len__(self):
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
        inputs, targets = self.signature_of(len(self))
        updates = self.update_epochs * len(self) // batch_size
        return inputs, {**targets, "order": tf.TensorSpec((updates, batch_size), "int32")}

    def round(self, step, stop, batch_size, random):
        """Acts, and returns what is learned from it."""
        self._start()
        environments, number = self.environments, self.num_environments
        policy, parameters_of = self.model.policy, self.model.acting("policy")
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
        found = {name: each.reshape(len(self), *each.shape[2:]) for name, each in self._learned_from(steps).items()}
        self._look_at(found["observation"])
        order = np.concatenate([random.permutation(len(self)) for _ in range(self.update_epochs)]).astype("int32")
        return self._inputs(found.pop("observation")), {**found, "order": order.reshape(-1, batch_size)}


class WholeEpisodes(_OnPolicy):
    """Acts until some episodes have ended, as many in each environment, and learns from all of them at once.

    Args:
        place: `Place`.
        num_environments: Environments that are stepped together.
        max_steps: Steps, those of all environments together, after which the training ends with its epoch; or None.

    Raises:
        SettingError: a value is out of range, or the environment cannot be used.
    """

    def __init__(self, place, num_environments, max_steps=None):
        super().__init__(place, num_environments)
        check(max_steps is None or max_steps >= 1, "max_steps", max_steps, "at least 1")
        self.max_steps, self.episodes = max_steps, num_environments

    has_fixed_shapes = False

    # An example is an episode.
    def __len__(self):
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
        return self.signature_of(None)

    def round(self, step, stop, batch_size, random):
        """Acts, and returns what is learned from it."""
        self._start()
        parts = [self._episodes(random) for _ in range(batch_size // self.num_environments)]
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self._look_at(found["observation"])
        return self._inputs(found.pop("observation")), found

    def _episodes(self, random):
        """Plays an episode in each environment; returns what is learned from it, (steps of all, ...)."""
        environments, policy = self.environments, self.model.policy
        parameters_of = self.model.acting("policy")
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
        chosen = np.stack(were_active)
        return {name: each[chosen] for name, each in self._learned_from(steps, chosen).items()}
