"""Actor-critic: an agent that learns what to do, and what states are worth, from what it has just done."""

from typing import Literal

from jsonargparse.typing import PositiveInt

from kit.agents import policies
from kit.agents.actor_critic import ActorCritic, most_probable
from kit.agents.environment_spec import Place
from kit.agents.rollouts import Rollouts
from kit.blocks import policy as heads
from kit.config import renamed
from kit.errors import SettingError
from kit.models import control
from kit.tasks import agents
from kit.tasks.recipe import Recipe, Stages


@renamed(network="backbone")
def actor_critic_agent(
    observation_shape,
    num_actions,
    *,
    is_continuous: bool = False,
    backbone: str = "mlp_policy",
    policy: Literal["auto", "categorical", "gaussian"] = "auto",
    initial_log_std: float = 0.0,
    algorithm: Literal["ppo", "a2c"] = "ppo",
    discount: float = 0.99,
    gae_lambda: float = 0.95,
    clip_ratio: float = 0.2,
    target_kl: float | None = None,
    value_coefficient: float = 0.5,
    entropy_coefficient: float = 0.0,
    normalize_advantages: bool = True,
    normalize_observations: bool = False,
    normalize_rewards: bool = False,
    optimizer="adam",
):
    """Builds a compiled agent that learns a policy and the value of states.

        agent = kit.recipes.actor_critic_agent(observation_shape=(4,), num_actions=2)
        agent.network(observations)     # logits of actions, and values; a functional Keras model

    Args:
        observation_shape: Shape of an observation.
        num_actions: Number of actions; with `is_continuous` how many numbers are in one.
        is_continuous: Actions are vectors.
        backbone: `mlp_policy` for vectors, `cnn_policy` and `cnn_policy_small` for images; or what a builder of
            `kit.models.control` becomes with all but its first two arguments filled in.
        policy: "categorical" chooses among numbered actions, "gaussian" draws vectors; "auto" does what the environment
            wants.
        initial_log_std: Logarithm of the standard deviation of vectors in the beginning.
        algorithm: "ppo" limits how far a round moves the policy (Schulman et al., 2017); "a2c" does not, and wants
            `data.update_epochs` 1 (Mnih et al., 2016).
        discount: Factor of a reward one step later.
        gae_lambda: How far advantages look ahead; 0 one step, 1 to the end of the episode.
        clip_ratio: Change of an action's probability, as a share, that pays no more; of PPO.
        target_kl: Divergence from the policy that acted from which on a round's other minibatches are left away; a
            learning rate that falls goes by the steps taken, and then does not fall as far.
        value_coefficient: Weight of the loss of the values.
        entropy_coefficient: Weight of the policy's entropy, which keeps it trying.
        normalize_advantages: Give the advantages of a minibatch mean 0 and standard deviation 1.
        normalize_observations: Scale observations by running moments, which are saved in the network.
        normalize_rewards: Divide rewards by the standard deviation of their discounted sum, and keep them within ten.
        optimizer: Keras optimizer, or its name.

    Returns:
        `kit.agents.actor_critic.ActorCritic`, with `network`, a functional model.

    Shape:
        network: (batch, *observation_shape) to (batch, num_actions), or (batch, 2 * num_actions) where these are
            vectors, and (batch, 1)

    Raises:
        SettingError: an unknown backbone, a policy that the actions are not for, or a value out of range; the message
            names the argument.
    """
    chosen = policies.policy(num_actions, is_continuous, policy)
    network = control.policy_network(
        backbone, heads.head(num_actions, is_continuous, initial_log_std), normalize_observations, observation_shape
    )
    agent = ActorCritic(
        network,
        chosen,
        discount=discount,
        gae_lambda=gae_lambda,
        clip_ratio=clip_ratio if algorithm == "ppo" else None,
        target_kl=target_kl,
        value_coefficient=value_coefficient,
        entropy_coefficient=entropy_coefficient,
        normalizes_advantages=normalize_advantages,
        normalizes_observations=normalize_observations,
        normalizes_rewards=normalize_rewards,
    )
    agent.compile(optimizer)
    return agent


def rollouts(
    seed,
    saved,
    *,
    environment: str = "CartPole-v1",
    time_limit: int | None = None,
    frame_stack: PositiveInt = 1,
    squash_actions: bool = False,
    num_environments: PositiveInt = 8,
    rollout_steps: PositiveInt = 32,
    update_epochs: PositiveInt = 10,
    validation_episodes: PositiveInt = 10,
    test_episodes: PositiveInt = 100,
):
    """Sets up environments to act in.

    Args:
        seed: Seed of the run; the episodes that judge an agent are the same for every seed.
        saved: Not used: episodes follow from their numbers.
        environment: Name that gymnasium knows, such as `CartPole-v1`, `Pendulum-v1`, `ALE/Pong-v5`,
            `MinAtar/Breakout-v1`; `module:Name-v0` imports the module first.
        time_limit: Steps after which an episode is cut; by default the environment's own limit.
        frame_stack: Latest images that make one observation; Atari wants 4.
        squash_actions: Bring actions that are vectors into their bounds by tanh; else they are clipped.
        num_environments: Environments that are stepped together.
        rollout_steps: Steps of each environment in a round, a step of `[train]`; all of them together are a multiple
            of `train.batch_size`.
        update_epochs: How often each step is learned from.
        validation_episodes: Episodes after each epoch that decide which weights are best.
        test_episodes: Episodes in the end.

    Returns:
        `Splits` with facts `observation_shape`, `num_actions` and `is_continuous`.

    Raises:
        KitError: the environment cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    place = Place(environment, time_limit, frame_stack, is_numbered=False, squash_actions=squash_actions)
    train = Rollouts(place, num_environments, rollout_steps, update_epochs)
    return agents.policy_splits(train, validation_episodes, test_episodes)


def prepare(model, splits):
    """Refuses to learn from the same steps again without a limit on how far that moves the policy."""
    if model.clip_ratio is None and splits.train.batches_per_step > 1:
        raise SettingError(
            "data.update_epochs",
            "a2c learns from each rollout once, in one minibatch: expected 1, and train.batch_size "
            f"{len(splits.train)} (data.num_environments x data.rollout_steps)",
        )


def _best_of(network, assets):
    """Returns a function from observations to the most probable actions and the values of the states."""
    return most_probable(network, policies.policy(assets["num_actions"], assets["is_continuous"]))


RECIPE = Recipe(
    name="actor_critic",
    purpose="An agent that learns what to do and what states are worth (proximal policy optimisation, A2C).",
    build=actor_critic_agent,
    data=rollouts,
    backbones={"backbone": control.POLICIES},
    task=agents.task(_best_of, exported=control.policy_alone),
    stages=Stages(network=lambda model: model.network, prepare=prepare, optional_facts=("is_continuous",)),
)
