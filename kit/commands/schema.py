"""`make schema`: writes the table of all settings, `kit/schema.json`, from the signatures."""

import ast
import importlib
import inspect
import types
from pathlib import Path

from kit import config, recipes
from kit.runs import schema, schema_table


def write():
    """Writes the table anew; returns its path."""
    schema_table.write(schema.table(), sources())
    return schema_table.PATH


def sources():
    """Returns the files of the kit that settings depend on beside recipes, models and tasks, as the table names them.

    They are those of the tables of optimizers, schedules and `[train]`, of option records, and of the constants and
    types that all these import.
    """
    found, waiting = set(), ["kit.training.optimizers", "kit.training.schedules", "kit.training.plan"]
    functions = [importlib.import_module("kit.training.plan").Training]
    for name in recipes.names():
        recipe = recipes.get(name)
        functions += [recipe.build, recipe.data, recipe.task.evaluate, recipe.task.predict]
        functions += [build for table in recipe.backbones.values() for build, _ in table.values()]
        functions += [each for each in (recipe.stages.adopt, recipe.task.explain) if each]
    for function in functions:
        waiting += [each.__module__ for each in (function, *config.records_of(function))]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _constants(name)
    root = Path(__file__).parents[1]
    paths = sorted(Path(importlib.import_module(name).__file__).relative_to(root).as_posix() for name in found)
    return [path for path in paths if path.partition("/")[0] not in schema_table.ROOMS]


def _constants(module):
    """Returns the modules of the kit that a module imports constants and types of annotations from."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "kit":
            values = [getattr(importlib.import_module(node.module), alias.name, None) for alias in node.names]
            if any(not isinstance(value, type | types.FunctionType | types.ModuleType) for value in values):
                found.add(node.module)
    return found


if __name__ == "__main__":
    print(write())
