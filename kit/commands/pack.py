"""`kit pack`: writes data that are larger than memory into shards once, which training then reads at random."""

import importlib
import inspect
import json
import logging
import os
from pathlib import Path

from kit import config as toml
from kit import recipes, terminal
from kit.data import packed, packing
from kit.errors import KitError, SettingError, table
from kit.files import as_path
from kit.runs import schema as schemas
from kit.terminal import printable

log = logging.getLogger("kit")

# Kind of examples to the module of `kit.data.sources` that packs them, and what it is told beside the settings.
_PACKERS = {
    "labelled images": ("packed_images", {"needs_classes": True}),
    "images": ("packed_images", {"needs_classes": False}),
    "labelled texts": ("packed_texts", {}),
    "plain texts": ("packed_documents", {}),
}


def pack(source, out, *, recipe=None, data=None, overwrite=False, verbose=True):
    """Writes a data set into shards once, for `data.source` of trainings whose data are larger than memory.

        kit.pack("photos", "photos.pack")
        kit.train("image_classification", data={"source": "photos.pack"})

    Args:
        source: What `data.source` may be: a path or name.
        out: New folder of the pack.
        recipe: Name of the recipe that says how the source is read; by default it is guessed from the source.
        data: Settings of `[data]` that decide how it is read, such as {"on_bad": "skip"}.
        overwrite: Replace a pack that is there.
        verbose: Tell how far it is.

    Returns:
        What was packed as a dictionary: `folder`, `kind`, `examples`, `bytes`, `skipped`.

    Raises:
        KitError: the source cannot be used or packed, there is something at `out`, or the disk is full.
    """
    with terminal.log_shown(verbose):
        return _packed(source, out, recipe, toml.flatten({"data": data or {}}), overwrite)


def _packed(source, out, recipe, overrides, overwrite):
    out = Path(os.path.abspath(as_path(out, "OUT")))
    if recipe is None:
        recipe = _guessed(source)
    kind = schemas.get(recipe).examples
    if kind not in _PACKERS:
        what = "are made by acting" if kind is None else f"are {kind}"
        raise KitError(f"pack: the data of {recipe} {what}; what can be packed: {', '.join(_PACKERS)}")
    name, told = _PACKERS[kind]
    module = importlib.import_module(f"kit.data.sources.{name}")
    options = _options(module, schemas.get(recipe), overrides)
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    if path is not None and path.is_dir() and out.is_relative_to(path.resolve()):
        raise KitError(f"pack: {out} is in the source; expected a folder beside it")
    with packing.growing(out, overwrite) as writer, table("data"):
        origin, _ = module.pack(source, writer, **told, **options)
        writer.tell_source(origin)
    done = packed.Pack(out)
    size = sum(each for each, _ in done.files.values())
    skipped = done.content["skipped"]
    return {"folder": str(out), "kind": done.kind, "examples": done.examples, "bytes": size, "skipped": len(skipped)}


def _guessed(source):
    """Returns the name of the recipe that a source seems to be for."""
    from kit.inspection import guess

    with table("data"):
        kind = guess.kind_of(source)
    recipe = next(name for name in recipes.names() if schemas.get(name).examples == kind)
    log.info("%s holds %s: packed for recipes of these; --recipe says otherwise", printable(str(source)), kind)
    return recipe


def _options(module, schema, overrides):
    """Returns the options of a packer that are among the settings."""
    offered = [
        name
        for name, parameter in inspect.signature(module.pack).parameters.items()
        if parameter.kind == parameter.KEYWORD_ONLY and name != "needs_classes"
    ]
    settings = toml.in_table([setting for setting in schema.data if setting.key in offered], "data")
    for key in overrides:
        known = [setting.key for setting in settings]
        if key not in known:
            what = f"; {', '.join(known)} do{'es' if len(known) == 1 else ''}" if known else ""
            raise SettingError(key, f"does not decide how examples are packed{what}; expected it in training")
    values = toml.flatten(toml.resolve(settings, overrides))
    return {key.removeprefix("data."): values[key] for key in overrides}


def check(out):
    """Looks whether a pack is whole: all of its files there, with the check sums that they were written with.

    Args:
        out: Folder of the pack.

    Returns:
        What was found as a dictionary: `folder`, `kind`, `examples`, `bytes`, and `source_changed`, whether what was
        packed has changed since; None where it is not there to be compared.

    Raises:
        KitError: a file is missing or damaged; the message names it.
    """
    out = as_path(out, "OUT")
    if not packed.is_pack(out):
        raise KitError(f"{out}: no pack; expected a folder that `kit pack SOURCE OUT` has written")
    found = packed.Pack(out)
    found.check()
    size = sum(each for each, _ in found.files.values())
    told = {"folder": str(out), "kind": found.kind, "examples": found.examples, "bytes": size}
    return told | {"source_changed": _source_changed(out)}


def _source_changed(out):
    try:
        known = json.loads((out / packing.SOURCE).read_text(encoding="utf-8"))
        return packing.looks(known["path"]) != known["looks"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def run(options, overrides):
    """Runs `kit pack`."""
    words = options.words
    if options.check:
        if len(words) != 1 or overrides or options.recipe or options.overwrite:
            raise KitError("pack: expected --check and the folder of a pack alone: kit pack OUT --check")
        found = check(words[0])
        if not options.json:
            print(printable(f"whole  {_told(found)}; all check sums are right"))
            if found["source_changed"] is not None:
                since = "has changed since: pack it anew to train on what it is now" if found["source_changed"] else ""
                print(f"source {since or 'has not changed since'}")
        return found
    if len(words) != 2:
        raise KitError("pack: expected SOURCE and OUT: kit pack photos photos.pack")
    with terminal.log_shown(not options.json):
        found = _packed(words[0], words[1], options.recipe, overrides, options.overwrite)
    if not options.json:
        print(printable(f"pack   {_told(found)}"))
        print(printable(f"use    --data.source {words[1]}"))
    return found


def _told(found):
    return f"{found['folder']}: {found['examples']:,} {found['kind']}, {_size(found['bytes'])}"


def _size(count):
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
