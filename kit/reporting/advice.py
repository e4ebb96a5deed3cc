"""Recommendations after a training: findings from its curves, scores and data, each with the settings that help.

Plain functions of tables and numbers, which know no model. A setting that the recipe does not have is not advised.
"""

import dataclasses

import numpy as np

from kit.reporting.numbers import digits, is_share, label, percent

# A gain in the last quarter of the epochs of less than this share of all that was gained says that it has ended.
_STILL = 0.02
# A validation loss so much above its lowest, or a training accuracy so much above that of validation, is over-fitting.
_RISEN, _GAP = 0.1, 0.05
# A class with so many times the examples of another one; examples below which a class has too few.
_UNEQUAL, _FEW = 3, 20
# Half of an interval that is wider than this tells little apart.
_WIDE = 0.02
# A training loss that rises by such a share in so many of the epochs does not settle.
_JUMP, _OFTEN = 0.1, 0.2
_FEWEST_EPOCHS = 4


@dataclasses.dataclass(frozen=True)
class Facts:
    """Summary of a finished training, which recommendations go by.

    Args:
        history: Table with a row an epoch.
        monitor: Name of the monitored value.
        mode: Its direction, "max" or "min".
        best_epoch: Epoch whose weights were kept, from 1.
        settings: All settings of the run by dotted key, those that nobody has set too.
        test: Scores on the test split; those with an interval have `_low` and `_high`.
        sizes: Number of training, validation and test examples by name; empty where the data are made by acting.
        classes: Name of each class to its number of training examples; empty where there are no classes.
        command: How the run is trained again, such as `kit train RECIPE`.
        folder: The run folder as text.
    """

    history: object
    monitor: str
    mode: str
    best_epoch: int
    settings: dict
    test: dict = dataclasses.field(default_factory=dict)
    sizes: dict = dataclasses.field(default_factory=dict)
    classes: dict = dataclasses.field(default_factory=dict)
    command: str = "kit train RECIPE"
    folder: str = "RUN"

    @property
    def values(self):
        """The monitored value of each epoch, higher being better."""
        values = np.asarray(self.history[self.monitor], "float64")
        return values if self.mode == "max" else -values


def advice(facts):
    """Returns what to try next, what helps most first.

    Args:
        facts: `Facts`.

    Returns:
        A list of dictionaries: `finding`, a sentence, and `settings`, flags of the command line that do it.
    """
    rules = (too_few_examples, unequal_classes, still_rising, over_fitted, under_fitted, unsettled, wide_interval)
    found = [(finding, settings) for rule in rules for finding, settings in [rule(facts) or ("", ())] if finding]
    return [{"finding": finding, "settings": list(settings)} for finding, settings in found]


