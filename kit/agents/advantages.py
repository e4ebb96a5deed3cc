"""What actions were worth, beyond what the state was: returns, advantages, and running moments to scale by."""

import numpy as np


def generalized_advantages(rewards, values, following, ended, terminated, *, discount, gae_lambda):
    """Returns how much better each action was than the policy on average, by generalised advantage estimation.

    Schulman et al., "High-Dimensional Continuous Control Using Generalized Advantage Estimation", 2016, equation 16.
    Where an episode was cut by a time limit, or goes on, the value of the state behind it stands for the rest.

    Args:
        rewards: Reward of each step, (steps, environments).
        values: Value of the state before each step.
        following: Value of the state after each step; of the last one of an episode, not of the next one's first.
        ended: Whether the episode ended with the step.
        terminated: Whether it ended for good: then what follows is worth nothing.
        discount: Factor of a reward one step later.
        gae_lambda: 0 looks one step ahead, 1 to the end of the episode.

    Returns:
        Advantages, float32 (steps, environments); the returns that they go by are `advantages + values`.
    """
    errors = rewards + discount * np.where(terminated, 0.0, following) - values
    decay = discount * gae_lambda * ~ended
    advantages, later = np.zeros(rewards.shape, "float32"), np.zeros(rewards.shape[1:])
    for step in reversed(range(len(rewards))):
        advantages[step] = later = errors[step] + decay[step] * later
    return advantages


class Moments:
    """Mean and variance of all that was seen, part by part (Chan, Golub and LeVeque, 1979).

    Args:
        shape: Shape of what is seen at a time.
    """

    def __init__(self, shape=()):
        self.count, self.mean, self.variance = 0.0, np.zeros(shape), np.ones(shape)

    def update(self, values):
        """Takes over values (number, *shape)."""
        values = np.asarray(values, "float64")
        count, mean = len(values), values.mean(0)
        whole, apart = self.count + count, mean - self.mean
        squares = self.variance * self.count + values.var(0) * count + np.square(apart) * self.count * count / whole
        self.mean, self.variance, self.count = self.mean + apart * count / whole, squares / whole, whole

    def arrays(self):
        return [np.array(self.count), self.mean, self.variance]

    def put_back(self, arrays):
        count, self.mean, self.variance = arrays
        self.count = float(count)


class RewardScale:
    """Divides rewards by the standard deviation of the discounted sum of them so far, which keeps gradients apart from
    the units that an environment pays in.

    Args:
        environments: Number of environments.
        discount: Factor of a reward one step earlier.
    """

    # What is further away than so many standard deviations is cut off.
    FURTHEST = 10.0

    def __init__(self, environments, discount):
        self.discount, self.sums, self.moments = discount, np.zeros(environments), Moments()

    def __call__(self, rewards, ended, active=None):
        """Returns the rewards of some steps, scaled.

        Args:
            rewards: (steps, environments).
            ended: Whether the episode ended with the step.
            active: Which steps were taken; by default all.
        """
        seen = np.zeros(rewards.shape)
        for step, (reward, over) in enumerate(zip(rewards, ended, strict=True)):
            seen[step] = self.sums = self.discount * self.sums + reward
            self.sums = np.where(over, 0.0, self.sums)
        self.moments.update(seen.ravel() if active is None else seen[active])
        scaled = rewards / np.sqrt(self.moments.variance + 1e-8)
        return np.clip(scaled, -self.FURTHEST, self.FURTHEST)

    def arrays(self):
        return [self.sums, *self.moments.arrays()]

    def put_back(self, arrays):
        self.sums, *moments = arrays
        self.moments.put_back(moments)
