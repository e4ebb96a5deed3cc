"""One of several processes that train one model; `kit.runs.watching` starts it."""

import contextlib
import os
import shutil
import sys
import threading
import time
from pathlib import Path

from kit import recipes, terminal
from kit.errors import KitError
from kit.files import write_text
from kit.runs import agreement, fitting, schema
from kit.runs import folder as folders
from kit.runs import settings as run_settings
from kit.runs.assembly import assembled
from kit.runs.python_inputs import PythonInputs
from kit.runs.watching import ALIVE, COME, READY, TRAINED


def main(run_folder, folder, pipe):
    """Trains with the others, and returns the exit status.

    Args:
        run_folder: The run folder, of a run that has begun.
        folder: Where this process writes: the run folder in the first process, in others one of their own.
        pipe: Number of a file to which a byte is written every second, until nobody reads it any more.
    """
    threading.Thread(target=_beat, args=(pipe,), daemon=True).start()
    terminal.load_tensorflow()
    import tensorflow as tf

    from kit.training.engine import Processes

    engine = Processes()
    os.write(pipe, COME)
    try:
        with terminal.log_shown(engine.is_chief), folders.logged(folder), agreement.held(run_folder, engine):
            agreement.check_folder(engine, run_folder)
            if not engine.is_chief and (run_folder / "checkpoint").exists():
                shutil.copytree(run_folder / "checkpoint", folder / "checkpoint")
            train(run_folder, folder, engine, pipe)
            if engine.is_chief:
                write_text(run_folder / TRAINED, "")
            engine.of_first({"done": 1})  # nobody leaves before the first one has written what all have made
    except KitError as error:
        print(f"kit: {error}", file=sys.stderr)
        return 2
    except tf.errors.OpError as error:
        if "Collective" not in str(error):
            raise
        print("the others no longer answer", file=sys.stderr)
        return 1
    return 0


def train(run_folder, folder, engine, pipe):
    """Assembles the run in a folder once more, and fits it with the other processes."""
    from kit.config import read_toml

    name = read_toml(run_folder / "config.toml")["recipe"]
    settings = run_settings.of_run(schema.get(name), run_folder, None, {}, None)
    with contextlib.ExitStack() as stack:
        with terminal.log_quiet():  # the one that waits has said what this says of the data
            parts = stack.enter_context(assembled(recipes.get(name), run_folder, settings, PythonInputs()))
        agreement.check_data(engine, parts.splits)
        plan = fitting.plan_of(run_folder, parts)
        engine.of_first({"ready": 1})  # nobody writes a checkpoint before all have read the last one
        os.write(pipe, READY)
        fitting.fitted(parts, plan, folder, engine=engine)


def _beat(pipe):
    """Says every second that this process goes on; ends it where nobody is left to hear."""
    while True:
        try:
            os.write(pipe, ALIVE)
        except OSError:
            os._exit(1)
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
