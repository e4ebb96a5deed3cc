"""How long a training step takes on this machine: a few steps of what was assembled, through `fit`."""

import tempfile
import time
import warnings
from pathlib import Path

from kit import terminal
from kit.runs.assembly import assembled, forget


def batches(parts, count):
    """Returns the first training batches of what was assembled."""
    return parts.splits.train.stream(parts.training.batch_size, parts.settings["seed"], 0, count)


def seconds_per_example(recipe, settings, inputs):
    """Returns how long a training example takes on this machine with the settings of a run that is about to begin.

    Args:
        recipe: The `Recipe`.
        settings: The resolved settings, table by table.
        inputs: `PythonInputs`.

    Raises:
        KitError: settings or data cannot be used.
    """
    with tempfile.TemporaryDirectory() as scratch, terminal.log_quiet():
        with assembled(recipe, Path(scratch) / "run", settings, inputs, is_rehearsal=True) as parts:
            seconds = seconds_per_step(parts)
        del parts
        forget()
    return seconds / settings["train"]["batch_size"]


# Steps that are timed: of sequences more, since they differ in length.
_TIMED, _TIMED_SEQUENCES = 2, 6


def seconds_per_step(parts):
    """Returns how long a training step takes, from a few of them behind the first one, which compiles.

    They are taken through `fit`, as those of a run: one compiled function for all lengths of sequences. Sequences are
    timed at lengths that stand for those of the whole epoch.
    """
    import keras

    from kit.training import fused

    batch_size, seed, examples = parts.training.batch_size, parts.settings["seed"], parts.splits.train
    chosen = standing_for_all(examples, batch_size, seed, parts.steps_per_epoch)
    if chosen is None:
        steps, shown = 1 + _TIMED, batches(parts, 1 + _TIMED)
    else:
        steps, shown = 1 + len(chosen), examples.stream(batch_size, seed, 0, 1)
        for step in chosen:
            shown = shown.concatenate(examples.stream(batch_size, seed, step, step + 1))
    ends = []
    clock = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter()))
    with warnings.catch_warnings(), fused.training(parts.model, parts.training.matmul_precision):
        warnings.filterwarnings("ignore", "A layer's `trainable` state has changed")  # frozen layers
        parts.model.fit(shown, steps_per_epoch=steps, callbacks=[clock], shuffle=False, verbose=0)
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def standing_for_all(examples, batch_size, seed, steps):
    """Returns the numbers of a few training steps that are together as long as all steps of the epoch in the mean.

    Args:
        examples: Training examples.
        batch_size, seed: As for `Examples.stream`.
        steps: Steps of the epoch.

    Returns:
        The numbers, spread evenly over the steps sorted by tokens and padding; None where all steps are alike.
    """
    import numpy as np

    batching = getattr(examples, "batching", None)  # those that are acted, or of two kinds, are all alike
    if not hasattr(batching, "sides"):
        return None
    sides = batching.sides(examples)
    rows = batching.training_rows(examples, batch_size, seed, 0, steps)
    positions = [sum(len(each) * int(side[each].max()) for side in sides) for each in rows]
    order = np.argsort(positions, kind="stable")
    places = (np.arange(_TIMED_SEQUENCES) + 0.5) * steps / _TIMED_SEQUENCES
    return [int(step) for step in order[places.astype(int)]]
