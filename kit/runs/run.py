"""The one path: settings, data, model, fit, evaluate, run folder. Every verb of the kit walks a part of it."""

import contextlib
import logging

from kit import config, recipes
from kit.errors import SettingError, check, table
from kit.files import as_path, atomic, read_json, reading, write_json, write_text
from kit.runs import folder as places
from kit.runs import settings as schema
from kit.runs.assembly import Given, keep_beginning, prepare
from kit.runs.finished import Run, given_data

log = logging.getLogger("kit")


def from_python(recipe_name, tables, config_file, folder):
    """Sorts what Python's verbs were given.

    Args:
        recipe_name: Name of the recipe, or None.
        tables: What each table was given: a dictionary of settings, None, or the data or model themselves.
        config_file, folder: As for `kit.train`.

    Returns:
        Name of the recipe, flat dictionary of settings, and `Given`.
    """
    import keras

    tables, own_model = dict(tables), None
    if isinstance(tables["model"], keras.Model):
        own_model, tables["model"] = tables["model"], None
    for key, value in (tables["model"] or {}).items() if isinstance(tables["model"], dict) else ():
        if isinstance(value, keras.Model):
            own_model = value
            tables["model"] = {name: each for name, each in tables["model"].items() if name != key}
    tables["data"], own_data = given_data(tables["data"])
    for name, content in tables.items():
        if content is not None and not isinstance(content, dict):
            more = " or a keras.Model" if name == "model" else ""
            raise SettingError(name, f"expected a dictionary of settings{more}, got {content!r}")
    overrides = config.flatten({name: content for name, content in tables.items() if content is not None})
    if recipe_name is None:
        recipe_name = stated_recipe(config_file, folder) or (own_model is not None and "image_classification")
        if not recipe_name:
            raise SettingError("recipe", f"none given; expected one of {', '.join(recipes.names())}")
    if own_model is not None:
        overrides["model.backbone"] = "given"
    return recipe_name, overrides, Given(own_data, own_model)


def stated_recipe(config_file, folder, name="config.toml"):
    """Returns the name of the recipe that a folder, by the settings of that name in it, or a file is for; or None."""
    for path in (folder and as_path(folder, "folder") / name, config_file and as_path(config_file, "config")):
        if path and path.is_file():
            return config.read_toml(path).get("recipe")
    return None


def train_with(recipe_name, overrides, *, config=None, folder=None, seed=None, given=None, is_part=False):
    """Trains one run, or carries it on; see `kit.train`.

    Args:
        recipe_name, config, folder, seed: As for `kit.train`.
        overrides: Flat dictionary of dotted keys.
        given: `Given`, or None.
        is_part: It is one of several runs, whose caller says how they go on after an interrupt.

    Returns:
        `Run`.
    """
    recipe = recipes.get(recipe_name)
    folder = as_path(folder, "folder") if folder else places.new(recipe.name)
    places.check(folder)
    with places.held(folder), places.logged(folder):
        places.check(folder)  # another process may have finished it meanwhile
        run_settings = schema.of_run(recipe, folder, config, overrides, seed)
        with contextlib.nullcontext() if is_part else interruptible(folder):
            return _train(recipe, folder, run_settings, given or Given())


@contextlib.contextmanager
def interruptible(folder):
    """Says how the run in a folder goes on after an interrupt inside."""
    try:
        yield
    except KeyboardInterrupt:
        if (folder / "config.toml").exists():
            log.info("stopped; the same command with --folder %s carries on from the last whole epoch", folder)
        raise


def train_trial(recipe_name, overrides, *, config, folder, seed, watch):
    """Trains as `train_with` does, as long as `watch` lets it, and looks at neither the test split nor a page.

    The folder is that of a run whose training has not ended: it may be carried on, here or by `kit.train`.

    Args:
        recipe_name, overrides, config, folder, seed: As for `train_with`.
        watch: Function `(epoch, value) -> bool`: gets each epoch, from 1, and its monitored value; returns whether to
            stop there. Of a run that is carried on it gets the earlier epochs too.

    Returns:
        `Trained`, the name of the monitored value, and its direction.
    """
    recipe = recipes.get(recipe_name)
    places.check(folder)
    with places.held(folder), places.logged(folder):
        run_settings = schema.of_run(recipe, folder, config, overrides, seed)
        with _fitted(recipe, folder, run_settings, Given(), watch) as (_, _, _, trained, monitor, mode):
            return trained, monitor, mode


def _train(recipe, folder, run_settings, given):
    """Trains in a held folder and evaluates."""
    with _fitted(recipe, folder, run_settings, given) as (prepared, splits, network, trained, monitor, _):
        return _finish(recipe, folder, prepared, splits, network, trained, monitor)


