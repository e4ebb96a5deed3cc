"""Finished runs: load, evaluate and predict again, write the page, compare."""

import dataclasses
import functools
import json
import os
from pathlib import Path

from kit import config, recipes, terminal
from kit.errors import KitError, SettingError, choose, table
from kit.files import as_path, read_json, reading, text_sum
from kit.runs import folder as folders
from kit.runs import settings as run_settings
from kit.runs.applying import applied, offered_to
from kit.runs.memory import in_memory
from kit.runs.python_inputs import own_source

# Names of examples that end with a check sum of them.
_TOLD_BY_CONTENT = r"(?s).* [0-9a-f]{8}"


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
        return applied(self, "predict", inputs, settings)

    def explain(self, inputs, **settings):
        """Shows what answers of the model rest on; see the recipe's `explain` for inputs and settings.

        Returns:
            `kit.reporting.explanation.Explanation`: `table`, `figures`, `arrays`; `write(folder)` writes a page.

        Raises:
            KitError: the recipe's answers are not explained, the inputs cannot be used, or a setting cannot be.
        """
        return applied(self, "explain", inputs, settings)

    def __repr__(self):
        shown = " ".join(next(terminal.with_intervals(self.metrics["test"]), ("", ""))[:2])
        return f"Run({self.recipe.name}, {str(self.folder)!r}, {shown})"

    def _repr_html_(self):
        """Returns the summary of the run's page, for a notebook."""
        from kit.reporting import page

        return page.summary(self.folder, self.metrics)


@dataclasses.dataclass
class Runs:
    """Finished runs of the same settings with several seeds, as `train` and `load` return them.

    Args:
        folder: Folder that holds a folder for each.
        recipe: Their `Recipe`.
        settings: Their settings, table by table; `seed` is the first one.
        metrics: Content of `metrics.json`, like that of a run, each score being what
            `kit.reporting.seeds.statistics` returns: `metrics["test"]["accuracy"]["mean"]`.
        table: `pandas.DataFrame` with a row a run: its folder, seed, scores, epochs and CPU-seconds.
    """

    folder: Path
    recipe: object
    settings: dict
    metrics: dict
    table: object

    @property
    def folders(self):
        """The run folders, in the order of their seeds."""
        return [self.folder / name for name in self.metrics["folders"]]

    @functools.cached_property
    def runs(self):
        """Every `Run`, in the order of their seeds; they are loaded when they are asked for."""
        return [load(folder) for folder in self.folders]

    @functools.cached_property
    def best(self):
        """The `Run` with the best monitored value on the validation split; where that was trained on, the first."""
        return load(self.folder / self.metrics["best"])

    def predict(self, inputs=None, **settings):
        """Applies the model of the best run; see `Run.predict`."""
        return self.best.predict(inputs, **settings)

    def explain(self, inputs, **settings):
        """Shows what answers of the best run rest on; see `Run.explain`."""
        return self.best.explain(inputs, **settings)

    def __repr__(self):
        shown = " ".join(next(iter(terminal.over_seeds(self.metrics["test"])), ("", ""))[:2])
        return f"Runs({self.recipe.name}, {str(self.folder)!r}, {len(self.folders)} seeds, {shown})"

    def _repr_html_(self):
        """Returns the statistics of the test scores, for a notebook."""
        from kit.reporting import seeds

        return seeds.summary(self.folder, self.metrics)


