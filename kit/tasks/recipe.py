"""Recipe, task, stages and evaluation: the records that the runs of the kit are driven by."""

import dataclasses
from collections.abc import Callable
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Scores, tables and figures of an evaluation.

    Args:
        metrics: Name to number.
        tables: Name to `pandas.DataFrame`; a leading digit orders them on the page.
        figures: Name to a function that draws a matplotlib figure; a leading digit orders them on the page.
        predictions: Function that returns a table of the answers to single examples: `label`, `prediction` and the
            like, the number of the example in the split being its index; None where there are no such answers.
        suspects: Table of examples that are likely labelled wrongly, with their number in the split as `row`, see
            `kit.scoring.label_errors`; or None.
    """

    metrics: dict
    tables: dict = dataclasses.field(default_factory=dict)
    figures: dict = dataclasses.field(default_factory=dict)
    predictions: Callable | None = None
    suspects: object = None


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """Several models of one task, whose answers are averaged; `Task.predict` takes it in place of a model.

    Args:
        models: The networks.
        assets: The assets that each of them was trained with.
    """

    models: list
    assets: list


def members(model, assets):
    """Returns the pairs (network, assets) of an `Ensemble`, or that of one model."""
    return zip(model.models, model.assets, strict=True) if isinstance(model, Ensemble) else [(model, assets)]


def as_text(predictions, is_terminal):
    """Returns a table of predictions as text, without the columns of single classes' probabilities."""
    shown = predictions[[name for name in predictions.columns if not name.startswith("p(")]]
    return shown.to_string(index=False, float_format=lambda value: f"{value:.3f}")


@dataclasses.dataclass(frozen=True)
class Task:
    """A kind of answer, such as a class or a tag for each word: how it is scored, predicted and shown.

    A function of a module of `kit.tasks` makes one, closed over what a recipe alone knows, such as how inputs are read.

    Args:
        monitors: Names in the logs that may decide which epoch is best, each with its direction; the first is the
            default.
        shares: Those of them that are shares of the validation examples: of epochs whose values differ by less than a
            standard error, the last is kept.
        evaluate: Function `(model, examples, assets, *, settings) -> Evaluation`.
        predict: Function `(model, inputs, assets, *, settings) -> pandas.DataFrame`.
        stream: Function like `predict` that returns a generator of pieces of what `show` would print, for a terminal,
            or None where it cannot be had piece by piece; or None.
        validate: Function `(model, examples, assets) -> dict` run after each epoch on the validation split: values that
            `fit` cannot compute batch by batch; they are in the logs as `val_<name>`, and may be monitored. An empty
            dictionary says that there are none for this model; or None.
        calibrate: Function `(model, examples, assets, *, settings) -> dict`, its settings among those of `evaluate`,
            run once after training on the validation split: more assets for `evaluate` and `predict`, such as a
            temperature; or None.
        show: Function `(predictions, is_terminal) -> str`: how `kit predict` prints what `predict` returned.
        inputs: What `kit predict` is given: "files", "text" (texts, and files of them), "optional" (files, or nothing:
            it makes something then), or "none" (it makes something out of noise).
        instead: Settings of `predict` that say what is to be answered in place of inputs, such as a user.
        usage: What follows `kit predict RUN` in the example that training ends with; by default it goes by `inputs`.
        observers: Function `(network, splits, folder) -> list` of callbacks that look on while it trains, and keep no
            state but what their `arrays()` returns; or None.
        curves: Function `(history) -> dict` of figures of how the training went, as in `Evaluation`; or None.
        hints: Function `(history, best_epoch, examples, assets) -> list` of sentences that tell, by the validation
            examples, that nothing was learned or not what should be; or None.
        illustrate: Function `(splits, seed) -> dict` of figures of the training data, as in `Evaluation`; or None.
        explain: Function `(model, inputs, assets, *, settings) -> kit.reporting.explanation.Explanation`: what answers
            rest on; or None where that has no meaning.
        explains_splits: Without inputs, `explain` is given the `Splits` that the run was trained on.
        exported: Function from the network to the part of it that `kit export` writes.
        scores_last: Score the weights of the last epoch on the test split too, beside the best ones.
        scoring_passes: How many times as long as a validation of the same examples the scoring behind a training takes.
        takes_small_steps: Its training steps are so small that one thread takes less time than several.
        some: Function `(examples, rows)` that returns a few examples, for a trial of the evaluation.
        draws: Settings of `evaluate` that are numbers of draws: few are enough for a trial.
        pooled: Function `(predictions, assets, settings) -> Evaluation` of the predictions of several folds, as
            `Evaluation.predictions` has them, with the column `fold`; `settings` are those of `evaluate`. None where
            there are no such predictions.
        ensemble: Assets that runs must have in common for `predict` to average their answers; None where answers
            cannot be averaged.
        served: Settings of `predict` that whoever asks a served run may choose, each with its greatest number, or None.
            None of them writes a file or compiles anew, and inputs with equal ones may share a call.
        by_chance: Settings of `predict`, each with the value at which it draws at random for its inputs, row by row.
            What an input is answered goes by those beside it then, so that requests to a served run share no call.
        baseline: Function `(splits, settings, seconds) -> dict` of the scores of a classical model on the test split,
            with its `name`, given the settings of `evaluate` and the CPU-seconds of the training; or None.
        parts: Function `(assets) -> tuple` of the names of the texts of which an input consists, such as question and
            passage; of several `kit predict` and a served run are given a line with tabs between them.
        check: Function `(model, inputs, assets)` that raises KitError for inputs which `predict` would refuse alone,
            though not beside those of others; or None.
    """

    monitors: dict
    evaluate: Callable
    predict: Callable
    stream: Callable | None = None
    shares: tuple = ()
    validate: Callable | None = None
    calibrate: Callable | None = None
    show: Callable = as_text
    inputs: Literal["files", "text", "optional", "none"] = "files"
    instead: tuple = ()
    usage: str | None = None
    observers: Callable | None = None
    curves: Callable | None = None
    hints: Callable | None = None
    illustrate: Callable | None = None
    explain: Callable | None = None
    explains_splits: bool = False
    exported: Callable = lambda network: network
    scores_last: bool = False
    scoring_passes: float = 1.5
    takes_small_steps: bool = False
    some: Callable = lambda examples, rows: examples.take(rows)
    draws: tuple = ("bootstrap_samples",)
    pooled: Callable | None = None
    ensemble: tuple | None = None
    served: dict = dataclasses.field(default_factory=dict)
    by_chance: dict = dataclasses.field(default_factory=dict)
    baseline: Callable | None = None
    parts: Callable = lambda assets: ("text",)
    check: Callable | None = None

    @property
    def example(self):
        """Arguments of `kit predict RUN` that a newcomer may copy."""
        by_inputs = {"text": '--text "..."', "none": "--count 64 --seed 1"}
        return by_inputs.get(self.inputs, "INPUT") if self.usage is None else self.usage


