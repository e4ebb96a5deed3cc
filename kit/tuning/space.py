"""The search space: `[tune.space]` of a TOML file, checked against a recipe's settings, as Keras Tuner wants it.

[tune.space]
optimizer.learning_rate = {min = 1e-4, max = 1e-2, sampling = "log"}
model.backbone = ["resnet20", "mixnet_s"]
optimizer.momentum = {min = 0.8, max = 0.99, when = {optimizer.name = "sgd"}}
"""

import dataclasses
import json
import math
import tomllib
import typing

from kit import config
from kit.errors import KitError, SettingError, closest, table
from kit.runs import settings as schema

_SAMPLINGS = ("linear", "log", "reverse_log")
_RANGE = {"min", "max", "step", "sampling"}
_WORDS = _RANGE | {"values", "when"}


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A setting that is searched.

    Args:
        key: Dotted name of the setting.
        values: Values to choose from; None for a range.
        low, high: Ends of a range, both included.
        step: Distance between two values of a range, or their ratio where it is sampled by logarithm; None is any.
        sampling: "linear", "log" or "reverse_log".
        when: Dotted name of another searched setting to the values of it under which this one is searched.
        entry: Number of the entry, where a setting has several under different conditions.
    """

    key: str
    values: tuple | None = None
    low: float | None = None
    high: float | None = None
    step: float | None = None
    sampling: str = "linear"
    when: dict = dataclasses.field(default_factory=dict)
    entry: int = 0

    @property
    def name(self):
        """Name for Keras Tuner, which loses the value where two entries of one name have different conditions."""
        return f"{self.key}#{self.entry}" if self.entry else self.key

    @property
    def is_whole(self):
        """Whether the values of a range are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def examples(self):
        """Values to try the setting with: all of a choice, the ends of a range."""
        return self.values if self.values is not None else (self.low, self.high)


def read(tables, old_names=None):
    """Reads a search space.

    Args:
        tables: The content of `[tune.space]`, nested as TOML nests dotted keys.
        old_names: Old names of settings, each with that of today; or None.

    Returns:
        List of `Parameter`, those that others depend on before them.

    Raises:
        SettingError: an entry is neither a list of values nor a range.
    """
    parameters, keys = [], {}
    known = old_names or {}
    for stated, entry in _entries(plain(tables)):
        key = known.get(stated, stated)
        keys[key] = keys.get(key, 0) + 1
        parameter = _parameter(key, entry)
        when = {known.get(parent, parent): values for parent, values in parameter.when.items()}
        parameters.append(dataclasses.replace(parameter, when=when, entry=keys[key] - 1))
    for parameter in parameters:
        if keys[parameter.key] > 1 and not parameter.when:
            raise SettingError(f"tune.space.{parameter.key}", "expected a condition `when` in each of its entries")
        for parent in parameter.when:
            if parent not in keys:
                raise SettingError(
                    f"tune.space.{parameter.key}",
                    f"`when` names {parent!r}, which is not searched{closest(parent, keys)}",
                )
            if keys[parent] > 1:
                raise SettingError(f"tune.space.{parameter.key}", f"`when` names {parent!r}, which has several entries")
            values = next(each.values for each in parameters if each.key == parent)
            for value in parameter.when[parent]:
                if values is None or value not in values:
                    shown = "a range" if values is None else f"one of {', '.join(map(repr, values))}"
                    raise SettingError(f"tune.space.{parameter.key}", f"`when`: {parent} is {shown}, never {value!r}")
    return _parents_first(parameters)


def plain(content, key="tune.space"):
    """Returns a copy of nested tables, lists and values as TOML would give them.

    Raises:
        SettingError: something in it is neither text, a number, true or false, nor a list or table of these.
    """
    if isinstance(content, dict):
        return {str(name): plain(each, f"{key}.{name}") for name, each in content.items()}
    if isinstance(content, list | tuple):
        return [plain(each, key) for each in content]
    if hasattr(content, "item") and getattr(content, "ndim", 1) == 0:
        content = content.item()  # a NumPy number
    if not isinstance(content, str | int | float | bool):
        raise SettingError(
            key, f"expected texts, numbers, true or false, or lists of them, got {type(content).__name__}"
        )
    return content


def from_flags(flags):
    """Returns nested tables made of `tune.space.KEY` flags, whose values are TOML: `[1, 2]`, `{min = 1, max = 2}`."""
    entries = {}
    for key, value in flags.items():
        try:
            entries[key.removeprefix("tune.space.")] = tomllib.loads(f"entry = {value}")["entry"]
        except tomllib.TOMLDecodeError:
            raise SettingError(
                key, f"expected a list or a range as in TOML, such as [1, 2], got {str(value)!r}"
            ) from None
    return config.nested(entries)


def merged(tables, others, old_names=None):
    """Returns nested tables with the entries of others above them, under the names of today.

    An entry replaces the whole entry of its key; `false` takes it away.
    """
    known = old_names or {}
    both = {known.get(key, key): entry for part in (tables, others) for key, entry in groups(part, "")}
    return config.nested({key: entry for key, entry in both.items() if entry is not False})


