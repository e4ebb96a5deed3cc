"""Deep Q-learning: an agent that acts in an environment and learns what its actions are worth."""

from typing import Literal

from jsonargparse.typing import NonNegativeInt, PositiveInt

from kit.agents.dqn import DeepQ, greedy
from kit.agents.environment_spec import Place, actions_of
from kit.agents.experience import Experience, Exploration
from kit.agents.replay import Replay
from kit.agents.rounds import assignment, judging
from kit.config import renamed
from kit.data.splits import Splits
from kit.errors import check, choose
from kit.models import control
from kit.tasks import agents
from kit.tasks.recipe import Recipe, Stages


@renamed(network="backbone")
def dqn_agent(
    observation_shape,
    num_actions,
    *,
    backbone: str = "mlp_q",
    double: bool = True,
    dueling: bool = False,
    n_step: PositiveInt = 1,
    discount: float = 0.99,
    huber_delta: float = 1.0,
    target_update: Literal["hard", "soft"] = "hard",
    target_update_steps: PositiveInt = 1000,
    target_update_rate: float = 0.005,
    optimizer="adam",
):
    """Builds a compiled agent that learns the value of actions.

        agent = kit.recipes.dqn_agent(observation_shape=(4,), num_actions=2)
        agent.network(observations)     # values of actions; a functional Keras model

    Args:
        observation_shape: Shape of an observation.
        num_actions: Number of actions.
        backbone: `mlp_q` for vectors, `cnn_q` and `cnn_q_small` for images; or what a builder of `kit.models.control`
            becomes with all but its first argument filled in.
        double: Choose by the network what its slower copy values, which overestimates less.
        dueling: Learn the value of states and the advantages of actions apart.
        n_step: Steps whose rewards are added before the value of what follows is estimated.
        discount: Factor of a reward one step later.
        huber_delta: Error from which on the loss grows in a straight line; 0 squares all errors.
        target_update: "hard" makes the slower copy anew every `target_update_steps`, "soft" moves it in every gradient
            step by `target_update_rate`.
        target_update_steps: Gradient steps between two copies.
        target_update_rate: Share of the way to the network that the copy goes in a gradient step.
        optimizer: Keras optimizer, or its name.

    Returns:
        `kit.agents.dqn.DeepQ`, with `network`, a functional model.

    Shape:
        network: (batch, *observation_shape) to (batch, num_actions)

    Raises:
        SettingError: an unknown backbone, or a value out of range; the message names the argument.
    """
    check(0 < target_update_rate <= 1, "target_update_rate", target_update_rate, "a share above 0 and at most 1")
    if isinstance(backbone, str):
        build, arguments = choose(control.VALUES, backbone, "backbone")
        network = build(dueling, tuple(observation_shape), num_actions, **arguments, name=backbone)
    else:
        network = backbone(dueling)
    agent = DeepQ(
        network,
        discount=discount,
        n_step=n_step,
        double=double,
        huber_delta=huber_delta,
        target_update_steps=target_update_steps,
        target_update_rate=target_update_rate if target_update == "soft" else 0.0,
    )
    agent.compile(optimizer)
    return agent


def episodes(
    seed,
    saved,
    *,
    environment: str = "CartPole-v1",
    time_limit: int | None = None,
    frame_stack: PositiveInt = 1,
    clip_rewards: bool = False,
    num_environments: PositiveInt = 8,
    rollout_steps: PositiveInt = 25,
    gradient_steps: PositiveInt = 100,
    replay_size: PositiveInt = 50_000,
    learning_starts: NonNegativeInt = 1000,
    prioritized: bool = False,
    priority_exponent: float = 0.6,
    importance_exponent: float = 0.4,
    exploration_start: float = 1.0,
    exploration_end: float = 0.05,
    exploration_fraction: float = 0.1,
    validation_episodes: PositiveInt = 10,
    test_episodes: PositiveInt = 100,
):
    """Sets up environments to act in, and what is remembered of it.

    Args:
        seed: Seed of the run; the episodes that judge an agent are the same for every seed.
        saved: Not used: episodes follow from their numbers.
        environment: Name that gymnasium knows, such as `CartPole-v1`, `ALE/Pong-v5`, `MinAtar/Breakout-v1`;
            `module:Name-v0` imports the module first.
        time_limit: Steps after which an episode is cut; by default the environment's own limit.
        frame_stack: Latest images that make one observation; Atari wants 4.
        clip_rewards: Learn from the sign of rewards; what is reported are the rewards themselves.
        num_environments: Environments that are stepped together.
        rollout_steps: Steps of each environment in a round, a step of `[train]`.
        gradient_steps: Minibatches of a round, all in one compiled call.
        replay_size: Steps that are remembered, those of all environments together; each takes two observations, those
            before and after it.
        learning_starts: Steps at random before the first round, those of all environments together.
        prioritized: Draw steps in proportion to how wrong the network was about them.
        priority_exponent: How much more the worse ones are drawn; 0 is not at all.
        importance_exponent: How far the weights of the losses make up for that in the beginning; it grows to 1.
        exploration_start: Share of actions at random in the beginning.
        exploration_end: Share that is left.
        exploration_fraction: Part of the training after which it is reached.
        validation_episodes: Episodes after each epoch that decide which weights are best.
        test_episodes: Episodes in the end.

    Returns:
        `Splits` with facts `observation_shape` and `num_actions`.

    Raises:
        KitError: the environment cannot be used; the message names it.
        SettingError: a value out of range; the message names the key.
    """
    place = Place(environment, time_limit, frame_stack)
    made = place.make()
    shape, kind = made.observation_space.shape, str(made.observation_space.dtype)
    num_actions, _ = actions_of(made)
    made.close()
    replay = Replay(
        replay_size, num_environments, shape, kind, prioritized=prioritized, priority_exponent=priority_exponent
    )
    train = Experience(
        place,
        replay,
        Exploration(exploration_start, exploration_end, exploration_fraction),
        rollout_steps=rollout_steps,
        gradient_steps=gradient_steps,
        learning_starts=learning_starts,
        importance_exponent=importance_exponent,
        clip_rewards=clip_rewards,
    )
    validation, test = judging(place, "validation", validation_episodes), judging(place, "test", test_episodes)
    return Splits(
        train,
        validation,
        test,
        facts={"observation_shape": tuple(shape), "num_actions": num_actions},
        assets={
            "environment": environment,
            "time_limit": time_limit,
            "frame_stack": frame_stack,
            "observation_shape": list(shape),
            "num_actions": num_actions,
        },
        assignment=assignment(validation, test),
    )


def prepare(model, splits):
    """Refuses a replay that has no room, before anything is written."""
    splits.train.replay.check_memory()


RECIPE = Recipe(
    name="dqn",
    purpose="An agent that acts in an environment and learns what its actions are worth (deep Q-learning).",
    build=dqn_agent,
    data=episodes,
    backbones={"backbone": control.VALUES},
    task=agents.task(lambda network, assets: greedy(network), "q_value"),
    stages=Stages(network=lambda model: model.network, prepare=prepare),
)
