"""From settings to what is trained: data, architecture, compiled model, and the weights that it begins with."""

import dataclasses
import inspect
import json
import os

from kit import config
from kit.errors import SettingError, choose, table
from kit.files import as_path, reading
from kit.runs.finished import check_assets, load_one, saved_assignment


@dataclasses.dataclass(frozen=True)
class Given:
    """What was given in Python and has no place in a settings file.

    Args:
        data: The data, or None.
        model: A `keras.Model` of one's own, or None.
    """

    data: object = None
    model: object = None


def prepare(recipe, folder, run_settings, given, *, is_rehearsal=False):
    """Builds what training needs.

    Args:
        recipe: The `Recipe`.
        folder: The run folder; where it holds a run, its division of the data is used again.
        run_settings: The settings, `train` being a `Training`, which is filled in.
        given: `Given`.
        is_rehearsal: Leave away what the recipe does once before training, where that takes long.

    Returns:
        The `Splits`, the compiled model, callbacks of its schedule, the name of the monitored value and its direction.
    """
    import keras

    from kit.training import device, sampling, transfer

    training = run_settings["train"]
    with table("data"):
        saved = saved_assignment(folder)
        source = {} if given.data is None else {"source": given.data}
        splits = config.call(recipe.data, run_settings["seed"], saved, **run_settings["data"] | source)
        check_assets(folder, splits)
        run_settings["data"] |= splits.settings
    if training.use_validation:
        splits.train = splits.train.join(splits.validation)
    with table("train"):
        training.fill(splits.train)
        known = recipe.task.monitors
        monitors = {name: known[name] for name in splits.monitors or known}
        monitor = training.monitor or next(iter(monitors))
        mode = choose(monitors, monitor, "monitor")
    keras.utils.set_random_seed(run_settings["seed"])
    accumulation = run_settings["optimizer"].get("gradient_accumulation_steps")
    device.check_combination(training.devices, training.steps_per_execution, training.jit_compile, accumulation)
    made, callbacks = _optimizers(recipe, run_settings, training, splits.train.batches_per_step)
    if run_settings["model"].get("backbone") == "given":
        model = _adopted(recipe, splits.facts, run_settings, made, given)
    else:
        model = _built(recipe, splits.facts, run_settings, made)
    with table("train"):
        transfer.check_layers(recipe.stages.network(model), training.freeze)
        if training.sampling_rate:
            sampling.switch_on(model, training.sampling_rate)
    if splits.train.follows_model:
        splits.train.model = model  # acts with it
    if not (folder / "checkpoint" / "state.npz").exists():
        stages = recipe.stages
        if stages.pretrain is not None and not is_rehearsal and not training.start_from:
            stages.pretrain(model, splits)
        if stages.prepare is not None:
            stages.prepare(model, splits)
        if training.start_from:
            with table("train"):
                _start_from(recipe, recipe.stages.network(model), splits.assets, training)
                if hasattr(model, "follow"):
                    model.follow()  # a training wrapper, whose kept network is not the one that trains
    return splits, model, callbacks, monitor, mode


