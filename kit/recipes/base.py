"""What a recipe is made of."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation found out.

    Args:
        metrics: Name to number.
        tables: Name to `pandas.DataFrame`; a leading digit orders them on the page.
        figures: Name to a function that draws a matplotlib figure; a leading digit orders them on the page.
    """

    metrics: dict
    tables: dict = dataclasses.field(default_factory=dict)
    figures: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A task: what the verbs of the kit need to know of it, and no more.

    Args:
        name: The task, as its module is called.
        purpose: What it is for, in one line.
        build: Builder `(facts, *, settings, optimizer) -> compiled model`.
        data: Data function `(seed, saved, *, settings) -> Splits`.
        evaluate: Function `(model, examples, assets, *, settings) -> Evaluation`.
        predict: Function `(model, inputs, assets, *, settings) -> pandas.DataFrame`.
        monitors: Names in the logs that may decide which epoch is best, each with its direction; the first is the
            default.
        architectures: Variant to (builder, arguments): what `[backbone]` is bound to.
        architecture_key: Setting of `[model]` that names the variant.
        network: Function from what `build` returns to the functional model that predicts and is saved.
        prepare: Function `(model, splits)` run once before training, such as layer-wise pre-training; or None.
    """

    name: str
    purpose: str
    build: Callable
    data: Callable
    evaluate: Callable
    predict: Callable
    monitors: dict
    architectures: dict
    architecture_key: str = "backbone"
    network: Callable = lambda model: model
    prepare: Callable | None = None
