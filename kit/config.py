"""Settings: the signatures of a recipe's functions are the schema of TOML files, command line and Python alike.

Each table (`[data]`, `[model]`, ...) is made of one or more functions; their keyword parameters with a default are the
table's keys. jsonargparse checks and converts values by the parameters' annotations.
"""

import dataclasses
import functools
import inspect
import json
import os
import sys
import tomllib
import typing
from pathlib import Path

from kit.errors import KitError, SettingError, check_numbers, closest, guess, shown

# What was typed for this process; see `note_typed`.
_TYPED = set()


class Text(str):
    """A value typed on the command line: text that is converted to the setting's type, unlike a string in TOML."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """One key of a table.

    Args:
        key: Dotted name, `table.name`.
        type: Annotation that values are checked against.
        default: Value where none is asked for.
        meaning: The parameter's entry in its docstring.
    """

    key: str
    type: object
    default: object
    meaning: str


def settings_of(function, table=None, *, skip=(), defaults=None, types=None, meanings=None):
    """Reads the settings that a function offers from its signature and docstring.

    A parameter whose default is an option record, an instance of a frozen dataclass, offers the record's fields: their
    meanings stand in the docstring of the record, their defaults in the instance.

    Args:
        function: Function or class; its parameters with a default become settings, those without are facts.
        table: Name of the table that the settings belong to; without one their keys are the parameters' names.
        skip: Parameters that are no settings.
        defaults: Defaults that stand in for the signature's own.
        types: Types of parameters that have no annotation and None as default.
        meanings: Meanings that stand in for the docstring's own.

    Returns:
        A list of `Setting`. An unannotated parameter has the type of its default.
    """
    defaults, types = defaults or {}, types or {}
    subject = function.__init__ if inspect.isclass(function) else function
    meanings = _documented(function) | (meanings or {})
    hints = typing.get_type_hints(subject)
    settings = []
    for name, parameter in inspect.signature(subject).parameters.items():
        if parameter.default is parameter.empty or name in skip:
            continue
        if is_record(parameter.default):
            own = vars(parameter.default) | {key: value for key, value in defaults.items() if key != name}
            settings += settings_of(type(parameter.default), table, skip=skip, defaults=own)
            continue
        default = defaults.get(name, parameter.default)
        kind = hints.get(name) or types.get(name) or type(parameter.default)
        settings.append(Setting(f"{table}.{name}" if table else name, kind, default, meanings.get(name)))
    return settings


def facts_of(function):
    """Returns the names of a function's parameters without a default: facts, which the data or the caller supplies."""
    parameters = inspect.signature(function).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.default is parameter.empty)


def in_table(settings, table, defaults=None):
    """Returns settings that belong to no table yet as those of a table, some of them with other defaults."""
    defaults = defaults or {}
    return [
        dataclasses.replace(setting, key=f"{table}.{setting.key}", default=defaults.get(setting.key, setting.default))
        for setting in settings
    ]


def records_of(function):
    """Returns the classes of the option records among a function's parameters, and of those inside them."""
    found = []
    for parameter in inspect.signature(function).parameters.values():
        if is_record(parameter.default):
            found += [type(parameter.default), *records_of(type(parameter.default))]
    return found


def is_record(value):
    """Tells an option record, an instance of a frozen dataclass, from any other default."""
    return dataclasses.is_dataclass(value) and not inspect.isclass(value)


def bind(function, values):
    """Returns keyword arguments of a function, those that belong to option records grouped into records.

    Args:
        function: Function whose parameters may be option records; see `settings_of`.
        values: Flat dictionary from setting to value, without the table's name. A record itself is taken, too.

    Raises:
        SettingError: a record refuses a value.
    """
    values = dict(values)
    for name, parameter in inspect.signature(function).parameters.items():
        default = parameter.default
        if not is_record(default) or isinstance(values.get(name), type(default)):
            continue
        fields = {field.name for field in dataclasses.fields(default)}
        chosen = {key: values.pop(key) for key in fields & values.keys()}
        if chosen:
            values[name] = dataclasses.replace(default, **chosen)
    return values


def call(function, *arguments, **values):
    """Calls a function with flat settings, see `bind`, behind its first arguments."""
    return function(*arguments, **bind(function, values))


