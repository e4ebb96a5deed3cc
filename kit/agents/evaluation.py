"""Evaluation episodes: played with the best action in each state, with seeds of their own, the same for every run."""

import numpy as np
import pandas as pd

from kit.agents.environments import Environments, check_finite, episode_seed
from kit.agents.experience import TEST, VALIDATION, Experience

# Episodes that are played side by side.
_SIDE_BY_SIDE = 20
# A look at every observation would cost as much as a step of a small environment.
_CHECKED_EVERY = 16


class EvaluationEpisodes(Experience):
    """The validation or test split of an agent: episodes by number, which is all that their seeds depend on.

    Args:
        spec: `EnvironmentSpec`.
        split: Number of the split, part of each seed.
        numbers: Number of each episode, (episodes,).
    """

    def __init__(self, spec, split, numbers):
        super().__init__(spec, split)
        self.numbers = numbers
        self.environments = None

    def __len__(self):
        return len(self.numbers)

    def take(self, rows):
        """Returns the episodes in the given rows."""
        return EvaluationEpisodes(self.spec, self.split, self.numbers[rows])

    def play(self, act):
        """Plays them; see `play_episodes`."""
        seeds = [episode_seed(self.split, number) for number in self.numbers.tolist()]
        if self.environments is None:
            count = min(len(self), _SIDE_BY_SIDE)
            self.environments = Environments(self.spec, count, lambda copy, episode: 0)
        return play_episodes(self.environments, seeds, act)


def evaluation_episodes(spec, split, count):
    """Returns `EvaluationEpisodes` of the "validation" or "test" split."""
    return EvaluationEpisodes(spec, {"validation": VALIDATION, "test": TEST}[split], np.arange(count))


def record_episodes(spec, seeds, act, see=None):
    """Plays an episode for each seed, one after the other, and offers a picture of each step.

    Args:
        spec: `EnvironmentSpec`.
        seeds: Seed of each episode.
        act: As for `play_episodes`.
        see: Function that gets a function which draws a picture, uint8 (height, width, 3), at the beginning of each
            episode and after each step; or None.

    Returns:
        Table with a row an episode, `episode`, from 1, `return` and `length`; and the pictures that make a second.
    """
    environments = Environments(spec, 1, lambda copy, episode: 0, "rgb_array" if see else None)

    def look():
        if see:
            see(environments.frame)

    returns, lengths, _ = play_episodes(environments, seeds, act, look)
    speed = environments.frames_per_second
    environments.close()
    return pd.DataFrame({"episode": np.arange(1, len(seeds) + 1), "return": returns, "length": lengths}), speed


def play_episodes(environments, seeds, act, look=None):
    """Plays an episode for each seed, as many at once as there are environments.

    Args:
        environments: `Environments`; where they are does not matter.
        seeds: Seed of each episode.
        act: Function from observations (copies, ...) to actions (copies,) and the value of each state, (copies,).
        look: Function that is called at the beginning of an episode and after each step; or None.

    Returns:
        Return, length, and mean value of the states of each episode, three arrays (episodes,).
    """
    count, total = environments.count, len(seeds)
    returns, lengths, values = np.zeros(total), np.zeros(total, "int64"), np.zeros(total)
    playing = np.arange(count) % total
    is_open = np.arange(count) < total
    following = count
    environments.seed_of = lambda copy, episode: seeds[playing[copy]]
    environments.restore(np.zeros(count), [[] for _ in range(count)])
    sums, moment = np.zeros(count), 0
    look = look or (lambda: None)
    look()
    while is_open.any():
        actions, value = act(environments.observations)
        sums += value
        ended = environments.step(actions, restart=False, active=is_open)[2]
        look()
        moment += 1
        if moment % _CHECKED_EVERY == 0:
            check_finite(environments.spec, environments.observations, environments.returns)
        if not ended.any():
            continue
        check_finite(environments.spec, environments.observations, environments.returns)
        begins = np.zeros(count, bool)
        for copy in np.flatnonzero(ended & is_open):
            episode = playing[copy]
            returns[episode], lengths[episode] = environments.returns[copy], environments.lengths[copy]
            values[episode] = sums[copy] / environments.lengths[copy]
            if following < total:
                playing[copy], following = following, following + 1
                begins[copy] = True
            else:
                is_open[copy] = False
        if begins.any():  # before the first copy closes: those beyond are stepped one by one
            environments.reset(begins)
            sums[begins] = 0.0
            look()
    return returns, lengths, values
