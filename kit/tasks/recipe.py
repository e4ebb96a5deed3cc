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


def as_text(predictions, is_terminal):
    """Returns a table of predictions as text, without the columns of single classes' probabilities."""
    shown = predictions[[name for name in predictions.columns if not name.startswith("p(")]]
    return shown.to_string(index=False, float_format=lambda value: f"{value:.3f}")


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
        adopt: Builder for a model of one's own, `(facts, network, *, settings, optimizer) -> compiled model`; its
            settings are the `[model]` table then. None where a recipe takes none.
        network: Function from what `build` returns to the functional model that predicts and is saved.
        prepare: Function `(model, splits)` run once before training, such as layer-wise pre-training; or None.
        is_prepare_long: `prepare` trains: a rehearsal leaves it away, and so does a run that starts from another one.
        validate: Function `(model, examples, assets) -> dict` run after each epoch on the validation split: values that
            `fit` cannot compute batch by batch; they are in the logs as `val_<name>`, and may be monitored. An empty
            dictionary says that there are none for this model; or None.
        meanings: Asset to patterns of the layers whose rows or columns it gives a meaning, such as the classes to the
            last layer: they are not taken from an earlier run with other ones.
        calibrate: Function `(model, examples, assets, *, settings) -> dict`, its settings among those of `evaluate`,
            run once after training on the validation split: more assets for `evaluate` and `predict`, such as a
            temperature; or None.
        illustrate: Function `(splits, seed) -> dict` of figures of the training data, as in `Evaluation`; or None.
        observers: Function `(network, splits, folder) -> list` of callbacks that look on while it trains, and keep no
            state but what their `arrays()` returns; or None.
        curves: Function `(history) -> dict` of figures of how the training went, as in `Evaluation`; or None.
        scores_last: Score the weights of the last epoch on the test split too, beside the best ones.
        optional_facts: Parameters of `build` with a default that are facts of the data all the same.
        variant_settings: Variant to arguments of `build` that stand in for its defaults.
        second_optimizer: Whose optimizer `build` takes as `NAME_optimizer`: its settings are the table
            `[optimizer.NAME]`, by default the first one's; or None.
        optimizer_interval: Setting of `[model]` that says at every how many steps the first optimizer takes one.
        show: Function `(predictions, is_terminal) -> str`: how `kit predict` prints what `predict` returned.
        exported: Function from the network to the part of it that `kit export` writes.
        takes_text: `predict` takes texts, and files of them; else it takes files.
        takes_inputs: `predict` takes anything at all; else it makes something out of nothing.
        needs_inputs: `predict` cannot do without; else it makes something where it is given none.
        takes_small_steps: Its training steps are so small that one thread takes less time than several.
        usage: What follows `kit predict RUN` in the example that training ends with; by default it goes by the above.
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
    adopt: Callable | None = None
    network: Callable = lambda model: model
    prepare: Callable | None = None
    is_prepare_long: bool = False
    validate: Callable | None = None
    meanings: dict = dataclasses.field(default_factory=dict)
    calibrate: Callable | None = None
    illustrate: Callable | None = None
    observers: Callable | None = None
    curves: Callable | None = None
    scores_last: bool = False
    optional_facts: tuple = ()
    variant_settings: dict = dataclasses.field(default_factory=dict)
    second_optimizer: str | None = None
    optimizer_interval: str | None = None
    show: Callable = as_text
    exported: Callable = lambda network: network
    takes_text: bool = False
    takes_inputs: bool = True
    needs_inputs: bool = True
    takes_small_steps: bool = False
    usage: str | None = None
