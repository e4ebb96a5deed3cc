"""Actor-critic: an agent that learns what to do, and what states are worth, from what it has just done (PPO, A2C)."""

from jsonargparse.typing import PositiveInt

from kit.agents.environment_spec import EnvironmentSpec
from kit.agents.on_policy import Rollouts
from kit.agents.options import (
    ActionOptions,
    ActorCriticOptions,
    EnvironmentOptions,
    EvaluationOptions,
    PolicyOptions,
    ReturnOptions,
    RolloutOptions,
)
from kit.config import flat, renamed
from kit.errors import SettingError
from kit.models import control
from kit.tasks import agents
from kit.tasks.recipe import Recipe, Stages


@renamed(network="backbone")
@flat
def actor_critic_agent(
    observation_shape,
    num_actions,
    *,
    is_continuous: bool = False,
    backbone: str = "mlp_policy",
    learning: PolicyOptions = PolicyOptions(),
    update: ActorCriticOptions = ActorCriticOptions(),
    returns: ReturnOptions = ReturnOptions(),
    optimizer="adam",
):
    """Builds a compiled agent that learns a policy and the value of states.

        agent = kit.recipes.actor_critic_agent(observation_shape=(4,), num_actions=2, clip_ratio=0.1)
        agent.network(observations)     # logits of actions, and values; a functional Keras model

    Args:
        observation_shape: Shape of an observation.
        num_actions: Number of actions; with `is_continuous` how many numbers are in one.
        is_continuous: Actions are vectors.
        backbone: `mlp_policy` for vectors, `cnn_policy` and `cnn_policy_small` for images; or what a builder of
            `kit.models.control` becomes with all but its first two arguments filled in.
        learning, update, returns: `PolicyOptions`, `ActorCriticOptions` and `ReturnOptions` of `kit.agents.options`;
            their fields are keywords of this function, too.
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
    return agents.compiled_actor_critic(
        observation_shape, num_actions, is_continuous, backbone, learning, update, returns, optimizer
    )


def rollouts(
    seed,
    saved,
    *,
    environments: EnvironmentOptions = EnvironmentOptions(),
    actions: ActionOptions = ActionOptions(),
    rollout: RolloutOptions = RolloutOptions(32),
    update_epochs: PositiveInt = 10,
    evaluation: EvaluationOptions = EvaluationOptions(),
):
    """Sets up environments to act in.

    Args:
        seed: Seed of the run; the episodes that judge an agent are the same for every seed.
        saved: Not used: episodes follow from their numbers.
        update_epochs: How often each step is learned from.

    Returns:
        `Splits` with facts `observation_shape`, `num_actions` and `is_continuous`.

    Raises:
        KitError: the environment cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    spec = EnvironmentSpec.of(environments, is_numbered=False, squash_actions=actions.squash_actions)
    train = Rollouts(spec, environments.num_environments, rollout.rollout_steps, update_epochs)
    return agents.splits(train, evaluation)


def prepare(model, splits):
    """Refuses to learn from the same steps again without a limit on how far that moves the policy."""
    if model.clip_ratio is None and splits.train.batches_per_step > 1:
        raise SettingError(
            "data.update_epochs",
            "a2c learns from each rollout once, in one minibatch: expected 1, and train.batch_size "
            f"{len(splits.train)} (data.num_environments x data.rollout_steps)",
        )


RECIPE = Recipe(
    name="actor_critic",
    purpose="An agent that learns what to do and what states are worth (proximal policy optimisation, A2C).",
    build=actor_critic_agent,
    data=rollouts,
    backbones={"backbone": control.POLICIES},
    task=agents.policy_task(),
    stages=Stages(network=lambda model: model.network, prepare=prepare, optional_facts=("is_continuous",)),
)
