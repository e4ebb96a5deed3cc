"""From settings to a training: data, architecture, compiled model, and the weights that it begins with."""

import contextlib
import dataclasses
import functools
import json
import os
import threading
import time

from kit import config
from kit.data import remote
from kit.data.split_lists import absolute
from kit.errors import SettingError, Unavailable, check, choose, table
from kit.files import as_path, reading
from kit.runs import back_translation
from kit.runs import folder as folders
from kit.runs import settings as run_settings
from kit.runs.finished import load_one
from kit.runs.kept import check_assets, kept_data
from kit.runs.memory import in_memory

_LOCK = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Assembled:
    """All that a training needs, before its first step.

    Args:
        recipe: The `Recipe`.
        settings: The settings, table by table; paths among them are absolute.
        training: The `Training` of `[train]`.
        splits: The `Splits`.
        model: The compiled model, or training wrapper.
        network: The functional model inside it that predicts and is saved.
        callbacks: Callbacks that the optimizer's schedule needs.
        monitor: Name of the monitored value.
        mode: Its direction, "max" or "min".
        steps_per_epoch: Steps of an epoch.
        budget: `Budget` of a training that ends by the clock, or None.
    """

    recipe: object
    settings: dict
    training: object
    splits: object
    model: object
    network: object
    callbacks: list
    monitor: str
    mode: str
    steps_per_epoch: int
    budget: object = None


@contextlib.contextmanager
def assembled(recipe, run_folder, settings, inputs, *, is_rehearsal=False, started=None):
    """Builds all that a training needs, and yields it; inside, devices and precision are those of the training.

    Args:
        recipe: The `Recipe`.
        run_folder: The run folder; where it holds a run, its division of the data is used again.
        settings: The resolved settings, table by table.
        inputs: `PythonInputs`.
        is_rehearsal: Leave away what the recipe does once before training, where that takes long.
        started: Seconds by the clock and CPU-seconds of this process when the run began; by default now.

    Yields:
        `Assembled`.

    Raises:
        KitError: settings, data or model cannot be used, or do not fit into memory; or another thread trains.
    """
    offered = functools.partial(run_settings.settings_of, recipe)
    started = (time.perf_counter(), time.process_time()) if started is None else started
    made = _assembled(recipe, run_folder, settings, inputs, is_rehearsal, started)
    with _alone(), in_memory(offered, settings), made as parts:
        yield parts


@contextlib.contextmanager
def _alone():
    """Raises Unavailable where another thread is inside: seeds, precision and devices are those of the process."""
    if not _LOCK.acquire(blocking=False):
        raise Unavailable("another thread of this process trains; expected one after the other, or several processes")
    try:
        yield
    finally:
        _LOCK.release()


@contextlib.contextmanager
def _assembled(recipe, run_folder, settings, inputs, is_rehearsal, started):
    from kit.training import device, tracking
    from kit.training.plan import Training

    with table("train"):
        training = config.call(Training, **settings["train"])
        device.check_backend(settings["train"])
        tracking.check_installed(training.track)
    device.split_cpu(max(training.devices, training.model_parallel))
    if recipe.task.takes_small_steps:
        device.use_one_thread()
    precision = folders.kept_precision(run_folder) or training.mixed_precision
    with device.session(training.devices, precision, training.deterministic, training.model_parallel):
        yield _assemble(recipe, run_folder, settings, training, inputs, is_rehearsal, started)


def _assemble(recipe, run_folder, settings, training, inputs, is_rehearsal, started):
    """Returns `Assembled`."""
    import keras

    from kit.training import device, head_first, layer_rates, layouts, lora, plan, sampling, transfer

    splits = _splits(recipe, run_folder, settings, training, inputs, is_rehearsal)
    data = _absolute(settings["data"]) | splits.settings
    if remote.is_address(settings["data"].get("source")):
        data["source"] = settings["data"]["source"]  # the copy that was read may not be there another time
    settings = settings | {"data": data}
    with table("train"):
        if splits.train.follows_model:
            splits.train.divide(training.batch_size)
        steps = plan.steps_per_epoch(training, splits.train)
        known = recipe.task.monitors
        monitors = {name: known[name] for name in splits.monitors or known}
        monitor = training.monitor or next(iter(monitors))
        mode = choose(monitors, monitor, "monitor")
    keras.utils.set_random_seed(settings["seed"])
    accumulation = settings["optimizer"].get("gradient_accumulation_steps")
    together = training.devices, training.steps_per_execution, training.jit_compile, accumulation
    device.check_combination(*together, splits.train.shared)
    budget = None
    if training.minutes is not None:
        from kit.training.budget import Budget

        scored = (len(splits.test) + len(splits.validation)) / max(len(splits.validation), 1)
        budget = Budget(training.minutes, started, scored * recipe.task.scoring_passes)
    made, callbacks = _optimizers(recipe, settings, training, steps * splits.train.batches_per_step, budget)
    if settings["model"].get("backbone") == "given":
        model = _adopted(recipe, splits.facts, settings, made, inputs.model)
    else:
        model = _built(recipe, splits.facts, settings, made)
    network = recipe.stages.network(model)
    with table("train"):
        transfer.check_layers(network, training.transfer.freeze)
        _check_transfer(recipe, splits, training.transfer, settings["model"].get("weights"))
        if training.sampling.sampling_rate:
            sampling.switch_on(model, training.sampling.sampling_rate)
    if splits.train.follows_model:
        splits.train.model = model  # acts with it
    if not (run_folder / "checkpoint" / "state.npz").exists():
        stages, start_from = recipe.stages, training.transfer.start_from
        if stages.pretrain is not None and not is_rehearsal and not start_from:
            stages.pretrain(model, splits)
        if stages.prepare is not None:
            stages.prepare(model, splits)
        if start_from:
            with table("train"):
                path = _start_from(recipe, network, splits.assets, start_from)
            settings = settings | {"train": settings["train"] | {"start_from": str(path)}}
            if hasattr(model, "follow"):
                model.follow()  # a training wrapper, whose kept network is not the one that trains
        if training.transfer.head_first and not is_rehearsal:
            with table("train"):
                head_first.fit(network, splits.train, training.batch_size)
    with table("train"):
        if training.transfer.lora_rank:
            lora.begin(network, training.transfer.lora_rank)
        if training.model_parallel > 1:
            layouts.tell(network, training.model_parallel)
        if training.transfer.layer_decay != 1:
            layer_rates.tell(network, training.transfer.layer_decay)
    return Assembled(recipe, settings, training, splits, model, network, callbacks, monitor, mode, steps, budget)


