"""Applying a finished run to inputs: predictions, and what they rest on, with the settings of a verb."""

import dataclasses

from kit import config, recipes
from kit.errors import KitError, SettingError, table
from kit.runs import schema as schemas
from kit.runs.memory import in_memory


@dataclasses.dataclass(frozen=True)
class Application:
    """Settings of `[predict]` that every recipe has.

    Args:
        ensemble: Of a folder with several seeds or folds, average the answers of all: probabilities of classes, logits
            or CRF scores of tags. Otherwise the best run by validation answers.
    """

    ensemble: bool = False


def offered_to(verb, recipe):
    """Returns the settings that a recipe has for a verb such as "predict" or "explain", without a table.

    Raises:
        KitError: answers of the recipe are not explained.
    """
    offered = getattr(schemas.get(recipe), verb)
    if offered is None:
        known = [name for name in recipes.names() if getattr(schemas.get(name), verb) is not None]
        raise KitError(f"{verb}: answers of {recipe} are not explained; expected a run of {', '.join(known)}")
    return [*offered, *config.settings_of(Application)] if verb == "predict" else offered


def settings_for(run, verb, settings):
    """Returns the settings of a verb, given those that are asked for; others are as the run was evaluated.

    Args:
        run: The `kit.runs.finished.Run`.
        verb: "predict" or "explain".
        settings: Settings of the verb.
    """
    offered_to(verb, run.recipe.name)
    offered = config.settings_of(getattr(run.recipe.task, verb), verb)
    if verb == "predict":
        offered += config.settings_of(Application, verb)
    asked = config.flatten({verb: settings})
    chosen = config.resolve(offered, asked).get(verb, {})
    if chosen.pop("ensemble", False):
        raise SettingError("predict.ensemble", f"{run.folder} holds one run; expected several seeds or folds")
    names = {each.key.rpartition(".")[2] for each in offered}
    shared = {key: value for key, value in run.settings["evaluate"].items() if key in names}
    return shared | {key: value for key, value in chosen.items() if f"{verb}.{key}" in asked}


def called(run, name, inputs, chosen, verb=None):
    """Calls a function of a run's task, with settings as `settings_for` returns them.

    Args:
        run: The run.
        name: Name of the function.
        inputs: What it is given.
        chosen: Its settings.
        verb: Table that they stand in; None is the function's name.
    """
    function, verb = getattr(run.recipe.task, name), verb or name
    with table(verb), in_memory(lambda flat: config.settings_of(function, verb), {verb: chosen}):
        return config.call(function, run.model, inputs, run.assets, **chosen)
