"""`kit list` and `kit show`: recipes, backbones, settings, layers; each function returns them, and may print them."""

import dataclasses
import sys

from kit import config, recipes
from kit.commands.flags import refuse_settings
from kit.errors import KitError, closest
from kit.runs import schema
from kit.runs import settings as run_settings
from kit.terminal import load_tensorflow


def everything(verbose=True):
    """Returns all recipes with their backbones and the settings that come with them."""
    result = {}
    for name in recipes.names():
        recipe = schema.get(name)
        configs = sorted(path.stem for path in run_settings.shipped_settings(name).glob("*.toml"))
        configs = [stem for stem in configs if stem != "smoke"]
        variants = {key: list(table) for key, table in recipe.backbones.items()}
        result[name] = {"purpose": recipe.purpose, **variants, "configs": configs}
        if verbose:
            print(f"{name}: {recipe.purpose}")
            for key, table in recipe.backbones.items():
                print(f"  model.{key}:")
                for family, members in _families(table).items():
                    print(f"    {', '.join(members)}\n        {family}")
            print(f"  --config: {', '.join(configs)}\n")
    return {"recipes": result}


def _families(variants):
    """Returns the names of variants by the first line of their family's documentation."""
    found = {}
    for variant, (family, _) in variants.items():
        found.setdefault(family.summary, []).append(variant)
    return found


# Plurals of the words that some recipes had for a backbone.
_OLD_WORDS = {"encoders": "encoder", "architectures": "architecture", "families": "family", "networks": "network"}


def architectures(kind, verbose=True):
    """Returns the table of recipes' backbones: every variant, and where it is not what its family's defaults are.

    Args:
        kind: `backbones`, of all recipes; or an old word for those of some: `encoders`, `architectures`, `families` or
            `networks`.
        verbose: Print the table.

    Raises:
        KitError: there is nothing of that kind.
    """
    known = {"backbones": list(map(schema.get, recipes.names()))}
    for plural, word in _OLD_WORDS.items():
        known[plural] = [recipe for recipe in known["backbones"] if word in recipe.old_names]
    if kind not in known:
        raise KitError(f"list: nothing is called {kind!r}{closest(kind, known)}")
    rows = [
        {"variant": variant, "recipe": recipe.name, "family": family.name, "arguments": arguments}
        for recipe in known[kind]
        for table in recipe.backbones.values()
        for variant, (family, arguments) in table.items()
    ]
    if verbose:
        table = _table("variant", "recipe", "family", "what sets it apart")
        for row in rows:
            apart = "  ".join(f"{key}={_shown(value)}" for key, value in row["arguments"].items())
            table.add_row(row["variant"], row["recipe"], row["family"], apart)
        _print(table)
    return {kind: rows}


def settings(recipe, config_file, overrides, verbose=True):
    """Returns every setting of a recipe, its value and its meaning.

    Args:
        recipe: Name of the recipe.
        config_file: Settings to start from, or None.
        overrides: Flat dictionary of settings above them.
        verbose: Print the table.
    """
    from kit.tuning.search import Search

    recipe = schema.get(recipe)
    resolved = run_settings.resolve(recipe, config_file, overrides, None)
    flat = config.flatten(resolved | {"tune": dataclasses.asdict(Search())})
    entries = [
        {
            "key": setting.key,
            "value": flat[setting.key],
            "expects": config.describe(setting.type),
            "meaning": setting.meaning,
        }
        for setting in [*run_settings.settings_of(recipe, flat), *config.settings_of(Search, "tune")]
    ]
    if verbose:
        print(f"{recipe.name}: {recipe.purpose}\n")
        table = _table("setting", "value", "meaning")
        previous = None
        for entry in entries:
            name = entry["key"].partition(".")[0]
            if name != previous:
                table.add_row(f"\n[bold]\\[{name}][/bold]")
                previous = name
            meaning = entry["meaning"] or ""
            table.add_row(f"  {entry['key']}", _shown(entry["value"]), meaning.replace("[", "\\["))
        _print(table)
        print("\nThe values are those of default.toml or of --config; others are given as --KEY VALUE.")
    return {"recipe": recipe.name, "seed": resolved["seed"], "settings": entries}


def layers(variant, shape="224,224,3", picture=None, verbose=True):
    """Returns the layers of an image backbone, and draws them where graphviz is installed.

    Args:
        variant: Name of the backbone.
        shape: Height, width and channels of the images, as text.
        picture: File to draw to, or None.
        verbose: Print the layers.

    Raises:
        KitError: an unknown name, a shape that cannot be, or a picture without graphviz.
    """
    families = {
        name: recipe
        for recipe in recipes.names()
        for table in schema.get(recipe).backbones.values()
        for name, (family, _) in table.items()
        if family.facts == ("input_shape",)
    }
    known = {**families, **dict.fromkeys(recipes.names())}
    if variant not in families:
        raise KitError(f"show: neither a recipe nor a backbone is called {variant!r}{closest(variant, known)}")
    try:
        size = tuple(int(part) for part in shape.split(","))
    except ValueError:
        size = ()
    if len(size) != 3 or min(size) < 1:
        raise KitError(f"--shape: expected height, width and channels such as 224,224,3, got {shape!r}")
    load_tensorflow()
    tables = recipes.get(families[variant]).backbones.values()
    build, arguments = next(table[variant] for table in tables if variant in table)
    model = build(size, **arguments, name=variant)
    rows = [
        {
            "layer": layer.name,
            "kind": type(layer).__name__,
            "output": list(layer.output.shape[1:]),
            "parameters": layer.count_params(),
        }
        for layer in model.layers
    ]
    if verbose:
        table = _table("layer", "kind", "output", "parameters")
        for row in rows:
            table.add_row(
                row["layer"], row["kind"], _shown(row["output"]), f"{row['parameters']:,}" if row["parameters"] else ""
            )
        _print(table)
        print(
            f"\n{variant}: {model.count_params():,} parameters without a head, for images of {'x'.join(map(str, size))}"
        )
    if picture:
        _draw(model, picture)
    return {"variant": variant, "shape": list(size), "params": model.count_params(), "layers": rows}


def _draw(model, path):
    import keras

    try:
        keras.utils.plot_model(model, str(path), show_shapes=True, dpi=60)
    except ImportError as error:
        raise KitError(f"--output: {' '.join(str(error).split())}") from None


def _table(*columns):
    from rich.table import Table

    return Table(*columns, box=None, pad_edge=False)


def _print(table):
    from rich.console import Console

    # Piped into a file it is as wide as it has to be.
    Console(highlight=False, width=None if sys.stdout.isatty() else 160, soft_wrap=False).print(table)


def _shown(value):
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return str(list(value)).replace("[", "\\[") if isinstance(value, tuple | list) else str(value)


def run_list(options, overrides):
    """Runs `kit list`."""
    refuse_settings(overrides)
    return architectures(options.what, not options.json) if options.what else everything(not options.json)


def run_show(options, overrides):
    """Runs `kit show`."""
    if options.recipe in recipes.names():
        return settings(options.recipe, options.config, overrides, not options.json)
    refuse_settings(overrides)
    return layers(options.recipe, options.shape, options.output, not options.json)
