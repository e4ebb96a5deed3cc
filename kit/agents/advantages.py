"""Advantages of actions: generalised advantage estimation (GAE)."""

import numpy as np


def generalized_advantages(rewards, values, following, ended, terminated, *, discount, gae_lambda):
    """Returns the advantage of each action, how much better it was than the policy on average (GAE).

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
