"""Option records of agents: settings of reinforcement learning, each documented once, here.

They are defaults of keyword parameters of a recipe's functions; their fields are keys of the table, see `kit.config`.
"""

import dataclasses
from typing import Literal

from jsonargparse.typing import NonNegativeInt, PositiveInt

from kit.errors import check


@dataclasses.dataclass(frozen=True)
class EnvironmentOptions:
    """The vectorised environment that an agent acts in.

    Args:
        environment: Name that gymnasium knows, such as `CartPole-v1`, `ALE/Pong-v5`, `MinAtar/Breakout-v1`;
            `module:Name-v0` imports the module first, if it was typed for this command; in a file it needs `--allow`.
        environment_arguments: Arguments of the environment's class, such as `["is_slippery=false", "map_name=8x8"]`.
        time_limit: Steps after which an episode is cut; by default the environment's own limit.
        frame_stack: Latest images that make one observation; Atari wants 4.
        num_environments: Environments that are stepped together; in policy_gradient a divisor of `train.batch_size`.
    """

    environment: str = "CartPole-v1"
    environment_arguments: tuple[str, ...] = ()
    time_limit: int | None = None
    frame_stack: PositiveInt = 1
    num_environments: PositiveInt = 8


@dataclasses.dataclass(frozen=True)
class ActionOptions:
    """Continuous actions on their way from a policy into the environment.

    Args:
        squash_actions: Bring actions that are vectors into their bounds by tanh; else they are clipped.
    """

    squash_actions: bool = False


@dataclasses.dataclass(frozen=True)
class RolloutOptions:
    """Length of a rollout.

    Args:
        rollout_steps: Steps of each environment in a round, a step of `[train]`; in actor_critic all of them together
            are a multiple of `train.batch_size`.
    """

    rollout_steps: PositiveInt = 32


@dataclasses.dataclass(frozen=True)
class ReplayOptions:
    """Replay buffer: its size, and how it is filled and sampled.

    Clipped rewards: Mnih et al., "Human-level control through deep reinforcement learning", 2015. Priorities: Schaul et
    al., "Prioritized Experience Replay", 2016.

    Args:
        gradient_steps: Minibatches of a round, all in one compiled call.
        replay_size: Steps that are remembered, those of all environments together; each takes two observations, those
            before and after it.
        learning_starts: Steps at random before the first round, those of all environments together, at most
            `replay_size`.
        clip_rewards: Learn from the sign of rewards; what is reported are the rewards themselves.
        prioritized: Draw steps in proportion to how wrong the network was about them.
        priority_exponent: How much more the worse ones are drawn; 0 is not at all.
        importance_exponent: How far the weights of the losses make up for that in the beginning; it grows to 1.

    Raises:
        SettingError: a value is out of range.
    """

    gradient_steps: PositiveInt = 100
    replay_size: PositiveInt = 50_000
    learning_starts: NonNegativeInt = 1000
    clip_rewards: bool = False
    prioritized: bool = False
    priority_exponent: float = 0.6
    importance_exponent: float = 0.4

    def __post_init__(self):
        check(self.gradient_steps >= 1, "gradient_steps", self.gradient_steps, "at least 1")
        at_most = f"from 0 to data.replay_size, {self.replay_size}"
        check(0 <= self.learning_starts <= self.replay_size, "learning_starts", self.learning_starts, at_most)
        for key in ("priority_exponent", "importance_exponent"):
            value = getattr(self, key)
            check(0 <= value <= 1, key, value, "a number from 0 to 1")


@dataclasses.dataclass(frozen=True)
class ExplorationOptions:
    """Epsilon-greedy exploration: the share of random actions falls in a straight line, then stays.

    Args:
        exploration_start: Share of actions at random in the beginning.
        exploration_end: Share that is left.
        exploration_fraction: Part of the training after which it is reached.

    Raises:
        SettingError: a value is out of range.
    """

    exploration_start: float = 1.0
    exploration_end: float = 0.05
    exploration_fraction: float = 0.1

    def __post_init__(self):
        for key, value in vars(self).items():
            check(0 <= value <= 1, key, value, "a share from 0 to 1")

    def share(self, progress):
        """Returns the share of random actions (epsilon) after a part of the training, from 0 to 1."""
        way = 1.0 if progress >= self.exploration_fraction else progress / self.exploration_fraction
        return self.exploration_start + way * (self.exploration_end - self.exploration_start)


@dataclasses.dataclass(frozen=True)
class EvaluationOptions:
    """Evaluation episodes.

    Args:
        validation_episodes: Episodes after each epoch that decide which weights are best, at most 100,000.
        test_episodes: Episodes in the end, at most 100,000.

    Raises:
        SettingError: a value is out of range.
    """

    validation_episodes: PositiveInt = 10
    test_episodes: PositiveInt = 100

    def __post_init__(self):
        for key, value in vars(self).items():
            check(1 <= value <= 100_000, key, value, "from 1 to 100000")


