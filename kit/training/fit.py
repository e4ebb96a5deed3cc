"""The one way in which every recipe is trained: `keras.Model.fit` with the callbacks in one order."""

import dataclasses
import logging
import warnings
from typing import Literal

import keras

from kit.errors import SettingError, check
from kit.training import averaging, checkpoint, device, fused, sampling, transfer
from kit.training.callbacks import (
    BestWeights,
    NaNGuard,
    Progress,
    RunState,
    Scores,
    SynchronizedReplicas,
    Watched,
    write_history,
)

log = logging.getLogger("kit")


@dataclasses.dataclass
class Training:
    """The settings of `[train]`.

    Args:
        epochs: Most epochs to train; early stopping may end sooner.
        batch_size: Examples in a training step.
        steps_per_epoch: Steps between two validations and checkpoints; by default one pass over the training
            examples. Fewer make epochs short: the data goes on where it was.
        patience: Epochs without improvement of the monitored value before training stops; 0 never stops early.
        min_delta: What counts as an improvement for early stopping.
        monitor: Value that decides which epoch is best; by default the recipe's own.
        steps_per_execution: Steps in one compiled call; "auto" measures the model on this machine.
        jit_compile: Compile with XLA; "auto" is off on a CPU, where it was measured to be slower.
        mixed_precision: Keras dtype policy; "auto" is float32 on a CPU and mixed_bfloat16 on a GPU.
        deterministic: Make every operation deterministic, so that equal runs give equal bits.
        devices: Number of GPUs of this machine to train on (MirroredStrategy); without a GPU, of logical CPUs.
        start_from: Run folder or `.keras` file whose weights the training begins with, wherever layers have the same
            name and shapes.
        freeze: Layers that keep their weights: `backbone` for all but the head, names, or patterns such as `stage1*`.
        unfreeze_epochs: After so many epochs the topmost frozen stage is set free, after as many again the next; 0
            keeps all frozen.
        unfreeze_rate: Factor of the learning rate from the first such moment on: what was learned before should move
            less than a new head.
        average_epochs: Average the weights of so many last epochs, and keep the mean if it is at least as good on the
            validation split as the best epoch; 0 is off. With a constant learning rate this is stochastic weight
            averaging.
        sampling_rate: Share of the target's tokens that a model which writes sequences takes from its own predictions
            in the last epoch (scheduled sampling); 0 is teacher forcing alone.
        sampling_schedule: How that share grows, from 0 in the first epoch.
        use_validation: Train on the validation split too, with settings that are decided: nothing stops early, the
            weights are those of the last epoch.
        seeds: Runs of the same settings, one after the other, with `seed`, `seed + 1` and so on. With more than one
            the folder holds a run folder for each, and what their scores say together: mean, standard deviation, and
            interquartile mean with an interval.
        tensorboard: Write TensorBoard logs into the run folder.

    Raises:
        SettingError: a value is out of range.
    """

    epochs: int = 20
    batch_size: int = 128
    steps_per_epoch: int | None = None
    patience: int = 10
    min_delta: float = 0.0
    monitor: str | None = None
    steps_per_execution: int | Literal["auto"] = "auto"
    jit_compile: bool | Literal["auto"] = "auto"
    mixed_precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    deterministic: bool = False
    devices: int = 1
    start_from: str | None = None
    freeze: tuple[str, ...] = ()
    unfreeze_epochs: int = 0
    unfreeze_rate: float = 1.0
    average_epochs: int = 0
    sampling_rate: float = 0.0
    sampling_schedule: Literal["linear", "exponential", "inverse_sigmoid"] = "linear"
    use_validation: bool = False
    seeds: int = 1
    tensorboard: bool = False

    def __post_init__(self):
        self.settings = dataclasses.asdict(self)
        self.decided = {}
        for key in ("epochs", "batch_size", "devices", "seeds"):
            value = getattr(self, key)
            check(value >= 1, key, value, "at least 1")
            check(value < 2**31, key, value, "less than 2147483648")
        check(
            not self.unfreeze_epochs or self.freeze,
            "unfreeze_epochs",
            self.unfreeze_epochs,
            "0 without train.freeze",
        )
        check(self.average_epochs != 1, "average_epochs", 1, "0, or at least 2")
        check(
            self.average_epochs <= self.epochs, "average_epochs", self.average_epochs, f"at most {self.epochs} epochs"
        )
        check(
            not self.unfreeze_epochs or self.unfreeze_epochs < self.epochs,
            "unfreeze_epochs",
            self.unfreeze_epochs,
            f"less than the {self.epochs} epochs of the training",
        )
        check(0 < self.unfreeze_rate <= 1, "unfreeze_rate", self.unfreeze_rate, "a number above 0 and at most 1")
        check(
            self.unfreeze_rate == 1 or self.unfreeze_epochs,
            "unfreeze_rate",
            self.unfreeze_rate,
            "1 without train.unfreeze_epochs",
        )
        check(0 <= self.sampling_rate <= 1, "sampling_rate", self.sampling_rate, "a share from 0 to 1")
        kinds = tuple(sampling.SCHEDULES)
        check(self.sampling_schedule in kinds, "sampling_schedule", self.sampling_schedule, " or ".join(kinds))
        for key in ("patience", "min_delta", "unfreeze_epochs", "average_epochs"):
            check(getattr(self, key) >= 0, key, getattr(self, key), "at least 0")
        for key in ("patience", "average_epochs") if self.use_validation else ():
            check(
                not getattr(self, key), key, getattr(self, key), "0 with train.use_validation: nothing is left to judge"
            )
        for key in ("steps_per_epoch", "steps_per_execution"):
            value = getattr(self, key)
            check(value in (None, "auto") or 1 <= value < 2**31, key, value, "at least 1")
        check(
            self.batch_size % self.devices == 0,
            "batch_size",
            self.batch_size,
            f"a multiple of the {self.devices} devices",
        )

    def fill(self, examples):
        """Checks the settings against the training examples and fills in `steps_per_epoch`.

        Raises:
            SettingError: the batch is larger than the data, or `steps_per_execution` does not divide an epoch.
        """
        if examples.follows_model:
            examples.divide(self.batch_size)
            check(
                self.jit_compile is not True or examples.has_fixed_shapes,
                "jit_compile",
                True,
                "false: rounds are of different sizes, and XLA would compile for each",
            )
        if self.batch_size > len(examples):
            raise SettingError(
                "batch_size",
                f"expected at most {len(examples)}, the number of training examples, got {self.batch_size}",
            )
        if self.steps_per_epoch is None:
            self.steps_per_epoch = examples.steps_per_epoch(self.batch_size)
        if examples.follows_model:
            for key, allowed in (("devices", 1), ("average_epochs", 0), ("steps_per_execution", ("auto", 1))):
                value = getattr(self, key)
                check(
                    value == allowed or (isinstance(allowed, tuple) and value in allowed),
                    key,
                    value,
                    f"{allowed if key != 'steps_per_execution' else 1}: the data are made by acting",
                )
        if self.steps_per_execution != "auto":
            check(
                self.steps_per_epoch % self.steps_per_execution == 0,
                "steps_per_execution",
                self.steps_per_execution,
                f"a divisor of the {self.steps_per_epoch} steps of an epoch",
            )

    def measure(self, model, examples):
        """Decides what depends on the machine, compilation and steps in one call; a resumed run keeps the decision."""
        steps = self.steps_per_execution
        if steps == "auto" and (self.devices > 1 or examples.follows_model):
            steps = 1
        elif steps == "auto":
            batch = examples.take(slice(0, self.batch_size)).batches(self.batch_size)
            steps = device.steps_per_execution(model, next(iter(batch))[0], self.steps_per_epoch)
        is_compiled = False
        if not examples.follows_model or examples.has_fixed_shapes:
            is_compiled = device.compilation(self.jit_compile)
        self.decided = {"jit_compile": is_compiled, "steps_per_execution": steps}


