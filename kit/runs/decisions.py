"""Settings that the data decide: "auto" in `own.toml` becomes a value, with a reason that the log tells."""

import logging

from kit import config
from kit.errors import table
from kit.runs import schema as schemas
from kit.runs import settings as run_settings

log = logging.getLogger("kit")


def tell_beginning(schema, overrides):
    """Says in the log which numbers a run begins with where its data are a user's own and no `--config` is named."""
    if run_settings.has_own_data(schema, overrides):
        name = run_settings.first_config(schema, None, overrides)
        suits = "data decide what it leaves open" if name == "own" else "its numbers suit the embedded data"
        log.info("settings begin with %s.toml of %s: %s", name, schema.name, suits)


def decided(recipe, settings, inputs):
    """Returns settings in which nothing is left open; those of a run that has begun are as they were decided then.

    Args:
        recipe: The `Recipe`.
        settings: The resolved settings, table by table, some of them "auto".
        inputs: `PythonInputs`.

    Raises:
        KitError: the data cannot be read, or a setting that was stated does not go with what was decided.
    """
    rules = recipe.own_data.rules if recipe.own_data else {}
    flat = config.flatten(settings)
    left = [key for key in rules if flat.get(key) == "auto"]
    if not left:
        return settings
    from kit.tasks.own_data import Facts

    with table("data"):
        facts = Facts(**recipe.own_data.look(settings["data"], inputs.data), settings=flat)
    log.info("settings that the data decide; any of them can be stated:")
    chosen = {}
    for key in (each for each in left if each not in chosen):
        value, reason = rules[key](facts)
        values = value if isinstance(value, dict) else {key: value}
        # What was stated stays; of a backbone that is decided nothing can have been.
        values = {name: each for name, each in values.items() if name in left or name.startswith("backbone.")}
        chosen |= values
        facts.settings = facts.settings | values
        if reason is not None:
            log.info("  %s: %s", ", ".join(f"{name} = {_shown(name, each)}" for name, each in values.items()), reason)
    return _resolved(recipe, settings, chosen)


def _shown(name, value):
    if value is None:
        return "their own" if name == "data.image_size" else "none"
    return value if value != () else "none"


def _resolved(recipe, settings, chosen):
    """Returns the settings resolved once more, with what was decided in them."""
    flat = config.flatten(settings)
    top = {key: flat.pop(key) for key in ("recipe", "seed")}
    if "model.backbone" in chosen:  # those of what stood in its place
        flat = {key: value for key, value in flat.items() if not key.startswith("backbone.")}
    return {**top, **run_settings.completed(schemas.of(recipe), flat | chosen)}
