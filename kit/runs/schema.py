"""Schema of a recipe: all settings that its functions offer, under any choice of backbone and optimizer.

It is read from the signatures, which takes an import of TensorFlow, or from the table `kit/schema.json` that was made
of them; as long as both say the same, nothing needs the import in order to list, show or check settings.
"""

import dataclasses
import functools

from kit import config, recipes, terminal
from kit.errors import choose
from kit.runs import schema_table


@dataclasses.dataclass(frozen=True)
class Family:
    """A builder of backbones.

    Args:
        name: Its name.
        summary: First line of its documentation.
        facts: Its parameters without a default.
        settings: List of `Setting`, without a table.
    """

    name: str
    summary: str
    facts: tuple
    settings: list


@dataclasses.dataclass(frozen=True)
class Schema:
    """All settings of a recipe. A list of `Setting` is without the name of its table.

    Args:
        name, purpose: Those of the recipe.
        data, evaluate, predict: Settings of these tables.
        explain: Settings of this table; None where answers of the recipe are not explained.
        model: Settings of `[model]`.
        own_model: Settings of `[model]` with a model of one's own; None where the recipe takes none.
        old_names: Old names of settings of `[model]`, each with that of today.
        backbones: Setting of `[model]` to table of variants, each a pair (`Family`, arguments).
        backbone_tables: Setting of `[model]` that names a backbone to the table of its settings.
        presets: Variant of a backbone to settings of `[model]` that stand in for the defaults.
        optimizer_tables: Parameter of the recipe's builder to the table of that optimizer's settings.
        optimizer_choices: The settings of an optimizer's table that decide which other ones it has.
        optimizers: Name of an optimizer to its settings.
        schedules: Name of a schedule to its settings.
        train: Settings of `[train]`.
        decided: Settings that data of a user's own may decide: "auto" is a value of theirs.
        examples: What the recipe's data are, see `Recipe`.
    """

    name: str
    purpose: str
    data: list
    evaluate: list
    predict: list
    explain: list | None
    model: list
    own_model: list | None
    old_names: dict
    backbones: dict
    backbone_tables: dict
    presets: dict
    optimizer_tables: dict
    optimizer_choices: list
    optimizers: dict
    schedules: dict
    train: list
    decided: tuple
    examples: str | None = None


def get(name):
    """Returns the `Schema` of a recipe, from the table where that is not out of date.

    Raises:
        SettingError: there is no recipe of that name.
    """
    choose(dict.fromkeys(recipes.names()), name, "recipe")
    return stored().get(name) or signed(name)


@functools.cache
def stored():
    """Returns name and `Schema` of each recipe in the table; nothing where the table is out of date."""
    content = schema_table.read()
    if content is None:
        return {}
    shared = {key: schema_table.decoded(value) for key, value in content["shared"].items()}
    return {name: _of_table(schema_table.decoded(each), shared) for name, each in content["recipes"].items()}


def _of_table(content, shared):
    """Returns a `Schema` from the content of the table, whose variants name their families."""
    backbones = {
        key: {
            variant: (Family(name, **of_key["families"][name]), arguments)
            for variant, (name, arguments) in of_key["variants"].items()
        }
        for key, of_key in content.pop("backbones").items()
    }
    return Schema(**content, backbones=backbones, **shared)


def signed(name):
    """Returns the `Schema` of a recipe as its signatures have it."""
    terminal.load_tensorflow()
    return of(recipes.get(name))


_READ = {}  # name of a recipe: the `Recipe`, and its `Schema`


def of(recipe):
    """Returns the `Schema` of a `Recipe`, read from its signatures; one that is a `Schema` already as it is."""
    if isinstance(recipe, Schema):
        return recipe
    known, schema = _READ.get(recipe.name, (None, None))
    if known is not recipe:
        schema = _read(recipe)
        _READ[recipe.name] = recipe, schema
    return schema


def _read(recipe):
    adopt = recipe.stages.adopt
    skip = (*recipe.optimizer_tables, *recipe.stages.optional_facts)
    families = {build: _family(build) for table in recipe.backbones.values() for build, _ in table.values()}
    return Schema(
        name=recipe.name,
        purpose=recipe.purpose,
        data=config.settings_of(recipe.data),
        evaluate=config.settings_of(recipe.task.evaluate),
        predict=config.settings_of(recipe.task.predict),
        explain=None if recipe.task.explain is None else config.settings_of(recipe.task.explain),
        model=config.settings_of(recipe.build, skip=skip),
        own_model=None if adopt is None else config.settings_of(adopt, skip=("optimizer",)),
        old_names=config.aliases_of(recipe.build),
        backbones={
            key: {variant: (families[build], arguments) for variant, (build, arguments) in table.items()}
            for key, table in recipe.backbones.items()
        },
        backbone_tables=recipe.backbone_tables,
        presets=recipe.stages.presets,
        optimizer_tables=recipe.optimizer_tables,
        decided=tuple(recipe.own_data.rules) if recipe.own_data else (),
        examples=recipe.examples,
        **_shared(),
    )


def _family(build):
    settings = config.settings_of(build, skip=("name",))
    return Family(build.__name__, build.__doc__.splitlines()[0], config.facts_of(build), settings)


@functools.cache
def _shared():
    """Returns the settings that do not depend on the recipe, as keywords of `Schema`."""
    from kit.training import optimizers, schedules
    from kit.training.plan import Training

    of_keras = {"skip": optimizers.NOT_SETTINGS, "types": optimizers.TYPES, "meanings": optimizers.MEANINGS}
    return {
        "optimizer_choices": config.settings_of(optimizers.choice),
        "optimizers": {name: config.settings_of(each, **of_keras) for name, each in optimizers.OPTIMIZERS.items()},
        "schedules": {name: config.settings_of(each) for name, each in schedules.SCHEDULES.items()},
        "train": config.settings_of(Training),
    }


def table():
    """Returns the content of the table, made of the signatures, and the functions and classes that they belong to."""
    content = {"shared": {}, "recipes": {}}
    for name in recipes.names():
        fields = {field.name: getattr(signed(name), field.name) for field in dataclasses.fields(Schema)}
        content["shared"] = {key: schema_table.encoded(fields.pop(key), key) for key in _shared()}
        fields["backbones"] = {
            key: {
                "families": {
                    family.name: {field.name: getattr(family, field.name) for field in dataclasses.fields(Family)[1:]}
                    for family, _ in variants.values()
                },
                "variants": {variant: (family.name, arguments) for variant, (family, arguments) in variants.items()},
            }
            for key, variants in fields["backbones"].items()
        }
        content["recipes"][name] = schema_table.encoded(fields, name)
    return content
