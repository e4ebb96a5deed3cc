"""Own data: rules that decide the settings which are "auto" in `own.toml`, by facts of the data and of the machine.

A rule is a plain function of `Facts` that returns a value and the reason for it, None where there is nothing to say. A
recipe names its rules, setting by setting, in the order in which they are asked: one may rely on what those before it
have decided. Here is what they share; those of images, texts and tables are in files of their own.
"""

import dataclasses
import math
from collections.abc import Callable


@dataclasses.dataclass
class Facts:
    """Facts of a data set that decide settings: numbers of examples, classes and words, sizes of images, answers.

    Args:
        examples: Training examples.
        classes: Number of classes; 0 where there are none.
        side: Median of the shorter sides of the images, in pixels; 0 for texts.
        is_of_one_size: All images have one size.
        channels: Channels of the images.
        tokens: Words of the training texts, those of both sides of a pair.
        words: Different words of the training texts.
        length: Words of a text that 99 of 100 do not exceed.
        columns: Columns of a table that may be learned from.
        answer: What is answered to a row of a table: "label", "labels" or "number".
        settings: Settings as they stand: flat dictionary of dotted keys, with what has been decided so far.
    """

    examples: int
    classes: int = 0
    side: int = 0
    is_of_one_size: bool = True
    channels: int = 0
    tokens: int = 0
    words: int = 0
    length: int = 0
    columns: int = 0
    answer: str = "label"
    settings: dict = dataclasses.field(default_factory=dict)

    @property
    def is_photographs(self):
        """Images are coloured, and larger than an icon."""
        return self.channels == 3 and self.side > 36


@dataclasses.dataclass(frozen=True)
class OwnData:
    """How data of a user's own decide settings.

    Args:
        look: Function `(data, given) -> dict` of fields of `Facts`, of `kit.data.source_facts`.
        rules: Dotted key of a setting to a function from `Facts` to its value and the reason in words. In place of the
            value it may return a dictionary of settings: its own, and those that go with it unless they were stated.
        sizes: Function from `Facts` to a list of `Size`, of which the minutes of a training choose; or None.
    """

    look: Callable
    rules: dict
    sizes: Callable | None = None


@dataclasses.dataclass(frozen=True)
class Size:
    """A network that may take the place of the usual one.

    Args:
        values: Flat dictionary of its settings; the usual one's too.
        times: How many times as long as the usual one it takes for an example.
    """

    values: dict
    times: float


def batches(steps, least, unit, most=128):
    """Returns the rule that batches have such a size that an epoch has about so many steps, from `least` to `most`.

    Args:
        steps: Steps of an epoch.
        least: Smallest batch.
        unit: Plural of an example.
        most: Largest batch.
    """

    def rule(facts):
        size = 2 ** round(math.log2(max(facts.examples / steps, 1)))
        return min(max(size, least), most), f"{facts.examples:,} training {unit}"

    return rule


def epochs_of_steps(steps, least, unit):
    """Returns the rule that a training has about so many steps, and `least` to 40 epochs.

    Args:
        steps: Steps of the whole training.
        least: Fewest epochs.
        unit: Plural of an example.
    """

    def rule(facts):
        size = facts.settings["train.batch_size"]
        number = round(steps * size / max(facts.examples, size))
        return min(max(number, least), 40), f"{facts.examples:,} training {unit} in batches of {size}"

    return rule


def rate_by_batch(rate, batch_size):
    """Returns the rule that the learning rate goes by the square root of the batch.

    Args:
        rate: A rate that was tuned.
        batch_size: The batch that it was tuned at.
    """

    def rule(facts):
        size = facts.settings["train.batch_size"]
        return float(f"{rate * math.sqrt(size / batch_size):.2g}"), f"batches of {size}"

    return rule


def by_weights(usual, published):
    """Returns the rule that is `published` where a network begins with published weights, and else `usual`."""

    def rule(facts):
        return (published if facts.settings.get("model.weights") else usual)(facts)

    return rule
