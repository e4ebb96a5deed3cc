"""Finished runs: load, evaluate and predict again, write the page, compare."""

import dataclasses
import functools
from pathlib import Path

from kit import config, recipes, terminal
from kit.errors import KitError, SettingError, choose, table
from kit.files import as_path, read_json, reading
from kit.runs import folder as folders
from kit.runs import settings as run_settings
from kit.runs.applying import Application, called, offered_to, settings_for
from kit.runs.kept import check_assets, check_unchanged, kept_data
from kit.runs.memory import in_memory
from kit.runs.python_inputs import own_source


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

    def predict(self, inputs=None, **settings):
        """Applies the model; see the recipe's `predict` for inputs, settings and the returned table.

        Inputs are left out where a recipe makes something out of nothing.

        Settings that the evaluation has too are by default those that this run was evaluated with.

        Raises:
            KitError: the inputs cannot be used, or a setting is unknown or out of range.
        """
        return self.apply(inputs, self.prediction(settings))

    def prediction(self, asked):
        """Returns the settings of a prediction, given those that are asked for; see `predict`."""
        return settings_for(self, "predict", asked)

    def apply(self, inputs, chosen):
        """Applies the model with settings as `prediction` returns them."""
        return called(self, "predict", inputs, chosen)

    def stream(self, inputs=None, **settings):
        """Returns what `predict` would show piece by piece, as a generator of texts; None where it cannot be had so.

            for piece in run.stream("Once upon a time"):
                print(piece, end="", flush=True)

        Raises:
            KitError: as `predict`.
        """
        chosen = self.prediction(settings)
        return None if self.recipe.task.stream is None else called(self, "stream", inputs, chosen, "predict")

    def explain(self, inputs=None, **settings):
        """Shows what answers of the model rest on; see the recipe's `explain` for inputs and settings.

        Without inputs a run of tables is explained by the data that it was trained on.

        Returns:
            `kit.reporting.explanation.Explanation`: `table`, `figures`, `arrays`; `write(folder)` writes a page.

        Raises:
            KitError: the recipe's answers are not explained, the inputs cannot be used, or a setting cannot be.
        """
        chosen = settings_for(self, "explain", settings)
        if inputs is None and self.recipe.task.explains_splits:
            inputs = data_of(self)
        return called(self, "explain", inputs, chosen)

    def __repr__(self):
        shown = " ".join(next(terminal.with_intervals(self.metrics["test"]), ("", ""))[:2])
        return f"Run({self.recipe.name}, {str(self.folder)!r}, {shown})"

    def _repr_html_(self):
        """Returns the summary of the run's page, for a notebook."""
        from kit.reporting import page

        return page.summary(self.folder, self.metrics)


