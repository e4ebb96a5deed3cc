"""Which settings a recipe has, and which of them a run gets: TOML below overrides, checked against the signatures."""

from pathlib import Path

from kit import config
from kit.errors import KitError, SettingError, check, choose, closest
from kit.files import as_path

TABLES = ("data", "model", "backbone", "optimizer", "train", "evaluate")


def settings_of(recipe, given):
    """Returns all settings that a recipe has under the given choices of backbones, optimizers and schedules.

    Args:
        recipe: The `Recipe`.
        given: Flat dictionary of dotted keys.

    Raises:
        SettingError: an unknown backbone, optimizer or schedule.
    """
    from kit.training.fit import Training

    model, backbones = _model_settings(recipe, given)
    return [
        *config.settings_of(recipe.data, "data"),
        *model,
        *backbones,
        *(setting for name in recipe.optimizer_tables.values() for setting in _optimizer_settings(name, given)),
        *config.settings_of(Training, "train"),
        *config.settings_of(recipe.task.evaluate, "evaluate"),
    ]


def _model_settings(recipe, given):
    """Returns the settings of `[model]`, and those of the tables of its backbones."""
    if is_own_model(recipe, given):
        if recipe.stages.adopt is None:
            raise SettingError("model.backbone", f"{recipe.name} takes no model of one's own; expected a name")
        return config.settings_of(recipe.stages.adopt, "model", skip=("optimizer",)), []
    skip = (*recipe.optimizer_tables, *recipe.stages.optional_facts)
    model = config.settings_of(recipe.build, "model", skip=skip)
    defaults = {setting.key: setting.default for setting in model}
    presets, backbones = {}, []
    for name, table in recipe.backbone_tables.items():
        variant = given.get(f"model.{name}", defaults[f"model.{name}"])
        build, arguments = choose(recipe.backbones[name], variant, f"model.{name}")
        presets |= recipe.stages.presets.get(variant, {})
        backbones += config.settings_of(build, table, skip=("name",), defaults=arguments)
    if presets:
        model = config.settings_of(recipe.build, "model", skip=skip, defaults=presets)
    return model, backbones


def is_own_model(recipe, given):
    """Tells whether flat settings say that a model of one's own is trained."""
    return "backbone" in recipe.backbones and given.get("model.backbone") == "given"


def old_names(recipe):
    """Returns the old dotted names of settings, each with that of today."""
    return {f"model.{old}": f"model.{new}" for old, new in config.aliases_of(recipe.build).items()}


def modern(recipe, flat):
    """Returns flat settings in which those with an old name have the name of today.

    Raises:
        SettingError: a setting is there under both names.
    """
    aliases = old_names(recipe)
    for old, new in aliases.items():
        if old in flat and new in flat:
            raise SettingError(old, f"is called {new} now; expected one of the two")
    return {aliases.get(key, key): value for key, value in flat.items()}


def _optimizer_settings(name, given):
    """Returns the settings that an optimizer's table has; a second one is by default of the first one's kind."""
    from kit.training import optimizers

    first = {key.removeprefix("optimizer."): value for key, value in given.items() if key.startswith("optimizer.")}
    own = {key.removeprefix(f"{name}."): value for key, value in given.items() if key.startswith(f"{name}.")}
    chosen = {key: str((first | own)[key]) for key in ("name", "schedule") if key in first | own}
    try:
        optimizer, course = optimizers.choice(**chosen)
    except SettingError as error:
        raise SettingError(error.key.replace("optimizer.", f"{name}."), error.problem) from None
    types = {"types": optimizers.TYPES, "meanings": optimizers.MEANINGS}
    return [
        *config.settings_of(optimizers.choice, name, defaults=chosen),
        *config.settings_of(optimizer, name, skip=optimizers.NOT_SETTINGS, **types),
        *config.settings_of(course, name),
    ]


def shipped_settings(recipe_name):
    """Returns the folder of a recipe's TOML files: inside an installed package, or `recipes/` of a checkout."""
    here = Path(__file__).parent.parent
    for folder in (here / "settings", here.parent / "recipes"):
        if (folder / recipe_name).is_dir():
            return folder / recipe_name
    raise KitError(f"no settings are installed for the recipe {recipe_name!r}")


def find_config(name, recipe_name):
    """Returns the path of a TOML file, given as a path or as the name of one that comes with the recipe.

    Raises:
        SettingError: there is neither.
    """
    path = as_path(name, "config")
    if path.is_file():
        return path
    folder = shipped_settings(recipe_name)
    names = [path.stem for path in folder.glob("*.toml")]
    if name in names:
        return folder / f"{name}.toml"
    raise SettingError("config", f"no TOML file {name!r}{closest(name, names)}")


