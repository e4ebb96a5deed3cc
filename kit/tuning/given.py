"""Settings that a command states: they are not searched, nor is what only other values of them would need."""

from kit import config
from kit.errors import SettingError
from kit.runs import settings as run_settings


def check_not_both(overrides, asked):
    """Raises SettingError where a command both states a setting and asks for the search of it.

    Args:
        overrides: Flat dictionary of the settings that are stated.
        asked: Entries of the space that are asked for, by dotted keys.
    """
    for key in sorted(overrides.keys() & asked.keys()):
        raise SettingError(f"tune.space.{key}", f"{key} = {overrides[key]!r} was given, too; expected one of the two")


def without(space, values, old_names):
    """Takes settings out of a search space.

    Args:
        space: Dictionary from dotted keys to entries, as `[tune.space]` has them.
        values: Dotted name to value of each setting that is not searched.
        old_names: Old names of settings, each with that of today.

    Returns:
        The space that is left, without conditions that hold; and the keys that left it, in order.
    """
    left = {key: entry for key, entry in space.items() if key not in values}
    while True:
        gone = (space.keys() | values.keys()) - left.keys()
        kept = {key: _restricted(entry, values, gone, old_names) for key, entry in left.items()}
        kept = {key: entry for key, entry in kept.items() if entry is not None}
        if kept == left:
            return left, [key for key in space if key not in left]
        left = kept


def _restricted(entry, values, gone, old_names):
    """Returns an entry without the conditions on what was given that hold; None where one of its can never hold."""
    if isinstance(entry, list) and entry and all(isinstance(each, dict) for each in entry):
        kept = [each for each in (_restricted(each, values, gone, old_names) for each in entry) if each is not None]
        return kept or None
    when = entry.get("when") if isinstance(entry, dict) else None
    if not isinstance(when, dict):
        return entry
    open_ones = {}
    for stated, wanted in config.flatten(when).items():
        parent = old_names.get(stated, stated)
        if parent not in gone:
            open_ones[parent] = wanted
        elif parent not in values or not any(
            run_settings.alike(values[parent], each) for each in (wanted if isinstance(wanted, list) else [wanted])
        ):
            return None
    rest = {word: content for word, content in entry.items() if word != "when"}
    return rest | ({"when": config.nested(open_ones)} if open_ones else {})


def missing(space, schema, stated):
    """Returns the keys of a space that no setting has under what is stated, and no other searched one could bring.

    Args:
        space: Dictionary from dotted keys to entries.
        schema: `Schema` of the recipe.
        stated: Flat dictionary of the settings that trials start from.
    """
    deciding = {f"model.{key}" for key in schema.backbones}
    deciding |= {f"{table}.{key}" for table in schema.optimizer_tables.values() for key in ("name", "schedule")}
    if deciding & space.keys():
        return set()
    known = {setting.key for setting in run_settings.settings_of(schema, stated)}
    return {key for key in space if key not in known and key.partition(".")[0] in ("backbone", "optimizer")}