@dataclasses.dataclass
class Runs:
    """Finished runs of the same settings with several seeds or folds, as `train` and `load` return them.

    Args:
        folder: Folder that holds a folder for each.
        recipe: Their `Recipe`.
        settings: Their settings, table by table; `seed` is the first one.
        metrics: Content of `metrics.json`, like that of a run, each score being what
            `kit.reporting.several.statistics` returns: `metrics["test"]["accuracy"]["mean"]`. Of folds also
            `out_of_fold`, the scores of all predictions together.
        table: `pandas.DataFrame` with a row a run: its folder, seed or fold, scores, epochs and CPU-seconds.
    """

    folder: Path
    recipe: object
    settings: dict
    metrics: dict
    table: object

    @property
    def folders(self):
        """The run folders, in order."""
        return [self.folder / name for name in self.metrics["folders"]]

    @functools.cached_property
    def runs(self):
        """Every `Run`, in order; they are loaded when they are asked for."""
        return [load(folder) for folder in self.folders]

    @functools.cached_property
    def best(self):
        """The `Run` with the best monitored value on the validation split; where that was trained on, the first."""
        return load(self.folder / self.metrics["best"])

    @functools.cached_property
    def ensemble(self):
        """A `Run` whose `predict` averages the answers of all: its model is a `kit.tasks.recipe.Ensemble`.

        Raises:
            SettingError: the answers cannot be averaged.
        """
        from kit.tasks.recipe import Ensemble

        same = self.recipe.task.ensemble
        if same is None:
            raise SettingError("predict.ensemble", f"answers of {self.recipe.name} have no mean; expected false")
        for run in self.runs:
            for name in same:
                if run.assets.get(name) != self.best.assets.get(name):
                    raise SettingError(
                        "predict.ensemble",
                        f"{run.folder} and {self.best.folder} differ in their {name.replace('_', ' ')}; expected false",
                    )
        # What one run alone decides, such as where words end, the best one does.
        runs = [self.best, *(run for run in self.runs if run.folder != self.best.folder)]
        model = Ensemble([run.model for run in runs], [run.assets for run in runs])
        return dataclasses.replace(self.best, folder=self.folder, model=model)

    def predict(self, inputs=None, *, ensemble=False, **settings):
        """Applies the model of the best run, or with `ensemble` those of all; see `Run.predict`."""
        chosen = config.resolve(config.settings_of(Application, "predict"), {"predict.ensemble": ensemble})
        return (self.ensemble if chosen["predict"]["ensemble"] else self.best).predict(inputs, **settings)

    @functools.cached_property
    def out_of_fold(self):
        """Table of the predictions of every example by the run that did not see it; or None."""
        from kit.runs.out_of_fold import joined

        return joined(self.folders) if "out_of_fold" in self.metrics else None

    def explain(self, inputs=None, **settings):
        """Shows what answers of the best run rest on; see `Run.explain`."""
        return self.best.explain(inputs, **settings)

    def __repr__(self):
        from kit.reporting import several

        shown = " ".join(next(iter(terminal.over_seeds(self.metrics["test"])), ("", ""))[:2])
        count = f"{len(self.folders)} {several.kind_of(self.metrics)}"
        return f"Runs({self.recipe.name}, {str(self.folder)!r}, {count}, {shown})"

    def _repr_html_(self):
        """Returns the statistics of the test scores, for a notebook."""
        from kit.reporting import several

        return several.summary(self.folder, self.metrics)


def load(folder):
    """Brings a finished run back; nothing but its folder is needed.

    Args:
        folder: The run folder.

    Returns:
        `Run`; of a folder with several seeds or folds `Runs`.

    Raises:
        KitError: there is no finished run in the folder.
    """
    import pandas as pd

    folder = _run_folder(folder)
    flat = config.read_toml(folder / "config.toml")
    terminal.load_tensorflow()
    recipe = recipes.get(flat["recipe"])
    flat = run_settings.kept(recipe, flat)
    tables = {name: {} for name in run_settings.TABLES} | config.nested(flat)
    for name in run_settings.TABLES:
        is_table = isinstance(tables[name], dict) and (tables[name] or name in ("backbone", "evaluate"))
        if not is_table:
            raise KitError(f"{folder / 'config.toml'}: damaged; expected the settings of [{name}]")
    if has_several(folder):
        from kit.reporting import several

        metrics = read_json(folder / "metrics.json")
        with reading(folder / "metrics.json"):
            return Runs(folder, recipe, tables, metrics, several.table(metrics))
    import keras

    from kit.training import device

    device.warn_of_unseen_card()
    with reading(folder / "best.keras"):
        model = keras.models.load_model(folder / "best.keras", compile=False, safe_mode=True)
    metrics = read_json(folder / "metrics.json")
    with reading(folder / "history.csv"):
        history = pd.read_csv(folder / "history.csv")
        if metrics.get("epochs") != 0:
            history.loc[0, "epoch"]  # one at least
    assets = read_json(folder / "assets" / "assets.json") | _calibration(folder)
    check_unchanged(folder, "assets.json")
    return Run(folder, recipe, tables, model, history, metrics, assets)


def load_one(folder):
    """Brings the finished run in a folder back; of several the one that is best on the validation split."""
    found = load(folder)
    return found.best if isinstance(found, Runs) else found


def has_several(folder):
    """Whether a run folder holds runs with several seeds or folds, rather than one run."""
    path = as_path(folder, "folder") / "config.toml"
    flat = config.read_toml(path)
    for key, single in (("train.seeds", 1), ("train.folds", 0)):
        count = flat.get(key, single)
        if type(count) is not int:
            raise KitError(f"{path}: damaged; expected a whole number as {key}")
        if count > single:
            return True
    return False


def _calibration(folder):
    """Returns what was fitted to the validation split after training, if anything."""
    path = folder / "assets" / "calibration.json"
    return read_json(path) if path.exists() else {}


