"""Answers to texts: one label, several, or a number, each with a classical model on the same division beside it."""

import dataclasses

import numpy as np

from kit.data.labelled_texts import TEXTS, Lengths, mean_of_windows, text_examples, whole_texts
from kit.data.text_inputs import read_parts
from kit.data.tokens import Tokenizer
from kit.reporting import token_plots
from kit.tasks import classification, multi_label, regression, text_baselines, text_class_explanation
from kit.tasks.by_answer import by_answer

_SHOWN = 300  # characters of a text in a table of mistakes
_CHANGED, _TRIES = 10, 6  # changed texts in a figure, and steps in which they are looked for
_WINDOWS = 256  # windows of long texts in a call


@dataclasses.dataclass(frozen=True)
class Beside(classification.AsItIs):
    """A text as it is, or the mean of its windows, and a classical model beside the network.

    Args:
        baseline: Fit TF-IDF with logistic regression, or with ridge regression of numbers, to the same training texts,
            and score it beside the network where that takes less CPU time than the training took.
    """

    baseline: bool = True

    def logits(self, answer, inputs):
        """Returns what inputs are answered, of windows of texts the mean of each text's."""
        if not isinstance(inputs, dict) or "window_of" not in inputs:
            return answer(inputs)
        inputs = dict(inputs)
        numbers = inputs.pop("window_of")
        parts = [slice(start, start + _WINDOWS) for start in range(0, len(numbers), _WINDOWS)]
        found = [answer({name: values[part] for name, values in inputs.items()}) for part in parts]
        return mean_of_windows(np.concatenate(found), numbers)

    def whole(self, examples, outputs):
        """Returns examples and what they are answered, with one row for each text."""
        return whole_texts(examples, outputs)


def _illustrate(splits, seed):
    """Returns a figure of training texts before and after random changes, if there are any."""
    train = splits.train
    if train.changed is None:
        return {}

    def draw():
        rows = np.arange(min(_CHANGED, len(train)))
        before = list(zip(*(train.extra(name)[rows] for name in TEXTS if name in train.extras), strict=True))
        found = []
        for step in range(_TRIES):  # the first steps in which the texts are not as they are
            after = train.changed.texts(train, rows, seed, step)
            found += [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
        pairs = [tuple(" | ".join(texts) for texts in pair) for pair in found[:_CHANGED]]
        return token_plots.changed_texts([tuple(map(_beginning, pair)) for pair in pairs])

    return {"5_training_texts": draw}


def _beginning(text):
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _described(examples, rows):
    """Returns the texts of examples, the beginning of long ones, as columns of a table."""
    columns = {name: examples.extra(name) for name in TEXTS if name in examples.extras}
    return {name.replace("_", " "): [_beginning(text) for text in values[rows]] for name, values in columns.items()}


def _read(inputs, assets, batch_size):
    """Returns the texts that a user gave, and a function that returns batches of their ids."""
    parts = read_parts(inputs, assets["num_texts"])
    lengths = Lengths(assets["max_length"], assets.get("window_stride", 0))
    examples, numbers, _ = text_examples(parts, Tokenizer(assets["tokenizer"]), lengths)

    def batches():
        for start in range(0, len(parts[0]), batch_size):
            rows = np.flatnonzero((start <= numbers) & (numbers < start + batch_size))
            windows = {"window_of": numbers[rows]} if lengths.window_stride else {}
            yield examples.arrays(rows)[0] | windows

    return [" | ".join(each) for each in zip(*parts, strict=True)], batches


_OF_TEXTS = {"views": Beside(), "inputs": "text", "describe": _described}
# What may be answered, each with its task.
TASKS = {
    "label": classification.task(
        _read, "texts", baseline=text_baselines.of_label, **_OF_TEXTS, **text_class_explanation.functions()
    ),
    "labels": multi_label.task(_read, "texts", baseline=text_baselines.of_labels, **_OF_TEXTS),
    "number": regression.task(_read, "texts", baseline=text_baselines.of_number, **_OF_TEXTS),
}


def task():
    """Returns the `Task` of texts: that of `TASKS` which the data ask for."""
    made = by_answer(TASKS)
    return dataclasses.replace(
        made, illustrate=_illustrate, parts=lambda assets: ("text", "second text")[: assets["num_texts"]]
    )
