"""Which settings a recipe has, and which of them a run gets: TOML below overrides, checked against its schema.

Functions take a `Schema`, or the `Recipe` itself, whose signatures are read then.
"""

import re
from pathlib import Path

from kit import config
from kit.errors import KitError, SettingError, check, choose, closest
from kit.files import as_path
from kit.runs import schema as schemas

TABLES = ("data", "model", "backbone", "optimizer", "train", "evaluate")
SOURCE = "data.source"
CLUSTER = "train.cluster"
# Names of settings that count layers, and the most that one may ask for.
_LAYERS, _MOST_LAYERS = re.compile(r"(.*_)?depths?|convolutions|modules|mapping_layers|residual_blocks"), 1000


def settings_of(schema, asked):
    """Returns all settings that a recipe has under the choices of backbones, optimizers and schedules asked for.

    Args:
        schema: `Schema` or `Recipe`.
        asked: Flat dictionary of dotted keys.

    Raises:
        SettingError: an unknown backbone, optimizer or schedule.
    """
    schema = schemas.of(schema)
    return [
        *config.in_table(schema.data, "data"),
        *_model_settings(schema, asked),
        *(each for table in schema.optimizer_tables.values() for each in _optimizer_settings(schema, table, asked)),
        *config.in_table(schema.train, "train"),
        *config.in_table(schema.evaluate, "evaluate"),
    ]


def _model_settings(schema, asked):
    """Returns the settings of `[model]`, and those of the tables of its backbones."""
    if is_own_model(schema, asked):
        if schema.own_model is None:
            raise SettingError("model.backbone", f"{schema.name} takes no model of one's own; expected a name")
        return config.in_table(schema.own_model, "model")
    defaults = {setting.key: setting.default for setting in schema.model}
    presets, of_backbones = {}, []
    for name, table in schema.backbone_tables.items():
        variant = asked.get(f"model.{name}", defaults[name])
        family, arguments = choose(schema.backbones[name], variant, f"model.{name}")
        presets |= schema.presets.get(variant, {})
        of_backbones += config.in_table(family.settings, table, arguments)
    return [*config.in_table(schema.model, "model", presets), *of_backbones]


def is_own_model(schema, asked):
    """Tells whether flat settings say that a model of one's own is trained."""
    return "backbone" in schema.backbones and asked.get("model.backbone") == "given"


def old_names(schema):
    """Returns the old dotted names of settings, each with that of today."""
    return {f"model.{old}": f"model.{new}" for old, new in schemas.of(schema).old_names.items()}


def modern(schema, flat):
    """Returns flat settings in which those with an old name have the name of today.

    Raises:
        SettingError: a setting is there under both names.
    """
    aliases = old_names(schema)
    for old, new in aliases.items():
        if old in flat and new in flat:
            raise SettingError(old, f"is called {new} now; expected one of the two")
    return {aliases.get(key, key): value for key, value in flat.items()}


def kept(schema, flat):
    """Returns the flat settings that a run folder holds, under the names of today.

    A run without `data.split_seed` is of the time when the seed of the run divided its data.
    """
    flat = modern(schema, flat)
    if any(setting.key == "split_seed" for setting in schemas.of(schema).data):
        flat.setdefault("data.split_seed", flat.get("seed", 0))
    return flat


def _optimizer_settings(schema, table, asked):
    """Returns the settings that an optimizer's table has; a second one is by default of the first one's kind."""
    first = {key.removeprefix("optimizer."): value for key, value in asked.items() if key.startswith("optimizer.")}
    own = {key.removeprefix(f"{table}."): value for key, value in asked.items() if key.startswith(f"{table}.")}
    chosen = {setting.key: setting.default for setting in schema.optimizer_choices}
    chosen |= {key: str((first | own)[key]) for key in chosen if key in first | own}
    optimizer = choose(schema.optimizers, chosen["name"], f"{table}.name")
    schedule = choose(schema.schedules, chosen["schedule"], f"{table}.schedule")
    shared = {setting.key for setting in optimizer} & {setting.key for setting in schedule}
    if shared:
        raise SettingError(
            f"{table}.schedule", f"{chosen['name']} has its own {', '.join(sorted(shared))}; expected 'constant'"
        )
    choices = config.in_table(schema.optimizer_choices, table, chosen)
    return [*choices, *config.in_table(optimizer, table), *config.in_table(schedule, table)]


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


def first_config(schema, config_file, overrides):
    """Returns the TOML file that settings begin with: the one asked for, or `own` or `default`, by the data.

    `default.toml` has numbers that suit the embedded data; those of `own.toml` are decided by the data.
    """
    if config_file:
        return config_file
    return "own" if schemas.of(schema).decided and has_own_data(schema, overrides) else "default"