def names_of(function):
    """Returns the names of the settings that a function offers, those of its option records included."""
    return {setting.key for setting in settings_of(function)}


def renamed(**names):
    """Decorator for a function whose parameters had other names: `renamed(encoder="backbone")`.

    Calls with the old names work as before, and settings files with them are read: `aliases_of` tells them.
    """

    def decorate(function):
        @functools.wraps(function)
        def called(*arguments, **keywords):
            for old, new in names.items():
                if old in keywords:
                    if new in keywords:
                        raise SettingError(old, f"is called {new!r} now; expected one of the two")
                    keywords[new] = keywords.pop(old)
            return function(*arguments, **keywords)

        called.renamed = names
        return called

    return decorate


def aliases_of(function):
    """Returns the old names of a function's parameters, each with the new one."""
    return getattr(function, "renamed", {})


@functools.cache
def _documented(function):
    """Returns the meaning of each parameter from a docstring."""
    import docstring_parser

    documented = docstring_parser.parse(inspect.getdoc(function) or "").params
    return {entry.arg_name: " ".join(entry.description.split()) for entry in documented}


def read_toml(path):
    """Reads a TOML file into a flat dictionary of dotted keys; a table inside a table gives keys with two dots."""
    try:
        return flatten(tomllib.loads(Path(path).read_text(encoding="utf-8-sig")))
    except UnicodeDecodeError:
        raise KitError(f"{path}: expected UTF-8 text") from None
    except (ValueError, RecursionError) as error:  # not TOML, or a number of thousands of digits
        raise KitError(f"{path}: not valid TOML: {error}") from None
    except OSError as error:
        raise KitError(f"{path}: cannot be read ({error.strerror}); expected a TOML file") from None


def flatten(tables, prefix=""):
    """Turns nested tables into one dictionary of dotted keys; NumPy's arrays and numbers become Python's."""
    flat = {}
    for key, value in tables.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value.tolist() if hasattr(value, "tolist") else value
    return flat


def nested(flat):
    """Turns a dictionary of dotted keys into nested tables, as TOML has them."""
    tables = {}
    for key, value in flat.items():
        inner = tables
        *path, last = key.split(".")
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return tables


def write_toml(path, tables):
    """Writes nested tables as TOML, atomically; keys whose value is None are left out, since TOML has no null."""
    import tomli_w

    from kit.files import write_text

    def known(content):
        return {
            key: known(value) if isinstance(value, dict) else value
            for key, value in content.items()
            if value is not None
        }

    write_text(path, tomli_w.dumps(known(tables)))


def check_keys(asked, settings):
    """Raises SettingError for the first key asked for that no setting has, naming the nearest one that exists."""
    keys = {setting.key for setting in settings}
    for key in asked:
        if key in keys:
            continue
        table, _, name = key.rpartition(".")
        siblings = {known.rpartition(".")[2] for known in keys if known.startswith(f"{table}.")}
        tables = {known.partition(".")[0] for known in keys}
        if table and not siblings and table not in tables:
            raise SettingError(key, f"unknown table [{table}]{closest(table, tables)}")
        if not table:
            raise SettingError(key, f"unknown setting{closest(key, keys | {'seed', 'recipe'})}")
        raise SettingError(key, f"unknown setting{closest(name, siblings)}")


def resolve(settings, asked):
    """Checks the values asked for against the settings and fills in the defaults.

    Args:
        settings: List of `Setting`.
        asked: Flat dictionary of dotted keys; `Text` values are converted, others must have the right type already.

    Returns:
        Nested dictionary, table by table, in the settings' order.

    Raises:
        SettingError: an unknown key or a value of the wrong type.
    """
    check_keys(asked, settings)
    tables = {}
    for setting in settings:
        value = setting.default
        if setting.key in asked:
            value = _convert(setting, asked[setting.key])
        table, _, name = setting.key.rpartition(".")
        tables.setdefault(table, {})[name] = value
    return tables