@contextlib.contextmanager
def _fitted(recipe, folder, run_settings, given, watch=None):
    """Trains in a held folder, and yields settings, splits, network, `Trained`, monitored value and direction.

    Inside, devices and precision are those of the training.
    """
    from kit.training import device
    from kit.training.fit import Training, fit

    with table("train"):
        training = Training(**run_settings["train"])
        check(training.seeds == 1, "seeds", training.seeds, "1 for a run that is part of something else")
    device.split_cpu(training.devices)
    if recipe.task.takes_small_steps:
        device.use_one_thread()
    with device.session(training.devices, training.mixed_precision, training.deterministic):
        prepared = {**run_settings, "train": training}
        splits, model, callbacks, monitor, mode = prepare(recipe, folder, prepared, given)
        network = recipe.stages.network(model)
        log.info("%s", summary(recipe, prepared, splits, network, folder))
        if (folder / "config.toml").exists():
            decided = read_json(folder / "environment.json")
            with reading(folder / "environment.json"):
                training.decided = {key: decided[key] for key in ("jit_compile", "steps_per_execution")}
        else:
            training.measure(model, splits.train)
        if given.model is not None:
            keep_beginning(model, folder)
        if not (folder / "config.toml").exists():
            _begin(folder, prepared, splits)
        if splits.keep:
            splits.keep(folder / "assets")
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
            observers=recipe.task.observers(network, splits, folder) if recipe.task.observers else (),
            validate=recipe.task.validate and (lambda: recipe.task.validate(network, splits.validation, splits.assets)),
            watch=watch,
        )
        yield prepared, splits, network, trained, monitor, mode


def summary(recipe, run_settings, splits, network, folder):
    """Returns in words what is about to be trained, on what."""
    counts = ", ".join(
        f"{len(part):,} {name}"
        for name, part in (
            ("training", splits.train),
            ("validation", splits.validation),
            ("test", splits.test),
        )
    )
    return (
        f"{recipe.name}: {recipe.chosen(run_settings['model'])} with {network.count_params():,} parameters; "
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

    task = recipe.task
    held_out = [("test", splits.test), ("validation", splits.validation)]
    if run_settings["train"].use_validation:
        held_out.pop()
    elif task.calibrate is not None:
        offered = config.names_of(task.calibrate)
        settings = {key: value for key, value in run_settings["evaluate"].items() if key in offered}
        found = config.call(task.calibrate, network, splits.validation, splits.assets, **settings)
        write_json(folder / "assets" / "calibration.json", found)
        splits.assets |= found
    with table("evaluate"):
        how = config.bind(task.evaluate, run_settings["evaluate"])
        results = {name: task.evaluate(network, part, splits.assets, **how) for name, part in held_out}
    if splits.keep:
        splits.keep(folder / "assets")  # what only the evaluation has needed
    history = pd.DataFrame(trained.history)
    training = run_settings["train"]
    epochs = len(history)
    seen = epochs * training.steps_per_epoch * training.batch_size * splits.train.batches_per_step
    metrics = {
        **{name: result.metrics for name, result in results.items()},
        "train_seconds": round(trained.seconds, 2),
        "train_cpu_seconds": round(trained.cpu_seconds, 2),
        **({"score_cpu_seconds": round(trained.score_cpu_seconds, 4)} if task.validate else {}),
        "examples_per_second": round(seen / max(trained.seconds, 1e-9), 1),
        "params": network.count_params(),
        "monitor": monitor,
        "epochs": epochs,
        "best_epoch": trained.best_epoch,
        **({"averaged_epochs": trained.averaged_epochs} if training.average_epochs else {}),
    }
    if task.scores_last:
        kept = network.get_weights()
        network.set_weights(trained.last_weights)
        with table("evaluate"):
            last = task.evaluate(network, splits.test, splits.assets, **how)
        metrics["test_of_last_epoch"] = last.metrics
        network.set_weights(kept)
    # Saved without its training set-up, it loads in plain Keras, unless it has a layer of the kit.
    with atomic(folder / "best.keras") as temporary:
        keras.Model(network._inputs_struct, network._outputs_struct, name=network.name).save(temporary)
    for name in ("tables", "plots"):
        (folder / name).mkdir(exist_ok=True)
    for name, content in results["test"].tables.items():
        write_text(folder / "tables" / f"{name}.csv", content.to_csv(index=False))
    curves = monitor.removeprefix("val_")
    metric = curves if curves != "loss" else next(iter(task.monitors)).removeprefix("val_")
    figures = {
        "1_learning_curves": lambda: plots.learning_curves(history, metric, trained.best_epoch),
        **(task.curves(history) if task.curves else {}),
        **results["test"].figures,
        **(task.illustrate(splits, run_settings["seed"]) if task.illustrate else {}),
    }
    for name, draw in figures.items():
        with atomic(folder / "plots" / f"{name}.png") as temporary:
            draw().savefig(temporary, dpi=110)
    page.write(folder, metrics)
    write_json(folder / "metrics.json", metrics)
    if splits.train.follows_model:
        splits.train.end(folder)
    plain = run_settings | {"train": training.settings}
    return Run(folder, recipe, plain, network, history, metrics, splits.assets)
