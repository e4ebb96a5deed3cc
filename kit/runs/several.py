"""Several runs of the same settings, one after the other, each with a seed or fold of its own, and their statistics."""

import dataclasses
import logging

from kit import config
from kit.errors import SettingError, check, table
from kit.files import atomic, read_json, reading, write_json, write_text
from kit.runs import folder as folders
from kit.runs import settings as run_settings
from kit.runs.finished import load

log = logging.getLogger("kit")


@dataclasses.dataclass(frozen=True)
class Member:
    """One of several runs.

    Args:
        number: Its seed, or the number of its fold.
        folder: Name of its run folder, inside that of all.
        title: What it is called in the log.
        seed: Its seed.
        own: Flat dictionary of the other settings that it has for itself.
    """

    number: int
    folder: str
    title: str
    seed: int
    own: dict

    def of(self, settings):
        """Returns the settings of this run, given those of all, table by table."""
        own = config.nested(self.own)
        return settings | {name: settings[name] | table for name, table in own.items()} | {"seed": self.seed}


def members(settings):
    """Returns the `Member` of each seed or fold that settings ask for; of a single run none."""
    first, seeds, folds = settings["seed"], settings["train"]["seeds"], settings["train"]["folds"]
    if folds:
        return [
            Member(
                number,
                f"fold-{number}",
                f"fold {number}, {number + 1} of {folds}",
                first,
                {"train.folds": 0, "data.fold": (number, folds)},
            )
            for number in range(folds)
        ]
    if seeds == 1:
        return []
    return [
        Member(seed, f"seed-{seed}", f"seed {seed}, {number} of {seeds}", seed, {"train.seeds": 1})
        for number, seed in enumerate(range(first, first + seeds), 1)
    ]


def train(recipe, run_folder, settings, inputs, train_one):
    """Trains a run for each seed or fold in a folder that is held, or carries on those that are not finished.

    Args:
        recipe: The `Recipe`.
        run_folder: Folder that holds a run folder for each.
        settings: The resolved settings, table by table; `train.seeds` or `train.folds` is the number of runs, `seed`
            the first seed.
        inputs: `PythonInputs`.
        train_one: Function `(recipe, run_folder, settings, inputs, on_begin)` that trains one run in a held folder.

    Returns:
        `Runs`.
    """
    check_possible(recipe, settings, inputs)
    several = members(settings)
    if not folders.begun(run_folder):
        config.write_toml(run_folder / "config.toml", settings)
    else:
        _keep_changes(recipe, run_folder, settings, several)

    def keep_paths(of_one):
        """Writes the settings again, their paths as absolute as those of a single run: it may go on from anywhere."""
        tables = {name: dict(of_one[name]) for name in ("data", "train")}
        for key in several[0].own:
            name, _, item = key.partition(".")
            tables[name][item] = settings[name][item]
        config.write_toml(run_folder / "config.toml", of_one | tables | {"seed": settings["seed"]})

    try:
        for member in several:
            folder = run_folder / member.folder
            own = _settings_of_one(recipe, run_folder, settings, member)
            if folders.finished(folder):
                log.info("%s: finished before", member.title)
                continue
            log.info("%s", member.title)
            with folders.opened(folder, recipe.name):
                train_one(recipe, folder, own, inputs, keep_paths)
            _forget()
    except BaseException:
        if not folders.begun(run_folder / several[0].folder):
            (run_folder / "config.toml").unlink(missing_ok=True)
        raise
    _finish(recipe, run_folder, settings, several)
    return load(run_folder)


def _keep_changes(recipe, run_folder, settings, several):
    """Writes the settings anew where those that may differ from the beginning do; a finished run forbids others.

    Raises:
        SettingError: a run has been evaluated otherwise already.
    """
    changes = run_settings.changes(recipe, run_folder, settings)
    done = [each.title.partition(",")[0] for each in several if folders.finished(run_folder / each.folder)]
    for key, (before, now) in changes.items():
        if key.startswith("evaluate.") and done:
            raise SettingError(key, f"{done[0]} of {run_folder} is finished with {before!r}, not {now!r}")
    if changes:
        config.write_toml(run_folder / "config.toml", settings)


