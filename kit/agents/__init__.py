"""Agents that act in environments: environments, replay, rollouts, advantages, their training wrappers."""
