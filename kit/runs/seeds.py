"""Several seeds: runs of the same settings that differ in their seed, one after the other, and their statistics."""

import logging

from kit import config
from kit.errors import SettingError, check, table
from kit.files import read_json, reading, write_json
from kit.runs import folder as folders
from kit.runs import settings as run_settings
from kit.runs.finished import load

log = logging.getLogger("kit")


def train(recipe, run_folder, settings, inputs, train_one):
    """Trains a run for each seed in a folder that is held, or carries on those that are not finished.

    Args:
        recipe: The `Recipe`.
        run_folder: Folder that holds a run folder for each.
        settings: The resolved settings, table by table; `train.seeds` is the number of runs, `seed` the first seed.
        inputs: `PythonInputs`.
        train_one: Function `(recipe, run_folder, settings, inputs, on_begin)` that trains one run in a held folder.

    Returns:
        `Runs`.
    """
    _check(settings, inputs)
    seeds = range(settings["seed"], settings["seed"] + settings["train"]["seeds"])
    if not folders.begun(run_folder):
        config.write_toml(run_folder / "config.toml", settings)
    else:
        _keep_changes(recipe, run_folder, settings, seeds)

    def keep_paths(of_one):
        """Writes the settings again, their paths as absolute as those of a single run: it may go on from anywhere."""
        more = {"seed": settings["seed"], "train": of_one["train"] | {"seeds": len(seeds)}}
        config.write_toml(run_folder / "config.toml", of_one | more)

    try:
        for number, seed in enumerate(seeds, 1):
            folder, title = folder_of(run_folder, seed), f"seed {seed}, {number} of {len(seeds)}"
            own = _settings_of_one(recipe, run_folder, settings, seed)
            if folders.finished(folder):
                log.info("%s: finished before", title)
                continue
            log.info("%s", title)
            with folders.opened(folder, recipe.name):
                train_one(recipe, folder, own, inputs, keep_paths)
            _forget()
    except BaseException:
        if not folders.begun(folder_of(run_folder, seeds[0])):
            (run_folder / "config.toml").unlink(missing_ok=True)
        raise
    _finish(recipe, run_folder, settings, seeds)
    return load(run_folder)


def _keep_changes(recipe, run_folder, settings, seeds):
    """Writes the settings anew where those that may differ from the beginning do; a finished seed forbids others.

    Raises:
        SettingError: a seed has been evaluated otherwise already.
    """
    changes = run_settings.changes(recipe, run_folder, settings)
    done = [seed for seed in seeds if folders.finished(folder_of(run_folder, seed))]
    for key, (before, now) in changes.items():
        if key.startswith("evaluate.") and done:
            raise SettingError(key, f"seed {done[0]} of {run_folder} is finished with {before!r}, not {now!r}")
    if changes:
        config.write_toml(run_folder / "config.toml", settings)


def _check(settings, inputs):
    """Raises SettingError for what cannot be trained with several seeds."""
    from kit.training.plan import Training

    with table("train"):
        config.call(Training, **settings["train"])
    count, first = settings["train"]["seeds"], settings["seed"]
    check(first + count <= 2**31, "train.seeds", count, f"seeds up to 2147483647, the first being {first}")
    if inputs.model is not None:
        raise SettingError(
            "train.seeds", "expected 1 with a model of one's own, which begins with the same weights whatever the seed"
        )


def folder_of(run_folder, seed):
    """Returns the run folder of a seed, inside that of all."""
    return run_folder / f"seed-{seed}"


def _settings_of_one(recipe, run_folder, settings, seed):
    """Returns the settings of one seed's run; where it has begun, those that it was started with.

    Raises:
        SettingError: another run is in its place.
    """
    folder = folder_of(run_folder, seed)
    if folders.begun(folder):
        return run_settings.resume(recipe, folder, run_folder / "config.toml", {"train.seeds": 1}, seed)
    own = settings | {"seed": seed, "train": settings["train"] | {"seeds": 1}}
    first = folder_of(run_folder, settings["seed"])
    if "split_seed" not in own["data"] or not folders.begun(first):
        return own
    if "data.split_seed" in config.read_toml(first / "config.toml"):
        return own
    return own | {"data": own["data"] | {"split_seed": seed}}  # begun when every seed had a division of its own


def _forget():
    """Frees the memory of a run, and lets Keras count its names from 1 again, as in a new process."""
    import keras

    policy, is_interactive = keras.config.dtype_policy(), keras.config.is_interactive_logging_enabled()
    keras.utils.clear_session()
    keras.config.set_dtype_policy(policy)
    (keras.config.enable_interactive_logging if is_interactive else keras.config.disable_interactive_logging)()


def _finish(recipe, run_folder, settings, seeds):
    """Writes statistics and page of all runs; `metrics.json` last, since its presence says "finished"."""
    from kit.reporting import seeds as page

    folders_of_seeds = [folder_of(run_folder, seed) for seed in seeds]
    found = [read_json(folder / "metrics.json") for folder in folders_of_seeds]
    monitor = found[0]["monitor"]
    values = [_monitored(folder, monitor) for folder in folders_of_seeds]
    better = max if recipe.task.monitors[monitor] == "max" else min
    best = 0 if settings["train"]["use_validation"] else values.index(better(values))
    metrics = {
        "seeds": list(seeds),
        "folders": [folder.name for folder in folders_of_seeds],
        "best": folders_of_seeds[best].name,
        "monitor": monitor,
        "monitored": page.statistics(values),
        **page.summarize(found),
    }
    page.write(run_folder, metrics)
    write_json(run_folder / "metrics.json", metrics)


def _monitored(folder, monitor):
    """Returns the monitored value of a run's best epoch."""
    import pandas as pd

    path = folder / "history.csv"
    with reading(path):
        history = pd.read_csv(path).set_index("epoch")
        return float(history.loc[read_json(folder / "metrics.json")["best_epoch"], monitor])
