"""Terminal output: the log without the noise of the libraries below it, and numbers in words."""

import contextlib
import gc
import importlib.util
import json
import logging
import os
import re
import sys
import tempfile

from kit.errors import SettingError, check

log = logging.getLogger("kit")

# TensorFlow and Keras import them wherever they are installed, for wrappers, galleries and conversions that no command
# of the kit uses: a third of the time that importing both takes.
_UNUSED_BY_KERAS = ("jax", "matplotlib", "sklearn")
# Controls of the terminal but tab and line end, and the marks that turn the direction of writing.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def load_tensorflow():
    """Imports TensorFlow and looks for devices, without the noise of both and of what follows; see `grow_memory`.

    Whoever has set `TF_CPP_MIN_LOG_LEVEL`, or imported TensorFlow before, hears what they have asked for.

    Raises:
        SettingError: `KERAS_BACKEND` names a backend that the kit does not know, or that is not installed.
    """
    used = os.environ.get("KERAS_BACKEND") or "tensorflow"
    check(used in ("tensorflow", "jax"), "KERAS_BACKEND", used, "'tensorflow' or 'jax'")
    if used == "jax" and importlib.util.find_spec("jax") is None:
        raise SettingError("KERAS_BACKEND", 'JAX is not installed; pip install ".[jax]"')
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with native_noise_hidden(), _quick_imports():
        import tensorflow as tf

        tf.config.list_physical_devices()
    tf.get_logger().addFilter(_is_no_retracing)
    grow_memory()


class _NotFound:
    """Finder that finds none of some packages, as if they were not installed."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in _UNUSED_BY_KERAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


class _Process:
    """State of this process: whether it runs one command of the kit and nothing else."""

    is_ours = False


@contextlib.contextmanager
def _quick_imports():
    """Leaves the garbage collector out of the imports inside: of the many objects that they make none is garbage.

    A process that runs one command of the kit and nothing else also leaves out what Keras imports for others.
    """
    was_enabled, finder = gc.isenabled(), _NotFound()
    is_lean = _Process.is_ours and os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow"
    gc.disable()
    if is_lean:
        sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        if is_lean:
            sys.meta_path.remove(finder)
        if _Process.is_ours:
            gc.freeze()  # it stays until the end: no collection need walk through it
        if was_enabled:
            gc.enable()


def own_process():
    """Says that this process runs one command of the kit and nothing else."""
    _Process.is_ours = True


def make_streams_safe():
    """Lets no output fail for its characters, and gives a process whose streams are closed others that lead nowhere.

    What the encoding of a stream lacks is spelled out, such as `\\u2603`.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            with contextlib.suppress(OSError):
                while os.open(os.devnull, os.O_RDWR) < number:  # else the next file would be what is written to
                    pass
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8", errors="backslashreplace"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def lead_nowhere(number):
    """Lets standard output (1) or error (2), which cannot be written, lead nowhere: Python tries again at its end."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def print_json(value):
    """Prints one line of JSON, which is valid whatever characters standard output has."""
    line = json.dumps(value, ensure_ascii=False)
    try:
        line.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        line = json.dumps(value)
    print(line, flush=True)


def printable(text, also=""):
    """Returns text that does nothing to a terminal: what would move, colour or turn round is spelled out.

    Args:
        text: The text.
        also: More characters to spell out, such as line ends.
    """
    spelled = _UNPRINTABLE.sub(_spelled, text)
    for character in also:
        spelled = spelled.replace(character, repr(character)[1:-1])
    return spelled


def _spelled(found):
    return found.group().encode("unicode_escape").decode()


class LogFormatter(logging.Formatter):
    """Formats a line of the log so that it does nothing to the terminal that a file is shown on."""

    def format(self, record):
        return printable(super().format(record))


def printable_frame(frame):
    """Returns a `pandas.DataFrame` whose names and texts are `printable`."""

    def safe(value):
        return printable(value) if isinstance(value, str) else value

    shown = frame.rename(columns=safe)
    for position, kind in enumerate(frame.dtypes):
        if kind.kind == "O":
            shown.isetitem(position, frame.iloc[:, position].map(safe))
    return shown


def _is_no_retracing(record):
    """Refuses TensorFlow's warning that Keras compiles its steps often: it counts those of all models together."""
    message = record.getMessage()
    return not ("triggered tf.function retracing" in message and "TensorFlowTrainer" in message)


