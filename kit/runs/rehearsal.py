"""Rehearsals before a training: do all parts fit together, how long will it take, which learning rate suits?"""

import contextlib
import logging
import tempfile
from pathlib import Path

from kit import backend, recipes, terminal
from kit.errors import KitError, SettingError, check
from kit.runs import decisions, schema, several, speed
from kit.runs import settings as run_settings
from kit.runs.assembly import assembled
from kit.runs.evaluation import try_evaluation
from kit.runs.kept import keep_data
from kit.runs.python_inputs import PythonInputs, sorted_out
from kit.runs.run import summary

log = logging.getLogger("kit")


@contextlib.contextmanager
def _rehearsed(recipe_name, overrides, config, seed, inputs, *, constant=False):
    """Builds all that a run needs, in a folder that is thrown away, and yields it as `Assembled`.

    Args:
        recipe_name, overrides, config, seed, inputs: As for `kit.runs.run.train_with`.
        constant: Leave the learning rate's schedule away.
    """
    settings = run_settings.resolve(schema.get(recipe_name), config, overrides, seed)
    terminal.load_tensorflow()
    from kit.training import device, optimizers, transfer

    recipe = recipes.get(recipe_name)
    settings = decisions.decided(recipe, settings, inputs)
    several.check_possible(recipe, settings, inputs)
    of_all = settings
    if settings["train"]["folds"]:  # the examples are those of the first
        own = several.members(settings)[0].of(settings)
        settings = own | {"train": settings["train"]}
    if constant:
        settings = settings | {"optimizer": optimizers.without_schedule(settings["optimizer"])}
    own_model = inputs.model
    before = own_model.get_weights() if own_model is not None and own_model.built else None
    # A range test wants the weights that training begins with, however long they take.
    with (
        tempfile.TemporaryDirectory() as scratch,
        assembled(recipe, Path(scratch) / "run", settings, inputs, is_rehearsal=not constant) as parts,
    ):
        if of_all["train"]["folds"]:
            keep_data(Path(scratch) / "run", parts.splits)
            several.check_folds(recipe, Path(scratch) / "run", of_all, several.members(of_all)[1:], inputs)
        log.info("%s", summary(parts, "none: this is a rehearsal"))
        compilation = device.compilation(parts.training.jit_compile)
        if compilation != "auto":
            parts.model.jit_compile = compilation
        freeze = transfer.Freeze(parts.network, parts.training.transfer.freeze, 0)
        freeze.apply(0)
        try:
            yield parts
        finally:
            freeze.restore()
            if before is not None:
                own_model.set_weights(before)


def dry_run(
    recipe=None,
    *,
    config=None,
    seed=None,
    data=None,
    model=None,
    backbone=None,
    optimizer=None,
    train=None,
    evaluate=None,
    verbose=True,
):
    """Reads the data, builds the model, takes a few training steps and evaluates a few examples; writes nothing.

    Args:
        recipe, config, seed, data, model, backbone, optimizer, train, evaluate: As for `kit.train`.
        verbose: Print what happens.

    Returns:
        Dictionary: `params`, `examples` of each split, `steps_per_epoch`, `epochs`, `seconds_per_step`, and
        `seconds_estimated` of all epochs, with every seed or fold, without their validation.

    Raises:
        KitError: settings or data cannot be used.
    """
    tables = dict(zip(run_settings.TABLES, (data, model, backbone, optimizer, train, evaluate), strict=True))
    with terminal.log_shown(verbose):
        recipe, overrides, inputs = sorted_out(recipe, tables, config, None)
        return rehearse(recipe, overrides, config=config, seed=seed, inputs=inputs)


