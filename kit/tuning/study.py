"""A study: the search of a recipe's settings, from the command to its beginning; `running` does the rest."""

import contextlib
import logging
import math
import tempfile
from pathlib import Path

from kit import config as toml
from kit import recipes, terminal
from kit.data.split_lists import absolute
from kit.errors import KitError, SettingError, check, table
from kit.files import as_path, write_json
from kit.runs import decisions
from kit.runs import folder as folders
from kit.runs import schema as schemas
from kit.runs import settings as run_settings
from kit.runs.python_inputs import PythonInputs, sorted_out, stated_recipe
from kit.training import cluster
from kit.tuning import given as given_settings
from kit.tuning import outcome, space
from kit.tuning.running import Running
from kit.tuning.search import Search
from kit.tuning.worker import Processes, Worker, carried_out, processors, start_server

log = logging.getLogger("kit")


# Settings that may differ where a study is carried on.
_MAY_CHANGE = ("trials", "cluster", "workers", "threads", "keep", "retries", "minutes", "time_limit_seconds", "retrain")
# Trials of a search by the clock, where their number is not stated: more than any clock allows.
_MANY = 10_000
# Settings that may be paths.
_PATHS = ("data.source", "data.vectors", "train.start_from")


def tune(
    recipe=None,
    *,
    trials=None,
    config=None,
    folder=None,
    seed=None,
    data=None,
    model=None,
    backbone=None,
    optimizer=None,
    train=None,
    evaluate=None,
    tune=None,
    space=None,
    verbose=True,
):
    """Searches a recipe's settings, or carries an unfinished study on.

        study = kit.tune("image_classification", trials=20)
        study.best  # {"optimizer.learning_rate": 0.004, ...}
        kit.train("image_classification", config=study.folder / "best.toml")

    Args:
        recipe: Name of the recipe; it may be left out where `folder` or `config` tells it.
        trials: Settings to try; `tune={"trials": ...}` in short.
        config: Settings that all trials start from, and `[tune]`, as for `kit.train`. Where it has no `[tune.space]`,
            that of the recipe's `default.toml` is searched.
        folder: Folder of the study; by default a new one below `runs/`.
        seed: Seed of the proposals and of every trial.
        data, model, backbone, optimizer, train, evaluate: Settings of these tables for all trials. Data and models
            themselves cannot be given: a trial is settings and nothing else. What is given here is not searched.
        tune: Settings of `[tune]`; `kit show RECIPE` lists them.
        space: Search space, in place of `[tune.space]`: `{"optimizer.learning_rate": {"min": 1e-4, "max": 1e-2,
            "sampling": "log"}, "model.backbone": ["resnet20", "mixnet_s"]}`.
        verbose: Print what happens.

    Returns:
        `Study`.

    Raises:
        KitError: settings, space, data or folder cannot be used; or trials fail one after the other.
    """
    tables = dict(zip(run_settings.TABLES, (data, model, backbone, optimizer, train, evaluate), strict=True))
    with terminal.log_shown(verbose):
        if recipe is None:
            recipe = stated_recipe(config, folder, "study.toml")
        recipe, overrides, inputs = sorted_out(recipe, tables, config, None)
        if inputs.data is not None or inputs.model is not None:
            raise SettingError(
                "data" if inputs.data is not None else "model",
                "trials run in processes of their own and take settings alone; expected a path or a name, such as an "
                ".npz file that `numpy.savez` wrote",
            )
        tune = dict(tune or {}) | ({} if trials is None else {"trials": trials})
        toml.note_typed(space)
        overrides |= {f"tune.{key}": value for key, value in tune.items()}
        return tune_with(recipe, overrides, config=config, folder=folder, seed=seed, searched=space)