def _convert(setting, value):
    """Returns a value converted to a setting's type, or raises SettingError."""
    from jsonargparse import ArgumentError, ArgumentParser

    # TOML has no null, so nothing can stand only where nothing is the default.
    optional = type(None) in typing.get_args(setting.type) and setting.default is None
    if value is None and optional:
        return None
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif hasattr(value, "tolist"):
        value = value.tolist()  # an array or a number of NumPy
    check_numbers(value, setting.key)
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--value", type=setting.type)
    candidates = [] if isinstance(value, set | frozenset) else [value]  # a set has no order
    if isinstance(value, Text):
        candidates.append(f"[{value}]")  # 32,64 for a list, without brackets
        candidates.append(
            json.dumps([part.strip() for part in value.strip("[]").split(",")])
        )  # 7,2 for a list of texts
    for candidate in candidates:
        try:
            if isinstance(value, Text):
                result = parser.parse_args([f"--value={candidate}"]).value
            else:
                result = parser.parse_object({"value": candidate}).value
        except ArgumentError:
            continue
        # jsonargparse reads numbers out of strings; in a file a string is a string.
        text_as_other = isinstance(value, str) and not isinstance(value, Text) and not isinstance(result, str)
        if not text_as_other and (result is not None or optional):
            check_numbers(result, setting.key)
            # A restricted number is of a class of its own, which Keras takes for the name of a dtype.
            return int(result) if isinstance(result, int) and not isinstance(result, bool) else result
    expected = describe(setting.type)
    hint = ""
    options = [
        option
        for part in (setting.type, *typing.get_args(setting.type))
        if typing.get_origin(part) is typing.Literal
        for option in typing.get_args(part)
    ]
    if options and isinstance(value, str):
        hint = guess(value, options)
    given = shown(str(value) if isinstance(value, Text) else value)
    raise SettingError(setting.key, f"expected {expected}, got {given}{hint}")


def describe(kind):
    """Returns a type in words that a newcomer reads: `one of 'a', 'b'`, `a whole number`, `a list of numbers`."""
    words = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
        type(None): "nothing",
    }
    if kind in words:
        return words[kind]
    bounded = {"PositiveInt": "a whole number above 0", "NonNegativeInt": "a whole number of at least 0"}
    if getattr(kind, "__name__", "") in bounded:
        return bounded[kind.__name__]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        shown = ", ".join(repr(option) for option in arguments)
        return f"one of {shown}" if len(arguments) > 1 else shown
    if origin in (tuple, list):
        inner = [describe(part) for part in arguments if part is not Ellipsis]
        if Ellipsis in arguments or origin is list:
            return f"a list, each {inner[0]}"
        return f"a list of {len(inner)}, each {inner[0]}"
    if arguments:
        return " or ".join(describe(part) for part in arguments if part is not type(None))
    return getattr(kind, "__name__", str(kind))


def flat(function):
    """Decorator for a function with option records: keywords that are fields of a record are taken, too.

    Of `shop(*, fruit: Fruit = Fruit("pear"))` both `shop(fruit=Fruit("pear", count=2))` and `shop(count=2)` are calls.
    """

    @functools.wraps(function)
    def called(*arguments, **keywords):
        return function(*arguments, **bind(function, keywords))

    return called


def note_typed(values):
    """Notes what the user has typed for this process: a name among it may import a module, one in a file may not.

    Args:
        values: A text, or texts in lists and dictionaries; anything else is passed over.
    """
    if isinstance(values, str):
        _TYPED.add(str(values))
    elif isinstance(values, dict | list | tuple):
        for value in values.values() if isinstance(values, dict) else values:
            note_typed(value)


def typed():
    """Returns what has been noted as typed, for a process that goes on in place of this one."""
    return sorted(_TYPED)


def check_may_import(name, module, key):
    """Raises SettingError where a name that stands in a file would import a module, and so run its code.

    Run folders and settings are passed on; reading them must not run what their author has named. What the user has
    typed for this process, or the process has imported already, is imported.

    Args:
        name: The whole name, as it was typed.
        module: Dotted name of the module.
        key: The setting's name.
    """
    if name not in _TYPED and module not in sys.modules:
        raise SettingError(
            key,
            f"{name!r} in a file would run the code of {module!r}; where that is yours, add --allow {name} to the "
            "command, or import it first in Python",
        )
