"""Training run: settings, data, model, fit, evaluation, run folder. Every verb of the kit walks a part of this path."""

import contextlib
import logging
import time

from kit import config as toml
from kit import recipes, terminal
from kit.errors import SettingError, check, table
from kit.files import as_path, write_json, write_text
from kit.runs import advice, decisions, fitting, hosts, out_of_fold, processes, schema, several
from kit.runs import folder as folders
from kit.runs import settings as run_settings
from kit.runs.assembly import assembled, keep_beginning
from kit.runs.evaluation import of_calibration, try_evaluation
from kit.runs.finished import Run, load
from kit.runs.kept import keep_data
from kit.runs.python_inputs import PythonInputs, sorted_out

log = logging.getLogger("kit")


def train(
    recipe=None,
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
    """Trains a recipe's model and evaluates it, or carries on an unfinished run, or one run a seed.

        kit.train("image_classification", data="photos")
        kit.train("image_classification", data=(images, labels), train={"epochs": 5})
        kit.train(model=my_model, data={"train": my_dataset, "test": (images, labels)})

    Args:
        recipe: Name of the recipe. It may be left out where `folder` or `config` tells it, or with a model of one's
            own, which is then an image classifier.
        config: Settings to start from: path of a TOML file, or name of one that comes with the recipe; by default its
            `default.toml`, whose numbers suit its embedded data. An empty file gives the defaults of the signatures.
        folder: Run folder; by default a new one below `runs/`. An unfinished one is carried on to the result that it
            would have had.
        seed: Seed of all that is random; with `train={"seeds": 5}` the first of five, with `{"folds": 5}` that of each.
        data: Settings of the table `[data]`, among them `source`; or the source itself: a path or name, or what the
            recipe's data function takes in Python, such as `(images, labels)`.
        model: Settings of the table `[model]`; or a `keras.Model` of one's own, also as `{"backbone": my_model, ...}`
            with other settings. It is trained in place, with the recipe's loss and metrics and the settings' optimizer.
        backbone, optimizer, train, evaluate: Settings of these tables; `kit show RECIPE` lists them. All settings stand
            above those of `config`.
        verbose: Print what happens; `run.log` gets it in any case.

    Returns:
        `Run`; with `train.seeds` above 1, or `train.folds`, `Runs`. None in all but the first of several processes that
        Slurm or `TF_CONFIG` has started on machines of their own: that one finishes the run.

    Raises:
        KitError: settings, data or folder cannot be used; the message is one line that names what and why.
    """
    tables = dict(zip(run_settings.TABLES, (data, model, backbone, optimizer, train, evaluate), strict=True))
    with terminal.log_shown(verbose):
        recipe, overrides, inputs = sorted_out(recipe, tables, config, folder)
        return train_with(recipe, overrides, config=config, folder=folder, seed=seed, inputs=inputs)


def train_with(recipe_name, overrides, *, config=None, folder=None, seed=None, inputs=PythonInputs()):
    """`train` with the settings as a flat dictionary of dotted keys.

    The folder is held, and the settings resolved, here and once; nothing before that needs TensorFlow.

    Args:
        recipe_name, config, folder, seed: As for `train`.
        overrides: Flat dictionary of dotted keys.
        inputs: `PythonInputs`.

    Returns:
        As `train`.
    """
    started = time.perf_counter(), time.process_time()
    offered = schema.get(recipe_name)
    run_folder = as_path(folder, "folder") if folder else None
    is_over = run_folder and folders.begun(run_folder) and folders.finished(run_folder)
    if is_over and inputs.data is None and inputs.model is None:
        return _as_it_is(offered, run_folder, config, overrides, seed)
    place = _place(offered, run_folder, config, overrides, seed, inputs)
    if place is not None and not place.is_first:
        return hosts.take_part(run_folder, place)
    with folders.opened(run_folder, offered.name) as run_folder, hosts.preparing(place, run_folder):
        settings = run_settings.of_run(offered, run_folder, config, overrides, seed)
        if config is None and not folders.begun(run_folder):
            decisions.tell_beginning(offered, overrides)
        terminal.load_tensorflow()
        recipe = recipes.get(recipe_name)
        with _interruptible(run_folder):
            settings = decisions.decided(recipe, settings, inputs, started[0])
            if several.members(settings):
                return several.train(recipe, run_folder, settings, inputs, _train)
            return _train(recipe, run_folder, settings, inputs, started=started)


def _place(offered, run_folder, config, overrides, seed, inputs):
    """Returns the `Place` of this process among several that the environment has started; None where there are none."""
    if not hosts.are_named():
        return None
    if run_folder:
        settings = run_settings.of_run(offered, run_folder, config, overrides, seed)
    else:
        settings = run_settings.resolve(offered, config, overrides, seed)
    return hosts.asked(settings, run_folder, inputs)


def _as_it_is(offered, run_folder, config, overrides, seed):
    """Returns a run that has come to its end, if it is the one asked for: it may have been killed after that.

    Raises:
        SettingError: a setting differs.
    """
    settings = run_settings.resume(offered, run_folder, config, overrides, seed)
    for key, (before, now) in run_settings.changes(offered, run_folder, settings).items():
        if key != run_settings.CLUSTER:
            raise SettingError(key, f"the run in {run_folder} is finished with {before!r}, not {now!r}")
    log.info("%s: this run is finished", run_folder)
    return load(run_folder)


@contextlib.contextmanager
def _interruptible(run_folder):
    """Tells how the run in a folder goes on after an interrupt inside."""
    try:
        yield
    except KeyboardInterrupt:
        if folders.begun(run_folder):
            log.info("stopped; the same command with --folder %s carries on from what was saved last", run_folder)
        raise


def train_trial(recipe_name, overrides, *, config, folder, seed, watch):
    """Trains as `train_with` does, as long as `watch` lets it, and looks at neither the test split nor a page.

    The folder is that of a run whose training has not ended: it may be carried on, here or by `kit.train`. What a run
    beside it has learned of the same data, such as tokens, is used again.

    Args:
        recipe_name, overrides, config, folder, seed: As for `train_with`.
        watch: Function `(epoch, value) -> bool`: gets each epoch, from 1, and its monitored value; returns whether to
            stop there. Of a run that is carried on it gets the earlier epochs too.

    Returns:
        `Trained`, the name of the monitored value, and its direction.
    """
    recipe = recipes.get(recipe_name)
    with folders.opened(folder, recipe_name):
        settings = run_settings.of_run(schema.get(recipe_name), folder, config, overrides, seed)
        settings = decisions.decided(recipe, settings, PythonInputs())
        for key, single in (("seeds", 1), ("folds", 0)):
            count = settings["train"][key]
            check(count == single, f"train.{key}", count, f"{single} for a run that is part of something else")
        beside = tuple(path for path in sorted(folder.parent.iterdir()) if path != folder)
        with _fitted(recipe, folder, settings, PythonInputs(beside=beside), watch=watch) as (parts, _, trained):
            return trained, parts.monitor, parts.mode


def _train(recipe, run_folder, settings, inputs, on_begin=None, started=None):
    """Trains one run in a held folder, and evaluates it; returns the `Run`.

    Args:
        recipe: The `Recipe`.
        run_folder: The folder.
        settings: The resolved settings, table by table.
        inputs: `PythonInputs`.
        on_begin: Function that gets the settings, their paths absolute, before they are written; or None.
        started: As for `kit.runs.assembly.assembled`.
    """
    with _fitted(recipe, run_folder, settings, inputs, on_begin=on_begin, started=started) as (parts, plan, trained):
        return _finish(run_folder, parts, plan, trained)


@contextlib.contextmanager
def _fitted(recipe, run_folder, settings, inputs, *, watch=None, on_begin=None, started=None):
    """Trains in a held folder, and yields `Assembled`, `Plan` and `Trained`.

    Inside, devices and precision are those of the training.
    """
    from kit.training import tracking

    with tracking.closed(run_folder), assembled(recipe, run_folder, settings, inputs, started=started) as parts:
        splits = parts.splits
        log.info("%s", summary(parts, run_folder))
        folders.warn_of_changes(run_folder, parts.training.deterministic)
        processes.check(parts, inputs, watch)
        plan = fitting.plan_of(run_folder, parts)
        if inputs.model is not None:
            keep_beginning(parts.model, run_folder)
        if not folders.begun(run_folder):
            if parts.budget is not None:
                with table("train"):
                    parts.budget.check()
            if watch is None:  # else nothing is evaluated in the end
                try_evaluation(parts)
            _begin(run_folder, parts, plan, on_begin)
        else:
            _keep_changes(run_folder, parts)
        if splits.keep:
            splits.keep(run_folder / "assets")
        if parts.training.workers > 1:
            processes.train(run_folder, parts)
        trained = fitting.fitted(parts, plan, run_folder, watch=watch)
        yield parts, plan, trained


def summary(parts, folder):
    """Returns in words what is about to be trained, on what.

    Args:
        parts: `Assembled`.
        folder: The run folder, or what stands in its place.
    """
    splits = parts.splits
    counts = ", ".join(
        f"{len(part):,} {name}"
        for name, part in (
            ("training", splits.train),
            ("validation", splits.validation),
            ("test", splits.test),
        )
    )
    backbones = parts.recipe.chosen(parts.settings["model"])
    return (
        f"{parts.recipe.name}: {backbones + ' with ' if backbones else ''}{parts.network.count_params():,} parameters; "
        f"{counts} examples\nrun folder {folder}"
    )


def _begin(run_folder, parts, plan, on_begin):
    """Writes what a run needs to be carried on; `config.toml` last, since its presence says that the rest is there."""
    keep_data(run_folder, parts.splits)
    write_json(run_folder / "environment.json", folders.environment() | plan.of_machine)
    if on_begin is not None:
        on_begin(parts.settings)
    toml.write_toml(run_folder / "config.toml", parts.settings)


def _keep_changes(run_folder, parts):
    """Writes the settings anew where those that may differ from a run's beginning do, and says so."""
    changes = run_settings.changes(parts.recipe, run_folder, parts.settings)
    if any(key.startswith("evaluate.") for key in changes):
        try_evaluation(parts)
    for key, (before, now) in changes.items():
        log.info("%s is %r from now on; this run began with %r", key, now, before)
    if changes:
        toml.write_toml(run_folder / "config.toml", parts.settings)


def _finish(folder, parts, plan, trained):
    """Evaluates, and writes the rest of the run folder; `metrics.json` last, since its presence says "finished"."""
    import keras
    import pandas as pd

    from kit.reporting import page, plots
    from kit.runs import choice
    from kit.training import tracking
    from kit.training.saving import save_model

    task, settings, network, splits = parts.recipe.task, parts.settings, parts.network, parts.splits
    assets = splits.assets
    held_out = [("test", splits.test), ("validation", splits.validation)]
    if parts.training.use_validation:
        held_out.pop()
    elif task.calibrate is not None:
        own = of_calibration(task, settings["evaluate"])
        calibration = toml.call(task.calibrate, network, splits.validation, assets, **own)
        write_json(folder / "assets" / "calibration.json", calibration)
        assets = assets | calibration
    with table("evaluate"):
        how = toml.bind(task.evaluate, settings["evaluate"])
        results = {name: task.evaluate(network, part, assets, **how) for name, part in held_out}
    if splits.keep:
        splits.keep(folder / "assets")  # what only the evaluation has needed
    history = pd.DataFrame(trained.history)
    epochs = len(history)
    seen = epochs * plan.steps_per_epoch * parts.training.batch_size * splits.train.batches_per_step
    metrics = {
        **{name: result.metrics for name, result in results.items()},
        "train_seconds": round(trained.seconds, 2),
        "train_cpu_seconds": round(trained.cpu_seconds, 2),
        **({"score_cpu_seconds": round(trained.score_cpu_seconds, 4)} if task.validate else {}),
        "examples_per_second": round(seen / max(trained.seconds, 1e-9), 1),
        "params": network.count_params(),
        "monitor": parts.monitor,
        "epochs": epochs,
        "best_epoch": trained.best_epoch,
        "chosen": choice.said(parts, history, trained.averaged_epochs),
        **({"averaged_epochs": trained.averaged_epochs} if parts.training.average_epochs else {}),
    }
    if epochs and task.hints is not None and not parts.training.use_validation:
        found = task.hints(history, trained.best_epoch, splits.validation, assets)
        for hint in found:
            log.warning("note: %s", hint)
        metrics |= {"hints": found} if found else {}
    if task.baseline is not None:
        beside = task.baseline(splits, settings["evaluate"], trained.cpu_seconds)
        metrics |= {"baseline": beside} if beside else {}
    if splits.findings:
        metrics["data_findings"] = [str(finding) for finding in splits.findings]
    if epochs:
        metrics["advice"] = advice.of_run(parts, history, trained.best_epoch, metrics["test"], folder)
    if task.scores_last:
        kept = network.get_weights()
        network.set_weights(trained.last_weights)
        with table("evaluate"):
            last = task.evaluate(network, splits.test, assets, **how)
        metrics["test_of_last_epoch"] = last.metrics
        network.set_weights(kept)
    # Saved without its training set-up, it loads in plain Keras, unless it has a layer of the kit.
    bare = keras.Model(network._inputs_struct, network._outputs_struct, name=network.name)
    save_model(bare, folder / "best.keras")
    for name in ("tables", "plots"):
        (folder / name).mkdir(exist_ok=True)
    tables = dict(results["test"].tables)
    suspects = _suspects(results, splits.assignment)
    if suspects is not None:
        tables["8_likely_label_errors"] = suspects
    if splits.overlap:
        tables["9_equal_examples"] = pd.DataFrame(splits.overlap.items(), columns=["what", "number"])
    for name, content in tables.items():
        write_text(folder / "tables" / f"{name}.csv", content.to_csv(index=False))
    curves = parts.monitor.removeprefix("val_")
    others = [name.removeprefix("val_") for name in splits.monitors or task.monitors]
    metric = curves if curves != "loss" else next((name for name in others if name != "loss"), curves)
    figures = {
        **({"1_learning_curves": lambda: plots.learning_curves(history, metric, trained.best_epoch)} if epochs else {}),
        **(task.curves(history) if task.curves and epochs else {}),
        **results["test"].figures,
        **_of_validation(results),
        **(task.illustrate(splits, settings["seed"]) if task.illustrate else {}),
    }
    plots.save_all(figures, folder / "plots")
    if settings["data"].get("fold"):
        out_of_fold.write(folder, splits, results["test"])
    page.write(folder, metrics)
    write_json(folder / "metrics.json", metrics)
    tracking.end(parts.training.track, folder, {name: result.metrics for name, result in results.items()}, epochs)
    if splits.train.follows_model:
        splits.train.end(folder)
    return Run(folder, parts.recipe, settings, network, history, metrics, assets)


def _suspects(results, assignment):
    """Returns a table of the likely label errors of the held-out splits, by the names of examples; None without any."""
    import pandas as pd

    from kit.scoring.label_errors import MOST

    parts = []
    for split, result in results.items():
        if result.suspects is not None and len(result.suspects):
            names = assignment["example"][assignment["split"] == split].to_numpy()
            found = result.suspects[:MOST]
            part = found.drop(columns="row")
            part.insert(0, "example", names[found["row"].to_numpy(int)])
            part.insert(1, "split", split)
            parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else None


def _of_validation(results):
    """Returns the figure of the likely label errors of the validation split, where there are such."""
    figures = results["validation"].figures if "validation" in results else {}
    drawn = [draw for name, draw in figures.items() if name.endswith("_likely_label_errors")]
    return {"3_likely_label_errors_of_validation": drawn[0]} if drawn else {}
