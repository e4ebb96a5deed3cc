"""Lists that are kept by hand hold all that there is, and nothing else."""

import importlib
import pkgutil
import re
import typing
from pathlib import Path

import keras
import pytest

import kit
from kit import models, recipes
from kit.blocks.activations import Activation
from kit.config import Setting, resolve, write_toml
from kit.data import sources
from kit.errors import SettingError
from kit.runs import schema, schema_table
from kit.runs import settings as run_settings
from tests.models.test_refusals import REGISTRIES

ROOT = Path(kit.__file__).parents[1]
NAMES = set(recipes.names())
# Settings that are any text: paths, names that only the data or another library know, patterns of layers' names.
FREE_TEXTS = {
    *("source", "vectors", "start_from", "weights", "output", "video", "attention"),
    *("environment", "environment_arguments", "locale", "source_locale", "target_locale", "held_out", "classes"),
    *("column", "word_column", "sentence_column", "tag_names", "text", "second_text", "tokenizer"),
    *("group", "time", "split_files", "target", "synonyms", "back_translation"),
    *("time_format", "series", "known_covariates", "past_covariates"),
    *("user", "item", "rating", "items", "users", "cluster"),
    *("freeze", "exclude_layers", "auxiliary", "kinds", "crosses", "missing", "stop", "task_rates"),
}
# Names that a table says, which is asked when they are used: `kit.errors.choose` refuses another one.
LOOKED_UP = {"name", "schedule", "backbone", "monitor", "features"}
# Benchmarks that others start, what they share, and those that say nothing of a recipe.
NOT_RUN_BY_MAKE = {
    "gan_step",
    "gan_step_torch",
    "measure",
    "epoch_choice",
    "tabnet_step",
    "cluster_trials",
    "checkpoint",
    "processes",
}


def test_the_builder_of_every_recipe_is_reached_by_its_name():
    builders = {recipes.get(name).build for name in NAMES}
    assert {getattr(recipes, name) for name in recipes._BUILDERS} == builders
    for build in builders:
        assert getattr(recipes, build.__name__) is build and build.__name__ in dir(recipes)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_settings_of_every_variant_come_back_from_a_file(name, tmp_path):
    recipe = schema.get(name)
    for key, variants in recipes.get(name).backbones.items():
        for variant in variants:
            settings = run_settings.resolve(recipe, "smoke", {f"model.{key}": variant}, 0)
            write_toml(tmp_path / "config.toml", settings)
            again = run_settings.resolve(recipe, str(tmp_path / "config.toml"), {}, None)
            assert run_settings.alike(again, settings), variant


def test_a_recipe_has_its_own_name():
    assert {name: recipes.get(name).name for name in NAMES} == {name: name for name in NAMES}


def test_every_folder_of_settings_is_of_a_recipe():
    assert {path.name for path in (ROOT / "recipes").iterdir() if path.is_dir()} == NAMES


def test_the_readme_has_a_row_for_every_recipe():
    rows = re.findall(r"^\| \[(\w+)\]\(recipes/(\w+)/README\.md\) \|", (ROOT / "README.md").read_text("utf-8"), re.M)
    assert sorted(name for name, _ in rows) == sorted(NAMES)
    assert all(name == folder for name, folder in rows)


@pytest.mark.parametrize("path", ["README.md", *(f"recipes/{name}/README.md" for name in sorted(NAMES))])
def test_the_commands_of_a_readme_name_recipes_and_settings_that_there_are(path):
    text = (ROOT / path).read_text("utf-8")
    commands = re.findall(r"^(?:make train RECIPE=|kit train )(\w+)(.*)$", text, re.M)
    own = Path(path).parent.name
    assert own == "" or own in [name for name, _ in commands]
    for name, rest in commands:
        assert name in NAMES, name
        for config in re.findall(r"(?:CONFIG=|--config )(\w+)", rest):
            assert (ROOT / "recipes" / name / f"{config}.toml").is_file(), f"{name}: {config}"


def test_make_bench_runs_every_benchmark():
    line = re.search(r"for script in ([\w ]+); do", (ROOT / "Makefile").read_text("utf-8")).group(1)
    found = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert set(line.split()) == found - NOT_RUN_BY_MAKE and found > NOT_RUN_BY_MAKE


def test_every_source_of_data_is_asked():
    asked = {name for names in sources._KINDS.values() for name in names}
    for module in pkgutil.iter_modules(sources.__path__):
        has_read = hasattr(importlib.import_module(f"kit.data.sources.{module.name}"), "read")
        assert (module.name in asked) == (has_read and not module.name.startswith("given_")), module.name


def families():
    """Yields every module of `kit.models` that has a table of variants of its own."""
    for module in pkgutil.walk_packages(models.__path__, "kit.models."):
        found = importlib.import_module(module.name)
        if hasattr(found, "VARIANTS") and hasattr(found, module.name.rpartition(".")[2]):
            yield found


@pytest.mark.parametrize("family", families(), ids=lambda family: family.__name__)
def test_every_architecture_is_in_a_table_whose_numbers_are_tested(family):
    build = getattr(family, family.__name__.rpartition(".")[2])
    registered = {
        name for table, _ in REGISTRIES.values() for name, (function, _) in table.items() if function is build
    }
    assert registered == set(family.VARIANTS)


def settings_inside(value):
    """Yields every `Setting` of what `kit.runs.schema.table` is made of."""
    if isinstance(value, Setting):
        yield value
    elif isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from settings_inside(each)


@pytest.fixture(scope="module")
def all_settings():
    return list(settings_inside(schema_table.decoded(schema.table())))


def is_any_text(kind):
    """Tells whether a type takes any text, or lists of it."""
    parts = () if typing.get_origin(kind) is typing.Literal else typing.get_args(kind)
    return kind is str or any(is_any_text(part) for part in parts if part is not Ellipsis)


def test_a_setting_that_names_something_is_a_choice(all_settings):
    assert {each.key for each in all_settings if is_any_text(each.type)} == FREE_TEXTS | LOOKED_UP


def test_there_is_one_list_of_activations(all_settings):
    found = [each for each in all_settings if each.key.endswith("activation")]
    assert len(found) > 4 and {each.type for each in found} == {Activation}
    for name in typing.get_args(Activation):
        assert keras.activations.get(name).__name__ == name
    with pytest.raises(SettingError, match="activation: expected one of 'relu', .*got 'rellu'; did you mean 'relu'"):
        resolve(found, {"activation": "rellu"})