def groups(tables, prefix):
    """Yields dotted key and content of every setting; a table that holds words of an entry is no table of settings."""
    for name, content in tables.items():
        if isinstance(content, dict) and content and not content.keys() & _WORDS:
            yield from groups(content, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", content


def _entries(tables):
    """Yields dotted key and entry; a setting may have several, each under its own condition."""
    for key, content in groups(tables, ""):
        is_several = isinstance(content, list) and content and all(isinstance(each, dict) for each in content)
        for entry in content if is_several else [content]:
            yield key, entry


def _parameter(key, entry):
    name = f"tune.space.{key}"
    expected = "a list of values, or {min = 1, max = 2}, or {values = [...], when = {...}}"
    if isinstance(entry, list):
        entry = {"values": entry}
    if not isinstance(entry, dict):
        raise SettingError(name, f"expected {expected}, got {entry!r}")
    for word in entry:
        if word not in _WORDS:
            raise SettingError(name, f"unknown word {word!r}{closest(word, _WORDS)}")
    when = {}
    if not isinstance(entry.get("when", {}), dict):
        raise SettingError(name, f"`when`: expected a table such as {{optimizer.name = 'sgd'}}, got {entry['when']!r}")
    for parent, values in config.flatten(entry.get("when", {})).items():
        when[parent] = tuple(values) if isinstance(values, list) else (values,)
    if "values" in entry:
        values = entry["values"]
        if entry.keys() & _RANGE or not isinstance(values, list) or not values:
            raise SettingError(name, f"expected {expected}, got {entry!r}")
        if len({json.dumps(value) for value in values}) < len(values):
            raise SettingError(name, f"expected different values, got {values!r}")
        return Parameter(key, values=tuple(values), when=when)
    low, high, step = (entry.get(word) for word in ("min", "max", "step"))
    for word, value in (("min", low), ("max", high)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise SettingError(name, f"`{word}`: expected a number, got {value!r}")
    sampling = entry.get("sampling", "linear")
    if sampling not in _SAMPLINGS:
        raise SettingError(name, f"`sampling`: unknown name {sampling!r}{closest(sampling, _SAMPLINGS)}")
    if not low < high:
        raise SettingError(name, f"expected `min` below `max`, got {low!r} and {high!r}")
    if sampling != "linear" and low <= 0:
        raise SettingError(name, f"expected `min` above 0 with sampling = {sampling!r}, got {low!r}")
    is_number = isinstance(step, int | float) and not isinstance(step, bool)
    if step is not None and not (is_number and step > (0 if sampling == "linear" else 1)):
        least = "above 0" if sampling == "linear" else "above 1, a ratio,"
        raise SettingError(name, f"`step`: expected a number {least} with sampling = {sampling!r}, got {step!r}")
    is_whole = isinstance(low, int) and isinstance(high, int)
    if step is not None and is_whole and not isinstance(step, int):
        raise SettingError(name, f"`step`: expected a whole number between whole numbers, got {step!r}")
    if step is not None and not is_whole and sampling == "linear":
        # Keras Tuner would lose the last value to the rounding of fractions.
        count = math.floor((high - low) / step + 1e-9) + 1
        return Parameter(key, values=tuple(round(low + index * step, 12) for index in range(count)), when=when)
    return Parameter(key, low=low, high=high, step=step, sampling=sampling, when=when)


def _parents_first(parameters):
    ordered, waiting = [], list(parameters)
    while waiting:
        keys = {each.key for each in waiting}
        ready = [each for each in waiting if not set(each.when) & keys]
        if not ready:
            raise SettingError("tune.space", f"{', '.join(sorted(keys))} wait for each other in their `when`")
        ordered += ready
        waiting = [each for each in waiting if each not in ready]
    return ordered


def check(parameters, recipe, path, overrides):
    """Checks that every value of the space is one that its setting can have, under its conditions.

    Args:
        parameters: What `read` returned.
        recipe: `Schema` or `Recipe`.
        path: TOML file that trials start from.
        overrides: Settings above it.

    Returns:
        Type of each parameter's setting, by the parameter's name.

    Raises:
        SettingError: names the first key or value that cannot be.
    """
    schema.resolve(recipe, path, overrides, 0)  # what is wrong without the space has nothing to do with it
    if not parameters:
        raise SettingError(
            "tune.space", f"nothing to search; expected entries such as {__doc__.splitlines()[3].strip()}"
        )
    types = {}
    for parameter in parameters:
        name = parameter.key
        if name == "seed" or name.partition(".")[0] not in schema.TABLES or name in _FIXED:
            reason = _FIXED.get(name, "expected a setting of a table, such as optimizer.learning_rate")
            raise SettingError(f"tune.space.{name}", f"cannot be searched: {reason}")
        for wanted in _circumstances(parameter, parameters, recipe):
            for value in parameter.examples:
                changed = overrides | wanted | {name: value}
                try:
                    _try(recipe, path, changed)
                    settings = schema.settings_of(recipe, schema.stated(recipe, path, changed))
                except SettingError as error:
                    others = {**wanted, **({} if error.key == name else {name: value})}
                    given = ", ".join(f"{key} = {other!r}" for key, other in others.items())
                    given = f" (with {given})" if given else ""
                    raise SettingError(f"tune.space.{error.key}", f"{error.problem}{given}") from None
        types[parameter.name] = next(setting.type for setting in settings if setting.key == name)
    return types


def _try(recipe, path, changed):
    """Raises SettingError for settings that no training can have."""
    from kit.training import optimizers
    from kit.training.plan import Training

    resolved = schema.resolve(recipe, path, changed, 0)
    with table("train"):
        config.call(Training, **resolved["train"])
    names = [name.partition(".")[2] for name in recipe.optimizer_tables.values()][1:]
    others = {name: resolved["optimizer"].pop(name) for name in names}
    with table("optimizer"):
        optimizers.build(resolved["optimizer"], 10**6)
    for name, settings in others.items():
        with table(f"optimizer.{name}"):
            optimizers.build(settings, 10**6)


def _circumstances(parameter, parameters, recipe):
    """Yields other searched settings under which a setting may be there or not: its conditions, and what decides."""
    found = _conditions(parameter, parameters)
    yield found
    for parent, values in parameter.when.items():
        for value in values[1:]:
            yield found | {parent: value}
    deciding = {f"model.{key}" for key in recipe.backbones}
    deciding |= {f"{table}.{key}" for table in recipe.optimizer_tables.values() for key in ("name", "schedule")}
    deciding -= {parameter.key, *found}
    for other in parameters:
        if other.key in deciding and other.values is not None and not other.when:
            for value in other.values:
                yield found | {other.key: value}


_FIXED = {
    **dict.fromkeys(("data.validation_fraction", "data.test_fraction"), "trials are compared on the same split"),
    "train.epochs": "it is the whole training of a trial; the algorithm spends fewer",
    "train.monitor": "the monitored value is what the search goes by",
    "train.use_validation": "trials are compared on the validation split",
}


def _conditions(parameter, parameters):
    """Returns values of other settings under which a parameter is searched."""
    found = {}
    for parent, values in parameter.when.items():
        owner = next(each for each in parameters if each.key == parent)
        found |= _conditions(owner, parameters) | {parent: values[0]}
    return found


def alternatives(parameters):
    """Yields settings that between them hold every value that may need another model or other data."""
    for parameter in parameters:
        is_structure = parameter.values is not None or parameter.is_whole  # a fraction changes no shape
        if is_structure and parameter.key.partition(".")[0] in ("data", "model", "backbone"):
            for value in parameter.examples:
                yield _conditions(parameter, parameters) | {parameter.key: value}


def hyperparameters(parameters, types):
    """Returns the space as `keras_tuner.HyperParameters`.

    Args:
        parameters: What `read` returned.
        types: What `check` returned.
    """
    import keras_tuner
    from keras_tuner.src.engine import conditions

    space = keras_tuner.HyperParameters()
    for parameter in parameters:
        # Not by its `conditional_scope`, which can be opened inside the scopes of the parent alone.
        space._conditions = [
            conditions.Parent(parent, [_encoded(owner, value) for value in parameter.when[parent]])
            for parent in parameter.when
            for owner in parameters
            if owner.key == parent
        ]
        if parameter.values is not None:
            space.Choice(parameter.name, [_encoded(parameter, value) for value in parameter.values])
        else:
            kind = types.get(parameter.name)
            is_whole = parameter.is_whole and float not in (kind, *typing.get_args(kind))
            make = space.Int if is_whole else space.Float
            make(parameter.name, parameter.low, parameter.high, step=parameter.step, sampling=parameter.sampling)
    space._conditions = []
    return space


def _encoded(parameter, value):
    """Returns a value as Keras Tuner takes it: numbers and texts as they are, all else as JSON."""
    kinds = {type(each) for each in parameter.values}
    if kinds <= {int, float} or kinds == {str} or kinds == {bool}:
        return float(value) if kinds == {int, float} else value
    return json.dumps(value)


def overrides(parameters, values):
    """Returns the settings of a trial.

    Args:
        parameters: What `read` returned.
        values: Values of a Keras Tuner trial; its own, such as `tuner/epochs`, are left out.

    Returns:
        Flat dictionary of dotted keys.
    """
    found = {}
    for parameter in parameters:
        active = all(found.get(parent) in values_ for parent, values_ in parameter.when.items())
        if parameter.name not in values or not active:
            continue
        value = values[parameter.name]
        if parameter.values is not None:
            value = next(each for each in parameter.values if _encoded(parameter, each) == value)
        found[parameter.key] = value
    return found


def of_file(path):
    """Returns `[tune]` of a TOML file without the space, and the content of `[tune.space]`; empty where missing."""
    from pathlib import Path

    try:
        tune = tomllib.loads(Path(path).read_text(encoding="utf-8")).get("tune", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise KitError(f"{path}: cannot be read as TOML ({error})") from None
    tune = dict(tune) if isinstance(tune, dict) else {}
    tables = tune.pop("space", {})
    if not isinstance(tables, dict):
        raise SettingError("tune.space", f"expected a table, got {tables!r}")
    return tune, tables