def given(recipe, config_file, overrides):
    """Returns the flat dictionary of what was asked for: the TOML file's settings below the overrides."""
    path = find_config(config_file or "default", recipe.name)
    flat = {key: value for key, value in config.read_toml(path).items() if not key.startswith("tune.")}
    flat, overrides = modern(recipe, flat), modern(recipe, overrides)
    stated = flat.pop("recipe", recipe.name)
    if stated != recipe.name:
        raise SettingError("recipe", f"{path} is for {stated!r}, not {recipe.name!r}")
    changed = {key for key in overrides if overrides[key] != flat.get(key)}
    # A file's numbers for one backbone mean nothing for another, nor do arguments that another optimizer lacks.
    for name, table in recipe.backbone_tables.items():
        if f"model.{name}" in changed:
            own = {f"model.{key}" for settings in recipe.stages.presets.values() for key in settings}
            flat = {key: value for key, value in flat.items() if not key.startswith(f"{table}.") and key not in own}
    if is_own_model(recipe, overrides):
        known = {setting.key for setting in settings_of(recipe, {"model.backbone": "given"})}
        flat = {key: value for key, value in flat.items() if key in known or not key.startswith("model.")}
    if any(key.startswith("optimizer.") and key.endswith((".name", ".schedule")) for key in changed):
        known = {setting.key for setting in settings_of(recipe, flat | overrides)}
        flat = {key: value for key, value in flat.items() if key in known or not key.startswith("optimizer.")}
    return flat | overrides


def resolve(recipe, config_file, overrides, seed):
    """Returns the checked settings of a run, table by table, with `seed` and `recipe` at the top.

    Raises:
        SettingError: an unknown key, or a value that cannot be; the message names the key.
    """
    asked = given(recipe, config_file, overrides)
    file_seed = asked.pop("seed", 0)
    seed = file_seed if seed is None else seed
    _check_seed(seed)
    settings = settings_of(recipe, asked)
    defaults = {setting.key: setting.default for setting in settings}
    for table in list(recipe.optimizer_tables.values())[1:]:
        for key in (key for key in defaults if key.startswith(f"{table}.")):
            first = key.replace(f"{table}.", "optimizer.")
            if key not in asked and first in asked and asked[first] != defaults.get(first):
                asked[key] = asked[first]
    tables = config.resolve(settings, asked)
    return {"recipe": recipe.name, "seed": seed, **_nested(tables)}


def _nested(tables):
    """Returns the settings table by table, `[optimizer.discriminator]` inside `[optimizer]`."""
    found = {name: tables.get(name, {}) for name in TABLES}
    for name in tables:
        outer, _, inner = name.partition(".")
        if inner:
            found[outer][inner] = tables[name]
    return found


def _check_seed(seed):
    whole = isinstance(seed, int) and not isinstance(seed, bool)
    check(whole and 0 <= seed < 2**31, "seed", seed, "a whole number from 0 to 2147483647")


def of_run(recipe, folder, config_file, overrides, seed):
    """Returns the settings of a new run, or of the one in the folder, if those given now do not differ."""
    if (folder / "config.toml").exists():
        return resume(recipe, folder, config_file, overrides, seed)
    return resolve(recipe, config_file, overrides, seed)


def resume(recipe, folder, config_file, overrides, seed):
    """Returns the settings that an unfinished run was started with, if those given now do not differ.

    Raises:
        SettingError: a setting differs.
    """
    path = folder / "config.toml"
    flat, overrides = modern(recipe, config.read_toml(path)), modern(recipe, overrides)
    if flat.get("recipe") != recipe.name:
        raise SettingError("recipe", f"the run in {folder} is for {flat.get('recipe')!r}")
    asked = given(recipe, config_file, overrides) if config_file else dict(overrides)
    stated_seed = asked.pop("seed", None)
    seed = stated_seed if seed is None else seed
    saved_seed = flat.pop("seed", 0)
    _check_seed(saved_seed)
    if seed not in (None, saved_seed):
        raise SettingError("seed", f"the run in {folder} has {saved_seed}, not {seed}")
    flat.pop("recipe")
    settings = settings_of(recipe, flat)
    saved = config.resolve(settings, flat)
    wanted = config.resolve(settings, flat | asked)
    for key in asked:
        name, _, item = key.rpartition(".")
        before, now = saved[name][item], wanted[name][item]
        if now != "auto" and not alike(before, now):
            raise SettingError(key, f"the run in {folder} was started with {before!r}, not {now!r}")
    return {"recipe": recipe.name, "seed": saved_seed, **_nested(saved)}


def alike(first, second):
    """Tells whether two values of a setting mean the same: equal, lists of equal items, or paths to one place."""
    if isinstance(first, str) and isinstance(second, str):
        return first == second or Path(first).expanduser().resolve() == Path(second).expanduser().resolve()
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return list(first) == list(second)
    return first == second
