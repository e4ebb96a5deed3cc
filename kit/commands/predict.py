"""`kit predict`: applies a finished run to files, texts, standard input, or nothing."""

import sys
from pathlib import Path

from kit import config, terminal
from kit.errors import KitError
from kit.reporting.several import kind_of
from kit.runs import finished


def run(options, overrides):
    """Applies a run, prints the predictions, and returns them."""
    finished.check_settings(options.run, "predict", overrides)
    loaded = finished.load(options.run)
    if isinstance(loaded, finished.Runs):
        loaded, overrides = _of_several(loaded, overrides)
    task = loaded.recipe.task
    table = finished.predict(loaded, given_inputs(options, loaded.recipe, "predict"), overrides)
    if not options.json:
        is_terminal = sys.stdout.isatty()
        print(task.show(terminal.printable_frame(table) if is_terminal else table, is_terminal))
    return {"folder": str(loaded.folder), "predictions": table.to_dict("records")}


def _of_several(runs, overrides):
    """Returns the run that is applied, the best one or the ensemble of all, and the other settings."""
    own = {key: value for key, value in overrides.items() if key == "predict.ensemble"}
    others = {key: value for key, value in overrides.items() if key not in own}
    kind = kind_of(runs.metrics)
    if config.resolve(config.settings_of(finished.Application, "predict"), own)["predict"]["ensemble"]:
        print(f"the mean of all {len(runs.folders)} {kind} of {runs.folder} is applied", file=sys.stderr)
        return runs.ensemble, others
    print(f"{runs.best.folder} is applied, the best of its {kind} by validation", file=sys.stderr)
    return runs.best, others


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
