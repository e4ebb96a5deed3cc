"""The fit of what was assembled, by the plan that the training began with."""

import dataclasses

from kit.files import read_json, reading
from kit.runs import folder as folders


def plan_of(run_folder, parts):
    """Returns the `Plan` of a training; one that is carried on stays as it was decided on the machine it began on.

    Args:
        run_folder: The run folder.
        parts: `Assembled`.
    """
    from kit.training.plan import Plan, planned

    if not folders.begun(run_folder):
        return planned(parts.training, parts.steps_per_epoch, parts.model, parts.splits.train)
    path = run_folder / "environment.json"
    decided = read_json(path)
    with reading(path):
        kept = (decided["steps_per_execution"], decided["jit_compile"], folders.kept_precision(run_folder))
        return Plan(parts.training, parts.steps_per_epoch, *kept)


def fitted(parts, plan, folder, *, watch=None, engine=None):
    """Trains what was assembled, or goes on where its checkpoint ends; returns `Trained`.

    Args:
        parts: `Assembled`.
        plan: `Plan`.
        folder: Run folder, or what stands in its place.
        watch: As for `kit.training.fit.fit`.
        engine: `kit.training.engine.Processes` in one of several processes that train; or None.
    """
    from kit.runs import choice
    from kit.training.fit import fit

    task, network, splits = parts.recipe.task, parts.network, parts.splits
    is_chief = engine is None or engine.is_chief
    if not is_chief:
        plan = dataclasses.replace(plan, training=dataclasses.replace(plan.training, track=()))
    return fit(
        parts.model,
        network,
        splits,
        plan,
        folder=folder,
        monitor=parts.monitor,
        mode=parts.mode,
        seed=parts.settings["seed"],
        callbacks=parts.callbacks,
        observers=task.observers(network, splits, folder) if task.observers else (),
        validate=task.validate and (lambda: task.validate(network, splits.validation, splits.assets)),
        watch=watch,
        budget=parts.budget,
        error=choice.error_of(parts),
        **({} if engine is None else {"engine": engine}),
    )
