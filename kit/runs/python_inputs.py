"""Inputs that Python's verbs take beside settings: data and models passed as objects."""

import dataclasses
import os
import sys

from kit import config, recipes
from kit.errors import SettingError
from kit.files import as_path
from kit.runs import schema


@dataclasses.dataclass(frozen=True)
class PythonInputs:
    """Data or a model passed as objects, which have no place in a settings file.

    Args:
        data: The data, or None.
        model: A `keras.Model` of one's own, or None.
        beside: Folders of other runs: what one with the same settings of `[data]` has learned of its data, such as
            tokens, is used again.
    """

    data: object = None
    model: object = None
    beside: tuple = ()


def sorted_out(recipe_name, tables, config_file, folder):
    """Sorts the arguments of a verb into recipe, settings and objects.

    Args:
        recipe_name: Name of the recipe, or None.
        tables: Argument for each table: a dictionary of settings, None, or the data or model themselves.
        config_file, folder: As for `kit.train`.

    Returns:
        Name of the recipe, flat dictionary of settings, and `PythonInputs`.
    """
    model_settings, own_model = _own_model(tables["model"])
    data_settings, own_data = own_source(tables["data"])
    tables = tables | {"model": model_settings, "data": data_settings}
    for name, content in tables.items():
        if content is not None and not isinstance(content, dict):
            more = " or a keras.Model" if name == "model" else ""
            raise SettingError(name, f"expected a dictionary of settings{more}, got {content!r}")
    overrides = config.flatten({name: content for name, content in tables.items() if content is not None})
    if own_model is not None:
        overrides["model.backbone"] = "given"
    config.note_typed(overrides)
    name = recipe_name or stated_recipe(config_file, folder) or (own_model is not None and _takes_models())
    if not name:
        raise SettingError("recipe", f"none given; expected one of {', '.join(recipes.names())}")
    if schema.get(name).examples in _ITERATED:
        own_data = _read_once(own_data)
    return name, overrides, PythonInputs(own_data, own_model)


# Kinds of examples that may be given as iterators.
_ITERATED = ("sentences", "pairs", "texts to texts", "labelled texts", "questions", "interactions")


def _read_once(data):
    """Returns data with lists in place of iterators, which are used up by whoever reads them first."""
    if isinstance(data, dict):
        return {name: _read_once(part) for name, part in data.items()}
    return list(data) if hasattr(data, "__next__") else data


def _own_model(model):
    """Returns the settings of `[model]`, or what stands in their place, and the `keras.Model` among them or None."""
    keras = sys.modules.get("keras")  # whoever has a model has imported it
    if keras is None:
        return model, None
    if isinstance(model, keras.Model):
        return None, model
    own = [key for key, value in model.items() if isinstance(value, keras.Model)] if isinstance(model, dict) else []
    return ({key: model[key] for key in model if key not in own}, model[own[-1]]) if own else (model, None)


def own_source(data):
    """Sorts the argument for `[data]`.

    Args:
        data: None, settings of the table, a source, or data themselves.

    Returns:
        Settings of the table or None, and the data that have no place in a settings file or None.
    """
    if data is not None and (not isinstance(data, dict) or data.keys() & {"train", "validation", "test"}):
        data = {"source": data}
    source = (data or {}).get("source")
    if source is None or isinstance(source, str | os.PathLike):
        return data, None
    return data | {"source": "given"}, source


def _takes_models():
    """Returns the name of the recipe that takes a model of one's own, where there is one alone; else None."""
    names = [name for name in recipes.names() if schema.get(name).own_model is not None]
    return names[0] if len(names) == 1 else None


def stated_recipe(config_file, folder, name="config.toml"):
    """Returns the name of the recipe that a folder, by the settings of that name in it, or a file is for; or None."""
    for path in (folder and as_path(folder, "folder") / name, config_file and as_path(config_file, "config")):
        if path and path.is_file():
            return config.read_toml(path).get("recipe")
    return None
