"""Deep Q-learning: an agent that acts in an environment and learns what its actions are worth."""

from kit.agents.deep_q_learning import DeepQLearning, greedy
from kit.agents.environment_spec import EnvironmentSpec
from kit.agents.off_policy import ReplayExperience
from kit.agents.options import (
    EnvironmentOptions,
    EvaluationOptions,
    ExplorationOptions,
    QLearningOptions,
    ReplayOptions,
    ReturnOptions,
    RolloutOptions,
)
from kit.config import flat, renamed
from kit.errors import check, choose
from kit.models import control
from kit.tasks import agents
from kit.tasks.recipe import Recipe, Stages


@renamed(network="backbone")
@flat
def dqn_agent(
    observation_shape,
    num_actions,
    *,
    backbone: str = "mlp_q",
    dueling: bool = False,
    learning: QLearningOptions = QLearningOptions(),
    returns: ReturnOptions = ReturnOptions(),
    optimizer="adam",
):
    """Builds a compiled agent that learns the value of actions.

        agent = kit.recipes.dqn_agent(observation_shape=(4,), num_actions=2, discount=0.9)
        agent.network(observations)     # values of actions; a functional Keras model

    Args:
        observation_shape: Shape of an observation.
        num_actions: Number of actions.
        backbone: `mlp_q` for vectors, `cnn_q` and `cnn_q_small` for images; or what a builder of `kit.models.control`
            becomes with all but its first argument filled in.
        dueling: Learn the value of states and the advantages of actions apart.
        learning, returns: `QLearningOptions` and `ReturnOptions` of `kit.agents.options`; their fields are keywords of
            this function, too.
        optimizer: Keras optimizer, or its name.

    Returns:
        `kit.agents.deep_q_learning.DeepQLearning`, with `network`, a functional model.

    Shape:
        network: (batch, *observation_shape) to (batch, num_actions)

    Raises:
        SettingError: an unknown backbone, or a value out of range; the message names the argument.
    """
    if isinstance(backbone, str):
        build, arguments = choose(control.VALUES, backbone, "backbone")
        network = build(dueling, tuple(observation_shape), num_actions, **arguments, name=backbone)
    else:
        network = backbone(dueling)
    agent = DeepQLearning(network, learning, returns)
    agent.compile(optimizer)
    return agent


def experience(
    seed,
    saved,
    *,
    environments: EnvironmentOptions = EnvironmentOptions(),
    rollout: RolloutOptions = RolloutOptions(25),
    replay: ReplayOptions = ReplayOptions(),
    exploration: ExplorationOptions = ExplorationOptions(),
    evaluation: EvaluationOptions = EvaluationOptions(),
):
    """Sets up environments to act in, and a replay buffer.

    Args:
        seed: Seed of the run; the episodes that judge an agent are the same for every seed.
        saved: Not used: episodes follow from their numbers.

    Returns:
        `Splits` with facts `observation_shape` and `num_actions`.

    Raises:
        KitError: the environment cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    spec = EnvironmentSpec.of(environments)
    train = ReplayExperience(spec, environments.num_environments, rollout.rollout_steps, replay, exploration)
    return agents.splits(train, evaluation)


def prepare(model, splits):
    """Refuses a replay buffer that does not fit into memory, or more steps than it has, before anything is written."""
    buffer = splits.train.buffer
    buffer.check_memory()
    most = f"at most {buffer.slots}, the steps of an environment that data.replay_size remembers"
    check(model.n_step <= buffer.slots, "model.n_step", model.n_step, most)


RECIPE = Recipe(
    name="dqn",
    purpose="An agent that acts in an environment and learns what its actions are worth (deep Q-learning).",
    build=dqn_agent,
    data=experience,
    backbones={"backbone": control.VALUES},
    task=agents.task(lambda network, assets: greedy(network), "q_value"),
    stages=Stages(network=lambda model: model.network, prepare=prepare),
)
