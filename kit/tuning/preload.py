"""Imported by the server that workers are forked from: all that a trial needs, so that it starts in a moment.

It must not use TensorFlow: what is forked off a process that did may wait for ever.
"""

import gc
import importlib
import pkgutil

from kit import recipes, terminal
from kit.runs import schema

with terminal.native_noise_hidden():
    import tensorflow  # noqa: F401

for name in (
    "kit.runs.run",
    "kit.runs.rehearsal",
    "kit.training.fit",
    "kit.training.optimizers",
    "pandas",
    "sklearn",
    "resource",
):
    importlib.import_module(name)
for recipe in pkgutil.iter_modules(recipes.__path__):
    importlib.import_module(f"kit.recipes.{recipe.name}")
schema.stored()  # to see whether the table of settings is out of date, all sources are read

# What is here now stays in memory that all workers share: the garbage collector would write into it.
gc.collect()
gc.freeze()
