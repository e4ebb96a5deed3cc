"""`kit predict`: applies a finished run to files, texts, standard input, or nothing."""

import sys
from pathlib import Path

from kit import config, terminal
from kit.data.sources import text_files
from kit.errors import KitError
from kit.files import as_path
from kit.reporting.several import kind_of
from kit.runs import finished


def run(options, overrides):
    """Applies a run, prints the predictions, and returns them."""
    finished.check_settings(options.run, "predict", overrides)
    loaded = finished.load(options.run)
    if isinstance(loaded, finished.Runs):
        loaded, overrides = _of_several(loaded, overrides)
    task = loaded.recipe.task
    says_it = any(f"predict.{name}" in overrides for name in task.instead)
    inputs = given_inputs(options, loaded.recipe, "predict", says_it)
    if options.passage:
        inputs = with_passage(options, loaded.recipe, task.parts(loaded.assets))
    if not options.json and sys.stdout.isatty() and isinstance(loaded, finished.Run):
        pieces = finished.stream(loaded, inputs, overrides)
        if pieces is not None:
            for piece in pieces:
                print(terminal.printable(piece), end="", flush=True)
            print()
            return {"folder": str(loaded.folder)}
    table = finished.predict(loaded, inputs, overrides)
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


def given_inputs(options, recipe, verb, says_it=False):
    """Returns the files and texts of a command, or what standard input has; None for the data of the run itself.

    Args:
        options: The command's options.
        recipe: The `Recipe`.
        verb: "predict" or "explain".
        says_it: A setting says what is to be answered, so that no input is needed.

    Raises:
        KitError: none is given to a recipe that needs some, or a text to one that takes none.
    """
    kind = recipe.task.inputs
    if options.text and kind != "text":
        raise KitError(f"--text: {recipe.name} takes files, not text")
    inputs = [*map(Path, options.inputs), *options.text]
    if getattr(options, "passage", None) or (says_it and not inputs):
        return inputs
    if verb == "explain" and not inputs and recipe.task.explains_splits:
        return None
    if not inputs and kind == "text" and sys.stdin and not sys.stdin.isatty():
        inputs = [_standard_input()]
    if not inputs and kind in ("files", "text"):
        text = ', --text "..." or text on standard input' if kind == "text" else ""
        raise KitError(f"{verb}: nothing to {verb}; expected files{text}")
    return inputs


def with_passage(options, recipe, parts):
    """Returns the questions of a command, each with the passage that they are asked of.

    Raises:
        KitError: the passage cannot be read, there is no question, or the recipe has no passages.
    """
    if "passage" not in parts:
        raise KitError(f"--passage: {recipe.name} takes no passages; expected no such flag")
    if not options.text or options.inputs:
        raise KitError('--passage: expected --text "..." with it, a question, and no other input')
    passage = _standard_input() if options.passage == "-" else _content(as_path(options.passage, "--passage"))
    return [(question, passage) for question in options.text]


def _content(path):
    if not path.is_file():
        raise KitError(f"--passage: no file {str(path)!r}; expected a text file, or - for standard input")
    return "\n".join(text for _, text in text_files.lines(path))


def _standard_input():
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KitError(f"standard input: not UTF-8 ({error.reason}); expected text") from None
    return text.removesuffix("\n").removesuffix("\r")
