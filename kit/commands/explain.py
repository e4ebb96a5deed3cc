"""`kit explain`: shows what answers of a finished run rest on."""

import itertools
import sys
from pathlib import Path

from kit import terminal
from kit.commands.predict import given_inputs
from kit.errors import check
from kit.files import as_path
from kit.reporting.samples import new_folder
from kit.runs import finished


def run(options, overrides):
    """Explains a run's answers to inputs, writes the page, prints the table, and returns both."""
    finished.check_settings(options.run, "explain", overrides)
    path = as_path(options.output, "output") if options.output else None
    is_picture = path is not None and path.suffix.lower() == ".png"
    if is_picture:
        check(path.parent.is_dir(), "output", options.output, "a .png file in a known folder")
    folder = None if path is None or is_picture else new_folder(path)
    loaded = finished.load_one(options.run)
    if finished.has_several(options.run):
        print(f"{loaded.folder} is explained, the best of several by validation", file=sys.stderr)
    inputs = given_inputs(options, loaded.recipe, "explain")
    settings = {key.removeprefix("explain."): value for key, value in overrides.items()}
    found = loaded.explain(inputs, **settings)
    if is_picture:
        found.write_picture(path)
        written = {"picture": str(path)}
    else:
        folder = folder or _new(loaded.folder / "explained")
        folder.mkdir(parents=True, exist_ok=True)
        written = {"folder": str(folder), "page": str(found.write(folder))}
    if not options.json:
        for table in (found.table, *found.tables.values()):
            print(_as_text(terminal.printable_frame(table)))
        for note in found.notes:
            print(terminal.printable(note))
        name, place = list(written.items())[-1]
        print(f"{name}  {place}")
    return {**written, **found.rows(), "notes": found.notes}


def _as_text(table):
    """Returns a table as text; a last column of texts is not moved to the right, where long ones would begin."""
    formatters = {}
    if len(table) and isinstance(table.iloc[0, -1], str):
        last = table.columns[-1]
        width = max(len(last), *table[last].str.len())
        table = table.rename(columns={last: f"{last:<{width}}"})
        formatters = {table.columns[-1]: lambda value: f"{value:<{width}}"}
    text = table.to_string(index=False, max_rows=40, float_format=lambda value: f"{value:.3f}", formatters=formatters)
    return "\n".join(line.rstrip() for line in text.splitlines())


def _new(folder):
    """Returns the first folder of a number in a folder that is not there yet."""
    paths = (Path(folder) / f"{number:03}" for number in itertools.count(1))
    return next(path for path in paths if not path.exists())
