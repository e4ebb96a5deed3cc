"""Acting and remembering: rounds of steps in environments, and minibatches drawn from all that was lived through."""

import dataclasses

import numpy as np
import tensorflow as tf

from kit.agents.environments import check_finite
from kit.agents.rounds import Acted
from kit.errors import check

# Where large observations are kept in the run folder.
_FILE = "checkpoint/replay.dat"


@dataclasses.dataclass(frozen=True)
class Exploration:
    """How often an action is chosen at random: less and less, then a fixed share.

    Args:
        start: Share in the beginning.
        end: Share that is left.
        fraction: Part of the training after which it is reached, in a straight line.

    Raises:
        SettingError: a value is out of range.
    """

    start: float = 1.0
    end: float = 0.05
    fraction: float = 0.1

    def __post_init__(self):
        for key in ("start", "end", "fraction"):
            value = getattr(self, key)
            check(0 <= value <= 1, f"exploration_{key}", value, "a share from 0 to 1")

    def at(self, progress):
        """Returns the share after a part of the training, from 0 to 1."""
        way = 1.0 if progress >= self.fraction else progress / self.fraction
        return self.start + way * (self.end - self.start)


class Experience(Acted):
    """Acts, remembers, and draws from memory.

    A round is some steps in every environment, then as many minibatches as the wrapper takes gradient steps in one
    call. The replay is carried by the checkpoint too.

    Args:
        place: `Place`.
        replay: `Replay`.
        exploration: `Exploration`.
        rollout_steps: Steps of every environment in a round.
        gradient_steps: Minibatches of a round.
        learning_starts: Steps at random before the first round, those of all environments together.
        importance_exponent: How far the weights of the losses make up for drawing the worse ones more often, in the
            beginning; it grows to 1 in the end.
        clip_rewards: Take the sign of each reward in its place (Mnih et al., 2015).

    Raises:
        SettingError: a value is out of range.
    """

    def __init__(
        self,
        place,
        replay,
        exploration,
        *,
        rollout_steps,
        gradient_steps,
        learning_starts=0,
        importance_exponent=0.4,
        clip_rewards=False,
    ):
        super().__init__(place, replay.environments, rollout_steps)
        check(gradient_steps >= 1, "gradient_steps", gradient_steps, "at least 1")
        check(learning_starts >= 0, "learning_starts", learning_starts, "at least 0")
        check(0 <= importance_exponent <= 1, "importance_exponent", importance_exponent, "a number from 0 to 1")
        self.replay, self.exploration, self.share = replay, exploration, exploration.start
        self.batches_per_step = gradient_steps
        self.learning_starts, self.importance_exponent = learning_starts, importance_exponent
        self.clip_rewards = clip_rewards
        self.drawn = None

    def __len__(self):
        return self.replay.slots * self.replay.environments

    def begin(self, model, folder, rounds):
        super().begin(model, folder, rounds)
        if self.replay.prioritized:
            model.remember_errors((self.batches_per_step, self.batch_size))
        slack = rounds * self.rollout_steps + -(-self.learning_starts // self.num_environments)
        self.replay.keep_in(folder / _FILE, slack)

    def end(self, folder):
        self.replay.seen = None  # TensorFlow may hold on to the generator that fills it
        (folder / _FILE).unlink(missing_ok=True)

    def divide(self, batch_size):
        self.batch_size = batch_size

    def logs(self):
        return {**super().logs(), "exploration": self.share}

    def signature(self, batch_size):
        """Returns inputs `observation` and `following`, targets `action`, `reward` and `factor`, and weights, all of
        them (gradient steps, batch, ...).
        """
        shape = self.batches_per_step, batch_size
        seen = tf.TensorSpec((*shape, *self.replay.shape), self.replay.dtype)
        number = tf.TensorSpec(shape, "float32")
        return (
            {"observation": seen, "following": seen},
            {"action": tf.TensorSpec(shape, "int32"), "reward": number, "factor": number},
            number,
        )

    def round(self, step, stop, batch_size, random):
        """Acts, draws, and returns the minibatches of a round."""
        self.learn_priorities()  # before acting puts other steps where these were
        if not self.steps and self.learning_starts:
            self._act(random, -(-self.learning_starts // self.replay.environments), 1.0)
        self.share = self.exploration.at(step / stop)
        self._act(random, self.rollout_steps, self.share)
        slots, columns, probabilities = self.replay.draw(random, self.batches_per_step * batch_size)
        weights = np.ones(len(slots), "float32")
        if self.replay.prioritized:
            exponent = self.importance_exponent + (1 - self.importance_exponent) * step / stop
            weights = (len(self.replay) * probabilities) ** -exponent
            weights = (weights / weights.max()).astype("float32")
            self.drawn = slots, columns
        found = self.replay.look_up(slots, columns, self.model.n_step, self.model.discount)
        before, actions, rewards, after, factors = (
            each.reshape(self.batches_per_step, batch_size, *each.shape[1:]) for each in found
        )
        targets = {"action": actions, "reward": rewards, "factor": factors}
        return {"observation": before, "following": after}, targets, weights.reshape(actions.shape)

    def _act(self, random, count, share):
        """Takes so many steps in every environment, a share of the actions at random."""
        environments, number = self.environments, self.num_environments
        values_of = self.model.acting() if share < 1 else None
        chosen = random.integers(0, self.model.num_actions, (count, number))
        is_random = random.random((count, number)) < share
        for step in range(count):
            before = environments.observations.copy()
            actions = chosen[step]
            if not is_random[step].all():
                actions = np.where(is_random[step], actions, values_of(before).argmax(-1))
            after, rewards, ended, terminated, done = environments.step(actions)
            check_finite(self.place, after, rewards)
            self.finished += done
            if self.clip_rewards:
                rewards = np.sign(rewards)
            self.replay.add(before, actions, rewards, after, ended, terminated)
        self.steps += count * number

    def learn_priorities(self):
        """Takes over how wrong the network was about what was drawn last, where steps are drawn by that."""
        if self.drawn is None or self.model.errors is None:
            return
        self.replay.revalue(*self.drawn, self.model.errors.numpy().ravel())
        self.drawn = None

    def arrays(self):
        """Returns what a checkpoint keeps: the replay, and where each environment is."""
        self.learn_priorities()
        return {**super().arrays(), "replay": self.replay.arrays()}

    def put_back(self, arrays):
        """Takes over what `arrays` returned."""
        super().put_back(arrays)
        self.replay.put_back(arrays["replay"])