@dataclasses.dataclass(frozen=True)
class Stages:
    """Hooks between building a recipe's model and training it, for recipes that do more than others.

    Args:
        network: Function from what `build` returns to the functional model that predicts and is saved.
        prepare: Function `(model, splits)` run once before training, such as putting pretrained vectors in; or None.
        pretrain: The same for what takes long, such as layer-wise training: a rehearsal leaves it away, and so does a
            run that starts from another one; or None.
        adopt: Builder for a model of one's own, `(facts, network, *, settings, optimizer) -> compiled model`; its
            settings are the `[model]` table then. None where a recipe takes none.
        tied_layers: Asset to patterns of the layers whose rows or columns it gives a meaning, such as the class names
            to the last layer: they are not taken from an earlier run with other ones.
        optional_facts: Parameters of `build` with a default that are facts of the data all the same.
        presets: Variant of a backbone to arguments of `build` that stand in for its defaults.
        optimizer_interval: Setting of `[model]` that says at every how many steps the first optimizer takes one.
    """

    network: Callable = lambda model: model
    prepare: Callable | None = None
    pretrain: Callable | None = None
    adopt: Callable | None = None
    tied_layers: dict = dataclasses.field(default_factory=dict)
    optional_facts: tuple = ()
    presets: dict = dataclasses.field(default_factory=dict)
    optimizer_interval: str | None = None


@dataclasses.dataclass(frozen=True)
class Recipe:
    """An architecture, data and a task under one name.

    Args:
        name: Name of the recipe, as its module is called.
        purpose: What it is for, in one line.
        build: Builder `(facts, *, settings, optimizer) -> compiled model`.
        data: Data function `(seed, saved, *, settings) -> Splits`; `saved` is a `kit.data.splits.Kept`, or None.
        backbones: Setting of `[model]` to table of variants, each a pair (builder, arguments). The settings of the
            chosen variant of `backbone` are the table `[backbone]`; of several, such as `image` and `text`, those of
            each are `[backbone.NAME]`.
        task: `Task`.
        optimizers: Names of the optimizers that `build` takes. Settings of the first are the table `[optimizer]`;
            another one, such as `discriminator`, is the parameter `discriminator_optimizer`, its table
            `[optimizer.discriminator]`, by default the first one's.
        stages: `Stages`.
        own_data: `kit.tasks.own_data.OwnData`: how data of a user's own decide the settings that `own.toml` leaves to
            them; or None.
        backends: Keras backends that it runs on, "jax" among them where nothing that it does is TensorFlow's own.
        examples: What its data are, for `kit inspect`: "labelled images", "images", "sentences" (tagged), "pairs" of
            sentences, "texts to texts", "labelled texts", "plain texts", "questions", "time series", "interactions" or
            "rows" (of tables); None where they are made by acting.
    """

    name: str
    purpose: str
    build: Callable
    data: Callable
    backbones: dict
    task: Task
    optimizers: tuple = ("optimizer",)
    stages: Stages = dataclasses.field(default_factory=Stages)
    own_data: object = None
    backends: tuple = ("tensorflow",)
    examples: (
        Literal[
            *("labelled images", "images", "sentences", "pairs", "labelled texts", "plain texts", "questions"),
            *("texts to texts", "time series", "interactions", "rows"),
        ]
        | None
    ) = None

    @property
    def backbone_tables(self):
        """Setting of `[model]` that names a backbone to the table of that backbone's settings."""
        return {key: "backbone" if key == "backbone" else f"backbone.{key}" for key in self.backbones}

    @property
    def optimizer_tables(self):
        """Parameter of `build` to the table of that optimizer's settings, the first one first."""
        first, *others = self.optimizers
        return {first: "optimizer", **{f"{name}_optimizer": f"optimizer.{name}" for name in others}}

    def chosen(self, settings):
        """Returns the names of the chosen backbones in words, given the table `[model]`."""
        return ", ".join(str(settings[key]) for key in self.backbones)
