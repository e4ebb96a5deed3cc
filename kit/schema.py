"""Which settings a recipe has, and which of them a run gets: TOML below overrides, checked against the signatures."""

from pathlib import Path

from kit import config
from kit.errors import KitError, SettingError, check, choose, closest
from kit.files import as_path

TABLES = ("data", "model", "backbone", "optimizer", "train", "evaluate")


def settings_of(recipe, given):
    """Returns all settings that a recipe has under the given choices of architecture, optimizer and schedule.

    Args:
        recipe: The `Recipe`.
        given: Flat dictionary of dotted keys.

    Raises:
        SettingError: an unknown architecture, optimizer or schedule.
    """
    from kit.training import optimizers
    from kit.training.fit import Training

    key = f"model.{recipe.architecture_key}"
    if given.get(key) == "given":
        if recipe.adopt is None:
            raise SettingError(key, f"{recipe.name} takes no model of one's own; expected a name")
        model, backbone = config.settings_of(recipe.adopt, "model", skip=("optimizer",)), []
    else:
        model = config.settings_of(recipe.build, "model", skip=("optimizer",))
        default = next(setting.default for setting in model if setting.key == key)
        build, variant = choose(recipe.architectures, given.get(key, default), key)
        backbone = config.settings_of(build, "backbone", skip=("name",), defaults=variant)
    chosen = {name: str(given[f"optimizer.{name}"]) for name in ("name", "schedule") if f"optimizer.{name}" in given}
    optimizer, course = optimizers.choice(**chosen)
    return [
        *config.settings_of(recipe.data, "data"),
        *model,
        *backbone,
        *config.settings_of(optimizers.choice, "optimizer", defaults=chosen),
        *config.settings_of(
            optimizer,
            "optimizer",
            skip=optimizers.NOT_SETTINGS,
            types=optimizers.TYPES,
            meanings=optimizers.MEANINGS,
        ),
        *config.settings_of(course, "optimizer"),
        *config.settings_of(Training, "train"),
        *config.settings_of(recipe.evaluate, "evaluate"),
    ]


def shipped_settings(recipe_name):
    """Returns the folder of a recipe's TOML files: inside an installed package, or `recipes/` of a checkout."""
    here = Path(__file__).parent
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
    stated = flat.pop("recipe", recipe.name)
    if stated != recipe.name:
        raise SettingError("recipe", f"{path} is for {stated!r}, not {recipe.name!r}")
    changed = {key for key in overrides if overrides[key] != flat.get(key)}
    # A file's numbers for one architecture mean nothing for another, nor do arguments that another optimizer lacks.
    architecture = f"model.{recipe.architecture_key}"
    if architecture in changed:
        flat = {key: value for key, value in flat.items() if not key.startswith("backbone.")}
    if overrides.get(architecture) == "given":
        known = {setting.key for setting in settings_of(recipe, {architecture: "given"})}
        flat = {key: value for key, value in flat.items() if key in known or not key.startswith("model.")}
    if changed & {"optimizer.name", "optimizer.schedule"}:
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
    tables = config.resolve(settings_of(recipe, asked), asked)
    return {"recipe": recipe.name, "seed": seed, **{name: tables.get(name, {}) for name in TABLES}}


def _check_seed(seed):
    whole = isinstance(seed, int) and not isinstance(seed, bool)
    check(whole and 0 <= seed < 2**31, "seed", seed, "a whole number from 0 to 2147483647")


def resume(recipe, folder, config_file, overrides, seed):
    """Returns the settings that an unfinished run was started with, if those given now do not differ.

    Raises:
        SettingError: a setting differs.
    """
    path = folder / "config.toml"
    flat = config.read_toml(path)
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
    return {"recipe": recipe.name, "seed": saved_seed, **{name: saved.get(name, {}) for name in TABLES}}


def alike(first, second):
    """Tells whether two values of a setting mean the same: equal, lists of equal items, or paths to one place."""
    if isinstance(first, str) and isinstance(second, str):
        return first == second or Path(first).expanduser().resolve() == Path(second).expanduser().resolve()
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return list(first) == list(second)
    return first == second
