"""Several runs of the same settings, one after the other, each with a seed or fold of its own, and their statistics."""

import dataclasses
import functools
import logging

from kit import config
from kit.errors import KitError, SettingError, check, shown, table
from kit.files import read_json, reading, write_json, write_text
from kit.runs import folder as folders
from kit.runs import settings as run_settings
from kit.runs.assembly import forget, read_data
from kit.runs.finished import load
from kit.runs.kept import rule_of

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

    def begin(member, of_one):
        """Looks at the data that a run has read, and writes the settings of all with paths as absolute as its own.

        It may go on from anywhere then.
        """
        before = next((run_folder / each.folder for each in several if folders.begun(run_folder / each.folder)), None)
        if before is not None:
            _check_data(recipe, before, run_folder / member.folder, of_one, settings["train"]["folds"])
        elif settings["train"]["folds"]:
            check_folds(recipe, run_folder / member.folder, settings, several[1:], inputs)
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
                train_one(recipe, folder, own, inputs, functools.partial(begin, member))
            forget()
    except BaseException:
        if not any(folders.begun(run_folder / each.folder) for each in several):
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
        what = "makes its data by acting" if recipe.examples is None else "divides its data into no folds"
        raise SettingError("train.folds", f"expected 0: {recipe.name} {what}; train.seeds repeats it")
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


def _check_data(recipe, before, folder, settings, folds):
    """Raises KitError where a run is about to begin on other data than one that began before it in the same folder."""
    earlier = run_settings.kept(recipe, config.read_toml(before / "config.toml"))
    if earlier.get("data.split_seed") != settings["data"].get("split_seed"):
        return  # begun when every seed divided the data anew, and generated sentences of its own
    check_same_data(before, folder, is_one_division=not folds)


def check_same_data(before, folder, *, is_one_division):
    """Raises KitError where two of several runs have read different data, by what they have kept of them.

    Args:
        before: Run folder of one that has begun.
        folder: Run folder of one that is about to, with its assets.
        is_one_division: They have the same training, validation and test split; folds do not.
    """
    rules = [rule_of(each) for each in (before, folder)]
    if None not in rules:
        if any(rules[0][key] != rules[1][key] for key in ("examples", "names", "labels")):
            raise KitError(f"the data changed since {before.name} began: the names of its examples or their labels")
        return
    (earlier, files), (now, own_files) = _data(before), _data(folder)
    said = _difference(earlier, now, is_one_division)
    if said is None and None not in (files, own_files):
        changed = [name for name in files | own_files if files.get(name) != own_files.get(name)]
        said = f"{shown(changed[0])} has another content" if changed else None
    if said is not None:
        raise KitError(f"the data changed since {before.name} began: {said}; expected the same data")


def _table(folder):
    """Returns the table of a run's division, as text, and the names of its classes."""
    import pandas as pd

    path = folder / "assets" / "splits.csv"
    with reading(path):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        known = [name for name in ("example", "split", "label", "group", "time") if name in table]
        return table[known].copy(), read_json(path.with_name("assets.json")).get("class_names", [])


def _data(folder):
    """Returns the table of a run's division with names as labels, and size and sum of each of its files or None."""
    import pandas as pd

    table, class_names = _table(folder)
    if "label" in table:  # a class that is new changes the numbers of others
        names = {str(number): str(name) for number, name in enumerate(class_names)}
        table["label"] = [names.get(label, label) for label in table["label"]]
    # Of what would be trained on some is left out, which may go by what was learned, such as tokens.
    table["split"] = table["split"].replace("left out", "train")
    files = folder / "assets" / "files.csv"
    if not files.exists():
        return table, None
    with reading(files):  # the time of change, as in a copy, is no matter
        found = pd.read_csv(files, dtype=str, keep_default_na=False)
        return table, dict(zip(found["file"], zip(found["size"], found["crc32"], strict=True), strict=True))


def _difference(earlier, now, is_one_division):
    """Returns in words what of a table of `_data` differs from an earlier one; or None."""
    names, known = now["example"].tolist(), earlier["example"].tolist()
    for these, others, what in ((names, set(known), "new"), (known, set(names), "gone")):
        for name in these:
            if name not in others:
                return f"{shown(name)} is {what}"
    for name, before in zip(names, known, strict=False):
        if name != before:  # draws go by the order
            return f"its examples are in another order, {shown(name)} in place of {shown(before)}"
    if len(names) != len(known):
        return f"{len(names):,} examples, and it had {len(known):,}"
    for column in ("label", "group", "time"):
        if column in earlier and column in now:
            for name, value, before in zip(names, now[column], earlier[column], strict=True):
                if value != before:
                    return f"{shown(name)} has {column} {shown(value)}, and had {shown(before)}"
    if not is_one_division and "time" in now:
        return None
    for name, part, before in zip(names, now["split"], earlier["split"], strict=True):
        if is_one_division and part != before:
            return f"{shown(name)} is in the {part} split, and was in {before}"
        if (part == "unused") != (before == "unused"):  # the source's own test split
            return f"{shown(name)} is {'unused, and was used' if part == 'unused' else 'used, and was unused'}"
    return None