def _optimizers(recipe, run_settings, training, batches_per_step):
    """Returns what the builder takes as optimizers, by name, and the callbacks that their schedules need."""
    from kit.training import optimizers

    per_epoch = training.steps_per_epoch * batches_per_step
    steps, lowered = training.epochs * per_epoch, None
    if training.unfreeze_rate != 1:
        lowered = training.unfreeze_epochs * per_epoch, training.unfreeze_rate
    first, *others = recipe.optimizers
    own = {key: value for key, value in run_settings["optimizer"].items() if key not in others}
    interval = run_settings["model"].get(recipe.stages.optimizer_interval) or 1
    if others:
        for key in ("freeze", "average_epochs"):
            if getattr(training, key):
                raise SettingError(f"train.{key}", f"{recipe.name} trains two networks; expected none")
        if training.devices > 1:
            raise SettingError("train.devices", f"{recipe.name} trains two networks in turn; expected 1")
    with table("optimizer"):
        optimizer, callbacks = optimizers.build(own, max(steps // interval, 1), lowered)
        made, needed = {first: optimizer}, {"": (own, callbacks)}
        for name in others:
            settings = run_settings["optimizer"][name]
            with table(f"optimizer.{name}"):
                made[f"{name}_optimizer"], more = optimizers.build(settings, steps)
            needed[f"{name}."] = settings, more
        for key, (settings, more) in needed.items() if others else ():
            if more:
                raise SettingError(
                    f"optimizer.{key}schedule", f"{settings['schedule']!r} cannot see which of two networks is stuck"
                )
    return made, callbacks


def _built(recipe, facts, run_settings, made):
    """Returns the recipe's model, compiled, with the backbones that the settings name."""
    model = dict(run_settings["model"])
    for key, name in recipe.backbone_tables.items():
        own = run_settings["backbone"]
        own = own if name == "backbone" else own[key]
        with table(name):
            build = recipe.backbones[key][model[key]][0]
            model[key] = _call(build, facts, own | {"name": model[key]}, name)
    with table("model"):
        return _call(recipe.build, facts, model | made, optional=recipe.stages.optional_facts)


def _adopted(recipe, facts, run_settings, made, given):
    """Returns the model that was given in Python, compiled for the recipe."""
    if given.model is None:
        raise SettingError(
            "model.backbone",
            "the model of this run was given in Python; give it again: kit.train(folder=..., model=...)",
        )
    if run_settings["train"].devices > 1:
        raise SettingError("train.devices", "expected 1 with a model of one's own, which was built for one device")
    policy = run_settings["train"].mixed_precision
    if policy not in ("auto", given.model.dtype_policy.name):
        raise SettingError(
            "train.mixed_precision", f"expected 'auto': the given model has {given.model.dtype_policy.name!r}"
        )
    with table("model"):
        known = facts | {"network": given.model}
        model = _call(recipe.stages.adopt, known, run_settings["model"] | made)
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
            keras.models.load_model(path, compile=False)
    except Exception as error:  # layers of one's own raise anything
        reason = " ".join(str(error).split())[:200]
        raise SettingError(
            "backbone",
            "the given model cannot be saved and loaded again; register its classes with "
            f"keras.saving.register_keras_serializable, and use no Lambda ({reason})",
        ) from None


def keep_beginning(model, folder):
    """Keeps the variables that a model of one's own begins with, or puts them back before the first checkpoint.

    It is trained in place: after an interrupt it is no longer what it was.
    """
    from kit.training import checkpoint

    path = folder / "checkpoint" / "initial.npz"
    if not (folder / "config.toml").exists():
        path.parent.mkdir(exist_ok=True)
        checkpoint.save(path, {"variables": model.variables}, {})
    elif not (folder / "checkpoint" / "state.npz").exists():
        checkpoint.assign(model.variables, checkpoint.load(path)[0]["variables"])


def _start_from(recipe, network, assets, training):
    """Gives a network the weights of an earlier one, wherever a layer of that name and shape is in it."""
    import keras

    from kit.training import transfer

    path = as_path(training.start_from, "start_from")
    if not path.exists():
        raise SettingError("start_from", f"no run folder or .keras file {training.start_from!r}")
    new = ()
    if path.is_dir():
        run = load_one(path)
        earlier, here = run.model, json.loads(json.dumps(assets))
        new = [
            pattern
            for asset, patterns in recipe.stages.tied_layers.items()
            if run.assets.get(asset) != here[asset]
            for pattern in patterns
        ]
    else:
        with reading(path):
            earlier = keras.models.load_model(path, compile=False)
    training.settings["start_from"] = str(path.resolve())
    transfer.start_from(network, earlier, path, new)


def _call(function, facts, settings, table_name=None, optional=()):
    """Calls a builder with those facts that it asks for: its parameters without a default, and the optional ones.

    A backbone may ask for what only the recipe's builder knows, such as the width of its embeddings; then it is
    returned with all else filled in, for the builder to call.
    """
    import functools

    wanted = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is parameter.empty
    ]
    known = {name: facts[name] for name in (*wanted, *optional) if name in facts}
    known = functools.partial(function, **known, **config.bind(function, settings))
    if set(wanted) <= set(facts):
        return known()

    def later(*arguments):
        with table(table_name):
            return known(*arguments)

    return later
