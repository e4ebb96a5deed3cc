"""Recommendations after a run: its history, scores and data, gathered for `kit.reporting.advice`."""

import numpy as np

from kit import config


def of_run(parts, history, best_epoch, test, folder):
    """Returns what to try next, as `kit.reporting.advice.advice` does.

    Args:
        parts: `Assembled`.
        history: Table with a row an epoch.
        best_epoch: Epoch whose weights were kept, from 1.
        test: Scores on the test split.
        folder: The run folder.
    """
    from kit.reporting import advice

    splits = parts.splits
    is_made = splits.train.follows_model
    sizes = {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
    if parts.training.use_validation:  # its curves say nothing of what is new to the model
        history = history[[name for name in history if not name.startswith("val_")]]
    facts = advice.Facts(
        history,
        parts.monitor if parts.monitor in history else "loss",
        parts.mode if parts.monitor in history else "min",
        best_epoch,
        config.flatten(parts.settings),
        test,
        {} if is_made else sizes,
        {} if is_made else _classes(splits),
        f"kit train {parts.recipe.name}",
        str(folder),
    )
    return advice.advice(facts)


def _classes(splits):
    """Returns the name of each class and its number of training examples; nothing where examples have no class."""
    names = splits.assets.get("class_names")
    if not names or "label" not in getattr(splits.train, "targets", ()):
        return {}
    counts = np.bincount(np.asarray(splits.train.target("label")), minlength=len(names))
    return dict(zip(map(str, names), counts.tolist(), strict=True))
