"""Replay buffer: preallocated arrays, vectorised add and sample, uniform or prioritised.

Lin, "Self-Improving Reactive Agents Based On Reinforcement Learning, Planning and Teaching", 1992.
"""

import math
import os

import numpy as np

from kit.data.memory import free_memory
from kit.errors import KitError, SettingError, Unavailable, check

# Arrays larger than this lie in a file of the run folder instead of in every checkpoint.
MAPPED_BYTES = 16 * 2**20


class SumTree:
    """Sum tree of priorities: a draw in proportion to them costs a step for each doubling of their number.

    Args:
        size: Number of priorities.
    """

    def __init__(self, size):
        self.base = 1 << max(1, math.ceil(math.log2(size)))
        self.nodes = np.zeros(2 * self.base)
        self.levels = self.base.bit_length() - 1

    def __getitem__(self, leaves):
        return self.nodes[self.base + leaves]

    @property
    def total(self):
        return self.nodes[1]

    def put(self, leaves, values):
        """Sets some priorities; of one that is named twice, the last value stays."""
        nodes = self.base + np.asarray(leaves)
        self.nodes[nodes] = values
        for _ in range(self.levels):
            nodes = np.unique(nodes >> 1)
            self.nodes[nodes] = self.nodes[2 * nodes] + self.nodes[2 * nodes + 1]

    def find(self, sums):
        """Returns the leaf where the running sum of the priorities passes each of some sums, (draws,)."""
        nodes, rest = np.ones(len(sums), "int64"), np.array(sums)
        for _ in range(self.levels):
            nodes *= 2
            left = self.nodes[nodes]
            goes_right = (rest >= left) & (self.nodes[nodes + 1] > 0)
            rest -= left * goes_right
            nodes += goes_right
        return nodes - self.base