def grow_memory():
    """Lets this process take of a GPU's memory what it needs, not all of it: others may use the card too.

    Possible only before TensorFlow uses the GPU; `TF_FORCE_GPU_ALLOW_GROWTH=false` says that it takes all.
    """
    import tensorflow as tf

    if os.environ.get("KERAS_BACKEND") == "jax":
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")  # it feeds alone, and the card is JAX's
    elif os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH", "").lower() not in ("false", "0"):
        with contextlib.suppress(RuntimeError):
            for gpu in tf.config.list_physical_devices("GPU"):
                tf.config.experimental.set_memory_growth(gpu, True)


@contextlib.contextmanager
def native_noise_hidden():
    """Hides the lines that native libraries write to standard error before any log level counts, unless all fails."""
    try:
        kept = os.dup(2)  # native libraries write there, whatever sys.stderr is
    except OSError:  # closed: nothing is seen of it anyway
        yield
        return
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException:
            hidden.seek(0)
            os.write(kept, hidden.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


class _Printer(logging.Handler):
    """Prints through whatever standard output is at the moment, so that a moving line can make room."""

    def emit(self, record):
        if getattr(record, "is_shown", True):
            print(printable(record.getMessage()), file=sys.stdout, flush=True)


@contextlib.contextmanager
def log_shown(shown=True):
    """Prints the log of the kit inside, or leaves it alone."""
    printer, level = _Printer(), log.level
    if shown:
        log.addHandler(printer)
        log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(printer)


@contextlib.contextmanager
def log_quiet(least=logging.ERROR):
    """Leaves out of the log what is below a level inside, such as what a run says of itself a second time."""
    level = log.level
    log.setLevel(least)
    try:
        yield
    finally:
        log.setLevel(level)


def is_log_shown():
    """Tells whether the log of the kit is being printed."""
    return any(isinstance(handler, _Printer) for handler in log.handlers)


def number(value):
    """Returns a number as people read it."""
    if isinstance(value, float):
        digits = 4 if abs(value) < 100 else 2 if abs(value) < 1000 else 0
        return f"{value:,.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else printable(str(value))


def short(value):
    """Returns the value of a setting in few characters: numbers with three digits that count."""
    return f"{value:.3g}" if isinstance(value, float) else printable(str(value))


def counted(number, noun):
    """Returns a number of things in words, such as "1 worker" or "2 workers"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds):
    """Returns a duration as minutes and seconds, or hours, minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _plain_score(name, value):
    return number(value)


def _plain_interval(low, high):
    return f"95 %: {low} to {high}"


def _plain_label(name):
    return name.replace("_", " ")


def with_intervals(metrics, label=_plain_label, score=_plain_score, interval=_plain_interval):
    """Yields name, value and 95 % interval of each metric as text; the interval is `x_low` and `x_high`, or empty.

    What is no number, such as a signature, is left out.

    Args:
        metrics: Name to value.
        label: Function from a name to how it is written.
        score: Function `(name, value)` that returns a value as text.
        interval: Function from both ends of an interval, as text, to what is written.
    """
    for name, value in metrics.items():
        if isinstance(value, str):
            continue
        low, high = (metrics.get(f"{name}_{end}") for end in ("low", "high"))
        if low is not None:
            yield label(name), score(name, value), interval(score(name, low), score(name, high))
        elif not name.endswith(("_low", "_high")):
            yield label(name), score(name, value), ""


def over_seeds(scores, label=_plain_label, score=_plain_score, interval=_plain_interval):
    """Yields name, mean ± standard deviation, and interquartile mean with its 95 % interval of each score as text.

    Args:
        scores: Name to what `kit.reporting.several.summarize` made of the score's values.
        label, score, interval: As for `with_intervals`.
    """
    for name, summary in scores.items():
        values = summary["folds" if "folds" in summary else "seeds"]
        if summary["std"] == 0 and isinstance(values[0], int):
            yield label(name), score(name, values[0]), ""  # a count, the same in every run
            continue
        mean, std, iqm, low, high = (score(name, summary[key]) for key in ("mean", "std", "iqm", "iqm_low", "iqm_high"))
        yield label(name), f"{mean.removesuffix(' %')} ± {std}", f"IQM {iqm}, {interval(low, high)}"


def print_scores(metrics, split):
    """Prints a split's metrics with their intervals in one line."""
    shown = "   ".join(
        f"{name} {value} ({interval})" if interval else f"{name} {value}"
        for name, value, interval in with_intervals(metrics)
    )
    print(printable(f"{split}  {shown}"))


def print_over_seeds(scores, split):
    """Prints mean and standard deviation of a split's scores in one line, if there are any; their page has more."""
    if scores:
        print(printable(f"{split}  {'   '.join(f'{name} {value}' for name, value, _ in over_seeds(scores))}"))
