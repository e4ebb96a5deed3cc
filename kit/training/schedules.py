"""Learning-rate schedules by name.

Each function takes the peak learning rate and the number of training steps, and returns a number, a Keras schedule, or
a Keras callback; its other parameters are keys of `[optimizer]`.
"""

import math

import keras
from keras import ops

from kit.errors import check


@keras.saving.register_keras_serializable("kit")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Up along a line and down along a cosine, once over the whole training.

    Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates", 2017.

    Args:
        learning_rate: Rate at the peak.
        total_steps: Steps of the whole training.
        warmup_fraction: Share of the steps before the peak.
        initial_fraction: First rate, as a share of the peak.
        final_fraction: Last rate, as a share of the peak.
    """

    def __init__(
        self,
        learning_rate,
        total_steps,
        warmup_fraction=0.25,
        initial_fraction=0.04,
        final_fraction=0.001,
    ):
        self.learning_rate = learning_rate
        self.total_steps = total_steps
        self.warmup_fraction = warmup_fraction
        self.initial_fraction = initial_fraction
        self.final_fraction = final_fraction

    def __call__(self, step):
        warmup = self.warmup_fraction * self.total_steps
        step = ops.cast(step, "float32")
        rising = self.initial_fraction + (1 - self.initial_fraction) * step / max(warmup, 1)
        share = ops.minimum((step - warmup) / max(self.total_steps - warmup, 1), 1.0)
        falling = self.final_fraction + (1 - self.final_fraction) * 0.5 * (1 + ops.cos(math.pi * share))
        return self.learning_rate * ops.where(step < warmup, rising, falling)

    def get_config(self):
        return dict(vars(self))


@keras.saving.register_keras_serializable("kit")
class Lowered(keras.optimizers.schedules.LearningRateSchedule):
    """Another schedule, or a constant rate, times a factor from some step on.

    Args:
        schedule: Keras schedule or number.
        step: First step with the factor.
        factor: The factor.
    """

    def __init__(self, schedule, step, factor):
        self.schedule = schedule
        self.step = step
        self.factor = factor

    def __call__(self, step):
        rate = self.schedule(step) if callable(self.schedule) else self.schedule
        return rate * ops.where(ops.cast(step, "float32") < self.step, 1.0, self.factor)

    def get_config(self):
        schedule = self.schedule
        if callable(schedule):
            schedule = keras.optimizers.schedules.serialize(schedule)
        return {"schedule": schedule, "step": self.step, "factor": self.factor}

    @classmethod
    def from_config(cls, config):
        if isinstance(config["schedule"], dict):
            config = config | {"schedule": keras.optimizers.schedules.deserialize(config["schedule"])}
        return cls(**config)


@keras.saving.register_keras_serializable("kit")
class InverseSquareRoot(keras.optimizers.schedules.LearningRateSchedule):
    """Up along a line, then down with the inverse square root of the step.

    Vaswani et al., "Attention Is All You Need", 2017, section 5.3, with the peak given instead of the model's width.

    Args:
        learning_rate: Rate at the peak.
        warmup_steps: Steps before the peak.
    """

    def __init__(self, learning_rate, warmup_steps=1000):
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        step = ops.cast(step, "float32") + 1
        warmup = float(max(self.warmup_steps, 1))
        return self.learning_rate * ops.minimum(step / warmup, ops.sqrt(warmup) * ops.rsqrt(step))

    def get_config(self):
        return dict(vars(self))


def constant(learning_rate, total_steps):
    """The same rate from first to last step."""
    return learning_rate


def warmup_cosine(learning_rate, total_steps, *, warmup_steps: int = 0, final_fraction: float = 0.0):
    """Up along a line, then down along a cosine (Loshchilov and Hutter, "SGDR", 2016, without restarts).

    Args:
        learning_rate: Rate at the peak.
        total_steps: Steps of the whole training.
        warmup_steps: Steps from zero to the peak.
        final_fraction: Last learning rate, as a share of the peak.
    """
    _check_fraction("final_fraction", final_fraction)
    check(
        0 <= warmup_steps < total_steps,
        "warmup_steps",
        warmup_steps,
        f"a number of steps below the training's {total_steps}",
    )
    decay_steps = total_steps - warmup_steps
    if not warmup_steps:
        return keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps, alpha=final_fraction)
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps,
        alpha=final_fraction,
        warmup_target=learning_rate,
        warmup_steps=warmup_steps,
    )


def one_cycle(
    learning_rate,
    total_steps,
    *,
    warmup_fraction: float = 0.25,
    initial_fraction: float = 0.04,
    final_fraction: float = 0.001,
):
    """Up along a line and down along a cosine, once (Smith and Topin, 2017); momentum is left alone.

    Args:
        learning_rate: Rate at the peak.
        total_steps: Steps of the whole training.
        warmup_fraction: Share of the steps before the peak.
        initial_fraction: First learning rate, as a share of the peak.
        final_fraction: Last learning rate, as a share of the peak.
    """
    for key, value in (
        ("warmup_fraction", warmup_fraction),
        ("initial_fraction", initial_fraction),
        ("final_fraction", final_fraction),
    ):
        _check_fraction(key, value)
    return OneCycle(learning_rate, total_steps, warmup_fraction, initial_fraction, final_fraction)


def step(
    learning_rate,
    total_steps,
    *,
    decay_at: tuple[float, ...] = (0.5, 0.75),
    decay_factor: float = 0.1,
):
    """Drops by a factor at given shares of the training, as the residual networks' paper does.

    Args:
        learning_rate: First rate.
        total_steps: Steps of the whole training.
        decay_at: Shares of the training at which the learning rate drops.
        decay_factor: What the learning rate is multiplied by at each drop.
    """
    check(
        len(decay_at) and all(0 < share < 1 for share in decay_at) and list(decay_at) == sorted(set(decay_at)),
        "decay_at",
        decay_at,
        "at least one share between 0 and 1, rising",
    )
    _check_fraction("decay_factor", decay_factor)
    boundaries = [round(share * total_steps) for share in decay_at]
    values = [learning_rate * decay_factor**index for index in range(len(boundaries) + 1)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)


def inverse_square_root(learning_rate, total_steps, *, warmup_steps: int = 1000):
    """Up along a line, then down with the inverse square root of the step (Vaswani et al., 2017).

    Args:
        learning_rate: Rate at the peak.
        total_steps: Steps of the whole training.
        warmup_steps: Steps before the peak.
    """
    check(warmup_steps >= 0, "warmup_steps", warmup_steps, "at least 0")
    return InverseSquareRoot(learning_rate, warmup_steps)


def reduce_on_plateau(
    learning_rate,
    total_steps,
    *,
    plateau_factor: float = 0.5,
    plateau_patience: int = 3,
    min_learning_rate: float = 0.0,
):
    """Drops by a factor when the monitored value stops getting better.

    Args:
        learning_rate: First rate.
        total_steps: Steps of the whole training.
        plateau_factor: What the learning rate is multiplied by at each drop, below 1.
        plateau_patience: Epochs without improvement before a drop.
        min_learning_rate: The learning rate never falls below this.
    """
    check(
        0 < plateau_factor < 1,
        "plateau_factor",
        plateau_factor,
        "a number between 0 and 1",
    )
    check(plateau_patience >= 0, "plateau_patience", plateau_patience, "at least 0")
    check(min_learning_rate >= 0, "min_learning_rate", min_learning_rate, "at least 0")
    return keras.callbacks.ReduceLROnPlateau(factor=plateau_factor, patience=plateau_patience, min_lr=min_learning_rate)


SCHEDULES = {
    function.__name__: function
    for function in (
        constant,
        warmup_cosine,
        one_cycle,
        step,
        inverse_square_root,
        reduce_on_plateau,
    )
}


def _check_fraction(key, value):
    check(0 <= value <= 1, key, value, "a share from 0 to 1")