class ReplayBuffer:
    """Replay buffer of the latest steps of vectorised environments.

    A step is a slot, in which every environment has a row; the oldest slot makes room for the newest.

    Args:
        size: Steps to keep, those of all environments together.
        environments: Number of environments.
        shape: Shape of an observation.
        dtype: Its type, "float32" or "uint8".
        prioritized, priority_exponent: As in `kit.agents.options.ReplayOptions`.

    Raises:
        SettingError: it does not fit into memory, or a value is out of range.
    """

    def __init__(self, size, environments, shape, dtype, *, prioritized=False, priority_exponent=0.6):
        check(size >= environments, "replay_size", size, f"at least {environments}, a step of every environment")
        self.slots, self.environments = size // environments, environments
        self.shape, self.dtype = tuple(shape), dtype
        self.slack, self.position, self.count, self.wrapped = 0, 0, 0, False
        self.bytes_of_observations = 2 * size * math.prod(self.shape) * np.dtype(dtype).itemsize
        self.is_mapped = self.bytes_of_observations > MAPPED_BYTES
        self.exponent = priority_exponent
        self.prioritized = prioritized
        self.capacity = self.slots
        self.observations, self.actions = None, None  # made at the first step: an evaluation needs no memory for it
        self.greatest = 1.0

    def check_memory(self):
        """Raises SettingError where it does not fit into free memory."""
        rows = self.slots * self.environments
        needed = (
            10 * rows + (0 if self.is_mapped else self.bytes_of_observations) + (32 * rows if self.prioritized else 0)
        )
        free = free_memory()
        if needed > 0.9 * free:
            raise SettingError(
                "data.replay_size",
                f"{rows:,} steps take {needed / 2**30:,.1f} GiB, and {free / 2**30:,.1f} GiB of memory are free; "
                "expected fewer",
            )

    def _allocate(self):
        """Makes the arrays, those of observations where they do not lie in a file."""
        rows = (self.capacity, self.environments)
        if self.observations is None:
            self.observations = np.zeros((2, *rows, *self.shape), self.dtype)
        self.actions = np.zeros(rows, "int32")
        self.rewards = np.zeros(rows, "float32")
        self.ended = np.zeros(rows, bool)
        self.terminated = np.zeros(rows, bool)
        self.tree = SumTree(self.capacity * self.environments) if self.prioritized else None

    def map_to_file(self, path, slack):
        """Keeps large observations in a file; call it before the first step.

        A checkpoint cannot hold them, and a run may be killed at any moment behind one: so many slots more than are
        drawn from make sure that what was drawn from at the checkpoint is not overwritten before the next.

        Args:
            path: File.
            slack: Slots that are filled between two checkpoints.

        Raises:
            Unavailable: the disk has no room for it.
        """
        if not self.is_mapped or self.observations is not None:
            return
        self.slack, self.capacity, self.path = slack, self.slots + slack, path
        shape = (2, self.capacity, self.environments, *self.shape)
        size = math.prod(shape) * np.dtype(self.dtype).itemsize
        self.is_new = not path.exists() or path.stat().st_size != size
        if self.is_new:
            try:
                with open(path, "wb") as file:
                    os.posix_fallocate(file.fileno(), 0, size)  # a write beyond a full disk would kill the process
            except OSError as error:
                path.unlink(missing_ok=True)
                raise Unavailable(
                    f"{path}: {size / 2**30:,.1f} GiB cannot be had ({error.strerror}); expected a smaller "
                    "data.replay_size, or room on the disk"
                ) from None
        self.observations = np.memmap(path, self.dtype, "r+", shape=shape)
        self._allocate()

    def __len__(self):
        return self.count * self.environments

    def add(self, observations, actions, rewards, following, ended, terminated):
        """Stores a step of every environment, each argument (environments, ...)."""
        if self.actions is None:
            self._allocate()
        slot = self.position
        self.observations[0, slot], self.observations[1, slot] = observations, following
        self.actions[slot], self.rewards[slot] = actions, rewards
        self.ended[slot], self.terminated[slot] = ended, terminated
        if self.prioritized:
            columns = np.arange(self.environments)
            leaving = (slot - self.slots) % self.capacity
            if self.slack:
                self.tree.put(leaving * self.environments + columns, 0.0)
            self.tree.put(slot * self.environments + columns, self.greatest**self.exponent)
        self.position = (slot + 1) % self.capacity
        self.wrapped |= self.position == 0
        self.count = min(self.count + 1, self.slots)

    def sample(self, random, count):
        """Draws steps, uniformly or by priority.

        Args:
            random: NumPy generator.
            count: Number of steps to draw.

        Returns:
            Slot, environment, and probability of each, three arrays (count,).
        """
        if not self.prioritized:
            rows = random.integers(0, len(self), count)
            ages, columns = np.divmod(rows, self.environments)
            return (self.position - 1 - ages) % self.capacity, columns, np.full(count, 1 / len(self))
        # One draw from each of as many equal parts of the whole sum, in random order: minibatches are cut from it.
        sums = (random.permutation(count) + random.random(count)) / count * self.tree.total
        leaves = self.tree.find(sums)
        probabilities = self.tree[leaves] / self.tree.total
        return *np.divmod(leaves, self.environments), probabilities

    def update_priorities(self, slots, columns, errors):
        """Sets the priorities of sampled steps anew, by their temporal-difference errors."""
        priorities = np.abs(errors) + 1e-6
        self.greatest = max(self.greatest, float(priorities.max()))
        self.tree.put(slots * self.environments + columns, priorities**self.exponent)

    def n_step_transitions(self, slots, columns, n_step, discount):
        """Returns transitions over several steps, and their discounted rewards.

        A transition ends early with its episode, or with the newest step; the value of what comes behind is estimated
        from there on.

        Args:
            slots, columns: Slot and environment of each step, (steps,).
            n_step: Steps whose rewards are added.
            discount: Factor of each later reward.

        Returns:
            Observations, actions, discounted sums of rewards, observations behind those, and the factor of their
            value: 0 where the episode has ended for good.
        """
        newest = (self.position - 1) % self.capacity
        sums = np.zeros(len(slots), "float32")
        factors = np.ones(len(slots), "float32")
        last, is_open = slots.copy(), np.ones(len(slots), bool)
        for step in range(n_step):
            here = (slots + step) % self.capacity
            last[is_open] = here[is_open]
            sums += np.where(is_open, factors * self.rewards[here, columns], 0.0).astype("float32")
            factors[is_open] *= discount
            if step + 1 < n_step:
                is_open &= ~self.ended[here, columns] & (here != newest)
        factors[self.terminated[last, columns]] = 0.0
        return (
            self.observations[0, slots, columns],
            self.actions[slots, columns],
            sums,
            self.observations[1, last, columns],
            factors,
        )

    def arrays(self):
        """Returns arrays for the checkpoint; observations in a file of their own are written out there."""
        filled = slice(0, self.capacity if self.wrapped else self.position)
        arrays = [np.array([self.position, self.count, self.wrapped]), np.array(self.greatest)]
        arrays += [column[filled] for column in (self.actions, self.rewards, self.ended, self.terminated)]
        if self.prioritized:
            arrays.append(self.tree[np.arange(self.capacity * self.environments)])
        if self.is_mapped:
            self.observations.flush()
        else:
            arrays.append(self.observations[:, filled])
        return arrays

    def put_back(self, arrays):
        """Takes over the arrays of a checkpoint."""
        if self.is_mapped and self.is_new:
            raise KitError(f"{self.path}: missing or damaged, so that the run cannot be carried on; expected a new run")
        if self.actions is None:
            self._allocate()
        (position, count, wrapped), greatest, *columns = arrays
        self.position, self.count, self.wrapped = int(position), int(count), bool(wrapped)
        self.greatest = float(greatest)
        for target in (self.actions, self.rewards, self.ended, self.terminated):
            values = columns.pop(0)
            target[: len(values)] = values
        if self.prioritized:
            priorities = columns.pop(0)
            self.tree.put(np.arange(len(priorities)), priorities)
        if not self.is_mapped:
            values = columns.pop(0)
            self.observations[:, : values.shape[1]] = values
