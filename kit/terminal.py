"""Terminal output: the log without the noise of the libraries below it, and numbers in words."""

import contextlib
import logging
import os
import sys
import tempfile

log = logging.getLogger("kit")


def load_tensorflow():
    """Imports TensorFlow and looks for devices, without the noise of both; see `grow_memory`."""
    with native_noise_hidden():
        import tensorflow as tf

        tf.config.list_physical_devices()
    grow_memory()


def grow_memory():
    """Lets this process take of a GPU's memory what it needs, not all of it: others may use the card too.

    Possible only before TensorFlow uses the GPU; `TF_FORCE_GPU_ALLOW_GROWTH=false` says that it takes all.
    """
    import tensorflow as tf

    if os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH", "").lower() not in ("false", "0"):
        with contextlib.suppress(RuntimeError):
            for gpu in tf.config.list_physical_devices("GPU"):
                tf.config.experimental.set_memory_growth(gpu, True)


@contextlib.contextmanager
def native_noise_hidden():
    """Hides the lines that native libraries write to standard error before any log level counts, unless all fails."""
    kept = os.dup(2)  # native libraries write there, whatever sys.stderr is
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
        print(record.getMessage(), file=sys.stdout, flush=True)


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


def is_log_shown():
    """Tells whether the log of the kit is being printed."""
    return any(isinstance(handler, _Printer) for handler in log.handlers)


def number(value):
    """Returns a number as people read it."""
    if isinstance(value, float):
        digits = 4 if abs(value) < 100 else 2 if abs(value) < 1000 else 0
        return f"{value:,.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def short(value):
    """Returns the value of a setting in few characters: numbers with three digits that count."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def duration(seconds):
    """Returns a duration as minutes and seconds, or hours, minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def with_intervals(metrics):
    """Yields name, value and 95 % interval of each metric as text; the interval is `x_low` and `x_high`, or empty.

    What is no number, such as a signature, is left out.
    """
    for name, value in metrics.items():
        if isinstance(value, str):
            continue
        low, high = (metrics.get(f"{name}_{end}") for end in ("low", "high"))
        if low is not None:
            yield name.replace("_", " "), number(value), f"95 %: {number(low)} to {number(high)}"
        elif not name.endswith(("_low", "_high")):
            yield name.replace("_", " "), number(value), ""


def over_seeds(scores):
    """Yields name, mean ± standard deviation, and interquartile mean with its 95 % interval of each score as text.

    Args:
        scores: Name to what `kit.reporting.seeds.summarize` made of the score's values.
    """
    for name, score in scores.items():
        if score["std"] == 0 and isinstance(score["seeds"][0], int):
            yield name.replace("_", " "), number(score["seeds"][0]), ""  # a count, the same in every run
            continue
        middle = f"IQM {number(score['iqm'])}, 95 %: {number(score['iqm_low'])} to {number(score['iqm_high'])}"
        yield name.replace("_", " "), f"{number(score['mean'])} ± {number(score['std'])}", middle


def print_scores(metrics, split):
    """Prints a split's metrics with their intervals in one line."""
    shown = "   ".join(
        f"{name} {value} ({interval})" if interval else f"{name} {value}"
        for name, value, interval in with_intervals(metrics)
    )
    print(f"{split}  {shown}")


def print_over_seeds(scores, split):
    """Prints mean and standard deviation of a split's scores in one line, if there are any; their page has more."""
    if scores:
        print(f"{split}  {'   '.join(f'{name} {value}' for name, value, _ in over_seeds(scores))}")
