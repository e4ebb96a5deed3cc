"""Settings that the data decide: "auto" in `own.toml` becomes a value, with a reason that the log tells."""

import logging
import time

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


def decided(recipe, settings, inputs, started=None):
    """Returns settings in which nothing is left open; those of a run that has begun are as they were decided then.

    Args:
        recipe: The `Recipe`.
        settings: The resolved settings, table by table, some of them "auto".
        inputs: `PythonInputs`.
        started: Seconds by the clock when the run began, of which `train.minutes` counts; by default now.

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
    if settings["train"]["minutes"] and recipe.own_data.sizes is not None and "model.backbone" in chosen:
        chosen |= _sized(recipe, settings, chosen, facts, inputs, started)
    return _resolved(recipe, settings, chosen)


# Seconds that the end of a run takes, and share of what is left that goes into training steps: the rest is validation.
_END, _TRAINS = 10, 0.85
# A smaller network than the usual one is taken where that would have so small a share of the epochs that suit it.
_TOO_FEW = 0.4


def _sized(recipe, settings, chosen, facts, inputs, started):
    """Returns the settings of a network of such a size that the minutes suffice for the epochs which the data ask for.

    The speed of the usual network is measured, that of others goes by how many times as long they take.
    """
    from kit.runs import speed

    sizes, minutes = recipe.own_data.sizes(facts), settings["train"]["minutes"]
    if len(sizes) < 2:
        return {}
    now = time.perf_counter()
    began = now if started is None else started
    seconds = speed.seconds_per_example(recipe, _resolved(recipe, settings, chosen), inputs)
    again = time.perf_counter() - now  # reading and compiling, which the training does once more
    left = max(60 * minutes - (time.perf_counter() - began) - again - _END, 0)
    epochs = left * _TRAINS / (seconds * facts.examples * settings["train"]["share"])
    wanted = facts.settings["train.epochs"]
    least = wanted * _TOO_FEW
    fitting = [each for each in sizes if epochs / each.times >= (wanted if each.times > 1 else least)]
    best = max(fitting, key=lambda each: each.times) if fitting else min(sizes, key=lambda each: each.times)
    log.info(
        "  %s: %.3g minutes are about %.3g epochs of it, measured here",
        ", ".join(f"{name} = {_shown(name, each)}" for name, each in best.values.items()),
        minutes,
        epochs / best.times,
    )
    return best.values


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
