"""A study: the search of a recipe's settings, from the command to `best.toml`."""

import dataclasses
import logging
import math
import multiprocessing.connection
import os
import tempfile
import time
from pathlib import Path
from typing import Literal

from kit import config as toml
from kit import folder as places
from kit import recipes, run, schema, terminal
from kit.errors import KitError, SettingError, check, table
from kit.files import as_path, read_json, write_json, write_text
from kit.tuning import display, oracle, outcome, space
from kit.tuning.worker import Worker

log = logging.getLogger("kit")

# So many trials that fail one after the other end a study: what is wrong with them is wrong with all.
_FAILURES_IN_A_ROW = 5
# The median of fewer curves is chance.
_FEWEST_CURVES = 5


@dataclasses.dataclass
class Search:
    """The settings of `[tune]`.

    Args:
        trials: Settings to try. Hyperband tries more of them and trains most for few epochs: altogether it spends the
            epochs of so many whole trainings.
        algorithm: "random", "grid", "bayesian" or "hyperband", as Keras Tuner has them.
        workers: Trials at the same time, each in a process of its own; "auto" is one for each processor, and one with a
            GPU.
        threads: Threads of each; "auto" divides the processors among the workers.
        median_stop: Stop a trial whose best value so far is worse than the median of the others' at the same epoch.
        median_epochs: Epochs before that may happen; by default a quarter of a training.
        factor: Hyperband trains the best of so many on, for so many times the epochs.
        keep: Trials, the best ones, whose checkpoints stay on disk.
        retries: How often a trial whose process was killed is tried again, from its last epoch.
        time_limit_seconds: No trial begins later than this; None is no limit.
        retrain: In the end train with the best settings on training and validation split, and score that once on the
            test split.

    Raises:
        SettingError: a value is out of range.
    """

    trials: int = 20
    algorithm: Literal["random", "grid", "bayesian", "hyperband"] = "random"
    workers: int | Literal["auto"] = "auto"
    threads: int | Literal["auto"] = "auto"
    median_stop: bool = True
    median_epochs: int | None = None
    factor: int = 3
    keep: int = 1
    retries: int = 1
    time_limit_seconds: float | None = None
    retrain: bool = False

    def __post_init__(self):
        for key, least in (("trials", 1), ("workers", 1), ("threads", 1), ("median_epochs", 1), ("factor", 2)):
            value = getattr(self, key)
            check(value in (None, "auto") or least <= value < 10**6, key, value, f"at least {least}")
        for key in ("keep", "retries"):
            check(getattr(self, key) >= 0, key, getattr(self, key), "at least 0")
        limit = self.time_limit_seconds
        check(limit is None or limit > 0, "time_limit_seconds", limit, "above 0")

    def machine(self):
        """Returns the number of workers and of threads of each, "auto" decided."""
        import tensorflow as tf

        processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        has_gpu = bool(tf.config.list_physical_devices("GPU"))
        workers = self.workers if self.workers != "auto" else 1 if has_gpu else processors
        return workers, self.threads if self.threads != "auto" else max(1, processors // workers)


# What may differ where a study is carried on.
_MAY_CHANGE = ("trials", "workers", "threads", "keep", "retries", "time_limit_seconds", "retrain")


def tune(
    recipe=None,
    *,
    trials=None,
    config=None,
    folder=None,
    seed=None,
    data=None,
    model=None,
    backbone=None,
    optimizer=None,
    train=None,
    evaluate=None,
    tune=None,
    space=None,
    verbose=True,
):
    """Searches a recipe's settings, or carries an unfinished study on.

        study = kit.tune("image_classification", trials=20)
        study.best  # {"optimizer.learning_rate": 0.004, ...}
        kit.train("image_classification", config=study.folder / "best.toml")

    Args:
        recipe: Name of the recipe; it may be left out where `folder` or `config` tells it.
        trials: Settings to try; `tune={"trials": ...}` in short.
        config: Settings that all trials start from, and `[tune]`, as for `kit.train`. Where it has no `[tune.space]`,
            that of the recipe's `default.toml` is searched.
        folder: Folder of the study; by default a new one below `runs/`.
        seed: Seed of the proposals and of every trial.
        data, model, backbone, optimizer, train, evaluate: Settings of these tables for all trials. Data and models
            themselves cannot be given: a trial is settings and nothing else.
        tune: Settings of `[tune]`; `kit show RECIPE` lists them.
        space: Search space, in place of `[tune.space]`: `{"optimizer.learning_rate": {"min": 1e-4, "max": 1e-2,
            "sampling": "log"}, "model.backbone": ["resnet20", "mixnet_s"]}`.
        verbose: Print what happens.

    Returns:
        `Study`.

    Raises:
        KitError: settings, space, data or folder cannot be used; or trials fail one after the other.
    """
    tables = dict(zip(schema.TABLES, (data, model, backbone, optimizer, train, evaluate), strict=True))
    with terminal.log_shown(verbose):
        if recipe is None:
            recipe = run.stated_recipe(config, folder, "study.toml")
        recipe, overrides, given = run.from_python(recipe, tables, config, None)
        if given.data is not None or given.model is not None:
            raise SettingError(
                "data" if given.data is not None else "model",
                "trials run in processes of their own and take settings alone; expected a path or a name, such as an "
                ".npz file that `numpy.savez` wrote",
            )
        tune = dict(tune or {}) | ({} if trials is None else {"trials": trials})
        overrides |= {f"tune.{key}": value for key, value in tune.items()}
        return tune_with(recipe, overrides, config=config, folder=folder, seed=seed, searched=space)


def tune_with(recipe_name, overrides, *, config=None, folder=None, seed=None, searched=None):
    """`tune` with the settings as a flat dictionary of dotted keys; the space is `tune.space.` of them, or tables."""
    recipe = recipes.get(recipe_name)
    folder = as_path(folder, "folder") if folder else places.new(f"tune-{recipe.name}")
    if folder.exists() and not (folder / "study.toml").exists():
        others = [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else [folder]
        others = [path for path in others if path.name not in ("run.log", "study.json")]  # of one that had not begun
        if others:
            raise KitError(f"{folder}: holds other files ({others[0].name}); expected a new folder, or that of a study")
    with places.held(folder, "study.toml"), places.logged(folder):
        search, content, parameters, types = _settings(recipe, folder, overrides, config, seed, searched)
        try:
            if not (folder / "study.toml").exists():
                write_json(folder / "study.json", _rehearse(recipe, content, parameters, search))
            toml.write_toml(folder / "study.toml", content)  # its presence says that the study has begun
            return _Running(recipe, folder, search, parameters, types, content["seed"]).run()
        except KeyboardInterrupt:
            if not (folder / "study.toml").exists():
                raise
            log.info("stopped; the same command with --folder %s carries on where it was", folder)
            raise


def _settings(recipe, folder, overrides, config_file, seed, searched):
    """Returns `Search`, the content of `study.toml`, the space, and the types of what is searched."""
    own = {key: value for key, value in overrides.items() if key.startswith("tune.")}
    base = {key: value for key, value in overrides.items() if key not in own}
    in_flags = {key: value for key, value in own.items() if key.startswith("tune.space.")}
    asked = {key: value for key, value in own.items() if key not in in_flags}
    saved = folder / "study.toml"
    path = (
        saved if saved.exists() and config_file is None else schema.find_config(config_file or "default", recipe.name)
    )
    of_file, tables = space.of_file(path)
    if searched is not None:
        check(isinstance(searched, dict), "space", searched, "a dictionary from settings to what is searched")
        tables = space.nested(space.plain(searched))
    elif not tables:
        tables = space.of_file(schema.find_config("default", recipe.name))[1]
    tables = space.merged(tables, space.from_flags(in_flags))
    parameters = space.read(tables)
    offered = toml.settings_of(Search, "tune")
    chosen = toml.resolve(offered, {f"tune.{key}": value for key, value in of_file.items()} | asked)["tune"]
    with table("tune"):
        search = Search(**chosen)
    resolved = schema.resolve(recipe, path, base, seed)
    if resolved["train"]["use_validation"]:
        raise SettingError("train.use_validation", "expected false: trials are compared on the validation split")
    types = space.check(parameters, recipe, path, base)
    try:
        space.hyperparameters(parameters, types)
    except (ValueError, TypeError) as error:
        raise SettingError("tune.space", " ".join(str(error).split())) from None
    flat = toml.flatten(resolved)
    given = {key: flat[key] for key in schema.given(recipe, path, base) if key != "seed"}
    source = given.get("data.source")
    if isinstance(source, str) and Path(source).expanduser().exists():
        given["data.source"] = str(Path(source).expanduser().resolve())  # from wherever the study is carried on
    if saved.exists():
        _compare(recipe, saved, chosen, tables, flat, seed)
        resolved["seed"] = toml.read_toml(saved)["seed"]
    content = {"recipe": recipe.name, "seed": resolved["seed"]}
    for key, value in given.items():
        name, _, item = key.rpartition(".")
        content.setdefault(name, {})[item] = value
    chosen = {key: value for key, value in chosen.items() if value is not None}
    return search, content | {"tune": chosen | {"space": tables}}, parameters, types


def _compare(recipe, saved, chosen, tables, flat, seed):
    """Raises SettingError where a study would be carried on with other settings than it was begun with."""
    before, searched = space.of_file(saved)
    offered = toml.settings_of(Search, "tune")
    then = {"tune": toml.resolve(offered, {f"tune.{key}": value for key, value in before.items()})["tune"]}
    then = toml.flatten(then | schema.resolve(recipe, saved, {}, None))
    now = flat | {f"tune.{key}": value for key, value in chosen.items()}
    skipped = {f"tune.{key}" for key in _MAY_CHANGE} | ({"seed"} if seed is None else set())
    for key in sorted((now.keys() | then.keys()) - skipped):
        if not schema.alike(now.get(key), then.get(key)):
            raise SettingError(
                key, f"the study in {saved.parent} was started with {then.get(key)!r}, not {now.get(key)!r}"
            )
    if space.plain(tables) != searched:
        raise SettingError("tune.space", f"the study in {saved.parent} was started with another space")
    journal = saved.parent / "journal.jsonl"
    begun = journal.read_text(encoding="utf-8").count('"RUNNING"') if journal.exists() else 0
    if chosen["algorithm"] != "hyperband" and chosen["trials"] < begun:
        raise SettingError(
            "tune.trials", f"expected at least {begun}, which were begun already, got {chosen['trials']}"
        )


def _rehearse(recipe, content, parameters, search):
    """Finds out, in a process of its own, whether all that the space may lead to can be built and trained.

    Returns:
        Dictionary: `monitor`, its `mode`, and the `epochs` of a training.

    Raises:
        KitError: one of the variants cannot; the message names it.
    """
    variants = [{}]
    variants += [each for each in space.alternatives(parameters) if each not in variants]
    log.info("rehearsal: building the model under %d settings", len(variants))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "study.toml"
        toml.write_toml(path, content)
        order = {"kind": "rehearsal", "recipe": recipe.name, "config": str(path), "seed": content["seed"]}
        worker = Worker(order | {"variants": variants}, math.prod(search.machine()))
        try:
            tried, message = {}, worker.receive()
            while message and "variant" in message:
                tried = message["variant"]
                worker.send({})
                message = worker.receive()
        except BaseException:
            worker.stop()
            raise
        worker.close()
    found = {"failed": worker.death()} if message is None else message["done"]
    if "failed" in found:
        shown = ", ".join(f"{key} = {value!r}" for key, value in tried.items())
        where = f" (in the rehearsal, with {shown})" if tried else " (in the rehearsal)"
        raise KitError(f"{found['failed']}{where}")
    return found


class _Running:
    """A study while it runs: who works on what, and what came out.

    Args:
        recipe: The `Recipe`.
        folder: Folder of the study.
        search: `Search`.
        parameters: The space.
        types: Types of what is searched.
        seed: Seed of the proposals and of every trial.
    """

    def __init__(self, recipe, folder, search, parameters, types, seed):
        self.recipe, self.folder, self.search, self.seed = recipe, folder, search, seed
        self.parameters, self.types = parameters, types
        self.workers, self.threads = search.machine()
        self.busy = {}  # connection: `_Attempt`
        self.attempts = {}  # number of a trial: how often its process died
        self.curves = {}  # folder of a trial: value of each epoch

    def run(self):
        """Runs to the end; returns the `Study`."""
        facts = read_json(self.folder / "study.json")
        self.monitor, self.mode, self.epochs = facts["monitor"], facts["mode"], facts["epochs"]
        self.sign = 1 if self.mode == "max" else -1
        space_ = space.hyperparameters(self.parameters, self.types)
        algorithm = self.search.algorithm
        log.info(
            "%s: searching %s by %s, for the %s %s; %d workers of %d threads",
            self.recipe.name,
            ", ".join(dict.fromkeys(parameter.key for parameter in self.parameters)),
            algorithm,
            "highest" if self.mode == "max" else "lowest",
            self.monitor,
            self.workers,
            self.threads,
        )
        log.info("folder %s", self.folder)
        self.journal = oracle.Journal(
            oracle.make(
                algorithm,
                self.monitor,
                self.mode,
                space_,
                self.seed,
                trials=self.search.trials,
                epochs=self.epochs,
                factor=self.search.factor,
            ),
            self.folder / "journal.jsonl",
        )
        for record in self.journal.ended:
            self.curves[self._folder(record["trial"])] = record["curve"]
        self.started = time.perf_counter()
        self.begun_before = len(self.journal.ended)
        if self.begun_before:
            log.info("going on after %d trials", self.begun_before)
        self.show = display.Display(self)
        try:
            self._loop()
            self._clear(at_the_end=True)
            self.show.stop()
            done = outcome.write(self)
            return self._retrain(done) if self.search.retrain else done
        finally:
            self.show.stop()
            for attempt in self.busy.values():
                attempt.worker.stop()
            self.journal.close()

    @property
    def _config(self):
        return str((self.folder / "study.toml").resolve())

    def _loop(self):
        orphans = self.journal.running()
        while True:
            for slot in range(self.workers):
                if slot not in [attempt.slot for attempt in self.busy.values()]:
                    trial = orphans.pop(0) if orphans else self._next()
                    if trial is not None:
                        self._start(trial, slot)
            if not self.busy:
                return
            for connection in multiprocessing.connection.wait(list(self.busy), timeout=1):
                self._hear(connection)
            self.show.update()

    def _next(self):
        """Returns the oracle's next trial, or None where there is none now."""
        limit = self.search.time_limit_seconds
        late = limit is not None and time.perf_counter() - self.started > limit
        if late or self.spent() >= self.search.trials * self.epochs:
            return None
        was_over = self.journal.is_over
        trial = self.journal.ask()
        if self.journal.is_over and not was_over and len(self.journal.oracle.trials) < self.search.trials:
            log.info("the space has no other settings than those that were tried")
        return trial

    def spent(self):
        """Returns the epochs that Hyperband gave to trials; 0 for others, whose trials the oracle counts."""
        if self.search.algorithm != "hyperband":
            return 0
        values = [trial.hyperparameters.values for trial in self.journal.oracle.trials.values()]
        return sum(each["tuner/epochs"] - each["tuner/initial_epoch"] for each in values)

    def _folder(self, number):
        """Returns the name of the folder that a trial trains in: that of the one which it goes on from, if any."""
        trial = self.trial(number)
        earlier = trial.hyperparameters.values.get("tuner/trial_id")
        return self._folder(int(earlier)) if earlier is not None else f"{number:04}"

    def trial(self, number):
        """Returns Keras Tuner's trial of a number."""
        return self.journal.oracle.trials[self.journal.oracle.start_order[number]]

    def overrides(self, number):
        """Returns the settings of a trial, those that are searched."""
        return space.overrides(self.parameters, self.trial(number).hyperparameters.values)

    def _start(self, trial, slot):
        number = oracle.number(trial)
        name = self._folder(number)
        order = {
            "kind": "trial",
            "recipe": self.recipe.name,
            "overrides": self.overrides(number),
            "config": self._config,
            "folder": str((self.folder / "trials" / name).resolve()),
            "seed": self.seed,
            "monitor": self.monitor,
            "last_epoch": trial.hyperparameters.values.get("tuner/epochs"),
        }
        worker = Worker(order, self.threads, self._processors(slot))
        before = next((each["curve"] for each in reversed(self.journal.ended) if each["folder"] == name), [])
        until = order["last_epoch"] or self.epochs
        self.busy[worker.connection] = _Attempt(number, name, slot, worker, before, until)
        self.curves[name] = []

    def _processors(self, slot):
        """Returns the processors that a worker keeps to, where there are enough for each to have its own; else None."""
        everyone = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        if self.workers * self.threads > len(everyone) or self.workers == 1:
            return None
        return everyone[slot * self.threads : (slot + 1) * self.threads]

    def _hear(self, connection):
        """Takes in what a worker says; its death is one of the things that it may say."""
        attempt = self.busy[connection]
        message = attempt.worker.receive()
        if message is None:
            self._died(attempt)
        elif "done" in message:
            self._ended(attempt, message["done"])
        else:
            curve = self.curves[attempt.name]
            curve.append(message["value"])
            is_new = len(attempt.before) < len(curve) < attempt.until
            attempt.is_stopped = is_new and self._is_hopeless(attempt.name)
            attempt.worker.send({"stop": attempt.is_stopped})

    def _is_hopeless(self, name):
        """The median rule: is the best value so far worse than that of half of the others at this epoch?"""
        curve = self.curves[name]
        epoch = len(curve)
        first = self.search.median_epochs or max(1, round(self.epochs / 4))
        others = [
            self.best_value(each[:epoch]) for key, each in self.curves.items() if key != name and len(each) >= epoch
        ]
        if not self.search.median_stop or epoch < first or len(others) < _FEWEST_CURVES:
            return False
        median = sorted(others, key=lambda value: -self.sign * value)[len(others) // 2]
        return self.sign * self.best_value(curve) < self.sign * median

    def best_value(self, values):
        """Returns the best of several monitored values."""
        return max(values, key=lambda value: self.sign * value)

    def _died(self, attempt):
        """Tries a trial once more whose process died, or reports it."""
        del self.busy[attempt.worker.connection]
        attempt.worker.close()
        reason = attempt.worker.death()
        number = attempt.number
        self.attempts[number] = self.attempts.get(number, 0) + 1
        if self.attempts[number] <= self.search.retries:
            log.info("trial %d: %s; it goes on from its last epoch", number, reason)
            self._start(self.trial(number), attempt.slot)
        else:
            self._end(attempt, {"state": "failed", "message": reason})

    def _ended(self, attempt, result):
        del self.busy[attempt.worker.connection]
        attempt.worker.close()
        if result.get("is_passing"):
            raise KitError(result["failed"])
        if "failed" in result:
            self._end(attempt, {"state": "failed", "message": result["failed"]})
            return
        state = "stopped" if attempt.is_stopped else "completed"
        self._end(attempt, {"state": state, "message": None, **result})

    def _end(self, attempt, result):
        record = {"trial": attempt.number, "folder": attempt.name, "curve": self.curves[attempt.name], **result}
        record["new_epochs"] = len(record["curve"]) - len(attempt.before)
        self.journal.end(record)
        self._clear()
        write_text(self.folder / "trials.csv", outcome.table(self).to_csv(index=False))
        self.show.ended(record)
        tried = self.journal.ended[self.begun_before :]
        if len(tried) >= _FAILURES_IN_A_ROW and self.best() is None:
            raise KitError(f"{len(tried)} trials failed one after the other; the last: {record['message']}")

    def best(self, records=None):
        """Returns the record of the best trial, or None where none has a score."""
        scored = [record for record in records or self.journal.ended if record["state"] != "failed"]
        return max(scored, key=lambda record: (self.sign * record["score"], -record["trial"]), default=None)

    def _clear(self, at_the_end=False):
        """Removes the checkpoints of trials that are neither among the best nor may be trained on."""
        import shutil

        scored = [record for record in self.journal.ended if record["state"] != "failed"]
        ranked = sorted(scored, key=lambda record: (-self.sign * record["score"], record["trial"]))
        kept = set(list(dict.fromkeys(record["folder"] for record in ranked))[: self.search.keep])
        kept |= {each.name for each in self.busy.values()}
        if self.search.algorithm == "hyperband" and not at_the_end:
            kept |= self._may_be_promoted(ranked)
        for record in self.journal.ended:
            path = self.folder / "trials" / record["folder"] / "checkpoint"
            if record["folder"] not in kept and path.exists():
                shutil.rmtree(path)

    def _may_be_promoted(self, ranked):
        """Returns the folders of the trials, of all that ended with the best first, that Hyperband may train on."""
        found, hyperband = set(), self.journal.oracle
        for bracket in hyperband._brackets:
            for index, entries in enumerate(bracket["rounds"][:-1]):
                numbers = {int(entry["id"]) for entry in entries}
                best = [record["folder"] for record in ranked if record["trial"] in numbers]
                found |= set(best[: hyperband._get_size(bracket["bracket_num"], index + 1)])
        return found

    def _retrain(self, done):
        """Trains with the best settings on training and validation split, and scores that on the test split."""
        best = self.best()
        flat = toml.read_toml(self.folder / "best.toml")
        stopped_early = best["epochs"] < flat["train.epochs"]
        overrides = {
            "train.use_validation": True,
            "train.patience": 0,
            "train.average_epochs": 0,
            "train.steps_per_execution": "auto",
            "train.epochs": best["best_epoch"] if stopped_early else flat["train.epochs"],
        }
        path = outcome.retrained(self.folder, best["trial"])
        if places.finished(path):
            done.retrained = read_json(path / "metrics.json")["test"]
            return done
        log.info("training with the best settings on training and validation split")
        order = {"kind": "retraining", "recipe": self.recipe.name, "overrides": overrides, "seed": self.seed}
        order |= {"config": str(self.folder / "best.toml"), "folder": str(path)}
        worker = Worker(order, self.workers * self.threads)
        try:
            message = worker.receive()
        except BaseException:
            worker.stop()
            raise
        worker.close()
        if message is None or "failed" in message["done"]:
            reason = worker.death() if message is None else message["done"]["failed"]
            raise KitError(f"{path}: the best settings could not be trained again: {reason}")
        done.retrained = message["done"]["metrics"]
        return done


@dataclasses.dataclass
class _Attempt:
    """A trial in a worker.

    Args:
        number: Number of the trial.
        name: Name of the folder that it trains in.
        slot: Place of the worker.
        worker: The `Worker`.
        before: Values of the epochs that an earlier trial has trained.
        until: Last epoch.
    """

    number: int
    name: str
    slot: int
    worker: Worker
    before: list
    until: int
    is_stopped: bool = False


def load(folder):
    """Returns the `Study` in a folder.

    Raises:
        KitError: there is no finished study in it.
    """
    folder = Path(as_path(folder, "folder"))
    if not (folder / "study.toml").exists():
        raise KitError(f"{folder}: no study; expected a folder that `kit tune` has left")
    if not (folder / "summary.json").exists():
        raise KitError(f"{folder}: this study is not finished; carry it on with `kit tune --folder {folder}`")
    return outcome.load(folder)
