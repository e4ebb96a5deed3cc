"""Normalisation of observations and rewards by running moments."""

import numpy as np


class RunningMoments:
    """Running mean and variance, updated batch by batch (Chan, Golub and LeVeque, 1979).

    Args:
        shape: Shape of one value.
    """

    def __init__(self, shape=()):
        self.count, self.mean, self.variance = 0.0, np.zeros(shape), np.ones(shape)

    def update(self, values):
        """Takes values (batch, *shape) into the moments."""
        values = np.asarray(values, "float64")
        count, mean = len(values), values.mean(0)
        whole, apart = self.count + count, mean - self.mean
        squares = self.variance * self.count + values.var(0) * count + np.square(apart) * self.count * count / whole
        self.mean, self.variance, self.count = self.mean + apart * count / whole, squares / whole, whole

    def arrays(self):
        """Returns arrays for the checkpoint."""
        return [np.array(self.count), self.mean, self.variance]

    def put_back(self, arrays):
        """Takes over the arrays of a checkpoint."""
        count, self.mean, self.variance = arrays
        self.count = float(count)


class RewardNormalization:
    """Normalisation of rewards: they are divided by the standard deviation of their discounted sum so far.

    That keeps the size of gradients apart from the units of an environment's rewards.

    Args:
        environments: Number of environments.
        discount: Factor of a reward one step earlier.
    """

    # Scaled rewards are clipped to this.
    LIMIT = 10.0

    def __init__(self, environments, discount):
        self.discount, self.sums, self.moments = discount, np.zeros(environments), RunningMoments()

    def __call__(self, rewards, ended, active=None):
        """Returns the normalised rewards of some steps.

        Args:
            rewards: (steps, environments).
            ended: Whether the episode ended with the step.
            active: Which steps were taken; by default all.
        """
        sums = np.zeros(rewards.shape)
        for step, (reward, over) in enumerate(zip(rewards, ended, strict=True)):
            sums[step] = self.sums = self.discount * self.sums + reward
            self.sums = np.where(over, 0.0, self.sums)
        self.moments.update(sums.ravel() if active is None else sums[active])
        scaled = rewards / np.sqrt(self.moments.variance + 1e-8)
        return np.clip(scaled, -self.LIMIT, self.LIMIT)

    def arrays(self):
        """Returns arrays for the checkpoint."""
        return [self.sums, *self.moments.arrays()]

    def put_back(self, arrays):
        """Takes over the arrays of a checkpoint."""
        self.sums, *moments = arrays
        self.moments.put_back(moments)
