"""The one path: settings, data, model, fit, evaluate, run folder. Every verb of the kit walks a part of it."""

import contextlib
import dataclasses
import datetime
import importlib.metadata
import logging
import os
import platform
import sys
from pathlib import Path

from kit import config, recipes
from kit.errors import KitError, SettingError, check, choose, closest, table
from kit.files import atomic, read_json, write_json, write_text

log = logging.getLogger("kit")

TABLES = ("data", "model", "backbone", "optimizer", "train", "evaluate")
_PACKAGES = (
    "tensorflow",
    "keras",
    "numpy",
    "pandas",
    "scikit-learn",
    "pillow",
    "kit",
)


@dataclasses.dataclass
class Run:
    """A finished run, as `train` and `load` return it.

    Args:
        folder: Its folder.
        recipe: Its `Recipe`.
        settings: Its settings, table by table.
        model: The network with the best epoch's weights.
        history: `pandas.DataFrame` with a row an epoch.
        metrics: Content of `metrics.json`.
        assets: What prediction needs beside the model.
    """

    folder: Path
    recipe: object
    settings: dict
    model: object
    history: object
    metrics: dict
    assets: dict

    def predict(self, inputs, **settings):
        """Applies the model; see the recipe's `predict` for inputs, settings and the returned table."""
        return self.recipe.predict(self.model, inputs, self.assets, **settings)


# --- settings -------------------------------------------------------------------------------------------------------