def _check_transfer(recipe, splits, wanted, weights):
    """Raises SettingError for what only one network that learns from a data set may be asked for."""
    for key, usual in (("layer_decay", 1), ("lora_rank", 0), ("head_first", False)):
        value, is_possible = getattr(wanted, key), not splits.train.follows_model and len(recipe.optimizers) == 1
        check(value == usual or is_possible, key, value, f"{usual}, since {recipe.name} fine-tunes no backbone")
    has_weights = bool(weights or wanted.start_from)
    check(has_weights or not wanted.head_first, "head_first", True, "false without model.weights or train.start_from")


def _splits(recipe, run_folder, settings, training, inputs, is_rehearsal):
    """Returns the data of a run, divided as before where it has begun."""
    with table("data"):
        saved = kept_data(run_folder) or _of_equal_data(inputs.beside, settings["data"])
        splits = read_data(recipe, settings, inputs, saved)
        check_assets(run_folder, splits, settings["data"].get("source"))
    part = trained_share(splits.train, training.share, settings["data"])
    splits = dataclasses.replace(splits, train=part)
    with table("data"):
        if back_translation.prepare(splits, settings["data"], is_rehearsal):
            forget()
    if training.use_validation:
        splits = dataclasses.replace(splits, train=splits.train.join(splits.validation))
    return splits


def read_data(recipe, settings, inputs, saved=None):
    """Returns the `Splits` that settings ask for, given what an earlier run has `Kept` of them or None."""
    source = {} if inputs.data is None else {"source": inputs.data}
    with table("data"):
        return config.call(recipe.data, settings["seed"], saved, **settings["data"] | source)


def trained_share(examples, share, data):
    """Returns those of the training examples that `train.share` leaves to train on.

    Args:
        examples: All of them.
        share: The share.
        data: Settings of `[data]`.
    """
    from kit.data.splits import share_of

    if share == 1 or examples.follows_model:
        return examples
    return share_of(examples, share, data.get("split_seed", 0))


def _absolute(data):
    """Returns the settings of `[data]` with the paths of lists as absolute as that of the source."""
    files = data.get("split_files") or ()
    return data | ({"split_files": tuple(map(absolute, files))} if files else {})


def _of_equal_data(folders, data):
    """Returns what the first of several run folders with the same settings of `[data]` has kept, or None."""
    for folder in folders:
        if (folder / "assets" / "sums.json").exists() and (folder / "config.toml").exists():
            tables = config.nested(config.read_toml(folder / "config.toml"))
            own = tables.get("data", {})
            given = {key: value for key, value in data.items() if value is not None}
            if own.keys() == given.keys() and all(run_settings.alike(own[key], given[key]) for key in own):
                return kept_data(folder)
    return None


