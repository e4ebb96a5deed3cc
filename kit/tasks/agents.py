"""Agents: evaluation, prediction and data splits of reinforcement learning in an environment of gymnasium."""

import numpy as np
import pandas as pd
from jsonargparse.typing import NonNegativeInt, PositiveInt

from kit.agents import policies
from kit.agents.actor_critic import ActorCritic, most_probable
from kit.agents.agent import ExperienceCallback
from kit.agents.environment_spec import EnvironmentSpec
from kit.agents.evaluation import evaluation_episodes, record_episodes
from kit.agents.returns import Video, evaluate_episodes, training_figure
from kit.blocks import policy as heads
from kit.data.splits import Splits
from kit.errors import KitError, check
from kit.models import control
from kit.tasks.recipe import Evaluation, Task


def observers(network, splits, folder):
    """Returns the callback that lets the training split act."""
    return [ExperienceCallback(splits.train, folder)]


def curves(history):
    """Returns figures of learning curves."""
    return {"2_training": lambda: training_figure(history)}


def splits(train, evaluation):
    """Returns `Splits` of an agent: experience to learn from, and evaluation episodes.

    Args:
        train: The training split, a `kit.agents.experience.TrainingExperience`.
        evaluation: `kit.agents.options.EvaluationOptions`.

    Returns:
        `Splits` with facts `observation_shape` and `num_actions`; where actions may be vectors also `is_continuous`.
    """
    spec = train.spec
    validation = evaluation_episodes(spec, "validation", evaluation.validation_episodes)
    test = evaluation_episodes(spec, "test", evaluation.test_episodes)
    facts = {"observation_shape": tuple(train.shape), "num_actions": train.num_actions}
    assets = {key: getattr(spec, key) for key in ("environment", "time_limit", "frame_stack")}
    if spec.arguments:
        assets["environment_arguments"] = list(spec.arguments)
    if not spec.is_numbered:
        facts["is_continuous"] = train.is_continuous
        assets["squash_actions"] = spec.squash_actions
    rows = [
        (f"{name} {number}", name)
        for name, part in (("validation", validation), ("test", test))
        for number in part.numbers.tolist()
    ]
    return Splits(
        train,
        validation,
        test,
        facts=facts,
        assets={**assets, **facts, "observation_shape": list(train.shape)},
        assignment=pd.DataFrame(rows, columns=["example", "split"]),
    )


def task(best_actions, value="value", exported=lambda network: network):
    """Returns the `Task` of an agent.

    Args:
        best_actions: Function `(network, assets)` that returns one from observations to the best actions and the value
            of the states, as `kit.agents.evaluation.play_episodes` takes it.
        value: Name of that value among the metrics.
        exported: Function from the network to the part of it that `kit export` writes.
    """

    def validate(model, examples, assets):
        """Plays the validation episodes after an epoch; returns mean return, length and value."""
        totals, lengths, values = examples.play(best_actions(model, assets))
        return {"return": totals.mean(), "length": lengths.mean(), "value": values.mean()}

    def evaluate(model, examples, assets):
        """Plays the episodes of a split, each action the best one.

        Args:
            model: The network.
            examples: `EvaluationEpisodes` of the split.
            assets: The assets of the data.

        Returns:
            `Evaluation` with mean, standard deviation, extremes and interquartile mean of the returns, the mean length,
            and the mean value that the network gave to the states.
        """
        return Evaluation(*evaluate_episodes(examples, best_actions(model, assets), value))

    def predict(
        model,
        inputs,
        assets,
        *,
        episodes: PositiveInt = 5,
        seed: NonNegativeInt = 0,
        video: str | None = None,
    ):
        """Plays episodes, each action the best one, and records them.

        Args:
            model: The network.
            inputs: Nothing: it plays in the environment that it was trained in.
            assets: The assets of the data that the model was trained on.
            episodes: Number of episodes.
            seed: Seed of the episodes.
            video: Animated GIF to write, new.

        Returns:
            Table with a row an episode: `episode`, `return`, `length`, and `file` with `video`.

        Raises:
            KitError: there are inputs, the file exists, or the environment cannot draw.
        """
        if inputs is not None and (not isinstance(inputs, list | tuple) or inputs):
            raise KitError("predict: the agent plays in its own environment; expected no inputs, but --episodes")
        check(episodes >= 1, "episodes", episodes, "at least 1")
        recording = Video(video)
        spec = EnvironmentSpec(
            assets["environment"],
            assets["time_limit"],
            assets["frame_stack"],
            is_numbered="is_continuous" not in assets,
            squash_actions=assets.get("squash_actions", False),
            arguments=tuple(assets.get("environment_arguments", ())),
        )
        seeds = np.random.SeedSequence((3, seed)).generate_state(episodes).tolist()
        see = recording.add if video else None
        table, frames_per_second = record_episodes(spec, seeds, best_actions(model, assets), see)
        if video:
            recording.write(frames_per_second)
            table["file"] = str(video)
        return table

    return Task(
        monitors={"val_return": "max"},
        evaluate=evaluate,
        predict=predict,
        validate=validate,
        inputs="optional",
        usage="--episodes 5 --video out.gif",
        observers=observers,
        curves=curves,
        exported=exported,
        scores_last=True,
        takes_small_steps=True,
        served={"episodes": 10, "seed": None},
    )


def policy_task():
    """Returns the `Task` of an agent with a policy and a value of the state."""

    def best_actions(network, assets):
        return most_probable(network, policies.policy(assets["num_actions"], assets["is_continuous"]))

    return task(best_actions, exported=control.policy_alone)


def compiled_actor_critic(
    observation_shape, num_actions, is_continuous, backbone, learning, update, returns, optimizer
):
    """Returns a compiled `ActorCritic` for the actions of an environment.

    Args:
        observation_shape, num_actions, is_continuous, backbone, optimizer: As for the builders of the recipes.
        learning: `kit.agents.options.PolicyOptions`.
        update: `kit.agents.options.ActorCriticOptions`.
        returns: `kit.agents.options.ReturnOptions`.

    Raises:
        SettingError: an unknown backbone, or a policy that the actions are not for.
    """
    policy = policies.policy(num_actions, is_continuous, learning.policy)
    head = heads.head(num_actions, is_continuous, learning.initial_log_std)
    network = control.policy_network(backbone, head, learning.normalize_observations, observation_shape)
    agent = ActorCritic(network, policy, learning, update, returns)
    agent.compile(optimizer)
    return agent
