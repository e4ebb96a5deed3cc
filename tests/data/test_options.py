"""Option records: each key is documented once in the whole tree, and no function offers it a second time."""

import dataclasses
import inspect

import docstring_parser
import pytest

from kit import config, recipes
from kit.data import options
from kit.reporting import statistics
from kit.tasks import classification, generation

# A text does not come from where an image does.
OF_ITS_OWN = {"source"}


def records_of(module):
    return [
        each
        for each in vars(module).values()
        if inspect.isclass(each) and dataclasses.is_dataclass(each) and each.__module__ == module.__name__
    ]


OF_DATA = records_of(options)
OF_SCORING = [record for module in (statistics, classification, generation) for record in records_of(module)]
RECORDS = [*OF_DATA, *OF_SCORING]
RECIPES = [recipes.get(name) for name in recipes.names()]


def functions_of(recipe):
    """Returns the functions whose keywords are settings, beside the builders."""
    given = (recipe.data, recipe.task.evaluate, recipe.task.predict, recipe.task.calibrate)
    return [function for function in given if function is not None]


FUNCTIONS = {
    f"{recipe.name}-{function.__name__}": (recipe, function) for recipe in RECIPES for function in functions_of(recipe)
}


def fields_of(record):
    return [field.name for field in dataclasses.fields(record)]


def documented(subject):
    return [entry.arg_name for entry in docstring_parser.parse(inspect.getdoc(subject)).params]


def test_the_records_are_those_of_the_modules():
    names = {record.__name__ for record in RECORDS}
    assert {"ImageOptions", "Division", "Augmentations", "TokenOptions", "WordOptions"} <= names
    assert {"Bootstrap", "Beam", "MirrorImages"} <= names


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_field_of_a_record_is_documented_and_frozen(record):
    fields = fields_of(record)
    assert documented(record) == fields
    assert record.__dataclass_params__.frozen
    assert all(setting.meaning and setting.type is not type(None) for setting in config.settings_of(record, "table"))
    assert config.is_record(record()) and config.names_of(record) == set(fields)


def record_defaults(function):
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if config.is_record(parameter.default)
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_documents_no_key_of_a_record(name):
    recipe, function = FUNCTIONS[name]
    parameters, entries = inspect.signature(function).parameters, documented(function)
    plain = parameters.keys() - record_defaults(function).keys()
    assert len(entries) == len(set(entries)) and set(entries) <= plain
    if function is not recipe.task.calibrate:  # its settings are among those of `evaluate`
        assert {each for each in plain if parameters[each].default is not inspect.Parameter.empty} <= set(entries)
    # None of any record for the same table, of this recipe or of another one.
    keys = {field for record in (OF_DATA if function is recipe.data else OF_SCORING) for field in fields_of(record)}
    assert not (keys - OF_ITS_OWN) & plain
    # And none of those that it has itself, nor two of them the same.
    own = [field for record in record_defaults(function).values() for field in fields_of(record)]
    assert len(own) == len(set(own)) and not set(own) & plain


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_with_records_takes_flat_settings(name):
    _, function = FUNCTIONS[name]
    defaults = record_defaults(function)
    for parameter, record in defaults.items():
        for field in fields_of(record):
            assert config.bind(function, {field: getattr(record, field)}) == {parameter: record}
    assert {field for record in defaults.values() for field in fields_of(record)} <= config.names_of(function)