def _optimizers(recipe, settings, training, steps_per_epoch, budget):
    """Returns the optimizers by their parameter of the builder, and the callbacks that their schedules need."""
    from kit.training import optimizers

    steps, lowered, frozen = training.epochs * steps_per_epoch, None, training.transfer
    if frozen.unfreeze_rate != 1:
        lowered = frozen.unfreeze_epochs * steps_per_epoch, frozen.unfreeze_rate
    first, *others = recipe.optimizers
    own = {key: value for key, value in settings["optimizer"].items() if key not in others}
    interval = settings["model"].get(recipe.stages.optimizer_interval) or 1
    if others:
        for key, value in (("freeze", frozen.freeze), ("average_epochs", training.average_epochs)):
            if value:
                raise SettingError(f"train.{key}", f"{recipe.name} trains two networks; expected none")
        if training.devices > 1:
            raise SettingError("train.devices", f"{recipe.name} trains two networks in turn; expected 1")
    with table("optimizer"):
        optimizer, callbacks = optimizers.build(own, max(steps // interval, 1), lowered, budget)
        made, needed = {first: optimizer}, {"": (own, callbacks)}
        for name in others:
            another = settings["optimizer"][name]
            with table(f"optimizer.{name}"):
                made[f"{name}_optimizer"], more = optimizers.build(another, max(steps, 1), budget=budget)
            needed[f"{name}."] = another, more
        for key, (each, more) in needed.items() if others else ():
            if more:
                raise SettingError(
                    f"optimizer.{key}schedule", f"{each['schedule']!r} cannot see which of two networks is stuck"
                )
    return made, callbacks


def _built(recipe, facts, settings, made):
    """Returns the recipe's model, compiled, with the backbones that the settings name."""
    model = dict(settings["model"])
    for key, name in recipe.backbone_tables.items():
        own = settings["backbone"]
        own = own if name == "backbone" else own[key]
        with table(name):
            build = recipe.backbones[key][model[key]][0]
            model[key] = _call(build, facts, own | {"name": model[key]}, name)
    with table("model"):
        return _call(recipe.build, facts, model | made, optional=recipe.stages.optional_facts)


def _adopted(recipe, facts, settings, made, own_model):
    """Returns the model that was given in Python, compiled for the recipe."""
    if own_model is None:
        raise SettingError(
            "model.backbone",
            "the model of this run was given in Python; give it again: kit.train(folder=..., model=...)",
        )
    if settings["train"]["devices"] > 1:
        raise SettingError("train.devices", "expected 1 with a model of one's own, which was built for one device")
    policy = settings["train"]["mixed_precision"]
    if policy not in ("auto", own_model.dtype_policy.name):
        raise SettingError(
            "train.mixed_precision", f"expected 'auto': the given model has {own_model.dtype_policy.name!r}"
        )
    with table("model"):
        known = facts | {"network": own_model}
        model = _call(recipe.stages.adopt, known, settings["model"] | made)
        _check_reloads(recipe.stages.network(model))
    return model


def _check_reloads(network):
    """Raises SettingError for a model that could not be loaded again after its training."""
    import tempfile

    import keras

    try:
        with tempfile.TemporaryDirectory() as scratch:
            path = os.path.join(scratch, "model.keras")
            keras.Model(network._inputs_struct, network._outputs_struct, name=network.name).save(path)
            keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # layers of one's own raise anything
        reason = " ".join(str(error).split())[:200]
        raise SettingError(
            "backbone",
            "the given model cannot be saved and loaded again; register its classes with "
            f"keras.saving.register_keras_serializable, and use no Lambda ({reason})",
        ) from None


def forget():
    """Frees the memory of a training, and lets Keras count its names from 1 again, as in a new process."""
    import keras

    policy, is_interactive = keras.config.dtype_policy(), keras.config.is_interactive_logging_enabled()
    keras.utils.clear_session()
    keras.config.set_dtype_policy(policy)
    (keras.config.enable_interactive_logging if is_interactive else keras.config.disable_interactive_logging)()


def keep_beginning(model, run_folder):
    """Keeps the variables that a model of one's own begins with, or puts them back before the first checkpoint.

    It is trained in place: after an interrupt it is no longer what it was.
    """
    from kit.training import checkpoint

    path = run_folder / "checkpoint" / "initial.npz"
    if not folders.begun(run_folder):
        path.parent.mkdir(exist_ok=True)
        checkpoint.save(path, {"variables": model.variables}, {})
    elif not (run_folder / "checkpoint" / "state.npz").exists():
        checkpoint.assign(model.variables, checkpoint.load(path)[0]["variables"])


def _start_from(recipe, network, assets, start_from):
    """Gives a network the weights of an earlier one, wherever a layer of that name and shape is in it.

    Returns:
        Absolute path of the earlier one.
    """
    import keras

    from kit.training import transfer

    path = as_path(start_from, "start_from")
    if not path.exists():
        raise SettingError("start_from", f"no run folder or .keras file {start_from!r}")
    new = ()
    if path.is_dir():
        run = load_one(path)
        earlier, here = run.model, json.loads(json.dumps(assets))
        new = [
            pattern
            for asset, patterns in recipe.stages.tied_layers.items()
            if run.assets.get(asset) != here.get(asset)
            for pattern in patterns
        ]
    else:
        with reading(path):
            earlier = keras.models.load_model(path, compile=False, safe_mode=True)
    transfer.start_from(network, earlier, path, new)
    return path.resolve()


def _call(function, facts, settings, table_name=None, optional=()):
    """Calls a builder with those facts that it asks for: its parameters without a default, and the optional ones.

    A backbone may ask for what only the recipe's builder knows, such as the width of its embeddings; then it is
    returned with all else filled in, for the builder to call.
    """
    wanted = config.facts_of(function)
    known = {name: facts[name] for name in (*wanted, *optional) if name in facts}
    known = functools.partial(function, **known, **config.bind(function, settings))
    if set(wanted) <= set(facts):
        return known()

    def later(*arguments):
        with table(table_name):
            return known(*arguments)

    return later
