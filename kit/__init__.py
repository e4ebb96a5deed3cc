"""kit: image classification and more with Keras, from one command to a trained model that explains itself.

    run = kit.train("image_classification", data={"source": "photos"})
    run.predict("new_photo.jpg")
    kit.load(run.folder)

TensorFlow loads on first use, so that `import kit` and `kit --help` are quick.
"""

import importlib

__version__ = "0.1.0"
__all__ = [
    *(
        "dry_run",
        "evaluate",
        "find_learning_rate",
        "inspect",
        "learning_curve",
        "load",
        "pack",
        "predict",
        "recipes",
        "report",
    ),
    *("serve", "train", "tune"),
]

_VERBS = {
    "train": "runs.run",
    "tune": "tuning.study",
    "serve": "serving.server",
    "inspect": "commands.inspect",
    "pack": "commands.pack",
    "dry_run": "runs.rehearsal",
    "find_learning_rate": "runs.rehearsal",
    "learning_curve": "runs.learning_curve",
    **dict.fromkeys(("load", "evaluate", "predict", "report"), "runs.finished"),
}

_ROOMS = (
    *("agents", "blocks", "data", "inspection", "models", "recipes", "reporting", "scoring"),
    *("serving", "tasks", "training", "tuning", "weights"),
)


def __getattr__(name):
    if name in _VERBS:
        return getattr(importlib.import_module(f"kit.{_VERBS[name]}"), name)
    if name in _ROOMS:
        return importlib.import_module(f"kit.{name}")
    raise AttributeError(f"module 'kit' has no attribute {name!r}")
