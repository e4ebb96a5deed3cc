"""What there is: recipes, architectures, settings, layers; each function returns it, and prints it if it may."""

import dataclasses
import sys

from kit import config, recipes
from kit.errors import KitError, closest
from kit.runs import settings as schema


def everything(verbose=True):
    """Returns all recipes with their backbones and the settings that come with them."""
    result = {}
    for name in recipes.names():
        recipe = recipes.get(name)
        configs = sorted(path.stem for path in schema.shipped_settings(name).glob("*.toml"))
        variants = {key: list(table) for key, table in recipe.backbones.items()}
        result[name] = {"purpose": recipe.purpose, **variants, "configs": configs}
        if verbose:
            print(f"{name}: {recipe.purpose}")
            for key, table in recipe.backbones.items():
                print(f"  model.{key}:")
                for build, members in _families(table).items():
                    print(f"    {', '.join(members)}\n        {build.__doc__.splitlines()[0]}")
            print(f"  --config: {', '.join(configs)}\n")
    return {"recipes": result}


def _families(variants):
    """Returns the names of variants by their builder."""
    found = {}
    for variant, (build, _) in variants.items():
        found.setdefault(build, []).append(variant)
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
    known = {"backbones": list(map(recipes.get, recipes.names()))}
    for plural, word in _OLD_WORDS.items():
        known[plural] = [recipe for recipe in known["backbones"] if word in config.aliases_of(recipe.build)]
    if kind not in known:
        raise KitError(f"list: nothing is called {kind!r}{closest(kind, known)}")
    rows = [
        {"variant": variant, "recipe": recipe.name, "family": build.__name__, "arguments": arguments}
        for recipe in known[kind]
        for table in recipe.backbones.values()
        for variant, (build, arguments) in table.items()
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
    from kit.tuning.study import Search

    recipe = recipes.get(recipe)
    resolved = schema.resolve(recipe, config_file, overrides, None)
    given = config.flatten(resolved | {"tune": dataclasses.asdict(Search())})
    entries = [
        {
            "key": setting.key,
            "value": given[setting.key],
            "expects": config.describe(setting.type),
            "meaning": setting.meaning,
        }
        for setting in [*schema.settings_of(recipe, given), *config.settings_of(Search, "tune")]
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

    from kit.models import vision

    known = {**vision.VARIANTS, **dict.fromkeys(recipes.names())}
    if variant not in vision.VARIANTS:
        raise KitError(f"show: neither a recipe nor a backbone is called {variant!r}{closest(variant, known)}")
    build, arguments = vision.VARIANTS[variant]
    try:
        size = tuple(int(part) for part in shape.split(","))
    except ValueError:
        size = ()
    if len(size) != 3 or min(size) < 1:
        raise KitError(f"--shape: expected height, width and channels such as 224,224,3, got {shape!r}")
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
