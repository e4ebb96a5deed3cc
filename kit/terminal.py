"""What a person sees while the kit works: its log, and no noise of the libraries below it."""

import logging
import os
import sys
import tempfile

log = logging.getLogger("kit")


def load_tensorflow():
    """Imports TensorFlow without the lines that its libraries write to standard error before any log level counts."""
    kept = os.dup(2)  # native libraries write there, whatever sys.stderr is
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except BaseException:
            hidden.seek(0)
            os.write(kept, hidden.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def show_log():
    """Prints the log of the kit, through whatever standard output is at the moment."""

    class Printer(logging.Handler):
        def emit(self, record):
            print(record.getMessage(), file=sys.stdout, flush=True)

    if not any(type(handler).__name__ == "Printer" for handler in log.handlers):
        log.addHandler(Printer())
    log.setLevel(logging.INFO)
