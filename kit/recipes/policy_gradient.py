"""Policy gradient: an agent that learns what to do from the whole episodes that it has just played (REINFORCE)."""

from kit.agents.environment_spec import EnvironmentSpec
from kit.agents.on_policy import EpisodeRollouts
from kit.agents.options import (
    ActionOptions,
    ActorCriticOptions,
    EnvironmentOptions,
    EvaluationOptions,
    PolicyOptions,
    ReturnOptions,
)
from kit.config import flat, renamed
from kit.models import control
from kit.tasks import agents
from kit.tasks.recipe import Recipe, Stages

# One gradient step on whole episodes without a limit; advantages are returns less the baseline.
_REINFORCE = ActorCriticOptions("a2c", gae_lambda=1.0)


@renamed(network="backbone")
@flat
def policy_agent(
    observation_shape,
    num_actions,
    *,
    is_continuous: bool = False,
    backbone: str = "mlp_policy",
    learning: PolicyOptions = PolicyOptions(),
    returns: ReturnOptions = ReturnOptions(),
    optimizer="adam",
):
    """Builds a compiled agent that learns a policy, and the value of states to compare its returns with.

        agent = kit.recipes.policy_agent(observation_shape=(4,), num_actions=2, discount=0.9)
        agent.network(observations)     # logits of actions, and values; a functional Keras model

    Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning", 1992.

    Args:
        observation_shape: Shape of an observation.
        num_actions: Number of actions; with `is_continuous` how many numbers are in one.
        is_continuous: Actions are vectors.
        backbone: `mlp_policy` for vectors, `cnn_policy` and `cnn_policy_small` for images; or what a builder of
            `kit.models.control` becomes with all but its first two arguments filled in.
        learning, returns: `PolicyOptions` and `ReturnOptions` of `kit.agents.options`; their fields are keywords of
            this function, too.
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
        observation_shape, num_actions, is_continuous, backbone, learning, _REINFORCE, returns, optimizer
    )


def episodes(
    seed,
    saved,
    *,
    environments: EnvironmentOptions = EnvironmentOptions(),
    actions: ActionOptions = ActionOptions(),
    max_steps: int | None = None,
    evaluation: EvaluationOptions = EvaluationOptions(),
):
    """Sets up environments to act in; `train.batch_size` is the number of episodes of a round, a step of `[train]`.

    Args:
        seed: Seed of the run; the episodes that judge an agent are the same for every seed.
        saved: Not used: episodes follow from their numbers.
        max_steps: Steps, those of all environments together, after which the training ends with its epoch.

    Returns:
        `Splits` with facts `observation_shape`, `num_actions` and `is_continuous`.

    Raises:
        KitError: the environment cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    spec = EnvironmentSpec.of(environments, is_numbered=False, squash_actions=actions.squash_actions)
    train = EpisodeRollouts(spec, environments.num_environments, max_steps)
    return agents.splits(train, evaluation)


RECIPE = Recipe(
    name="policy_gradient",
    purpose="An agent that learns what to do from whole episodes (REINFORCE with a learned baseline).",
    build=policy_agent,
    data=episodes,
    backbones={"backbone": control.POLICIES},
    task=agents.policy_task(),
    stages=Stages(network=lambda model: model.network, optional_facts=("is_continuous",)),
)
