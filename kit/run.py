"""The one path: settings, data, model, fit, evaluate, run folder. Every verb of the kit walks a part of it."""

import dataclasses
import json
import logging
from pathlib import Path

from kit import config, recipes, schema, terminal
from kit import folder as places
from kit.errors import KitError, SettingError, choose, table
from kit.files import as_path, atomic, read_json, reading, write_json, write_text

log = logging.getLogger("kit")


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
    verbose=True,
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
        verbose: Print what happens; `run.log` gets it in any case.

    Returns:
        `Run`.

    Raises:
        KitError: settings, data or folder cannot be used; the message is one line that names what and why.
    """
    tables = dict(zip(schema.TABLES, (data, model, backbone, optimizer, train, evaluate), strict=True))
    for name, content in tables.items():
        if content is not None and not isinstance(content, dict):
            raise SettingError(name, f"expected a dictionary of settings, got {content!r}")
    overrides = {f"{name}.{key}": value for name, content in tables.items() for key, value in (content or {}).items()}
    with terminal.log_shown(verbose):
        return train_with(recipe, overrides, config=config, folder=folder, seed=seed)


def train_with(recipe_name, overrides, *, config=None, folder=None, seed=None):
    """`train` with the settings as a flat dictionary of dotted keys."""
    recipe = recipes.get(recipe_name)
    folder = as_path(folder, "folder") if folder else places.new(recipe.name)
    places.check(folder)
    with places.held(folder), places.logged(folder):
        places.check(folder)  # another process may have finished it meanwhile
        if (folder / "config.toml").exists():
            run_settings = schema.resume(recipe, folder, config, overrides, seed)
        else:
            run_settings = schema.resolve(recipe, config, overrides, seed)
        try:
            return _train(recipe, folder, run_settings)
        except KeyboardInterrupt:
            if (folder / "config.toml").exists():
                log.info("stopped; the same command with --folder %s carries on from the last whole epoch", folder)
            raise


def dry_run(recipe_name, overrides, *, config=None, seed=None):
    """Does all that a run does before its first epoch, takes three training steps, and writes nothing.

    Args:
        recipe_name, overrides, config, seed: As for `train_with`.

    Returns:
        Dictionary: `params`, `examples` of each split, `steps_per_epoch`, `epochs`, `seconds_per_step`, and
        `seconds_estimated` of all epochs without their validation.
    """
    import tempfile
    import time

    from kit.training import device
    from kit.training.fit import Training

    recipe = recipes.get(recipe_name)
    run_settings = schema.resolve(recipe, config, overrides, seed)
    with table("train"):
        training = Training(**run_settings["train"])
    device.split_cpu(training.devices)
    with (
        tempfile.TemporaryDirectory() as scratch,
        device.session(training.devices, training.mixed_precision, training.deterministic),
    ):
        folder = Path(scratch) / "run"
        prepared = {**run_settings, "train": training}
        splits, model, _, _, _ = _prepare(recipe, folder, prepared)
        network = recipe.network(model)
        log.info("%s", _summary(recipe, prepared, splits, network, "none: this is a dry run"))
        model.jit_compile = device.compilation(training.jit_compile) is True
        batches = list(splits.train.stream(training.batch_size, run_settings["seed"], 0, 3))
        model.train_on_batch(*batches[0])  # compiles
        start = time.perf_counter()
        for batch in batches[1:]:
            model.train_on_batch(*batch)
        seconds = (time.perf_counter() - start) / 2
    steps = training.steps_per_epoch * training.epochs
    log.info(
        "a training step of %d examples takes about %.0f ms; %d epochs of %d steps about %s, without validation",
        training.batch_size,
        seconds * 1000,
        training.epochs,
        training.steps_per_epoch,
        terminal.duration(steps * seconds),
    )
    return {
        "params": network.count_params(),
        "examples": {"train": len(splits.train), "validation": len(splits.validation), "test": len(splits.test)},
        "steps_per_epoch": training.steps_per_epoch,
        "epochs": training.epochs,
        "seconds_per_step": round(seconds, 4),
        "seconds_estimated": round(steps * seconds, 1),
    }


def _prepare(recipe, folder, run_settings):
    """Builds what training needs: data, compiled model, callbacks of the schedule and `Training`."""
    import keras

    from kit.training import device, optimizers

    training = run_settings["train"]
    with table("data"):
        saved = _saved_assignment(folder)
        splits = recipe.data(run_settings["seed"], saved, **run_settings["data"])
        _check_assets(folder, splits)
        run_settings["data"] |= splits.settings
    with table("train"):
        training.fill(splits.train)
        monitors = {name: recipe.monitors[name] for name in splits.monitors or recipe.monitors}
        monitor = training.monitor or next(iter(monitors))
        mode = choose(monitors, monitor, "monitor")
    keras.utils.set_random_seed(run_settings["seed"])
    accumulation = run_settings["optimizer"].get("gradient_accumulation_steps")
    device.check_combination(training.devices, training.steps_per_execution, training.jit_compile, accumulation)
    with table("optimizer"):
        optimizer, callbacks = optimizers.build(run_settings["optimizer"], training.epochs * training.steps_per_epoch)
    key = recipe.architecture_key
    name = run_settings["model"][key]
    with table("backbone"):
        architecture = _call(recipe.architectures[name][0], splits.facts, run_settings["backbone"] | {"name": name})
    with table("model"):
        model = _call(
            recipe.build,
            splits.facts,
            run_settings["model"] | {key: architecture, "optimizer": optimizer},
        )
    return splits, model, callbacks, monitor, mode


def _call(function, facts, keywords):
    """Calls a builder with those facts that it asks for: its parameters without a default.

    An architecture may ask for what only the recipe's builder knows, such as the width of its embeddings; then it is
    returned with all else filled in, for the builder to call.
    """
    import functools
    import inspect

    wanted = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is parameter.empty
    ]
    known = functools.partial(function, **{name: facts[name] for name in wanted if name in facts}, **keywords)
    if set(wanted) <= set(facts):
        return known()

    def later(*arguments):
        with table("backbone"):
            return known(*arguments)

    return later


def _check_assets(folder, splits):
    """Raises KitError where what was learned from the data of a run is not what was learned when it began."""
    path = folder / "assets" / "assets.json"
    if not (folder / "config.toml").exists():
        return
    saved, now = read_json(path), json.loads(json.dumps(splits.assets))
    for name in saved:
        if saved[name] != now.get(name):
            raise KitError(
                f"the data changed since this run was started: its {name} differ from those in {path}; "
                "expected the same files"
            )


def _saved_assignment(folder):
    import pandas as pd

    path = folder / "assets" / "splits.csv"
    if not (folder / "config.toml").exists():
        return None
    with reading(path):
        table = pd.read_csv(path, dtype={"example": str, "split": str, "label": int}, keep_default_na=False)
        return table[["example", "split", *({"label"} & set(table.columns))]]


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
        if (folder / "config.toml").exists():
            decided = read_json(folder / "environment.json")
            with reading(folder / "environment.json"):
                training.decided = {key: decided[key] for key in ("jit_compile", "steps_per_execution")}
        else:
            training.measure(model, splits.train)
        if recipe.prepare is not None and not (folder / "checkpoint" / "state.npz").exists():
            recipe.prepare(model, splits)
        if not (folder / "config.toml").exists():
            _begin(folder, prepared, splits)
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
            validate=recipe.validate and (lambda: recipe.validate(network, splits.validation, splits.assets)),
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
    write_json(folder / "environment.json", places.environment() | run_settings["train"].decided)
    training = run_settings["train"].settings
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
    # Saved without its training set-up, it loads in plain Keras, unless it has a layer of the kit.
    with atomic(folder / "best.keras") as temporary:
        keras.Model(network._inputs_struct, network._outputs_struct, name=network.name).save(temporary)
    for name in ("tables", "plots"):
        (folder / name).mkdir(exist_ok=True)
    for name, content in results["test"].tables.items():
        write_text(folder / "tables" / f"{name}.csv", content.to_csv(index=False))
    curves = monitor.removeprefix("val_")
    metric = curves if curves != "loss" else next(iter(recipe.monitors)).removeprefix("val_")
    figures = {
        "1_learning_curves": lambda: plots.learning_curves(history, metric, trained.best_epoch),
        **results["test"].figures,
        **(recipe.illustrate(splits, run_settings["seed"]) if recipe.illustrate else {}),
    }
    for name, draw in figures.items():
        with atomic(folder / "plots" / f"{name}.png") as temporary:
            draw().savefig(temporary, dpi=110)
    page.write(folder, metrics)
    write_json(folder / "metrics.json", metrics)
    plain = run_settings | {"train": training.settings}
    return Run(folder, recipe, plain, network, history, metrics, splits.assets)


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
    tables = {name: {} for name in schema.TABLES}
    for key, value in flat.items():
        name, _, item = key.rpartition(".")
        (tables.setdefault(name, {}) if name else tables)[item] = value
    with reading(folder / "best.keras"):
        model = keras.models.load_model(folder / "best.keras", compile=False)
    with reading(folder / "history.csv"):
        history = pd.read_csv(folder / "history.csv")
    metrics = read_json(folder / "metrics.json")
    return Run(folder, recipe, tables, model, history, metrics, read_json(folder / "assets" / "assets.json"))


def _run_folder(folder):
    """Returns the path of a finished run, or raises KitError."""
    folder = as_path(folder, "folder")
    if not (folder / "config.toml").exists():
        raise KitError(f"{folder}: no run folder; expected one that `kit train` has left")
    recipe = config.read_toml(folder / "config.toml").get("recipe")
    if recipe not in recipes.names():
        raise KitError(f"{folder / 'config.toml'}: damaged; it names no recipe")
    if not places.finished(folder):
        raise KitError(f"{folder}: this run is not finished; carry it on with `kit train {recipe} --folder {folder}`")
    return folder


def data_of(run):
    """Returns the `Splits` that a run was trained on, read again.

    Raises:
        KitError: the data cannot be used, or is another by now.
    """
    with table("data"):
        flat = {f"data.{key}": value for key, value in run.settings["data"].items()}
        data = config.resolve(config.settings_of(run.recipe.data, "data"), flat)["data"]
        splits = run.recipe.data(run.settings["seed"], _saved_assignment(run.folder), **data)
        _check_assets(run.folder, splits)
    return splits


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
    splits = data_of(run)
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    with table("evaluate"):
        return run.recipe.evaluate(run.model, choose(parts, split, "split"), splits.assets, **chosen)


def predict(run, inputs, overrides=None):
    """Applies a loaded run to inputs; returns the recipe's table.

    Args:
        run: What `load` returned.
        inputs: See the recipe's `predict`.
        overrides: Flat dictionary of `predict.` settings.

    Raises:
        KitError: the inputs cannot be used.
    """
    offered = config.settings_of(run.recipe.predict, "predict")
    chosen = config.resolve(offered, overrides or {}).get("predict", {})
    with table("predict"):
        return run.predict(inputs, **chosen)


def report(folder):
    """Writes the page of a finished run anew; returns its path."""
    from kit.reporting import page

    return page.write(_run_folder(folder))


def compare(folders, path=None):
    """Writes a page that sets several finished runs of one recipe side by side.

    Args:
        folders: Run folders.
        path: File to write; by default `comparison.html` beside the first run.

    Returns:
        Path of the page, and a table with a row a run.

    Raises:
        KitError: a folder is no finished run, is given twice, or the runs are of several recipes.
    """
    from kit.reporting import comparison

    folders = [_run_folder(folder) for folder in folders]
    found = {config.read_toml(folder / "config.toml")["recipe"]: folder for folder in folders}
    if len(found) > 1:
        shown = " and ".join(f"{folder} of {recipe}" for recipe, folder in found.items())
        raise KitError(f"{shown}: expected runs of one recipe")
    names = [folder.resolve() for folder in folders]
    for name in names:
        if names.count(name) > 1:
            raise KitError(f"{name}: given more than once; expected different runs")
    path = as_path(path, "output") if path else folders[0].parent / "comparison.html"
    return path, comparison.write(folders, path)
