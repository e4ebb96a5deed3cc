"""The verb `train`: one run, or the same settings with several seeds and what those runs say together."""

import logging
from pathlib import Path

from kit import config as settings_files
from kit import recipes, terminal
from kit.errors import SettingError, check, table
from kit.files import as_path, read_json, reading, write_json
from kit.runs import folder as places
from kit.runs import run
from kit.runs import settings as schema
from kit.runs.finished import load

log = logging.getLogger("kit")

# Settings that may be paths, which mean the same from wherever the runs are carried on.
_PATHS = ("source", "vectors", "start_from")


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
    """Trains a recipe's model and evaluates it, or carries on an unfinished run.

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
        seed: Seed of all that is random; with `train={"seeds": 5}` the first of five.
        data: Settings of the table `[data]`, among them `source`; or the source itself: a path or name, or what the
            recipe's data function takes in Python, such as `(images, labels)`.
        model: Settings of the table `[model]`; or a `keras.Model` of one's own, also as `{"backbone": my_model, ...}`
            with other settings. It is trained in place, with the recipe's loss and metrics and the settings' optimizer.
        backbone, optimizer, train, evaluate: Settings of these tables; `kit show RECIPE` lists them. All settings stand
            above those of `config`.
        verbose: Print what happens; `run.log` gets it in any case.

    Returns:
        `Run`; with `train.seeds` above 1 `Runs`.

    Raises:
        KitError: settings, data or folder cannot be used; the message is one line that names what and why.
    """
    tables = dict(zip(schema.TABLES, (data, model, backbone, optimizer, train, evaluate), strict=True))
    with terminal.log_shown(verbose):
        recipe, overrides, given = run.from_python(recipe, tables, config, folder)
        return train_with(recipe, overrides, config=config, folder=folder, seed=seed, given=given)


def train_with(recipe_name, overrides, *, config=None, folder=None, seed=None, given=None):
    """`train` with the settings as a flat dictionary of dotted keys, and `Given` or None."""
    recipe = recipes.get(recipe_name)
    folder = as_path(folder, "folder") if folder else places.new(recipe.name)
    places.check(folder)
    settings = schema.of_run(recipe, folder, config, overrides, seed)
    if settings["train"]["seeds"] <= 1:
        return run.train_with(recipe_name, overrides, config=config, folder=folder, seed=seed, given=given)
    _check(settings, given)
    with places.held(folder), places.logged(folder), run.interruptible(folder):
        places.check(folder)  # another process may have finished it meanwhile
        settings = schema.of_run(recipe, folder, config, overrides, seed)
        seeds = range(settings["seed"], settings["seed"] + settings["train"]["seeds"])
        if not (folder / "config.toml").exists():
            settings_files.write_toml(folder / "config.toml", _with_whole_paths(settings))
        try:
            for number, each in enumerate(seeds, 1):
                _train_one(recipe, folder, each, f"seed {each}, {number} of {len(seeds)}", given)
        except BaseException:
            if not (_place(folder, seeds[0]) / "config.toml").exists():  # not even the first has begun
                (folder / "config.toml").unlink(missing_ok=True)
            raise
        _finish(recipe, folder, settings, seeds)
    return load(folder)


def _check(settings, given):
    """Raises SettingError for what cannot be trained with several seeds."""
    from kit.training.fit import Training

    with table("train"):
        Training(**settings["train"])
    count, first = settings["train"]["seeds"], settings["seed"]
    check(first + count <= 2**31, "train.seeds", count, f"seeds up to 2147483647, the first being {first}")
    if given is not None and given.model is not None:
        raise SettingError(
            "train.seeds", "expected 1 with a model of one's own, which begins with the same weights whatever the seed"
        )


def _with_whole_paths(settings):
    """Returns settings whose paths are absolute, as those of a run are once it has begun."""

    def whole(key, value):
        is_path = key in _PATHS and isinstance(value, str) and Path(value).expanduser().exists()
        return str(Path(value).expanduser().resolve()) if is_path else value

    changed = {name: {key: whole(key, value) for key, value in settings[name].items()} for name in ("data", "train")}
    return settings | changed


def _place(folder, seed):
    """Returns the run folder of a seed."""
    return folder / f"seed-{seed}"


def _train_one(recipe, folder, seed, title, given):
    """Trains the run of one seed to its end, unless it is finished."""
    place, same = _place(folder, seed), {"train.seeds": 1}
    if places.finished(place):
        schema.resume(recipe, place, folder / "config.toml", same, seed)  # refuses another run
        log.info("%s: finished before", title)
        return
    log.info("%s", title)
    run.train_with(recipe.name, same, config=folder / "config.toml", folder=place, seed=seed, given=given, is_part=True)
    _forget()


def _forget():
    """Frees the memory of a run, and lets Keras count its names from 1 again, as in a new process."""
    import keras

    policy, is_interactive = keras.config.dtype_policy(), keras.config.is_interactive_logging_enabled()
    keras.utils.clear_session()
    keras.config.set_dtype_policy(policy)
    (keras.config.enable_interactive_logging if is_interactive else keras.config.disable_interactive_logging)()


def _finish(recipe, folder, settings, seeds):
    """Writes what the runs say together; `metrics.json` last, since its presence says "finished"."""
    from kit.reporting import seeds as page

    found = [read_json(_place(folder, seed) / "metrics.json") for seed in seeds]
    monitor = found[0]["monitor"]
    values = [_monitored(_place(folder, seed), monitor) for seed in seeds]
    better = max if recipe.task.monitors[monitor] == "max" else min
    best = 0 if settings["train"]["use_validation"] else values.index(better(values))
    metrics = {
        "seeds": list(seeds),
        "folders": [_place(folder, seed).name for seed in seeds],
        "best": _place(folder, seeds[best]).name,
        "monitor": monitor,
        "monitored": page.statistics(values),
        **page.summarize(found),
    }
    page.write(folder, metrics)
    write_json(folder / "metrics.json", metrics)


def _monitored(folder, monitor):
    """Returns the monitored value of a run's best epoch."""
    import pandas as pd

    path = folder / "history.csv"
    with reading(path):
        history = pd.read_csv(path).set_index("epoch")
        return float(history.loc[read_json(folder / "metrics.json")["best_epoch"], monitor])