def has_own_data(schema, overrides):
    """Tells whether a command names another source than the embedded one of the recipe's `default.toml`."""
    source = overrides.get(SOURCE)
    if source is None:
        return False
    return str(source) != config.read_toml(find_config("default", schemas.of(schema).name)).get(SOURCE)


def stated(schema, config_file, overrides):
    """Returns the flat dictionary of all that a command states: a TOML file's settings below the overrides."""
    schema = schemas.of(schema)
    path = find_config(first_config(schema, config_file, overrides), schema.name)
    flat = {key: value for key, value in config.read_toml(path).items() if not key.startswith("tune.")}
    flat, overrides = modern(schema, flat), modern(schema, overrides)
    of_file = flat.pop("recipe", schema.name)
    if of_file != schema.name:
        raise SettingError("recipe", f"{path} is for {of_file!r}, not {schema.name!r}")
    published = _of_published(schema, flat, overrides)
    overrides = published | overrides | {key: published[key] for key in published if key == "model.weights"}
    changed = {key for key in overrides if overrides[key] != flat.get(key)}
    # A file's numbers for one backbone mean nothing for another, nor do arguments that another optimizer lacks.
    for name, table in schema.backbone_tables.items():
        if f"model.{name}" in changed:
            own = {f"model.{key}" for settings in schema.presets.values() for key in settings}
            flat = {key: value for key, value in flat.items() if not key.startswith(f"{table}.") and key not in own}
    if is_own_model(schema, overrides):
        known = {setting.key for setting in settings_of(schema, {"model.backbone": "given"})}
        flat = {key: value for key, value in flat.items() if key in known or not key.startswith("model.")}
    if any(key.startswith("optimizer.") and key.endswith((".name", ".schedule")) for key in changed):
        known = {setting.key for setting in settings_of(schema, flat | overrides)}
        flat = {key: value for key, value in flat.items() if key in known or not key.startswith("optimizer.")}
    return flat | overrides


def _of_published(schema, flat, overrides):
    """Returns the settings that a folder of published weights decides, where `model.weights` names one.

    Raises:
        SettingError: a backbone is asked for that they are not of.
    """
    weights = overrides.get("model.weights", flat.get("model.weights"))
    if not isinstance(weights, str) or not weights:
        return {}
    from kit.weights import published

    needs_folder = any(setting.key == "tokenizer" for setting in schema.data)
    if not needs_folder and not published.is_folder(weights):
        return {}
    found = published.settings_of(weights)
    name = found["model.backbone"]
    if name not in schema.backbones["backbone"]:
        raise SettingError("model.weights", f"{weights} holds a {name}, which {schema.name} has no use for")
    asked = overrides.get("model.backbone", name)
    check(asked == name, "model.backbone", asked, f"{name!r}, which {weights} holds")
    return found | {"model.weights": published.absolute(weights)}  # a run is carried on from anywhere


def resolve(schema, config_file, overrides, seed):
    """Returns the checked settings of a new run, table by table, with `seed` and `recipe` at the top.

    Args:
        schema: `Schema` or `Recipe`.
        config_file: TOML file or the name of one; None is `default`, or `own` for data of a user's own.
        overrides: Flat dictionary of dotted keys, which stand above those of the file.
        seed: Seed of the run; None where the file or the default decides.

    Returns:
        The settings; "auto" where the data are to decide, see `kit.runs.decisions`.

    Raises:
        SettingError: an unknown key, or a value that cannot be; the message names the key.
    """
    schema = schemas.of(schema)
    asked = stated(schema, config_file, overrides)
    file_seed = asked.pop("seed", 0)
    seed = _checked_seed(file_seed if seed is None else seed)
    return {"recipe": schema.name, "seed": seed, **left_open(schema, asked)}


def left_open(schema, asked):
    """Returns `completed` settings of which those are "auto" that the data may decide and that were asked for as such.

    Where settings of `[backbone]` are stated, the backbone is that of `default.toml`: they are of one that is known.
    """
    schema = schemas.of(schema)
    keys = [key for key in schema.decided if asked.get(key) == "auto"]
    asked = dict(asked)
    if "model.backbone" in keys and any(key.startswith("backbone.") for key in asked):
        keys.remove("model.backbone")
        asked["model.backbone"] = config.read_toml(find_config("default", schema.name))["model.backbone"]
    tables = completed(schema, {key: value for key, value in asked.items() if key not in keys})
    for key in keys:
        table, _, name = key.rpartition(".")
        tables[table][name] = "auto"
    return tables


