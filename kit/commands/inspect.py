"""`kit inspect`: looks for what is wrong with a data set before anything is trained on it, and writes a page."""

import dataclasses
import logging
import os
import shlex
from pathlib import Path

from kit import config as toml
from kit import recipes, terminal
from kit.errors import KitError, SettingError, table
from kit.files import as_path, write_json
from kit.runs import folder as folders
from kit.runs import schema as schemas
from kit.runs import settings as run_settings
from kit.runs.python_inputs import own_source
from kit.terminal import counted, printable

log = logging.getLogger("kit")

_FILE = "findings.json"
_MARKS = {"problem": "PROBLEM ", "warning": "warning ", "note": "note    "}


def inspect(source=None, *, recipe=None, config=None, data=None, output=None, verbose=True):
    """Looks for what is wrong with a data set, and writes a page with pictures and advice.

        found = kit.inspect("photos")
        found.findings, found.table, found.page
        kit.inspect("photos", data={"test_fraction": 0.1, "denoise": "median"})
        kit.inspect((images, labels), recipe="image_classification")

    Args:
        source: What `data.source` may be: a path or name, or what the recipe takes in Python.
        recipe: Name of the recipe whose data they are; by default it is guessed from the source.
        config: Settings to start from, as for `kit.train`; those of `[data]` count.
        data: Settings of the table `[data]`: with the same ones training has the same splits.
        output: Folder of the page; by default a new one below `runs/`.
        verbose: Print what was found.

    Returns:
        `kit.inspection.inspection.Inspection`.

    Raises:
        KitError: settings or source cannot be used, or no recipe is told and none can be guessed.
    """
    settings, own = own_source({**(data or {}), **({} if source is None else {"source": source})} or None)
    overrides = toml.flatten({"data": settings or {}})
    with terminal.log_shown(verbose):
        found = inspect_with(recipe, overrides, config=config, output=output, own=own)
    if verbose:
        show(found)
    return found


def inspect_with(recipe, overrides, *, config=None, output=None, own=None):
    """`inspect` with the settings as a flat dictionary of dotted keys.

    Args:
        recipe: Name of the recipe, or None.
        overrides: Flat dictionary of dotted keys.
        config, output: As for `inspect`.
        own: Data given in Python, or None.
    """
    from kit.inspection import page

    for key in overrides:
        if not key.startswith("data."):
            raise SettingError(key, "`kit inspect` reads data alone; expected settings of [data]")
    folder = _output(output)
    source = own if own is not None else overrides.get("data.source")
    if recipe is None:
        recipe = _guessed(source)
    schema = schemas.get(recipe)
    if schema.examples is None:
        raise KitError(f"inspect: the data of {recipe} are made by acting; expected a recipe that reads data")
    if schema.examples in ("plain texts", "texts to texts", "questions", "time series", "interactions"):
        raise KitError(f"inspect: {schema.examples}, as {recipe} reads them, have nothing that is looked for")
    data = run_settings.resolve(schema, config, overrides, None)["data"]
    # What data decide in a training, such as their size, says nothing of what they are.
    defaults = {setting.key: setting.default for setting in schema.data}
    data = {
        key: defaults[key] if f"data.{key}" in schema.decided and value == "auto" else value
        for key, value in data.items()
    }
    with table("data"):
        found = _inspected(schema, data, data["source"] if own is None else own)
    command = f"kit train {recipe} --data.source {shlex.quote(str(data['source']))}"
    command += "".join(f" --{key} {shlex.quote(str(overrides[key]))}" for key in overrides if key != "data.source")
    with folders.held(folder, f"inspect-{recipe}", begun=_FILE) as folder:
        found.page = folder / "report.html"
        page.write(found, found.page, command)
        write_json(folder / _FILE, found.to_json())
    return found


def _guessed(source):
    """Returns the name of the recipe that a source seems to be for."""
    from kit.inspection import guess

    if source is None:
        raise KitError("inspect: nothing to inspect; expected a file, a folder or a name, such as digits")
    with table("data"):
        kind = guess.kind_of(source)
    recipe = next(name for name in recipes.names() if schemas.get(name).examples == kind)
    log.info("%s holds %s: inspected for %s; --recipe says otherwise", _shown(source), kind, recipe)
    return recipe


def _shown(source):
    return printable(str(source)) if isinstance(source, str | os.PathLike) else "what was given"


def _inspected(schema, data, source):
    """Returns the `Inspection`, by the kind of the recipe's examples."""
    from kit.data.options import Division, ImageOptions

    division = _record(Division, data)
    if schema.examples in ("labelled images", "images"):
        from kit.inspection import images

        options = _record(ImageOptions, data)
        return images.inspected(schema.name, source, options, division, schema.examples == "labelled images")
    if schema.examples == "sentences":
        from kit.inspection import sentences

        return sentences.inspected(schema.name, source, data, division)
    if schema.examples == "labelled texts":
        from kit.inspection import texts

        return texts.inspected(schema.name, source, data, division)
    if schema.examples == "rows":
        from kit.inspection import tables

        return tables.inspected(schema.name, source, data, division)
    from kit.inspection import pairs

    return pairs.inspected(schema.name, source, data, division)


def _record(kind, data):
    """Returns an option record with its part of the settings of `[data]`."""
    return kind(**{field.name: data[field.name] for field in dataclasses.fields(kind) if field.name in data})


def _output(output):
    """Returns the folder that was asked for, or None.

    Raises:
        KitError: it holds something else than an earlier inspection.
    """
    if output is None:
        return None
    folder = as_path(output, "output")
    is_free = not folder.exists() or (folder.is_dir() and not [*folder.iterdir()])
    if not is_free and not (folder / _FILE).is_file():
        raise KitError(f"--output: {folder} holds other files; expected a new folder, or that of an earlier inspection")
    return folder


def show(found):
    """Prints findings and the path of the page."""
    print("   ".join(f"{name} {terminal.number(value)}" for name, value in found.numbers.items()))
    for finding in found.findings:
        print(printable(f"{_MARKS[finding.level]} {finding.message}\n          {finding.advice}"))
    if not found.findings:
        print("nothing was found that is wrong")
    told = ", ".join(counted(found.count(level), level) for level in _MARKS if found.count(level))
    print(printable(f"page  {found.page}{f'   ({told})' if told else ''}"))


def run(options, overrides):
    """Runs `kit inspect`."""
    words, recipe = list(options.words), options.recipe
    is_recipe = words and words[0] in recipes.names() and not Path(words[0]).exists()
    if recipe is None and (len(words) == 2 or is_recipe):
        recipe = words.pop(0)
    if len(words) > 1:
        raise KitError(f"inspect: {words[1]!r} is one source too many; expected RECIPE and SOURCE, or SOURCE alone")
    if words and "data.source" in overrides:
        raise KitError("inspect: the source is given twice; expected SOURCE or --data.source")
    if words:
        overrides = overrides | {"data.source": toml.Text(words[0])}
    with terminal.log_shown(not options.json):
        found = inspect_with(recipe, overrides, config=options.config, output=options.output)
    if not options.json:
        show(found)
    return found.to_json()
