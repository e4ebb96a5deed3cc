"""What the recipes whose models act have in common: playing, judging and recording episodes."""

import numpy as np
from jsonargparse.typing import NonNegativeInt, PositiveInt

from kit.agents import returns
from kit.agents.agent import Acting
from kit.agents.environment_spec import Place
from kit.agents.environments import watch
from kit.agents.rounds import assignment, judging
from kit.data.splits import Splits
from kit.errors import KitError, check
from kit.tasks.recipe import Evaluation, Task


def observers(network, splits, folder):
    """Returns the callback that ties acting and learning together."""
    return [Acting(splits.train, folder)]


def curves(history):
    """Returns figures of how the training went."""
    return {"2_training": lambda: returns.training(history)}


def policy_splits(train, validation_episodes, test_episodes):
    """Returns `Splits` for agents that learn a policy, with facts `observation_shape`, `num_actions`, `is_continuous`.

    Args:
        train: The training split, of `kit.agents.rollouts`.
        validation_episodes: Episodes after each epoch.
        test_episodes: Episodes in the end.
    """
    place = train.place
    validation, test = judging(place, "validation", validation_episodes), judging(place, "test", test_episodes)
    facts = {
        "observation_shape": tuple(train.shape),
        "num_actions": train.num_actions,
        "is_continuous": train.is_continuous,
    }
    known = {key: getattr(place, key) for key in ("environment", "time_limit", "frame_stack", "squash_actions")}
    return Splits(
        train,
        validation,
        test,
        facts=facts,
        assets={**known, **facts, "observation_shape": list(train.shape)},
        assignment=assignment(validation, test),
    )


def task(best_of, value="value", exported=lambda network: network):
    """Returns the `Task` of an agent.

    Args:
        best_of: Function `(network, assets)` that returns one from observations to the best actions and the value of
            the states, as `kit.agents.environments.play` takes it.
        value: What that value is called in the metrics.
        exported: Function from the network to the part of it that `kit export` writes.
    """

    def validate(model, examples, assets):
        """Returns how episodes go after each epoch, each action the best one."""
        found, lengths, values = examples.play(best_of(model, assets))
        return {"return": found.mean(), "length": lengths.mean(), "value": values.mean()}

    def evaluate(model, examples, assets):
        """Plays the episodes of a split, each action the best one.

        Args:
            model: The network.
            examples: `Episodes` of the split.
            assets: The assets of the data.

        Returns:
            `Evaluation` with mean, standard deviation, extremes and interquartile mean of the returns, the mean length,
            and the mean value that the network gave to the states.
        """
        return Evaluation(*returns.judged(examples, best_of(model, assets), value))

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
        film = returns.Film(video)
        place = Place(
            assets["environment"],
            assets["time_limit"],
            assets["frame_stack"],
            is_numbered="is_continuous" not in assets,
            squash_actions=assets.get("squash_actions", False),
        )
        seeds = np.random.SeedSequence((3, seed)).generate_state(episodes).tolist()
        table, frames_per_second = watch(place, seeds, best_of(model, assets), film.add if video else None)
        if video:
            film.write(frames_per_second)
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
    )