@dataclasses.dataclass
class Trained:
    """What `fit` leaves behind.

    Args:
        history: A dictionary of values for each epoch.
        best_epoch: The best epoch, from 1.
        seconds: Seconds of training.
        cpu_seconds: CPU-seconds of training.
        score_cpu_seconds: Those of them that the recipe's own validation took, such as playing episodes.
        averaged_epochs: Number of epochs whose mean the weights are; 0 where they are those of the best epoch.
        last_weights: Weights of the network after the last epoch.
    """

    history: list
    best_epoch: int
    seconds: float
    cpu_seconds: float
    score_cpu_seconds: float = 0.0
    averaged_epochs: int = 0
    last_weights: list = dataclasses.field(default_factory=list)


def fit(
    model,
    network,
    splits,
    training,
    *,
    folder,
    monitor,
    mode,
    seed,
    callbacks=(),
    observers=(),
    validate=None,
    watch=None,
):
    """Trains a compiled model, or goes on where its checkpoint ends; at the end it has the best epoch's weights.

    The order of the callbacks, each of which may rely on those before it:

    1. `SynchronizedReplicas`, on several devices: all below see one set of weights.
    2. `SwapEMAWeights`, with an optimizer that averages weights: validation and all below see the averages.
    3. `Scores`: adds the recipe's own values to the logs.
    4. `NaNGuard`: nothing below may count or save an epoch that is not a number.
    5. The schedule's own, such as `ReduceLROnPlateau`.
    6. `EarlyStopping`.
    7. `BestWeights`, and `LastWeights` where they are averaged.
    8. `TensorBoard`, and the recipe's own that look on.
    9. `RunState`: saves what all above have counted.
    10. `Watched`, where someone looks on: what it stops can be carried on, since the state is saved before.
    11. `Progress`.
    12. `Freeze`, with frozen layers, and `ScheduledSampling`.

    Args:
        model: Compiled model or training wrapper.
        network: Functional model inside it whose best weights are kept.
        splits: The `Splits`.
        training: `Training`, filled, its machine's decision made.
        folder: Run folder.
        monitor: Name in the logs that decides which epoch is best.
        mode: "max" or "min".
        seed: Seed of the data stream.
        callbacks: Callbacks that the optimizer's schedule needs.
        observers: Callbacks of the recipe that look on, and keep no state.
        validate: Function that returns values of the validation split by name, run after each epoch; or None.
        watch: Function `(epoch, value) -> bool` that gets each epoch, from 1, and its monitored value, and returns
            whether to stop there; or None.

    Returns:
        `Trained`.
    """
    path = folder / "checkpoint" / "state.npz"
    path.parent.mkdir(exist_ok=True)
    restored = checkpoint.load(path) if path.exists() else None
    done = restored[1]["epochs"] if restored else 0
    best = BestWeights(
        network,
        monitor,
        mode,
        keep_last=training.use_validation,
        # Few episodes often end alike; an agent that has acted for longer has seen more.
        later_of_equals=splits.train.follows_model,
    )
    freeze = transfer.Freeze(network, training.freeze, training.unfreeze_epochs) if training.freeze else None
    others = [SynchronizedReplicas()] if training.devices > 1 else []
    if any(getattr(each, "use_ema", False) for each in checkpoint.optimizers(model)):
        others.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    scores = Scores(validate)
    if validate is not None:
        others.append(scores)
    others.append(NaNGuard())
    for callback in callbacks:
        callback.monitor, callback.mode = monitor, mode
        others.append(callback)
    if training.patience:
        others.append(keras.callbacks.EarlyStopping(monitor, training.min_delta, training.patience, mode=mode))
    others.append(best)
    last = averaging.LastWeights(network, training.average_epochs)
    if training.average_epochs:
        others.append(last)
    if training.tensorboard:
        others.append(keras.callbacks.TensorBoard(folder / "tensorboard"))
    others.extend(observers)
    state = RunState(path, folder / "history.csv", others, restored)
    watched = [Watched(watch, monitor)] if watch else []
    verdicts = [watch(row["epoch"], row[monitor]) for row in restored[1]["history"]] if watch and restored else []
    is_enough = bool(verdicts) and verdicts[-1]
    last_of_all = [freeze] if freeze else []
    if training.sampling_rate:
        last_of_all.append(
            sampling.ScheduledSampling(training.sampling_rate, training.sampling_schedule, training.epochs)
        )
    for optimizer in checkpoint.optimizers(model):
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
    model.steps_per_execution = training.decided["steps_per_execution"]
    if training.decided["jit_compile"] != "auto":
        model.jit_compile = training.decided["jit_compile"]
    if restored and (restored[1]["stopped"] or done >= training.epochs or is_enough):
        values = restored[1]
        checkpoint.assign(checkpoint.variables(model), restored[0]["variables"])
        best.put_back(restored[0])
        last.put_back(restored[0])
        write_history(folder / "history.csv", values["history"])
        best.best_epoch = values["counters"][others.index(best)]["best_epoch"]
        best.best = values["counters"][others.index(best)]["best"]
        if validate is not None:
            scores.cpu_seconds = values["counters"][others.index(scores)]["cpu_seconds"]
        seconds = values["seconds"]
    else:
        if restored:
            log.info("going on after epoch %d of %d", done, training.epochs)
            restored = None  # may be large, and is in the hands of `RunState`
        size, steps = training.batch_size, training.steps_per_epoch
        progress = Progress(training.epochs, steps, size * splits.train.batches_per_step, best)
        try:
            with warnings.catch_warnings(), fused.batch_normalization(model):
                warnings.filterwarnings("ignore", "A layer's `trainable` state has changed")  # `Freeze` sees to it
                model.fit(
                    splits.train.stream(size, seed, done * steps, training.epochs * steps),
                    steps_per_epoch=steps,
                    initial_epoch=done,
                    epochs=training.epochs,
                    validation_data=splits.validation.batches(size),
                    callbacks=[*others, state, *watched, progress, *last_of_all],
                    shuffle=False,
                    verbose=0,
                )
        except Exception:
            failed(splits.train)
            raise
        finally:
            progress.stop()
            if freeze:
                freeze.restore()
        seconds = state.elapsed()
    last_weights = network.get_weights()
    network.set_weights(best.best_weights)
    averaged = 0
    if last.kept:
        averaged = _averaged(model, network, splits, training, best, last, freeze, seed, validate)
    return Trained(state.rows, best.best_epoch + 1, *seconds, scores.cpu_seconds, averaged, last_weights)


def failed(examples):
    """Raises what broke the stream of examples that are made by acting off, if anything did."""
    if getattr(examples, "failure", None) is not None:
        raise examples.failure from None


def _averaged(model, network, splits, training, best, last, freeze, seed, validate):
    """Gives a network the mean of its last weights, if they are at least as good as the best; returns their number."""
    size, done = training.batch_size, training.epochs * training.steps_per_epoch
    batches = splits.train.stream(size, seed, done, done + averaging.STATISTICS_BATCHES)
    if freeze:
        freeze.apply(training.epochs - 1)
    averaging.average(network, last.kept, batches)
    if freeze:
        freeze.restore()
    found = model.evaluate(splits.validation.batches(size), return_dict=True, verbose=0)
    found |= validate() if validate is not None else {}
    value = float(found[best.monitor.removeprefix("val_")])
    is_better = best.sign * value >= best.sign * best.best
    log.info(
        "mean of the last %d epochs: %s %.4f, epoch %d: %.4f; the %s is kept",
        len(last.kept),
        best.monitor,
        value,
        best.best_epoch + 1,
        best.best,
        "mean" if is_better else "epoch",
    )
    if is_better:
        return len(last.kept)
    network.set_weights(best.best_weights)
    return 0