def schema(recipe, given):
    """Returns all settings that a recipe has under the given choices of architecture, optimizer and schedule.

    Args:
        recipe: The `Recipe`.
        given: Flat dictionary of dotted keys.

    Raises:
        SettingError: an unknown architecture, optimizer or schedule.
    """
    from kit.training import optimizers
    from kit.training.fit import Training

    model = config.settings_of(recipe.build, "model", skip=("optimizer",))
    key = f"model.{recipe.architecture_key}"
    default = next(setting.default for setting in model if setting.key == key)
    build, variant = choose(recipe.architectures, given.get(key, default), key)
    chosen = {
        name: str(given[f"optimizer.{name}"])
        for name in ("name", "schedule")
        if f"optimizer.{name}" in given
    }
    optimizer, course = optimizers.choice(**chosen)
    return [
        *config.settings_of(recipe.data, "data"),
        *model,
        *config.settings_of(build, "backbone", skip=("name",), defaults=variant),
        *config.settings_of(optimizers.choice, "optimizer", defaults=chosen),
        *config.settings_of(
            optimizer,
            "optimizer",
            skip=optimizers.NOT_SETTINGS,
            types=optimizers.TYPES,
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
    path = Path(name).expanduser()
    if path.is_file():
        return path
    folder = shipped_settings(recipe_name)
    names = [path.stem for path in folder.glob("*.toml")]
    if name in names:
        return folder / f"{name}.toml"
    raise SettingError("config", f"no TOML file {name!r}{closest(name, names)}")


def _given(recipe, config_file, overrides):
    """Returns the flat dictionary of what was asked for: the TOML file's settings below the overrides."""
    path = find_config(config_file or "default", recipe.name)
    flat = config.read_toml(path)
    stated = flat.pop("recipe", recipe.name)
    if stated != recipe.name:
        raise SettingError("recipe", f"{path} is for {stated!r}, not {recipe.name!r}")
    changed = {key for key in overrides if overrides[key] != flat.get(key)}
    # A file's numbers for one architecture mean nothing for another, nor do arguments that another optimizer lacks.
    if f"model.{recipe.architecture_key}" in changed:
        flat = {key: value for key, value in flat.items() if not key.startswith("backbone.")}
    if changed & {"optimizer.name", "optimizer.schedule"}:
        known = {setting.key for setting in schema(recipe, flat | overrides)}
        flat = {key: value for key, value in flat.items() if key in known or not key.startswith("optimizer.")}
    return flat | overrides


def settings(recipe, config_file, overrides, seed):
    """Returns the checked settings of a run, table by table, with `seed` and `recipe` at the top.

    Raises:
        SettingError: an unknown key, or a value that cannot be; the message names the key.
    """
    given = _given(recipe, config_file, overrides)
    file_seed = given.pop("seed", 0)
    seed = file_seed if seed is None else seed
    check(
        isinstance(seed, int) and 0 <= seed < 2**31,
        "seed",
        seed,
        "a whole number from 0 to 2147483647",
    )
    tables = config.resolve(schema(recipe, given), given)
    return {"recipe": recipe.name, "seed": seed, **{name: tables.get(name, {}) for name in TABLES}}


# --- run folder -----------------------------------------------------------------------------------------------------


def new_folder(recipe_name):
    """Returns a path for a new run: `runs/<recipe>/<stamp>`, never one that exists."""
    base = Path("runs") / recipe_name
    stamp = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    path, count = base / stamp, 1
    while path.exists():
        count += 1
        path = base / f"{stamp}-{count}"
    return path


def last_unfinished(recipe_name):
    """Returns the newest run folder of a recipe that has not come to its end.

    Raises:
        KitError: there is none.
    """
    folders = sorted((Path("runs") / recipe_name).glob("*/config.toml"))
    folders = [path.parent for path in folders if not _finished(path.parent)]
    if not folders:
        raise KitError(f"runs/{recipe_name}: no unfinished run to resume")
    return folders[-1]


def _finished(folder):
    return (folder / "metrics.json").exists()


def _check_folder(folder):
    """Raises KitError unless a run may begin or go on in a folder."""
    if folder.exists() and not folder.is_dir():
        raise KitError(f"{folder}: not a folder; expected a new or an unfinished run folder")
    if _finished(folder):
        raise KitError(
            f"{folder}: this run is finished; expected a new or an unfinished run folder"
        )
    others = [path for path in folder.glob("*") if path.name not in (".lock", "run.log")]
    if others and not (folder / "config.toml").exists():
        raise KitError(
            f"{folder}: holds other files ({others[0].name}); expected a new or an unfinished run folder"
        )


@contextlib.contextmanager
def _held(folder):
    """Holds a run folder against other processes; the system lets go of it however this one ends.

    A folder that was made for this and has nothing in it in the end is taken away.
    """
    from filelock import FileLock, Timeout

    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise KitError(f"{folder}: another live run holds this folder") from None
    except OSError as error:
        raise KitError(f"{folder}: cannot be written ({error.strerror})") from None
    try:
        yield
    finally:
        lock.release()
        if not (folder / "config.toml").exists():
            for name in (".lock", "run.log"):
                (folder / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                for path in made:
                    path.rmdir()


@contextlib.contextmanager
def _logged(folder):
    """Writes the log of the kit to `run.log` too."""
    handler = logging.FileHandler(folder / "run.log", encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


def _environment():
    import tensorflow as tf

    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "devices": ", ".join(
            f"{device.device_type} {device.name}" for device in tf.config.list_physical_devices()
        ),
        **versions,
    }


# --- verbs ----------------------------------------------------------------------------------------------------------


def train(
    recipe,
    *,
    config=None,
    folder=None,
    seed=None,
    data=None,
    model=None,
    backbone=None,
    optimizer=None,
    train=None,
    evaluate=None,
):
    """Trains a recipe's model and evaluates it, or carries on an unfinished run.

    Args:
        recipe: Name of the recipe.
        config: Settings to start from: path of a TOML file, or name of one that comes with the recipe.
        folder: Run folder; by default a new one below `runs/`. An unfinished one is carried on to the result that it
            would have had.
        seed: Seed of all that is random.
        data, model, backbone, optimizer, train, evaluate: Settings of each table that stand above those of `config`;
            `kit show RECIPE` lists them.

    Returns:
        `Run`.

    Raises:
        KitError: settings, data or folder cannot be used; the message is one line that names what and why.
    """
    tables = dict(
        zip(TABLES, (data, model, backbone, optimizer, train, evaluate), strict=True)
    )
    overrides = {
        f"{name}.{key}": value
        for name, content in tables.items()
        for key, value in (content or {}).items()
    }
    return train_with(recipe, overrides, config=config, folder=folder, seed=seed)


def train_with(recipe_name, overrides, *, config=None, folder=None, seed=None):
    """`train` with the settings as a flat dictionary of dotted keys."""
    recipe = recipes.get(recipe_name)
    folder = Path(folder).expanduser() if folder else new_folder(recipe.name)
    _check_folder(folder)
    if (folder / "config.toml").exists():
        run_settings = _resumed(recipe, folder, config, overrides, seed)
    else:
        run_settings = settings(recipe, config, overrides, seed)
    with _held(folder), _logged(folder):
        try:
            return _train(recipe, folder, run_settings)
        except KeyboardInterrupt:
            log.info(
                "stopped; the same command with --folder %s carries on from the last whole epoch",
                folder,
            )
            raise


def _resumed(recipe, folder, config_file, overrides, seed):
    """Returns the settings that an unfinished run was started with, if those given now do not differ.

    Raises:
        SettingError: a setting differs.
    """
    path = folder / "config.toml"
    flat = config.read_toml(path)
    if flat.get("recipe") != recipe.name:
        raise SettingError("recipe", f"the run in {folder} is for {flat.get('recipe')!r}")
    asked = dict(overrides)
    if config_file:
        asked = config.read_toml(find_config(config_file, recipe.name)) | asked
        asked.pop("recipe", None)
    seed = asked.pop("seed", None) if seed is None else seed
    saved_seed = flat.pop("seed", 0)
    if seed not in (None, saved_seed):
        raise SettingError("seed", f"the run in {folder} has {saved_seed}, not {seed}")
    flat.pop("recipe")
    settings_ = schema(recipe, flat)
    saved = config.resolve(settings_, flat)
    wanted = config.resolve(settings_, flat | asked)
    for key in asked:
        name, _, item = key.rpartition(".")
        before, now = saved[name][item], wanted[name][item]
        if before != now and now != "auto" and not _same_path(before, now):
            raise SettingError(
                key, f"the run in {folder} was started with {before!r}, not {now!r}"
            )
    return {"recipe": recipe.name, "seed": saved_seed, **{name: saved.get(name, {}) for name in TABLES}}


def _same_path(first, second):
    return (
        isinstance(first, str)
        and isinstance(second, str)
        and Path(first).expanduser().resolve() == Path(second).expanduser().resolve()
    )


def _prepare(recipe, folder, run_settings):
    """Builds what training needs: data, compiled model, callbacks of the schedule and `Training`."""
    import keras

    from kit.training import device, optimizers

    training = run_settings["train"]
    with table("data"):
        saved = _saved_assignment(folder)
        splits = recipe.data(run_settings["seed"], saved, **run_settings["data"])
        run_settings["data"] |= splits.settings
    with table("train"):
        training.fill(splits.train)
        monitor = training.monitor or next(iter(recipe.monitors))
        mode = choose(recipe.monitors, monitor, "monitor")
    keras.utils.set_random_seed(run_settings["seed"])
    accumulation = run_settings["optimizer"].get("gradient_accumulation_steps")
    device.check_combination(
        training.devices, training.steps_per_execution, training.jit_compile, accumulation
    )
    with table("optimizer"):
        optimizer, callbacks = optimizers.build(
            run_settings["optimizer"], training.epochs * training.steps_per_epoch
        )
    key = recipe.architecture_key
    name = run_settings["model"][key]
    with table("backbone"):
        architecture = _call(
            recipe.architectures[name][0],
            splits.facts,
            run_settings["backbone"] | {"name": name},
        )
    with table("model"):
        model = _call(
            recipe.build,
            splits.facts,
            run_settings["model"] | {key: architecture, "optimizer": optimizer},
        )
    training.measure(model, splits.train)
    return splits, model, callbacks, monitor, mode


def _call(function, facts, keywords):
    """Calls a builder with those facts that it asks for: its parameters without a default."""
    import inspect

    wanted = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is parameter.empty
    ]
    return function(**{name: facts[name] for name in wanted}, **keywords)


def _saved_assignment(folder):
    import pandas as pd

    path = folder / "assets" / "splits.csv"
    if not path.exists():
        return None
    return pd.read_csv(path, dtype={"example": str}, keep_default_na=False)


def _train(recipe, folder, run_settings):
    """Trains in a held folder; see `train`."""
    from kit.training import device
    from kit.training.fit import Training, fit

    with table("train"):
        training = Training(**run_settings["train"])
    device.split_cpu(training.devices)
    with device.session(training.devices, training.mixed_precision, training.deterministic):
        prepared = {**run_settings, "train": training}
        splits, model, callbacks, monitor, mode = _prepare(recipe, folder, prepared)
        network = recipe.network(model)
        log.info("%s", _summary(recipe, prepared, splits, network, folder))
        if not (folder / "config.toml").exists():
            _begin(folder, prepared, splits)
            if recipe.prepare is not None:
                recipe.prepare(model, splits)
        trained = fit(
            model,
            network,
            splits,
            training,
            folder=folder,
            monitor=monitor,
            mode=mode,
            seed=run_settings["seed"],
            callbacks=callbacks,
        )
        return _finish(recipe, folder, prepared, splits, network, trained, monitor)


def _summary(recipe, run_settings, splits, network, folder):
    counts = ", ".join(
        f"{len(part):,} {name}"
        for name, part in (
            ("training", splits.train),
            ("validation", splits.validation),
            ("test", splits.test),
        )
    )
    return (
        f"{recipe.name}: {run_settings['model'][recipe.architecture_key]} with {network.count_params():,} parameters; "
        f"{counts} examples\nrun folder {folder}"
    )


def _begin(folder, run_settings, splits):
    """Writes what a run needs to be carried on; `config.toml` last, since its presence says that the rest is there."""
    (folder / "assets").mkdir(exist_ok=True)
    write_text(folder / "assets" / "splits.csv", splits.assignment.to_csv(index=False))
    write_json(folder / "assets" / "assets.json", splits.assets)
    write_json(folder / "environment.json", _environment())
    training = dataclasses.asdict(run_settings["train"])
    config.write_toml(folder / "config.toml", run_settings | {"train": training})


def _finish(recipe, folder, run_settings, splits, network, trained, monitor):
    """Evaluates, and writes the rest of the run folder; `metrics.json` last, since its presence says "finished"."""
    import keras
    import pandas as pd

    from kit.reporting import page, plots

    with table("evaluate"):
        results = {
            name: recipe.evaluate(network, part, splits.assets, **run_settings["evaluate"])
            for name, part in (("test", splits.test), ("validation", splits.validation))
        }
    history = pd.DataFrame(trained.history)
    training = run_settings["train"]
    epochs = len(history)
    seen = epochs * training.steps_per_epoch * training.batch_size
    metrics = {
        **{name: result.metrics for name, result in results.items()},
        "train_seconds": round(trained.seconds, 2),
        "train_cpu_seconds": round(trained.cpu_seconds, 2),
        "examples_per_second": round(seen / max(trained.seconds, 1e-9), 1),
        "params": network.count_params(),
        "epochs": epochs,
        "best_epoch": trained.best_epoch,
    }
    # Saved without its training set-up, it loads in plain Keras, without the kit.
    with atomic(folder / "best.keras") as temporary:
        keras.Model(network.inputs, network.outputs, name=network.name).save(temporary)
    for name in ("tables", "plots"):
        (folder / name).mkdir(exist_ok=True)
    for name, content in results["test"].tables.items():
        write_text(folder / "tables" / f"{name}.csv", content.to_csv(index=False))
    curves = monitor.removeprefix("val_")
    metric = curves if curves != "loss" else next(iter(recipe.monitors)).removeprefix("val_")
    figures = {
        "1_learning_curves": lambda: plots.learning_curves(history, metric, trained.best_epoch),
        **results["test"].figures,
    }
    for name, draw in figures.items():
        with atomic(folder / "plots" / f"{name}.png") as temporary:
            draw().savefig(temporary, dpi=110)
    write_json(folder / "metrics.json", metrics)
    page.write(folder)
    return Run(folder, recipe, run_settings, network, history, metrics, splits.assets)


def load(folder):
    """Brings a finished run back; nothing but its folder is needed.

    Args:
        folder: The run folder.

    Returns:
        `Run`.

    Raises:
        KitError: there is no finished run in the folder.
    """
    import keras
    import pandas as pd

    folder = _run_folder(folder)
    flat = config.read_toml(folder / "config.toml")
    recipe = recipes.get(flat["recipe"])
    tables = {name: {} for name in TABLES}
    for key, value in flat.items():
        name, _, item = key.rpartition(".")
        (tables.setdefault(name, {}) if name else tables)[item] = value
    return Run(
        folder,
        recipe,
        tables,
        keras.models.load_model(folder / "best.keras", compile=False),
        pd.read_csv(folder / "history.csv"),
        read_json(folder / "metrics.json"),
        read_json(folder / "assets" / "assets.json"),
    )


def _run_folder(folder):
    folder = Path(folder).expanduser()
    if not (folder / "config.toml").exists():
        raise KitError(f"{folder}: no run folder; expected one that `kit train` has left")
    if not _finished(folder):
        raise KitError(
            f"{folder}: this run is not finished; carry it on with "
            f"`kit train {config.read_toml(folder / 'config.toml')['recipe']} --folder {folder}`"
        )
    return folder


def evaluate(folder, *, split="test", overrides=None):
    """Scores a finished run on one of its splits again.

    Args:
        folder: The run folder.
        split: "train", "validation" or "test".
        overrides: Flat dictionary of `evaluate.` settings.

    Returns:
        The recipe's `Evaluation`.

    Raises:
        KitError: the run or its data cannot be used.
    """
    run = load(folder)
    overrides = overrides or {}
    offered = config.settings_of(run.recipe.evaluate, "evaluate")
    given = {f"evaluate.{key}": value for key, value in run.settings["evaluate"].items()}
    chosen = config.resolve(offered, given | overrides).get("evaluate", {})
    with table("data"):
        flat = {f"data.{key}": value for key, value in run.settings["data"].items()}
        data = config.resolve(config.settings_of(run.recipe.data, "data"), flat)["data"]
        splits = run.recipe.data(run.settings["seed"], _saved_assignment(run.folder), **data)
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    with table("evaluate"):
        return run.recipe.evaluate(
            run.model, choose(parts, split, "split"), splits.assets, **chosen
        )


def predict(folder, inputs, overrides=None):
    """Applies a finished run to inputs; returns the recipe's table."""
    run = load(folder)
    offered = config.settings_of(run.recipe.predict, "predict")
    chosen = config.resolve(offered, overrides or {}).get("predict", {})
    with table("predict"):
        return run.predict(inputs, **chosen)


def report(folder):
    """Writes the page of a finished run anew; returns its path."""
    from kit.reporting import page

    return page.write(_run_folder(folder))


def load_tensorflow():
    """Imports TensorFlow without the lines that its libraries write to standard error before any log level counts."""
    import tempfile

    descriptor, kept = sys.stderr.fileno(), os.dup(sys.stderr.fileno())
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), descriptor)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except BaseException:
            hidden.seek(0)
            os.write(kept, hidden.read())
            raise
        finally:
            os.dup2(kept, descriptor)
            os.close(kept)


def show_on_terminal(stream=None):
    """Prints the log of the kit, through whatever standard output is at the moment."""

    class Printer(logging.Handler):
        def emit(self, record):
            print(record.getMessage(), file=stream or sys.stdout, flush=True)

    if not any(type(handler).__name__ == "Printer" for handler in log.handlers):
        log.addHandler(Printer())
    log.setLevel(logging.INFO)