def completed(schema, asked):
    """Returns the checked settings, table by table, of flat ones, with the defaults of all others.

    Raises:
        SettingError: an unknown key, or a value that cannot be; the message names the key.
    """
    settings = settings_of(schema, asked)
    defaults = {setting.key: setting.default for setting in settings}
    for table in list(schema.optimizer_tables.values())[1:]:
        for key in (key for key in defaults if key.startswith(f"{table}.")):
            first = key.replace(f"{table}.", "optimizer.")
            if key not in asked and first in asked and asked[first] != defaults.get(first):
                asked[key] = asked[first]
    resolved = config.resolve(settings, asked)
    for table, content in resolved.items():
        for key, value in content.items():
            if _LAYERS.fullmatch(key):
                _check_layers(value, f"{table}.{key}")
    return _nested(resolved)


def _check_layers(value, key):
    """Raises SettingError for a number of layers, also in a list, that takes hours to build."""
    for count in value if isinstance(value, list | tuple) else [value]:
        check(not isinstance(count, int) or count <= _MOST_LAYERS, key, count, f"at most {_MOST_LAYERS} layers")


def _nested(tables):
    """Returns the settings table by table, `[optimizer.discriminator]` inside `[optimizer]`."""
    found = {name: tables.get(name, {}) for name in TABLES}
    for name in tables:
        outer, _, inner = name.partition(".")
        if inner:
            found[outer][inner] = tables[name]
    return found


def _checked_seed(seed):
    seed = seed.tolist() if hasattr(seed, "tolist") else seed  # a number of NumPy
    whole = isinstance(seed, int) and not isinstance(seed, bool)
    check(whole and 0 <= seed < 2**31, "seed", seed, "a whole number from 0 to 2147483647")
    return seed


def of_run(schema, run_folder, config_file, overrides, seed):
    """Returns the settings of a new run, or of the one in the folder, if those asked for now do not differ."""
    if (run_folder / "config.toml").exists():
        return resume(schema, run_folder, config_file, overrides, seed)
    return resolve(schema, config_file, overrides, seed)


def resume(schema, run_folder, config_file, overrides, seed):
    """Returns the settings that an unfinished run was started with, if those asked for now do not differ.

    Those of `[evaluate]`, on which nothing that is trained depends, are the ones asked for now. So is `data.source`,
    where a source has moved: whether it is the same is told by its content; and `train.cluster`, where it is trained.

    Raises:
        SettingError: a setting differs.
    """
    schema = schemas.of(schema)
    path = run_folder / "config.toml"
    flat, overrides = kept(schema, config.read_toml(path)), modern(schema, overrides)
    if flat.get("recipe") != schema.name:
        raise SettingError("recipe", f"the run in {run_folder} is for {flat.get('recipe')!r}")
    asked = stated(schema, config_file, overrides) if config_file else dict(overrides)
    # What the data have decided is in the run's settings.
    asked = {key: value for key, value in asked.items() if key not in schema.decided or value != "auto"}
    stated_seed = asked.pop("seed", None)
    seed = stated_seed if seed is None else seed
    saved_seed = _checked_seed(flat.pop("seed", 0))
    if seed is not None and _checked_seed(seed) != saved_seed:
        raise SettingError("seed", f"the run in {run_folder} has {saved_seed}, not {seed}")
    flat.pop("recipe")
    settings = settings_of(schema, flat)
    saved = config.resolve(settings, flat)
    wanted = config.resolve(settings, flat | asked)
    for key in asked:
        name, _, item = key.rpartition(".")
        before, now = saved[name][item], wanted[name][item]
        if key.startswith("evaluate.") or key in (SOURCE, CLUSTER):
            saved[name][item] = before if alike(before, now) else now
        elif now != "auto" and not alike(before, now):
            raise SettingError(key, f"the run in {run_folder} was started with {before!r}, not {now!r}")
    return {"recipe": schema.name, "seed": saved_seed, **_nested(saved)}


def changes(schema, run_folder, settings):
    """Returns which settings are others than those that a run in a folder began with, each with the old and new value.

    Args:
        schema: `Schema` or `Recipe`.
        run_folder: The run folder.
        settings: What `resume` returned.
    """
    flat = config.read_toml(run_folder / "config.toml")
    before = {f"evaluate.{each.key}": each.default for each in schemas.of(schema).evaluate}
    before |= {CLUSTER: "local"} if "cluster" in settings["train"] else {}
    before |= {key: flat[key] for key in (*before, SOURCE) if key in flat}
    now = {key: settings[key.partition(".")[0]].get(key.partition(".")[2]) for key in before}
    return {key: (before[key], now[key]) for key in before if not alike(before[key], now[key])}


def _path(text):
    """Returns an absolute path, and what stands before it, as in `test=list.txt`."""
    said, _, path = text.rpartition("=")
    return said, Path(path).expanduser().resolve()


def alike(first, second):
    """Tells whether two values of a setting mean the same: equal, lists of equal items, or paths to one place."""
    if isinstance(first, str) and isinstance(second, str):
        return first == second or _path(first) == _path(second)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(alike, first, second))
    return first == second
