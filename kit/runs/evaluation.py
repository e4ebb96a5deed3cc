"""Trial of an evaluation ahead of the training: a mistake in `[evaluate]` costs nothing then, and the epochs after."""

import contextlib
import dataclasses
import logging
import random
import warnings

import numpy as np

from kit import config
from kit.data.columns import Dense
from kit.errors import table

log = logging.getLogger("kit")

# Examples that an evaluation is tried on, draws in place of thousands, and tokens of what is written.
_FEW = 8


def try_evaluation(parts):
    """Evaluates a network that has learned nothing on a few validation examples, with all settings of `[evaluate]`.

    What is random in the training stays as it is. A recipe without such settings has nothing to try.

    Args:
        parts: `Assembled`.

    Raises:
        KitError: the evaluation that follows the training would end so, too.
    """
    task, settings = parts.recipe.task, parts.settings["evaluate"]
    if not settings:
        return
    examples = parts.splits.validation
    rows = np.unique(np.linspace(0, len(examples) - 1, _FEW).astype(int))  # of all classes, where they come in order
    few, assets = task.some(examples, rows), parts.splits.assets
    with table("evaluate"), _aside(parts.network):
        config.bind(task.evaluate, settings)
        settings = {key: min(value, _FEW) if key in task.draws else value for key, value in settings.items()}
        if task.calibrate is not None and not parts.training.use_validation:
            assets = assets | config.call(task.calibrate, parts.network, few, assets, **of_calibration(task, settings))
        found = config.call(task.evaluate, parts.network, few, assets, **settings)
        if settings.get("explain_mistakes"):  # what explains is called by the drawing alone
            mistaken = _with_one_mistake(few, found, assets["class_names"])
            found = config.call(task.evaluate, parts.network, mistaken, assets, **settings)
            for name, draw in found.figures.items():
                if name.endswith("_explained"):
                    draw()


def _with_one_mistake(examples, found, class_names):
    """Returns examples labelled as a classifier answers, but for the first.

    One is enough for a trial, which may take seconds each; without this a good network, such as an earlier run's, might
    make no mistake.

    Args:
        examples: `Examples` with the target `label`.
        found: Their `Evaluation`.
        class_names: Name of each class.
    """
    numbers = {name: number for number, name in enumerate(class_names)}
    answers = found.predictions()["prediction"].map(numbers).to_numpy()
    labels = np.array(examples.targets["label"].values())
    rows = np.arange(len(labels)) if examples.rows is None else examples.rows
    labels[rows] = answers
    labels[rows[0]] = (answers[0] + 1) % len(class_names)
    return dataclasses.replace(examples, targets=examples.targets | {"label": Dense(labels)})


def of_calibration(task, settings):
    """Returns those settings of `[evaluate]` that the calibration of a task has, too."""
    offered = config.names_of(task.calibrate)
    return {key: value for key, value in settings.items() if key in offered}


@contextlib.contextmanager
def _aside(network):
    """Compiles nothing inside, which takes longer than a few examples, and leaves a network and all that is random."""
    import keras
    import tensorflow as tf

    from kit import decoding

    drawn, state = random.getstate(), np.random.get_state()
    kept = [keras.ops.convert_to_numpy(variable) for variable in network.non_trainable_variables]
    is_eager, level = tf.config.functions_run_eagerly(), log.level
    log.setLevel(logging.CRITICAL)  # what is said of so few examples is about nobody's scores
    tf.config.run_functions_eagerly(not tf.distribute.has_strategy())
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), decoding.at_most(_FEW):
            warnings.simplefilter("ignore")
            yield
    finally:
        tf.config.run_functions_eagerly(is_eager)
        log.setLevel(level)
        decoding.forget_made(network)
        network.predict_function = None  # Keras keeps it, for the steps in one call of now
        for variable, value in zip(network.non_trainable_variables, kept, strict=True):
            variable.assign(value)
        random.setstate(drawn)
        np.random.set_state(state)