def check_folds(recipe, folder, settings, others, inputs):
    """Raises SettingError for a fold that cannot be divided: known before the first is trained.

    The others are divided as the first has told the examples, which takes no reading. Only where that fails are the
    data read: the first does not tell all, such as which of the later examples are a test split of the source's own.

    Args:
        recipe: The `Recipe`.
        folder: Run folder of the first, with its assets.
        settings: The resolved settings of all, table by table.
        others: `Member` of each other fold.
        inputs: `PythonInputs`.
    """
    from kit.data.options import Division
    from kit.data.split_names import UNUSED
    from kit.data.splits import Known, assign

    found, class_names = _table(folder)
    columns = {name: found[name].tolist() for name in ("group", "time") if name in found}
    names, of_classes = found["example"].tolist(), {}
    if "label" in found:
        of_classes = {"labels": found["label"].astype(int).to_numpy(), "class_names": class_names}
    is_closed = (found["split"] == UNUSED) & ("time" not in columns)
    given = is_closed.map({True: UNUSED, False: "train"}).to_numpy(object)
    offered = config.names_of(Division)
    shares = {key: value for key, value in settings["data"].items() if key in offered}
    shares |= {"group": None, "time": None, "split_files": ()} | {name: name for name in columns}
    for member in others:
        division = Division(**shares | {"fold": member.own["data.fold"]})
        try:
            assign(names, given, division, None, Known(names, columns), **of_classes)
        except KitError:
            _read(recipe, member, settings, inputs)


def _read(recipe, member, settings, inputs):
    """Reads the data of a fold, or raises SettingError where they cannot be divided."""
    try:
        read_data(recipe, member.of(settings), inputs)
    except KitError as error:
        raise SettingError("train.folds", f"fold {member.number} cannot be divided: {error}") from None


def _finish(recipe, run_folder, settings, several):
    """Writes statistics and page of all runs; `metrics.json` last, since its presence says "finished"."""
    from kit.reporting import several as page

    places = [run_folder / member.folder for member in several]
    found = [read_json(folder / "metrics.json") for folder in places]
    monitor = found[0]["monitor"]
    is_trained = settings["train"]["epochs"] > 0 or settings["train"]["minutes"] is not None
    values = [_monitored(folder, monitor) for folder in places] if is_trained else []
    better = max if recipe.task.monitors[monitor] == "max" else min
    best = 0 if settings["train"]["use_validation"] or not is_trained else values.index(better(values))
    kind = "folds" if settings["train"]["folds"] else "seeds"
    pooled = {}
    if kind == "folds":
        pooled = _pooled(recipe, run_folder, settings, places)
    metrics = {
        kind: [member.number for member in several],
        "folders": [folder.name for folder in places],
        "best": places[best].name,
        "monitor": monitor,
        **({"monitored": page.statistics(values, kind)} if is_trained else {}),
        **pooled,
        **page.summarize(found, kind),
    }
    page.write(run_folder, metrics)
    write_json(run_folder / "metrics.json", metrics)


def _pooled(recipe, run_folder, settings, places):
    """Writes the out-of-fold predictions of all folds as one table; returns their scores as part of `metrics.json`."""
    from kit.reporting import plots
    from kit.runs.out_of_fold import check_once, joined

    predictions = joined(places)
    if predictions is None:
        log.info("%s answers no single example: there are no out-of-fold predictions", recipe.name)
        return {}
    check_once(predictions, places[0])
    for name in ("tables", "plots"):
        (run_folder / name).mkdir(exist_ok=True)
    write_text(run_folder / "tables" / "out_of_fold.csv", predictions.to_csv(index=False, float_format="%.6g"))
    assets = read_json(places[0] / "assets" / "assets.json")
    found = recipe.task.pooled(predictions, assets, settings["evaluate"])
    for name, content in found.tables.items():
        write_text(run_folder / "tables" / f"{name}.csv", content.to_csv(index=False))
    plots.save_all(found.figures, run_folder / "plots")
    return {"out_of_fold": {"examples": predictions["example"].nunique(), **found.metrics}}


def _monitored(folder, monitor):
    """Returns the monitored value of a run's best epoch."""
    import pandas as pd

    path = folder / "history.csv"
    with reading(path):
        history = pd.read_csv(path).set_index("epoch")
        return float(history.loc[read_json(folder / "metrics.json")["best_epoch"], monitor])