def check_possible(recipe, settings, inputs):
    """Raises SettingError for what cannot be trained with several seeds or folds."""
    from kit.training.plan import Training

    with table("train"):
        config.call(Training, **settings["train"])
    count, first, folds = settings["train"]["seeds"], settings["seed"], settings["train"]["folds"]
    check(first + count <= 2**31, "train.seeds", count, f"seeds up to 2147483647, the first being {first}")
    if inputs.model is not None and (folds or count > 1):
        raise SettingError(
            "train.folds" if folds else "train.seeds",
            f"expected {0 if folds else 1} with a model of one's own, which begins with the same weights whatever the "
            "seed" + (", and with those of the fold before" if folds else ""),
        )
    if not folds:
        return
    if "fold" not in settings["data"]:
        raise SettingError("train.folds", f"expected 0: {recipe.name} makes its data by acting; train.seeds repeats it")
    check(
        settings["data"]["fold"] is None, "data.fold", settings["data"]["fold"], "none with train.folds, which sets it"
    )


def _settings_of_one(recipe, run_folder, settings, member):
    """Returns the settings of one of several runs; where it has begun, those that it was started with.

    Raises:
        SettingError: another run is in its place.
    """
    folder = run_folder / member.folder
    if folders.begun(folder):
        return run_settings.resume(recipe, folder, run_folder / "config.toml", member.own, member.seed)
    own = member.of(settings)
    first = run_folder / members(settings)[0].folder
    if "split_seed" not in own["data"] or not folders.begun(first):
        return own
    if "data.split_seed" in config.read_toml(first / "config.toml"):
        return own
    return own | {"data": own["data"] | {"split_seed": member.seed}}  # begun when every seed divided the data anew


def _forget():
    """Frees the memory of a run, and lets Keras count its names from 1 again, as in a new process."""
    import keras

    policy, is_interactive = keras.config.dtype_policy(), keras.config.is_interactive_logging_enabled()
    keras.utils.clear_session()
    keras.config.set_dtype_policy(policy)
    (keras.config.enable_interactive_logging if is_interactive else keras.config.disable_interactive_logging)()


def _finish(recipe, run_folder, settings, several):
    """Writes statistics and page of all runs; `metrics.json` last, since its presence says "finished"."""
    from kit.reporting import several as page

    places = [run_folder / member.folder for member in several]
    found = [read_json(folder / "metrics.json") for folder in places]
    monitor = found[0]["monitor"]
    values = [_monitored(folder, monitor) for folder in places]
    better = max if recipe.task.monitors[monitor] == "max" else min
    best = 0 if settings["train"]["use_validation"] else values.index(better(values))
    kind = "folds" if settings["train"]["folds"] else "seeds"
    pooled = {}
    if kind == "folds":
        pooled = _pooled(recipe, run_folder, settings, places)
    metrics = {
        kind: [member.number for member in several],
        "folders": [folder.name for folder in places],
        "best": places[best].name,
        "monitor": monitor,
        "monitored": page.statistics(values, kind),
        **pooled,
        **page.summarize(found, kind),
    }
    page.write(run_folder, metrics)
    write_json(run_folder / "metrics.json", metrics)


def _pooled(recipe, run_folder, settings, places):
    """Writes the out-of-fold predictions of all folds as one table; returns their scores as part of `metrics.json`."""
    from kit.reporting import plots
    from kit.runs.out_of_fold import joined

    predictions = joined(places)
    if predictions is None:
        log.info("%s answers no single example: there are no out-of-fold predictions", recipe.name)
        return {}
    for name in ("tables", "plots"):
        (run_folder / name).mkdir(exist_ok=True)
    write_text(run_folder / "tables" / "out_of_fold.csv", predictions.to_csv(index=False, float_format="%.6g"))
    assets = read_json(places[0] / "assets" / "assets.json")
    found = recipe.task.pooled(predictions, assets, settings["evaluate"])
    for name, content in found.tables.items():
        write_text(run_folder / "tables" / f"{name}.csv", content.to_csv(index=False))
    for name, draw in found.figures.items():
        with atomic(run_folder / "plots" / f"{name}.png") as temporary:
            plots.save(draw(), temporary)
    return {"out_of_fold": {"examples": predictions["example"].nunique(), **found.metrics}}


def _monitored(folder, monitor):
    """Returns the monitored value of a run's best epoch."""
    import pandas as pd

    path = folder / "history.csv"
    with reading(path):
        history = pd.read_csv(path).set_index("epoch")
        return float(history.loc[read_json(folder / "metrics.json")["best_epoch"], monitor])