def load(folder):
    """Brings a finished run back; nothing but its folder is needed.

    Args:
        folder: The run folder.

    Returns:
        `Run`; of a folder with several seeds `Runs`.

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
    if has_seeds(folder):
        from kit.reporting import seeds

        metrics = read_json(folder / "metrics.json")
        with reading(folder / "metrics.json"):
            return Runs(folder, recipe, tables, metrics, seeds.table(metrics))
    import keras

    from kit.training import device

    device.warn_of_unseen_card()
    with reading(folder / "best.keras"):
        model = keras.models.load_model(folder / "best.keras", compile=False, safe_mode=True)
    with reading(folder / "history.csv"):
        history = pd.read_csv(folder / "history.csv")
        history.loc[0, "epoch"]  # one at least
    metrics = read_json(folder / "metrics.json")
    assets = read_json(folder / "assets" / "assets.json") | _calibration(folder)
    check_unchanged(folder, "assets.json")
    return Run(folder, recipe, tables, model, history, metrics, assets)


def load_one(folder):
    """Brings the finished run in a folder back; of several seeds the one that is best on the validation split."""
    found = load(folder)
    return found.best if isinstance(found, Runs) else found


def has_seeds(folder):
    """Whether a run folder holds runs with several seeds, rather than one run."""
    path = as_path(folder, "folder") / "config.toml"
    count = config.read_toml(path).get("train.seeds", 1)
    if type(count) is not int:
        raise KitError(f"{path}: damaged; expected a whole number as train.seeds")
    return count > 1


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
        The recipe's `Evaluation`; of a folder with several seeds one whose metrics are those of all runs together.

    Raises:
        KitError: the run or its data cannot be used.
    """
    run = load(folder)
    if isinstance(run, Runs):
        from kit.reporting import seeds
        from kit.tasks.recipe import Evaluation

        found = [evaluate(each, split=split, overrides=overrides, data=data).metrics for each in run.folders]
        return Evaluation(seeds.summarize(found))
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
        run: What `load` returned; of several seeds the best one is applied.
        inputs: See the recipe's `predict`.
        overrides: Flat dictionary of `predict.` settings.

    Raises:
        KitError: the inputs cannot be used.
    """
    return run.predict(inputs, **{key.removeprefix("predict."): value for key, value in (overrides or {}).items()})


def report(folder):
    """Writes the page of a finished run, or of runs with several seeds, anew; returns its path."""
    from kit.reporting import page, seeds

    folder = _run_folder(folder)
    return (seeds if has_seeds(folder) else page).write(folder)


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
        if has_seeds(folder):
            one = read_json(folder / "metrics.json")["best"]
            raise KitError(f"{folder}: holds runs with several seeds; expected single runs, such as {folder / one}")
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


def kept_data(folder):
    """Returns what an earlier or unfinished run has `Kept` of its data, or None in a new folder."""
    import pandas as pd

    from kit.data.splits import Kept

    path = folder / "assets" / "splits.csv"
    if not (folder / "config.toml").exists():
        return None
    with reading(path):
        table = pd.read_csv(path, dtype={"example": str, "split": str, "label": int}, keep_default_na=False)
        table = table[["example", "split", *({"label"} & set(table.columns))]]
    check_unchanged(folder, "splits.csv")
    assets = read_json(path.with_name("assets.json"))
    check_unchanged(folder, "assets.json")
    files = path.with_name("files.csv")
    return Kept(table, assets, files if files.exists() else None)


def check_unchanged(folder, name):
    """Raises KitError where a file of a run's assets is not the one that the run began with."""
    path = folder / "assets" / "sums.json"
    if path.exists():  # runs from before it was kept lack it
        sums = read_json(path)
        with reading(path):
            before = sums[name]
        if text_sum(folder / "assets" / name) != before:
            raise KitError(
                f"{folder / 'assets' / name}: changed since the run began; expected what it was trained with"
            )


def check_assets(folder, splits, source):
    """Raises KitError where the data of a run, or what was learned from them, are not those with which it began.

    Args:
        folder: The run folder.
        splits: The `Splits`, read again.
        source: Where they were read from now; another place than in the beginning may hold the same.
    """
    path = folder / "assets" / "assets.json"
    if not (folder / "config.toml").exists():
        return
    saved, now = read_json(path), json.loads(json.dumps(splits.assets))
    check_unchanged(folder, path.name)
    files = folder / "assets" / "files.csv"
    are_files = splits.files is not None and files.exists()  # runs from before it was kept lack it
    if are_files:
        splits.files.check(files)  # first: it names the one that changed
    for name in saved:
        if saved[name] != now.get(name):
            raise KitError(
                f"the data changed since this run was started: its {name} differ from those in {path}; "
                "expected the same files"
            )
    if are_files:
        return
    before = config.read_toml(folder / "config.toml").get(run_settings.SOURCE)
    now = str(source) if isinstance(source, str | os.PathLike) else before  # data of Python are told by their content
    names = splits.assignment["example"]
    if not run_settings.alike(before, now) and not names.str.fullmatch(_TOLD_BY_CONTENT).all():
        raise SettingError(
            run_settings.SOURCE,
            f"the run in {folder} was started with {before!r}, not {now!r}; nothing tells whether they hold the same",
        )
