"""What the server of workers has done before the first trial: once, and without TensorFlow's runtime."""

import subprocess
import sys


def test_what_every_trial_needs_is_there_and_tensorflow_is_not_used():
    code = (
        "import kit.tuning.preload\n"
        "from kit.runs import schema\n"
        "from tensorflow.python.eager import context\n"
        "assert schema.stored.cache_info().currsize == 1\n"
        "assert context.context()._context_handle is None\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
