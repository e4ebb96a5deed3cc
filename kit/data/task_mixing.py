"""Mixing of several tasks in one training: how often each comes, whatever the number of its examples."""

import dataclasses
import functools
import logging
import math

import numpy as np

from kit.data.batching import ByTokens, endless_rows
from kit.errors import SettingError, check, closest

log = logging.getLogger("kit")


@dataclasses.dataclass(frozen=True)
class Mixing:
    """How often each of several tasks comes in training.

    Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2020, section
    3.5.2.

    Args:
        task_rates: Rates of tasks in training, each as TASK=RATE, in any unit; of a task that is not named it is the
            number of its examples, as a share of those of all that are not named. Empty: all go by their examples.
        mixing_temperature: Numbers of examples count to the power of one over this: 1 is by their numbers, much more
            gives every task about the same.

    Raises:
        SettingError: a value out of range.
    """

    task_rates: tuple[str, ...] = ()
    mixing_temperature: float = 1.0

    def __post_init__(self):
        temperature = self.mixing_temperature
        check(math.isfinite(temperature) and temperature >= 1, "mixing_temperature", temperature, "at least 1")
        for each in self.task_rates:
            name, _, rate = each.rpartition("=")
            check(bool(name.strip()) and _rate(rate) > 0, "task_rates", each, "TASK=RATE with a number above 0")

    def mixed(self, examples):
        """Returns training examples whose stream has the tasks at these rates.

        Args:
            examples: `Examples` with the extra `task` and the batching `ByTokens`.

        Raises:
            SettingError: a rate of a task that there is not in training.
        """
        names, counts = np.unique(examples.extra("task").astype(str), return_counts=True)
        stated = {each.rpartition("=")[0].strip(): _rate(each.rpartition("=")[2]) for each in self.task_rates}
        for name in stated:
            if name not in names:
                raise SettingError("task_rates", f"no task {name!r} in training{closest(name, list(map(str, names)))}")
        if not stated and self.mixing_temperature == 1:
            return examples
        sizes = {str(name): count ** (1 / self.mixing_temperature) for name, count in zip(names, counts, strict=True)}
        others = sum(size for name, size in sizes.items() if name not in stated)
        rates = {name: stated.get(name, size / max(others, 1e-12)) for name, size in sizes.items()}
        shares = {name: rate / sum(rates.values()) for name, rate in rates.items()}
        log.info("tasks in training: %s", ", ".join(f"{name} {share:.1%}" for name, share in shares.items()))
        own = examples.batching
        batching = ByTask(own.source, own.target, own.most_positions, tuple(shares.items()))
        return dataclasses.replace(examples, batching=batching)


def _rate(text):
    try:
        return float(text) if math.isfinite(float(text)) else 0.0
    except ValueError:
        return 0.0


@dataclasses.dataclass(frozen=True)
class ByTask(ByTokens):
    """Batches as `ByTokens` makes them, of an endless stream for each task that comes at a rate of its own.

    Args:
        shares: Pairs of a task's name, as the extra `task` of the examples has it, and its share of them.
    """

    shares: tuple = ()

    def stretch(self, examples, seed, bucket, size):
        """Returns the rows of a bucket: of each task the next of its own passes over its examples."""
        rows, size = _rows_of_tasks(examples), size + len(self.shares) - 1  # those that rounding may take away
        found = []
        for number, (name, share) in enumerate(self.shares):
            own = np.random.SeedSequence((seed, 2, number)).generate_state(1)[0]
            start, stop = (math.floor(size * each * share) for each in (bucket, bucket + 1))
            if stop > start:
                found.append(rows[name][endless_rows(len(rows[name]), int(own), start, stop)])
        return np.concatenate(found)


def _rows_of_tasks(examples):
    """Returns the rows of each task, by name."""
    return _grouped(examples.extras["task"], None if examples.rows is None else examples.rows.astype("int64").tobytes())


@functools.lru_cache(maxsize=4)
def _grouped(column, rows):
    tasks = column.values(None if rows is None else np.frombuffer(rows, "int64"))
    return {name: np.flatnonzero(tasks == name) for name in dict.fromkeys(tasks)}
