"""The settings of `[tune]`: how a recipe's settings are searched."""

import dataclasses
from typing import Literal

from kit.errors import check
from kit.training.cluster import check_name


@dataclasses.dataclass(frozen=True)
class Search:
    """The settings of `[tune]`.

    Args:
        trials: Settings to try. Hyperband tries more of them and trains most for few epochs: altogether it spends at
            most the epochs of so many whole trainings.
        algorithm: "random", "grid", "bayesian" or "hyperband", as Keras Tuner has them.
        cluster: Where trials work: "local" is this machine; "ray" the Ray cluster that it is part of, or which
            `RAY_ADDRESS` names; "ray://HOST:PORT" one whose client port that is. Nodes share the folder of the study.
        workers: Trials at the same time, each in a process of its own; "auto" is one for each processor, and one with a
            GPU; on a cluster as many as its processors, or its GPUs, are enough for.
        threads: Threads of each; "auto" divides the processors among the workers; on a cluster it is 1, or with GPUs
            the processors for each.
        median_stop: Stop a trial whose best value so far is worse than the median of the others' at the same epoch.
        median_epochs: Epochs before that may happen; by default a quarter of a training.
        factor: Hyperband trains the best of so many on, for so many times the epochs.
        keep: Trials, the best ones, whose checkpoints stay on disk.
        retries: How often a trial whose process was killed is tried again, from its last epoch; one whose node of a
            cluster was lost goes on elsewhere in any case.
        minutes: Minutes that the search may take: no trial begins that would not end in them, as long as the others
            took; where `trials` is not stated, as many are tried as go into them. None is no limit.
        time_limit_seconds: No trial begins later than this; None is no limit.
        retrain: In the end train with the best settings on training and validation split, and score that once on the
            test split.

    Raises:
        SettingError: a value is out of range.
    """

    trials: int = 20
    algorithm: Literal["random", "grid", "bayesian", "hyperband"] = "random"
    cluster: str = "local"
    workers: int | Literal["auto"] = "auto"
    threads: int | Literal["auto"] = "auto"
    median_stop: bool = True
    median_epochs: int | None = None
    factor: int = 3
    keep: int = 1
    retries: int = 1
    minutes: float | None = None
    time_limit_seconds: float | None = None
    retrain: bool = False

    def __post_init__(self):
        for key, least in (("trials", 1), ("workers", 1), ("threads", 1), ("median_epochs", 1), ("factor", 2)):
            value = getattr(self, key)
            check(value in (None, "auto") or least <= value < 10**6, key, value, f"at least {least}")
        check_name(self.cluster, "cluster")
        for key in ("keep", "retries"):
            check(getattr(self, key) >= 0, key, getattr(self, key), "at least 0")
        for key in ("minutes", "time_limit_seconds"):
            limit = getattr(self, key)
            check(limit is None or limit > 0, key, limit, "above 0")

    def machine(self):
        """Returns the number of workers on this machine and of threads of each, "auto" decided."""
        import tensorflow as tf

        from kit.tuning.worker import processors

        count = len(processors())
        has_gpu = bool(tf.config.list_physical_devices("GPU"))
        workers = self.workers if self.workers != "auto" else 1 if has_gpu else count
        return workers, self.threads if self.threads != "auto" else max(1, count // workers)