def _run_folder(folder):
    """Returns the path of a finished run, or raises KitError."""
    folder = as_path(folder, "folder")
    if not (folder / "config.toml").exists():
        raise KitError(f"{folder}: no run folder; expected one that `kit train` has left")
    recipe = config.read_toml(folder / "config.toml").get("recipe")
    if recipe not in recipes.names():
        raise KitError(f"{folder / 'config.toml'}: damaged; it names no recipe")
    if not folders.finished(folder):
        raise KitError(f"{folder}: this run is not finished; carry it on with `kit train {recipe} --folder {folder}`")
    return folder


def check_settings(folder, table_name, overrides):
    """Raises KitError where a folder is no finished run, or its recipe has no such settings; loads neither."""
    recipe = config.read_toml(_run_folder(folder) / "config.toml")["recipe"]
    config.resolve(config.in_table(offered_to(table_name, recipe), table_name), overrides)


def data_of(run, data=None):
    """Returns the `Splits` that a run was trained on, read again.

    Args:
        run: What `load` returned.
        data: The data again, as `kit.train` got them, where they were given in Python.

    Raises:
        KitError: the data cannot be used, or is another by now.
    """
    with table("data"):
        flat = {f"data.{key}": value for key, value in run.settings["data"].items()}
        chosen = config.resolve(config.settings_of(run.recipe.data, "data"), flat)["data"]
        settings, data = own_source(data)
        if data is not None:
            chosen["source"] = data
        elif settings:
            chosen["source"] = settings.get("source", chosen["source"])
        saved = kept_data(run.folder)
        splits = config.call(run.recipe.data, run.settings["seed"], saved, **chosen)
        check_assets(run.folder, splits, chosen.get("source"))
    if splits.keep:
        splits.keep(run.folder / "assets")
    splits.assets |= _calibration(run.folder)
    return splits


def evaluate(folder, *, split="test", overrides=None, data=None):
    """Scores a finished run on one of its splits again.

    Args:
        folder: The run folder.
        split: "train", "validation" or "test".
        overrides: Flat dictionary of `evaluate.` settings.
        data: The data again, where they were given in Python.

    Returns:
        The recipe's `Evaluation`; of a folder with several seeds or folds one whose metrics are those of all runs
        together, each fold being scored on its own part.

    Raises:
        KitError: the run or its data cannot be used.
    """
    run = load(folder)
    if isinstance(run, Runs):
        from kit.reporting import several
        from kit.tasks.recipe import Evaluation

        found = [evaluate(each, split=split, overrides=overrides, data=data).metrics for each in run.folders]
        return Evaluation(several.summarize(found, several.kind_of(run.metrics)))
    overrides = overrides or {}
    offered = config.settings_of(run.recipe.task.evaluate, "evaluate")
    given = {f"evaluate.{key}": value for key, value in run.settings["evaluate"].items()}
    chosen = config.resolve(offered, given | overrides).get("evaluate", {})
    splits = data_of(run, data)
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    with table("evaluate"), in_memory(lambda flat: offered, {"evaluate": chosen}):
        part = choose(parts, split, "split")
        return config.call(run.recipe.task.evaluate, run.model, part, splits.assets, **chosen)


def predict(run, inputs, overrides=None):
    """Applies a loaded run to inputs; returns the recipe's table.

    Args:
        run: What `load` returned; of several the best one is applied, or with `predict.ensemble` all are.
        inputs: See the recipe's `predict`.
        overrides: Flat dictionary of `predict.` settings.

    Raises:
        KitError: the inputs cannot be used.
    """
    return run.predict(inputs, **{key.removeprefix("predict."): value for key, value in (overrides or {}).items()})


def stream(run, inputs, overrides=None):
    """Returns the pieces of what `predict` would show as they are made, or None; arguments as for `predict`."""
    return run.stream(inputs, **{key.removeprefix("predict."): value for key, value in (overrides or {}).items()})


def report(folder):
    """Writes the page of a finished run, or of several seeds or folds, anew; returns its path."""
    from kit.reporting import page, several

    folder = _run_folder(folder)
    return (several if has_several(folder) else page).write(folder)


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
    for folder in folders:
        if has_several(folder):
            one = read_json(folder / "metrics.json")["best"]
            raise KitError(f"{folder}: holds several runs; expected single runs, such as {folder / one}")
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