def rehearse(recipe_name, overrides, *, config=None, seed=None, inputs=PythonInputs()):
    """`dry_run` with the settings as a flat dictionary of dotted keys."""
    with _rehearsed(recipe_name, overrides, config, seed, inputs) as parts:
        try_evaluation(parts)
        seconds = speed.seconds_per_step(parts)
    training, splits, steps_per_epoch = parts.training, parts.splits, parts.steps_per_epoch
    runs, epochs = training.folds or training.seeds, training.epochs
    if training.minutes is not None:  # as many as go into them
        epochs = max(round(60 * training.minutes / (steps_per_epoch * seconds)), 1)
    steps = steps_per_epoch * epochs * runs
    log.info(
        "a training step of %d examples takes about %.0f ms; %s%d epochs of %d steps about %s, without validation",
        training.batch_size,
        seconds * 1000,
        f"{runs} {'folds' if training.folds else 'seeds'} of " if runs > 1 else "",
        epochs,
        steps_per_epoch,
        terminal.duration(steps * seconds),
    )
    return {
        "params": parts.network.count_params(),
        "examples": {"train": len(splits.train), "validation": len(splits.validation), "test": len(splits.test)},
        "steps_per_epoch": steps_per_epoch,
        "epochs": epochs,
        "seconds_per_step": round(seconds, 4),
        "seconds_estimated": round(steps * seconds, 1),
    }


def monitored(recipe_name, overrides, *, config=None, seed=None):
    """Takes a training step and scores a few validation examples, to see that the monitored value is there.

    Args:
        recipe_name, overrides, config, seed: As for `kit.runs.run.train_with`.

    Returns:
        Dictionary: `monitor`, its `mode` ("max" or "min"), and the `epochs` of a training.

    Raises:
        KitError: settings or data cannot be used, or the monitored value is missing.
    """
    with _rehearsed(recipe_name, overrides, config, seed, PythonInputs()) as parts:
        backend.need_tensorflow("tune")
        model, splits, validate = parts.model, parts.splits, parts.recipe.task.validate
        model.run_eagerly = True  # to compile takes longer than these few examples
        model.train_on_batch(*next(iter(speed.batches(parts, 1))))
        few = splits.validation.take(slice(0, min(8, len(splits.validation))))
        values = model.evaluate(few.batches(8), return_dict=True, verbose=0)
        if validate:
            values |= validate(parts.network, few, splits.assets)
        names = [f"val_{name}" for name in values]
        if parts.monitor not in names:
            raise SettingError("train.monitor", f"{parts.monitor!r} is not among {', '.join(sorted(names))}")
    return {"monitor": parts.monitor, "mode": parts.mode, "epochs": parts.training.epochs}


def find_learning_rate(
    recipe=None,
    *,
    config=None,
    seed=None,
    data=None,
    model=None,
    backbone=None,
    optimizer=None,
    train=None,
    steps=100,
    verbose=True,
):
    """Trains for some steps at rising learning rates, to see which suit.

    Args:
        recipe, config, seed, data, model, backbone, optimizer, train: As for `kit.train`. A model of one's own has its
            weights back afterwards.
        steps: Training steps at most.
        verbose: Print what happens.

    Returns:
        `kit.training.learning_rate.RangeTest`: its `learning_rate` is the one to try; `kit.reporting.range_test` draws
        its curve.

    Raises:
        KitError: settings or data cannot be used.
    """
    tables = {"data": data, "model": model, "backbone": backbone, "optimizer": optimizer, "train": train}
    with terminal.log_shown(verbose):
        recipe, overrides, inputs = sorted_out(recipe, tables, config, None)
        return range_test(recipe, overrides, config=config, seed=seed, steps=steps, inputs=inputs)


def range_test(recipe_name, overrides, *, config=None, seed=None, steps=100, inputs=PythonInputs()):
    """`find_learning_rate` with the settings as a flat dictionary of dotted keys; it uses the first seed."""
    check(isinstance(steps, int) and steps >= 20, "steps", steps, "a whole number of at least 20")
    if len(schema.get(recipe_name).optimizer_tables) > 1:
        raise KitError(
            f"{recipe_name} has two learning rates and no loss that says which is good; expected another recipe"
        )
    with _rehearsed(recipe_name, overrides, config, seed, inputs, constant=True) as parts:
        from kit.training import learning_rate

        backend.need_tensorflow("look for a learning rate")
        if parts.splits.train.follows_model:
            raise KitError(f"{recipe_name}: no loss says whether an agent acts well; expected another recipe")
        return learning_rate.range_test(parts.model, speed.batches(parts, steps), steps)