@dataclasses.dataclass(frozen=True)
class ReturnOptions:
    """Returns: sums of the rewards to come.

    Args:
        discount: Factor of a reward one step later.

    Raises:
        SettingError: a value is out of range.
    """

    discount: float = 0.99

    def __post_init__(self):
        check(0 <= self.discount <= 1, "discount", self.discount, "a number from 0 to 1")


@dataclasses.dataclass(frozen=True)
class QLearningOptions:
    """Deep Q-learning: targets, loss and target network.

    Double Q-learning: van Hasselt, Guez and Silver, "Deep Reinforcement Learning with Double Q-learning", 2016. Soft
    updates: Lillicrap et al., "Continuous control with deep reinforcement learning", 2016.

    Args:
        double: Choose by the network what its slower copy values, which overestimates less.
        n_step: Steps whose rewards are added before the value of what follows is estimated.
        huber_delta: Error from which on the loss grows in a straight line; 0 squares all errors.
        target_update: "hard" makes the slower copy anew every `target_update_steps`, "soft" moves it in every gradient
            step by `target_update_rate`.
        target_update_steps: Gradient steps between two copies.
        target_update_rate: Share of the way to the network that the copy goes in a gradient step.

    Raises:
        SettingError: a value is out of range.
    """

    double: bool = True
    n_step: PositiveInt = 1
    huber_delta: float = 1.0
    target_update: Literal["hard", "soft"] = "hard"
    target_update_steps: PositiveInt = 1000
    target_update_rate: float = 0.005

    def __post_init__(self):
        rate = self.target_update_rate
        check(self.target_update in ("hard", "soft"), "target_update", self.target_update, "'hard' or 'soft'")
        check(0 < rate <= 1, "target_update_rate", rate, "a share above 0 and at most 1")
        check(self.n_step >= 1, "n_step", self.n_step, "at least 1")
        check(self.huber_delta >= 0, "huber_delta", self.huber_delta, "at least 0")
        check(self.target_update_steps >= 1, "target_update_steps", self.target_update_steps, "at least 1")


@dataclasses.dataclass(frozen=True)
class PolicyOptions:
    """A policy's distribution of actions, the weights of its loss, and the normalisation of what it learns from.

    Args:
        policy: "categorical" chooses among numbered actions, "gaussian" draws vectors; "auto" does what the environment
            wants.
        initial_log_std: Logarithm of the standard deviation of vectors in the beginning.
        value_coefficient: Weight of the loss of the values, the baseline of a policy gradient.
        entropy_coefficient: Weight of the policy's entropy, which keeps it trying.
        normalize_advantages: Give the advantages of a minibatch mean 0 and standard deviation 1.
        normalize_observations: Scale observations by running moments, which are saved in the network.
        normalize_rewards: Divide rewards by the standard deviation of their discounted sum, and keep them within ten.

    Raises:
        SettingError: a value is out of range.
    """

    policy: Literal["auto", "categorical", "gaussian"] = "auto"
    initial_log_std: float = 0.0
    value_coefficient: float = 0.5
    entropy_coefficient: float = 0.0
    normalize_advantages: bool = True
    normalize_observations: bool = False
    normalize_rewards: bool = False

    def __post_init__(self):
        for key in ("value_coefficient", "entropy_coefficient"):
            check(getattr(self, key) >= 0, key, getattr(self, key), "at least 0")


@dataclasses.dataclass(frozen=True)
class ActorCriticOptions:
    """Advantage estimation, and the limit on how far a round moves the policy.

    PPO: Schulman et al., "Proximal Policy Optimization Algorithms", 2017. A2C: Mnih et al., "Asynchronous Methods for
    Deep Reinforcement Learning", 2016.

    Args:
        algorithm: "ppo" limits how far a round moves the policy (Schulman et al., 2017); "a2c" does not, and wants
            `data.update_epochs` 1 (Mnih et al., 2016).
        gae_lambda: How far advantages look ahead; 0 one step, 1 to the end of the episode.
        clip_ratio: Change of an action's probability, as a share, that pays no more; of PPO.
        target_kl: Divergence from the policy that acted from which on a round's other minibatches are left away; a
            learning rate that falls goes by the steps taken, and then does not fall as far.

    Raises:
        SettingError: a value is out of range.
    """

    algorithm: Literal["ppo", "a2c"] = "ppo"
    gae_lambda: float = 0.95
    clip_ratio: float = 0.2
    target_kl: float | None = None

    def __post_init__(self):
        check(self.algorithm in ("ppo", "a2c"), "algorithm", self.algorithm, "'ppo' or 'a2c'")
        check(0 <= self.gae_lambda <= 1, "gae_lambda", self.gae_lambda, "a number from 0 to 1")
        is_share = self.algorithm != "ppo" or 0 < self.clip_ratio < 1
        check(is_share, "clip_ratio", self.clip_ratio, "a share between 0 and 1")
        check(self.target_kl is None or self.target_kl > 0, "target_kl", self.target_kl, "a number above 0")
