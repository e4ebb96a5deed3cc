"""The command line: `kit VERB ...`. TensorFlow loads only once a verb needs it."""

import argparse
import dataclasses
import json
import os
import signal
import sys
from pathlib import Path

import kit
from kit.errors import KitError, SettingError

_DESCRIPTION = "Train, use and understand Keras models, one recipe for each task."
_EPILOG = """\
examples:
  kit train image_classification
  kit train image_classification --data.source photos --model.backbone resnet18 --train.epochs 5
  kit predict runs/image_classification/2026-01-31-120000 photo.jpg
  kit predict runs/sequence_tagging/2026-01-31-120000 --text "Maria flew to Oslo on 3 May."
  kit show image_classification"""


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line, like every other mistake."""

    def error(self, message):
        raise KitError(f"{message}; `{self.prog} --help` tells more")


def _parser():
    parser = _Parser(
        "kit",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"kit {kit.__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name, summary, settings=""):
        command = verbs.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=settings,
            allow_abbrev=False,
        )
        command.add_argument(
            "--json",
            action="store_true",
            help="print one JSON object as the last line of standard output",
        )
        return command

    every = verb("list", "list recipes, their architectures and the settings that come with them")
    every.add_argument(
        "what", nargs="?", metavar="WHAT", help="a table of the backbones, encoders or architectures alone"
    )
    show = verb("show", "show every setting of a recipe, its default and its meaning; or the layers of a backbone")
    show.add_argument("recipe", metavar="RECIPE", help="name of a recipe, or of a backbone such as resnet50")
    show.add_argument("--config", metavar="TOML", help="show the defaults under these settings")
    show.add_argument(
        "--shape", metavar="H,W,C", default="224,224,3", help="images that the backbone is shown for; 224,224,3"
    )
    show.add_argument("--output", metavar="PNG", help="draw the layers of the backbone; needs graphviz")
    train = verb(
        "train",
        "train a recipe's model, or carry an unfinished run on",
        "Every setting is a flag: --train.epochs 5 --model.dropout 0.2; `kit show RECIPE` lists them.",
    )
    train.add_argument("recipe", metavar="RECIPE", nargs="?", help="may be left out with --config RUN/config.toml")
    train.add_argument(
        "--config",
        metavar="TOML",
        help="settings to start from: a file, or the name of one that comes with the recipe",
    )
    train.add_argument("--folder", metavar="DIR", help="run folder; an unfinished one is carried on")
    train.add_argument("--resume", choices=["last"], help="carry on the newest unfinished run of the recipe")
    train.add_argument("--seed", metavar="N", help="seed of all that is random")
    train.add_argument(
        "--dry-run",
        action="store_true",
        help="build all, take a few steps, print sizes and an estimate of the time; write nothing",
    )
    train.add_argument(
        "--find-learning-rate",
        action="store_true",
        help="train for a moment at rising learning rates and print which suits; write nothing but --output",
    )
    train.add_argument("--output", metavar="PNG", help="where --find-learning-rate draws its curve")
    tune = verb(
        "tune",
        "search a recipe's settings, or carry an unfinished study on",
        "Every setting is a flag, those of the search too: --tune.trials 50 --tune.algorithm hyperband; "
        "--tune.space.optimizer.learning_rate '{min = 1e-4, max = 1e-2, sampling = \"log\"}' searches one more.",
    )
    tune.add_argument("recipe", metavar="RECIPE", nargs="?", help="may be left out with --folder of a study")
    tune.add_argument("--config", metavar="TOML", help="settings to start from, with [tune] and [tune.space] in it")
    tune.add_argument("--folder", metavar="DIR", help="folder of the study; an unfinished one is carried on")
    tune.add_argument("--seed", metavar="N", help="seed of the proposals and of every trial")
    evaluate = verb(
        "evaluate",
        "score a finished run on one of its splits",
        "Settings of the evaluation are flags: --evaluate.top_k 3.",
    )
    evaluate.add_argument("run", metavar="RUN", help="run folder")
    evaluate.add_argument("--split", default="test", help="train, validation or test (default)")
    predict = verb(
        "predict",
        "apply a finished run to new inputs",
        "Settings of the recipe's prediction are flags, with or without the table's name: --predict.n_best 3 or "
        "--n-best 3. Without INPUT and --text, recipes that take text read standard input, a text a line.",
    )
    predict.add_argument("run", metavar="RUN", help="run folder")
    predict.add_argument("inputs", metavar="INPUT", nargs="*", help="files or folders")
    predict.add_argument("--text", action="append", default=[], help="a text, for recipes that take text")
    export = verb("export", "write the model of a finished run in another format, and check it")
    export.add_argument("run", metavar="RUN", help="run folder")
    export.add_argument("format", metavar="FORMAT", help="saved_model, litert, litert_int8 or onnx")
    export.add_argument("--output", metavar="PATH", help="where to write; by default RUN/exports/")
    verb("doctor", "look whether this machine is ready, and say what to do where it is not")
    report = verb("report", "write the page of a finished run anew, or one that compares several")
    report.add_argument("runs", metavar="RUN", nargs="+", help="run folder")
    report.add_argument("--output", metavar="HTML", help="page of a comparison; comparison.html beside the runs")
    return parser


def main(arguments=None):
    """Runs one command.

    Args:
        arguments: Words after `kit`; those of this process by default.

    Returns:
        0, or 2 for a mistake in what was given, or 130 after an interrupt.
    """
    as_json = "--json" in (sys.argv if arguments is None else arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from kit.commands import flags

        overrides, words = flags.settings(sys.argv[1:] if arguments is None else arguments)
        if words and words[0] in _OWN_TABLE:
            overrides |= flags.without_table(words, _OWN_TABLE[words[0]])
        options, rest = _parser().parse_known_args(words)
        flags.refuse(rest, options.verb)
        if options.verb != "report":
            from kit.terminal import load_tensorflow

            load_tensorflow()
        result = _VERBS[options.verb](options, overrides)
    except KitError as error:
        print(f"kit: {error}", file=sys.stderr)
        result, status = {"error": str(error)}, 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read the output has left
        return 1
    except OSError as error:
        reason = f"{error.filename or 'kit'}: {error.strerror or error}"
        print(f"kit: {reason}", file=sys.stderr)
        result, status = {"error": reason}, 2
    except KeyboardInterrupt:
        result, status = {"error": "interrupted"}, 130
    else:
        status = 0
    if as_json:
        print(json.dumps(result, ensure_ascii=False), flush=True)
    return status


def _none(overrides):
    """Refuses settings on a verb that has none."""
    for key in overrides:
        raise SettingError(key, "this verb has no settings")


def _list(options, overrides):
    from kit.commands import catalogue

    _none(overrides)
    if options.what:
        return catalogue.architectures(options.what, not options.json)
    return catalogue.everything(not options.json)


def _show(options, overrides):
    from kit import recipes
    from kit.commands import catalogue

    if options.recipe in recipes.names():
        return catalogue.settings(options.recipe, options.config, overrides, not options.json)
    _none(overrides)
    return catalogue.layers(options.recipe, options.shape, options.output, not options.json)


def _train(options, overrides):
    from kit import terminal
    from kit.runs import finished, rehearsal, run, seeds
    from kit.runs import folder as places

    recipe = options.recipe or run.stated_recipe(options.config, options.folder)
    if recipe is None:
        raise KitError("train: no recipe given; `kit list` prints them")
    folder = options.folder
    if options.resume:
        if folder:
            raise KitError("--resume: choose one of --resume and --folder")
        folder = places.last_unfinished(recipe)
    seed = _seed(options.seed)
    if options.output and not options.find_learning_rate:
        raise KitError("--output: belongs to --find-learning-rate")
    for flag, is_given in (("--dry-run", options.dry_run), ("--find-learning-rate", options.find_learning_rate)):
        if is_given and folder:
            raise KitError(f"{flag}: trains no run; expected neither --folder nor --resume")
    if options.dry_run and options.find_learning_rate:
        raise KitError("--dry-run: choose one of --dry-run and --find-learning-rate")
    if options.find_learning_rate:
        return _find_learning_rate(recipe, overrides, options, seed)
    if options.dry_run:
        with terminal.log_shown():
            return rehearsal.rehearse(recipe, overrides, config=options.config, seed=seed)
    with terminal.log_shown():
        done = seeds.train_with(recipe, overrides, config=options.config, folder=folder, seed=seed)
    used, why = done.folder, ""
    if isinstance(done, finished.Runs):
        used, why = done.best.folder, f"   # the best of {len(done.folders)} by validation"
        for split in ("test", "test_of_last_epoch"):
            terminal.print_over_seeds(done.metrics.get(split), split.replace("_", " "))
    else:
        terminal.print_scores(done.metrics["test"], "test")
    recipe = done.recipe
    use = recipe.task.example
    print(f"page  {done.folder / 'report.html'}\nuse   kit predict {used} {use}{why}")
    return {"folder": str(done.folder), "metrics": done.metrics}


def _seed(text):
    """Returns the seed of a command line as a number."""
    if text is not None and not text.isdecimal():
        raise SettingError("seed", f"expected a whole number of at least 0, got {text!r}")
    return None if text is None else int(text)


def _tune(options, overrides):
    from kit import terminal
    from kit.runs import run
    from kit.tuning import study

    recipe = options.recipe or run.stated_recipe(options.config, options.folder, "study.toml")
    if recipe is None:
        raise KitError("tune: no recipe given; `kit list` prints them")
    with terminal.log_shown():
        done = study.tune_with(
            recipe, overrides, config=options.config, folder=options.folder, seed=_seed(options.seed)
        )
    if done.retrained:
        terminal.print_scores(done.retrained, "test")
    return {
        "folder": str(done.folder),
        "monitor": done.monitor,
        "score": done.score,
        "best": done.best,
        "trials": len(done.trials),
        "saved_epochs": done.saved_epochs,
        "retrained": done.retrained,
    }


def _find_learning_rate(recipe, overrides, options, seed):
    from kit import terminal
    from kit.files import as_path, atomic
    from kit.reporting import range_test as curve
    from kit.runs import rehearsal

    path = as_path(options.output, "output") if options.output else None
    if path and (path.suffix != ".png" or not path.parent.is_dir()):
        raise KitError(f"--output: {str(path)!r}; expected a .png file in a folder that exists")
    with terminal.log_shown():
        found = rehearsal.range_test(recipe, overrides, config=options.config, seed=seed)
    if not options.json:
        print(f"    rate      loss\n{curve.lines(found.table)}")
        print(
            f"use   --optimizer.learning_rate {found.learning_rate:.1e}   (the loss was lowest at {found.highest:.1e})"
        )
    if path:
        with atomic(path) as temporary:
            curve.figure(found.table, found.learning_rate).savefig(temporary, dpi=110)
        print(f"curve {path}")
    return {"learning_rate": found.learning_rate, "highest": found.highest, "curve": found.table.to_dict("list")}


def _evaluate(options, overrides):
    from kit import terminal
    from kit.runs import finished

    evaluation = finished.evaluate(options.run, split=options.split, overrides=overrides)
    show = terminal.print_over_seeds if finished.has_seeds(options.run) else terminal.print_scores
    show(evaluation.metrics, options.split)
    for table in evaluation.tables.values():
        print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    return {"folder": options.run, "split": options.split, "metrics": evaluation.metrics}


def _predict(options, overrides):
    from kit.runs import finished

    loaded = finished.load_one(options.run)
    if finished.has_seeds(options.run):
        print(f"{loaded.folder} is applied, the best of its seeds by validation", file=sys.stderr)
    task = loaded.recipe.task
    if options.text and task.inputs != "text":
        raise KitError(f"--text: {loaded.recipe.name} takes files, not text")
    inputs = [*map(Path, options.inputs), *options.text]
    if not inputs and task.inputs == "text" and sys.stdin and not sys.stdin.isatty():
        inputs = [_standard_input()]
    if not inputs and task.inputs in ("files", "text"):
        text = ', --text "..." or text on standard input' if task.inputs == "text" else ""
        raise KitError(f"predict: nothing to predict; expected files{text}")
    table = finished.predict(loaded, inputs, overrides)
    if not options.json:
        print(task.show(table, sys.stdout.isatty()))
    return {"folder": str(loaded.folder), "predictions": table.to_dict("records")}


def _standard_input():
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KitError(f"standard input: not UTF-8 ({error.reason}); expected text") from None
    return text.removesuffix("\n").removesuffix("\r")


def _export(options, overrides):
    from kit.commands.export import export

    _none(overrides)
    done = export(options.run, options.format, options.output)
    lost = "" if done.accuracy_lost is None else f", {done.accuracy_lost:.2%} accuracy lost"
    print(f"{done.format}  {done.path}")
    print(f"checked on {done.examples:,} test examples: largest difference {done.difference:.2g}{lost}")
    return {**dataclasses.asdict(done), "path": str(done.path)}


def _doctor(options, overrides):
    from kit.commands import doctor

    _none(overrides)
    marks = {"ok": "ok      ", "note": "note    ", "problem": "PROBLEM "}
    found = []
    for finding in doctor.findings():
        found.append(finding)
        if not options.json:
            print(f"{marks[finding.state]} {finding.name}: {finding.found}", flush=True)
            if finding.remedy:
                print(f"          {finding.remedy}", flush=True)
    problems = [finding.name for finding in found if finding.state == "problem"]
    if problems:
        raise KitError(f"doctor: mend first: {', '.join(problems)}")
    return {"findings": [dataclasses.asdict(finding) for finding in found]}


def _report(options, overrides):
    from kit.runs import finished

    _none(overrides)
    if len(options.runs) == 1:
        if options.output:
            raise KitError("--output: the page of one run stands in its folder; expected several runs")
        path = finished.report(options.runs[0])
        print(f"page  {path}")
        return {"folder": options.runs[0], "page": str(path)}
    path, table = finished.compare(options.runs, options.output)
    if not options.json:
        print(table.to_string(index=False))
        print(f"page  {path}")
    return {"page": str(path), "runs": table.to_dict("records")}


# Verbs whose settings may be given without the name of their table, and the flags that they have beside them.
_OWN_TABLE = {"predict": ("--json", "--text", "--help"), "evaluate": ("--json", "--split", "--help")}
_VERBS = {
    "list": _list,
    "show": _show,
    "train": _train,
    "tune": _tune,
    "evaluate": _evaluate,
    "predict": _predict,
    "export": _export,
    "doctor": _doctor,
    "report": _report,
}
