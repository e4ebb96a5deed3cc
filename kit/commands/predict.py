"""`kit predict`: applies a finished run to files, texts, standard input, or nothing."""

import sys
from pathlib import Path

from kit import terminal
from kit.errors import KitError
from kit.runs import finished


def run(options, overrides):
    """Applies a run, prints the predictions, and returns them."""
    finished.check_settings(options.run, "predict", overrides)
    loaded = finished.load_one(options.run)
    if finished.has_seeds(options.run):
        print(f"{loaded.folder} is applied, the best of its seeds by validation", file=sys.stderr)
    task = loaded.recipe.task
    table = finished.predict(loaded, given_inputs(options, loaded.recipe, "predict"), overrides)
    if not options.json:
        is_terminal = sys.stdout.isatty()
        print(task.show(terminal.printable_frame(table) if is_terminal else table, is_terminal))
    return {"folder": str(loaded.folder), "predictions": table.to_dict("records")}


def given_inputs(options, recipe, verb):
    """Returns the files and texts of a command, or what standard input has.

    Raises:
        KitError: none is given to a recipe that needs some, or a text to one that takes none.
    """
    kind = recipe.task.inputs
    if options.text and kind != "text":
        raise KitError(f"--text: {recipe.name} takes files, not text")
    inputs = [*map(Path, options.inputs), *options.text]
    if not inputs and kind == "text" and sys.stdin and not sys.stdin.isatty():
        inputs = [_standard_input()]
    if not inputs and kind in ("files", "text"):
        text = ', --text "..." or text on standard input' if kind == "text" else ""
        raise KitError(f"{verb}: nothing to {verb}; expected files{text}")
    return inputs


def _standard_input():
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KitError(f"standard input: not UTF-8 ({error.reason}); expected text") from None
    return text.removesuffix("\n").removesuffix("\r")