def still_rising(facts):
    """Finds a training that ended while its validation score was still rising.

    Returns:
        The finding and the settings that help, or None; so do all rules below.
    """
    values, epochs = facts.values, len(facts.history)
    minutes = facts.settings.get("train.minutes")
    if epochs < _FEWEST_EPOCHS or (not minutes and epochs < facts.settings.get("train.epochs", epochs)):
        return None  # it was stopped early: nothing was rising
    quarter = max(1, epochs // 4)
    before, last = values[:-quarter].max(), values[-quarter:].max()
    noise = np.median(np.abs(np.diff(values[epochs // 2 :])))
    gained = last - values[0]
    is_rising = values.argmax() >= epochs - max(1, epochs // 10) and gained > 0
    if not is_rising or last - before <= max(_STILL * gained, noise):
        return None
    name = facts.monitor.removeprefix("val_").replace("_", " ")
    word = "rising" if facts.mode == "max" else "falling"
    return (
        f"Validation {name} was still {word} when the training ended: more epochs.",
        _flags(facts, {"train.minutes": 2 * minutes} if minutes else {"train.epochs": 2 * epochs}),
    )


def over_fitted(facts):
    """Finds a training that went on learning its examples by heart."""
    history = facts.history
    reasons = []
    if "val_loss" in history and "loss" in history and len(history) >= _FEWEST_EPOCHS:
        held_out, own = (np.asarray(history[name], "float64") for name in ("val_loss", "loss"))
        lowest = int(held_out.argmin())
        rise = held_out[-1] - held_out[lowest]
        if rise > _RISEN * abs(held_out[lowest]) and own[-1] < own[lowest]:
            reasons.append(f"the validation loss has risen since epoch {lowest + 1} while that of training fell")
    if {"accuracy", "val_accuracy"} <= set(history):
        row = history.iloc[facts.best_epoch - 1]
        gap = float(row["accuracy"] - row["val_accuracy"])
        examples = facts.sizes.get("validation", 0)
        noise = 2 * np.sqrt(max(row["val_accuracy"] * (1 - row["val_accuracy"]), 0) / max(examples, 1))
        if gap > max(_GAP, noise):
            reasons.append(f"training examples are answered {percent(gap)} points better than those of validation")
    if not reasons:
        return None
    settings = facts.settings
    remedies = {}
    if "data.rand_augment" in settings and not settings["data.rand_augment"]:
        remedies["data.rand_augment"] = 2
    dropout = settings.get("model.dropout")
    if dropout is not None and dropout < 0.5:
        remedies["model.dropout"] = round(min(0.5, dropout + 0.2), 2)
    decay = settings.get("optimizer.weight_decay")
    if isinstance(decay, float | int) and decay < 0.1:
        remedies["optimizer.weight_decay"] = float(f"{max(10 * decay, 0.01):.1g}")
    more = f"; more examples, too: `kit learning-curve {facts.folder}` estimates what twice as many would give"
    return f"Over-fitted: {' and '.join(reasons)}{more if facts.sizes else ''}.", _flags(facts, remedies)


def under_fitted(facts):
    """Finds a classifier that does not even fit its training examples, and has ended to improve."""
    history, epochs = facts.history, len(facts.history)
    if not {"accuracy", "val_accuracy"} <= set(history) or epochs < _FEWEST_EPOCHS or still_rising(facts):
        return None
    row = history.iloc[facts.best_epoch - 1]
    if row["accuracy"] > 0.9 or row["accuracy"] - row["val_accuracy"] > _GAP / 2:
        return None
    finding = (
        f"Under-fitted: of the training examples themselves {percent(float(row['accuracy']))} % are answered right. "
        f"A larger model.backbone, or another learning rate: `{facts.command} --find-learning-rate` finds one."
    )
    dropout = facts.settings.get("model.dropout")
    return finding, _flags(facts, {"model.dropout": 0.0} if dropout else {})


def unequal_classes(facts):
    """Finds classes of very different size."""
    counts = facts.classes
    if len(counts) < 2 or facts.settings.get("data.class_weights") != "none":
        return None
    most, least = max(counts, key=counts.get), min(counts, key=counts.get)
    if counts[most] < _UNEQUAL * max(counts[least], 1):
        return None
    finding = (
        f"The classes are unequal: {counts[most]:,} training examples of {most}, {counts[least]:,} of {least}. "
        "Let rare ones count as much as frequent ones."
    )
    return finding, _flags(facts, {"data.class_weights": "balanced"})


def too_few_examples(facts):
    """Finds classes that have so few training examples that more of them are worth more than any setting."""
    few = {name: count for name, count in facts.classes.items() if count < _FEW}
    if not few:
        return None
    names = sorted(few, key=few.get)
    shown = ", ".join(f"{name} ({few[name]})" for name in names[:5])
    shown += f" and {len(names) - 5} more" if len(names) > 5 else ""
    finding = (
        f"Few training examples of {shown}: at least {_FEW}, better some hundred of each class, are worth more than "
        "any setting."
    )
    settings = facts.settings
    is_of_texts = "data.tokenizer" in settings  # whose weights are a folder that is to be found first
    if is_of_texts or settings.get("model.weights", "") is not None:
        return finding, ()
    return f"{finding} Of photographs, published weights need the fewest (of the backbones that have some).", _flags(
        facts, {"model.weights": "imagenet"}
    )


def unsettled(facts):
    """Finds a training loss that jumps up again and again."""
    if "loss" not in facts.history or len(facts.history) < _FEWEST_EPOCHS + 1:
        return None
    loss = np.asarray(facts.history["loss"], "float64")
    rises = int((np.diff(loss) > _JUMP * np.abs(loss[:-1])).sum())
    if not facts.sizes or rises < max(2, _OFTEN * (len(loss) - 1)):
        return None
    rate = facts.settings.get("optimizer.learning_rate")
    remedies = {"optimizer.learning_rate": float(f"{rate / 3:.1g}")} if isinstance(rate, float) else {}
    return (
        f"The training loss jumped up in {rises} of {len(loss) - 1} epochs: a lower learning rate, or bounded "
        "gradients.",
        _flags(facts, remedies | {"optimizer.global_clipnorm": 1.0}),
    )


def wide_interval(facts):
    """Finds a test split that is too small to tell two runs apart."""
    for name, value in facts.test.items():
        low, high = (facts.test.get(f"{name}_{end}") for end in ("low", "high"))
        if low is None or not 0 <= high <= 1 or not isinstance(value, float):
            continue
        half = (high - low) / 2
        if half <= _WIDE or not facts.sizes.get("test"):
            return None
        shown = f"{percent(half)} points" if is_share(name) else digits(half)
        return (
            f"The test split has {facts.sizes['test']:,} examples: {label(name)} is known to "
            f"± {shown}, and smaller differences between two runs say nothing. Several seeds, and more "
            "test examples, tell more.",
            _flags(facts, {"train.seeds": 5}),
        )
    return None


def _flags(facts, settings):
    """Returns those of some settings that the recipe has, as flags of the command line."""
    return [f"--{key} {value}" for key, value in settings.items() if key in facts.settings]
