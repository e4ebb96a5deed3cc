"""Keras' optimizers by name, with a schedule inside.

`[optimizer]` takes the arguments of the chosen Keras class and of the chosen schedule, and no others.
"""

import inspect

import keras

from kit.errors import SettingError, check, choose
from kit.training.budget import ByTheClock
from kit.training.schedules import SCHEDULES, Lowered

_NOT_BY_NAME = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer", "OptimizerMap"}
OPTIMIZERS = {
    name.lower(): value
    for name, value in vars(keras.optimizers).items()
    if inspect.isclass(value) and issubclass(value, keras.optimizers.Optimizer) and name not in _NOT_BY_NAME
}

# Keras leaves its arguments unannotated; those whose default is None need their type from here.
TYPES = {
    "weight_decay": float | None,
    "adam_weight_decay": float | None,
    "clipnorm": float | None,
    "clipvalue": float | None,
    "global_clipnorm": float | None,
    "loss_scale_factor": float | None,
    "ema_overwrite_frequency": int | None,
    "gradient_accumulation_steps": int | None,
    "exclude_layers": list[str] | None,
    "learning_rate": float,
    "adam_lr_ratio": float,
}
MEANINGS = {
    "learning_rate": "Learning rate; its highest, where a schedule changes it.",
    "weight_decay": "Share, times the learning rate, by which kernels and embeddings of tokens get smaller in a step; "
    "biases, normalisations and positions do not.",
}
NOT_SETTINGS = ("name", "loss_scale_factor")


def choice(name: str = "adamw", schedule: str = "constant"):
    """The two choices that decide which other keys `[optimizer]` has.

    Args:
        name: Keras optimizer, in lower case: adam, adamw, sgd, rmsprop, lamb, lion, muon ...
        schedule: Course of the learning rate: constant, warmup_cosine, one_cycle, step, inverse_square_root or
            reduce_on_plateau.

    Returns:
        The optimizer's class and the schedule's function.

    Raises:
        SettingError: an unknown name.
    """
    optimizer = choose(OPTIMIZERS, name, "optimizer.name")
    course = choose(SCHEDULES, schedule, "optimizer.schedule")
    shared = set(inspect.signature(optimizer).parameters) & set(inspect.signature(course).parameters) - {
        "learning_rate"
    }
    if shared:
        raise SettingError(
            "optimizer.schedule",
            f"{name} has its own {', '.join(sorted(shared))}; expected 'constant'",
        )
    return optimizer, course


def without_schedule(settings):
    """Returns the keys of `[optimizer]` with a constant learning rate in place of a schedule and its arguments."""
    _, course = choice(settings["name"], settings["schedule"])
    of_course = set(inspect.signature(course).parameters) - {"learning_rate"}
    return {key: value for key, value in settings.items() if key not in of_course} | {"schedule": "constant"}


def build(settings, total_steps, lowered=None, budget=None):
    """Builds an optimizer whose learning rate follows a schedule.

    What weight decay spares is a matter of the model: `kit.training.decay`.

    Args:
        settings: The keys of `[optimizer]`: `name` and `schedule`, then what these two take.
        total_steps: Steps of the whole training.
        lowered: A step and the factor that the learning rate has from there on, or None.
        budget: `kit.training.budget.Budget` whose clock the schedule follows, or None.

    Returns:
        The optimizer, and a list of callbacks that the schedule needs.

    Raises:
        SettingError: a value is out of range.
    """
    optimizer_class, course = choice(settings["name"], settings["schedule"])
    arguments = {key: settings[key] for key in settings.keys() - {"name", "schedule"}}
    of_course = {
        key: value
        for key, value in arguments.items()
        if key in inspect.signature(course).parameters and key != "learning_rate"
    }
    of_optimizer = {key: value for key, value in arguments.items() if key not in of_course}
    learning_rate = of_optimizer["learning_rate"]
    check(learning_rate > 0, "learning_rate", learning_rate, "a number above 0")
    least = {
        **dict.fromkeys(("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "epsilon"), 0),
        **{"ema_overwrite_frequency": 1, "gradient_accumulation_steps": 2},
    }
    for key, bound in least.items():
        value = of_optimizer.get(key)
        check(value is None or value >= bound, key, value, f"a number of at least {bound}")
    for key, value in of_optimizer.items():
        if "beta_1" in key or key in ("beta_2", "adam_beta_2", "momentum", "ema_momentum", "rho"):
            check(0 <= value < 1, key, value, "a number from 0 to below 1")
    rate = course(learning_rate, total_steps, **of_course)
    callbacks = []
    if isinstance(rate, keras.callbacks.Callback):
        callbacks, rate = [rate], learning_rate
    if lowered and callbacks:
        raise SettingError("schedule", f"{settings['schedule']!r} goes with train.unfreeze_rate = 1 alone")
    if budget is not None and callable(rate):
        rate = ByTheClock(rate, total_steps, budget.share)
    if lowered:
        rate = Lowered(rate, *lowered)
    try:
        optimizer = optimizer_class(**{**of_optimizer, "learning_rate": rate})
    except ValueError as error:
        raise SettingError("name", " ".join(str(error).split())) from None
    return optimizer, callbacks