def tune_with(recipe_name, overrides, *, config=None, folder=None, seed=None, searched=None):
    """`tune` with the settings as a flat dictionary of dotted keys; the space is `tune.space.` of them, or tables."""
    schema = schemas.get(recipe_name)
    folder = as_path(folder, "folder") if folder else None
    if folder is not None and folder.exists() and not (folder / "study.toml").exists():
        others = [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else [folder]
        others = [path for path in others if path.name not in ("run.log", "study.json")]  # of one that had not begun
        if others:
            raise KitError(f"{folder}: holds other files ({others[0].name}); expected a new folder, or that of a study")
    with folders.held(folder, f"tune-{recipe_name}", "study.toml") as folder, folders.logged(folder):
        search, content, parameters, types = _settings(schema, folder, overrides, config, seed, searched)
        start_server()  # it imports what the rehearsal needs while the same is done here
        terminal.load_tensorflow()
        recipe = recipes.get(recipe_name)
        try:
            with _workers(search, folder, content) as workers:
                if not (folder / "study.toml").exists():
                    content = _decided(recipe, content)
                    write_json(folder / "study.json", _rehearse(recipe, content, parameters, search))
                toml.write_toml(folder / "study.toml", content)  # its presence says that the study has begun
                return Running(recipe, folder, search, parameters, types, content["seed"], workers).run()
        except KeyboardInterrupt:
            if not (folder / "study.toml").exists():
                raise
            log.info("stopped; the same command with --folder %s carries on where it was", folder)
            raise


@contextlib.contextmanager
def _workers(search, folder, content):
    """Yields where trials work: on this machine, or on a cluster that has been looked at."""
    if search.cluster == cluster.LOCAL:
        yield Processes(search)
        return
    from kit.tuning import ray_worker

    with ray_worker.actors(search, folder, toml.flatten(content).get("train.devices", 1)) as workers:
        yield workers


def _settings(schema, folder, overrides, config_file, seed, searched):
    """Returns `Search`, the content of `study.toml`, the space, and the types of what is searched."""
    own = {key: value for key, value in overrides.items() if key.startswith("tune.")}
    base = {key: value for key, value in overrides.items() if key not in own}
    in_flags = {key: value for key, value in own.items() if key.startswith("tune.space.")}
    asked = {key: value for key, value in own.items() if key not in in_flags}
    saved = folder / "study.toml"
    path = (
        saved
        if saved.exists() and config_file is None
        else run_settings.find_config(run_settings.first_config(schema, config_file, base), schema.name)
    )
    of_file, tables = space.of_file(path)
    if searched is not None:
        check(isinstance(searched, dict), "space", searched, "a dictionary from settings to what is searched")
        tables = toml.nested(space.plain(searched))
    elif not tables:
        tables = space.of_file(run_settings.find_config("default", schema.name))[1]
    old_names = run_settings.old_names(schema)
    in_flags = space.from_flags(in_flags)
    asked_for = dict(space.groups(space.merged({} if searched is None else tables, in_flags, old_names), ""))
    given_settings.check_not_both(run_settings.modern(schema, base), asked_for)
    tables = _left(schema, path, base, space.merged(tables, in_flags, old_names), asked_for)
    parameters = space.read(tables, old_names)
    offered = toml.settings_of(Search, "tune")
    chosen = toml.resolve(offered, {f"tune.{key}": value for key, value in of_file.items()} | asked)["tune"]
    if chosen["minutes"] is not None and "tune.trials" not in asked and "trials" not in of_file:
        chosen["trials"] = _MANY
    with table("tune"):
        search = Search(**chosen)
    resolved = run_settings.resolve(schema, path, base, seed)
    if not resolved["train"]["epochs"]:
        raise SettingError("train.epochs", "expected at least 1: trials are told apart by what they learn")
    if resolved["train"]["use_validation"]:
        raise SettingError("train.use_validation", "expected false: trials are compared on the validation split")
    if resolved["train"]["seeds"] != 1:
        raise SettingError("train.seeds", "expected 1: all trials have one seed; train best.toml with several")
    if resolved["train"]["folds"]:
        raise SettingError("train.folds", "expected 0: all trials have one division; train best.toml with folds")
    types = space.check(parameters, schema, path, base)
    try:
        space.hyperparameters(parameters, types)
    except (ValueError, TypeError) as error:
        raise SettingError("tune.space", " ".join(str(error).split())) from None
    flat = toml.flatten(resolved)
    given = {key: flat[key] for key in run_settings.stated(schema, path, base) if key != "seed"}
    for key in _PATHS:
        where = given.get(key)
        if isinstance(where, str) and Path(where).expanduser().exists():
            given[key] = str(Path(where).expanduser().resolve())  # from wherever the study is carried on
    if given.get("data.split_files"):
        given["data.split_files"] = [absolute(file) for file in given["data.split_files"]]
    if saved.exists():
        was = toml.read_toml(saved)
        if was["seed"] and run_settings.kept(schema, was).get("data.split_seed") != flat.get("data.split_seed"):
            raise SettingError(
                "data.split_seed",
                f"the study in {folder} is of the time when its seed divided the data; expected {was['seed']} in "
                f"{saved}, or a new folder",
            )
        _compare(schema, saved, chosen, tables, flat, seed)
        resolved["seed"] = toml.read_toml(saved)["seed"]
    content = {"recipe": schema.name, "seed": resolved["seed"], **toml.nested(given)}
    chosen = {key: value for key, value in chosen.items() if value is not None}
    return search, content | {"tune": chosen | {"space": tables}}, parameters, types


def _decided(recipe, content):
    """Returns the content of `study.toml` with what the data decide, once for all trials."""
    tables = {key: value for key, value in content.items() if key != "tune"}
    flat = {key: value for key, value in toml.flatten(tables).items() if key not in ("recipe", "seed")}
    with_defaults = run_settings.left_open(recipe, flat)
    settings = {"recipe": content["recipe"], "seed": content["seed"], **with_defaults}
    decided = decisions.decided(recipe, settings, PythonInputs())
    if decided is settings:
        return content
    of_all = toml.flatten(decided)
    kept = {key: of_all[key] for key in of_all if key in flat or key.startswith("backbone.")}
    return content | toml.nested({key: value for key, value in kept.items() if value is not None})


def _left(schema, path, base, tables, asked):
    """Returns the tables of the space without what the command states, and says what left with it.

    Args:
        schema: `Schema` of the recipe.
        path: TOML file that trials start from.
        base: Flat dictionary of the settings that the command states.
        tables: The whole space, nested.
        asked: The entries of it that the command asks for, by dotted keys.
    """
    whole = dict(space.groups(tables, ""))
    flat = toml.flatten(run_settings.resolve(schema, path, base, None))
    fixed = {key: flat[key] for key in run_settings.modern(schema, base)}
    left, gone = given_settings.without(whole, fixed, run_settings.old_names(schema))
    if base:
        missing = given_settings.missing(left, schema, run_settings.stated(schema, path, base))
        missing -= asked.keys()
        left, gone = {key: left[key] for key in left if key not in missing}, [*gone, *sorted(missing)]
    if gone and not left:
        raise SettingError(
            "tune.space", f"nothing is left to search: {', '.join(gone)} were given or need another value"
        )
    stated = [key for key in gone if key in fixed]
    others = [key for key in gone if key not in fixed]
    if gone:
        reasons = [f"given: {', '.join(stated)}"] * bool(stated)
        reasons += [f"pointless with what was given: {', '.join(others)}"] * bool(others)
        log.info("not searched: %s", "; ".join(reasons))
    return toml.nested(left)


def _compare(schema, saved, chosen, tables, flat, seed):
    """Raises SettingError where a study would be carried on with other settings than it was begun with."""
    before, searched = space.of_file(saved)
    offered = toml.settings_of(Search, "tune")
    then = {"tune": toml.resolve(offered, {f"tune.{key}": value for key, value in before.items()})["tune"]}
    then = toml.flatten(then | run_settings.resolve(schema, saved, {}, None))
    now = flat | {f"tune.{key}": value for key, value in chosen.items()}
    skipped = {f"tune.{key}" for key in _MAY_CHANGE} | ({"seed"} if seed is None else set())
    for key in sorted((now.keys() | then.keys()) - skipped):
        is_open = key in schema.decided and now.get(key) == "auto"
        if not is_open and not run_settings.alike(now.get(key), then.get(key)):
            raise SettingError(
                key, f"the study in {saved.parent} was started with {then.get(key)!r}, not {now.get(key)!r}"
            )
    if space.plain(tables) != searched:
        raise SettingError("tune.space", f"the study in {saved.parent} was started with another space")
    journal = saved.parent / "journal.jsonl"
    begun = journal.read_text(encoding="utf-8").count('"RUNNING"') if journal.exists() else 0
    if chosen["algorithm"] != "hyperband" and chosen["trials"] < begun:
        raise SettingError(
            "tune.trials", f"expected at least {begun}, which were begun already, got {chosen['trials']}"
        )


def _rehearse(recipe, content, parameters, search):
    """Finds out, in a process of its own, whether all that the space may lead to can be built and trained.

    Returns:
        Dictionary: `monitor`, its `mode`, and the `epochs` of a training.

    Raises:
        KitError: one of the variants cannot; the message names it.
    """
    variants = [{}]
    variants += [each for each in space.alternatives(parameters) if each not in variants]
    log.info("rehearsal: building the model under %d settings", len(variants))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "study.toml"
        toml.write_toml(path, content)
        order = {"kind": "rehearsal", "recipe": recipe.name, "config": str(path), "seed": content["seed"]}
        tried = [{}]
        threads = math.prod(search.machine()) if search.cluster == cluster.LOCAL else len(processors())
        found = carried_out(
            Worker(order | {"variants": variants}, threads),
            lambda message: tried.append(message["variant"]),
        )
    if "failed" in found:
        shown = ", ".join(f"{key} = {value!r}" for key, value in tried[-1].items())
        where = f" (in the rehearsal, with {shown})" if shown else " (in the rehearsal)"
        raise KitError(f"{found['failed']}{where}")
    return found


def load(folder):
    """Returns the `Study` in a folder.

    Raises:
        KitError: there is no finished study in it.
    """
    folder = Path(as_path(folder, "folder"))
    if not (folder / "study.toml").exists():
        raise KitError(f"{folder}: no study; expected a folder that `kit tune` has left")
    if not (folder / "summary.json").exists():
        raise KitError(f"{folder}: this study is not finished; carry it on with `kit tune --folder {folder}`")
    return outcome.load(folder)
