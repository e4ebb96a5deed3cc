"""Applying a finished run to inputs: predictions, and what they rest on, with the settings of a verb."""

from kit import config, recipes
from kit.errors import KitError, table
from kit.runs import schema as schemas
from kit.runs.memory import in_memory


def offered_to(verb, recipe):
    """Returns the settings that a recipe has for a verb such as "predict" or "explain", without a table.

    Raises:
        KitError: answers of the recipe are not explained.
    """
    offered = getattr(schemas.get(recipe), verb)
    if offered is None:
        known = [name for name in recipes.names() if getattr(schemas.get(name), verb) is not None]
        raise KitError(f"{verb}: answers of {recipe} are not explained; expected a run of {', '.join(known)}")
    return offered


def applied(run, verb, inputs, settings):
    """Calls the function of a run's task for a verb; settings that are not asked for are as the run was evaluated.

    Args:
        run: The `kit.runs.finished.Run`.
        verb: "predict" or "explain".
        inputs: What the task takes.
        settings: Settings of the verb.
    """
    offered_to(verb, run.recipe.name)
    apply = getattr(run.recipe.task, verb)
    offered = config.settings_of(apply, verb)
    asked = config.flatten({verb: settings})
    chosen = config.resolve(offered, asked).get(verb, {})
    names = {each.key.rpartition(".")[2] for each in offered}
    shared = {key: value for key, value in run.settings["evaluate"].items() if key in names}
    own = {key: value for key, value in chosen.items() if f"{verb}.{key}" in asked}
    with table(verb), in_memory(lambda flat: offered, {verb: shared | own}):
        return config.call(apply, run.model, inputs, run.assets, **shared | own)
