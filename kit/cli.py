"""The command line: `kit VERB ...`. TensorFlow loads only once a verb needs it."""

import argparse
import errno
import importlib
import os
import signal
import sys

import kit
from kit import config, terminal
from kit.errors import KitError

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
        if name in ("train", "tune", "evaluate", "predict", "explain", "export", "learning-curve", "serve"):
            command.add_argument(
                "--allow",
                metavar="NAME",
                action="append",
                default=[],
                help="let a name in a file or run folder, such as my_games:Walk-v0, import its module",
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
    inspect = verb(
        "inspect",
        "look for what is wrong with a data set, before or after training, and write a page",
        "Settings of the data are flags: with the same ones training has the same splits. --data.test_fraction 0.1",
    )
    inspect.add_argument(
        "words", metavar="[RECIPE] SOURCE", nargs="*", help="recipe, guessed by default; file, folder or name"
    )
    inspect.add_argument("--recipe", metavar="RECIPE", help="the recipe, where it does not stand before the source")
    inspect.add_argument("--config", metavar="TOML", help="settings to start from; those of [data] count")
    inspect.add_argument("--output", metavar="DIR", help="folder of the page; a new one below runs/ by default")
    pack = verb(
        "pack",
        "write data larger than memory into shards once, for --data.source of trainings",
        "Settings that decide how the source is read are flags: --data.on_bad skip.",
    )
    pack.add_argument("words", metavar="SOURCE OUT", nargs="+", help="file, folder or name; new folder of the pack")
    pack.add_argument("--recipe", metavar="RECIPE", help="the recipe whose data they are, guessed by default")
    pack.add_argument("--overwrite", action="store_true", help="replace a pack that is there")
    pack.add_argument("--check", action="store_true", help="look whether the pack OUT is whole: kit pack OUT --check")
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
        "--n-best 3; of several seeds or folds --ensemble true averages the answers. Without INPUT and --text, recipes "
        "that take text read standard input, a text a line.",
    )
    serve = verb(
        "serve",
        "answer requests to finished runs over HTTP, with a JSON API and a page",
        "Settings of the recipe's prediction are flags: --predict.n_best 3. Ctrl-C or SIGTERM end it.",
    )
    serve.add_argument("runs", metavar="RUN", nargs="+", help="run folder")
    serve.add_argument("--port", metavar="N", help="port, by default 8000; 0 takes a free one")
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 127.0.0.1, which this machine alone reaches"
    )
    serve.add_argument("--batch-size", metavar="N", help="most inputs in one call of the network; 32")
    serve.add_argument("--max-upload", metavar="MB", help="most megabytes of a request; 10")
    serve.add_argument("--max-text", metavar="N", help="most characters of a request; 10000")
    serve.add_argument("--max-waiting", metavar="N", help="most requests of a run that wait; 128")
    serve.add_argument("--timeout", metavar="SECONDS", help="seconds until a request is given up; 60")
    explain = verb(
        "explain",
        "show what answers of a finished run rest on: pixels of an image, words of a text",
        "Settings of the explanation are flags, with or without the table's name: --explain.steps 128 or --steps 128.",
    )
    for command in (predict, explain):
        command.add_argument("run", metavar="RUN", help="run folder")
        command.add_argument("inputs", metavar="INPUT", nargs="*", help="files or folders")
        command.add_argument("--text", action="append", default=[], help="a text, for recipes that take text")
    predict.add_argument(
        "--passage", metavar="FILE", help="passage that each --text is a question about; - reads it from standard input"
    )
    explain.add_argument(
        "--output",
        metavar="DIR",
        help="new folder for the page, or a .png file for the figures alone; by default in RUN/explained/",
    )
    export = verb("export", "write the model of a finished run in another format, and check it")
    export.add_argument("run", metavar="RUN", help="run folder")
    export.add_argument(
        "format", metavar="FORMAT", help="saved_model, litert, litert_int8, onnx, safetensors or word2vec"
    )
    export.add_argument("--output", metavar="PATH", help="where to write; by default RUN/exports/")
    curve = verb(
        "learning-curve",
        "estimate what twice as many training examples would give a finished run, by training on a quarter and a half",
    )
    curve.add_argument("run", metavar="RUN", help="run folder")
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
        0, or 2 for a mistake in what was given, or 130 after an interrupt, or 1 where nobody reads the output any more.
    """
    if arguments is None:
        terminal.own_process()
    terminal.make_streams_safe()
    words = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    result, status = _run(words)
    try:
        if "--json" in words and status != _READER_LEFT:
            terminal.print_json(result)
        sys.stdout.flush()
    except BrokenPipeError:
        status = _READER_LEFT
    except OSError as error:
        status = _output_lost(error)
    if status == _READER_LEFT:
        terminal.lead_nowhere(1)
    return status


def _run(words):
    """Runs one command; returns what `--json` prints, and the exit status."""
    try:
        from kit.commands import flags

        overrides, words = flags.settings(words)
        if words and words[0] in _OWN_TABLE:
            overrides |= flags.without_table(words, _OWN_TABLE[words[0]])
        options, rest = _parser().parse_known_args(words)
        flags.refuse(rest, options.verb)
        config.note_typed([overrides, getattr(options, "allow", [])])
        if options.verb in _NEED_TENSORFLOW:
            terminal.load_tensorflow()
        module, function = _VERBS[options.verb]
        command = getattr(importlib.import_module(f"kit.commands.{module}"), function)
        return command(options, overrides), 0
    except KitError as error:
        return {"error": str(error)}, _say(str(error))
    except BrokenPipeError:
        return {}, _READER_LEFT
    except OSError as error:
        if error.filename is None and error.errno in (errno.ENOSPC, errno.EBADF):
            return {}, _output_lost(error)  # a file that cannot be written has a name
        reason = f"{error.filename or 'kit'}: {error.strerror or error}"
        return {"error": reason}, _say(reason)
    except KeyboardInterrupt:
        return {"error": "interrupted"}, 130


def _output_lost(error):
    """Says that standard output cannot be written; returns the exit status."""
    terminal.lead_nowhere(1)
    return _say(f"standard output: {error.strerror or error}")


def _say(mistake):
    """Prints a mistake in one line on standard error, if that can be written; returns the exit status."""
    try:
        print("kit:", terminal.printable(mistake, also="\n"), file=sys.stderr, flush=True)
    except OSError:
        terminal.lead_nowhere(2)
    return 2


# Exit status where whoever read the output has left.
_READER_LEFT = 1
# Verbs whose settings may be given without the name of their table, and the flags that they have beside them.
_OWN_TABLE = {
    "predict": ("--json", "--text", "--passage", "--allow", "--help"),
    "evaluate": ("--json", "--split", "--allow", "--help"),
    "explain": ("--json", "--text", "--output", "--allow", "--help"),
}
# Verbs that are a module each, with the function `run`.
_OF_THEIR_OWN = (
    "train",
    "tune",
    "evaluate",
    "predict",
    "explain",
    "export",
    "doctor",
    "report",
    "inspect",
    "pack",
    "serve",
)
# Verb to the module of `kit.commands` and the function in it.
_VERBS = {
    "list": ("catalogue", "run_list"),
    "show": ("catalogue", "run_show"),
    **{verb: (verb, "run") for verb in _OF_THEIR_OWN},
    "learning-curve": ("learning_curve", "run"),
}
# Verbs that need TensorFlow from the beginning; the others load it when they do.
_NEED_TENSORFLOW = ("export", "doctor")
