"""Training loop: `keras.Model.fit` with the callbacks in one order, checkpoints, and exact resume."""

import contextlib
import dataclasses
import functools
import logging
import warnings

import keras

from kit.training import averaging, checkpoint, device, fused, layer_rates, lora, parts, tracking, transfer
from kit.training.budget import MOST_EPOCHS
from kit.training.callbacks import (
    BestWeights,
    NaNGuard,
    Progress,
    Scores,
    SynchronizedReplicas,
    WatchedValue,
)
from kit.training.engine import ALONE, SameLogs, SummedMetrics
from kit.training.run_state import RunState, write_history
from kit.training.stopping import Stop

log = logging.getLogger("kit")


@dataclasses.dataclass(frozen=True)
class Trained:
    """Result of a training.

    Args:
        history: A dictionary of values for each epoch.
        best_epoch: The best epoch, from 1; 0 where nothing was trained.
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
    plan,
    *,
    folder,
    monitor,
    mode,
    seed,
    callbacks=(),
    observers=(),
    validate=None,
    watch=None,
    budget=None,
    error=None,
    engine=ALONE,
):
    """Trains a compiled model, or goes on where its checkpoint ends; at the end it has the best epoch's weights.

    The order of the callbacks, each of which may rely on those before it:

    1. `SynchronizedReplicas`, on several devices: all below see one set of weights. `SummedMetrics`, with several
       processes: they see the metrics of all.
    2. `SwapEMAWeights`, with an optimizer that averages weights: validation and all below see the averages.
    3. `Scores`: adds the recipe's own values to the logs; `SameLogs`, with several processes; `Budget`, with one,
       behind it: a validation lasts so long.
    4. `NaNGuard`: nothing below may count or save an epoch that is not a number.
    5. The schedule's own, such as `ReduceLROnPlateau`.
    6. `EarlyStopping`.
    7. `BestWeights`, and `LastWeights` where they are averaged.
    8. `TensorBoard`, and the recipe's own that look on.
    9. `RunState`: saves what all above have counted.
    10. `WatchedValue`, with a `watch`: what it stops can be carried on, since the state is saved before.
    11. `Progress`.
    12. `Freeze`, with frozen layers, `ScheduledSampling`, and `Tracking`.

    Args:
        model: Compiled model or training wrapper.
        network: Functional model inside it whose best weights are kept.
        splits: The `Splits`.
        plan: `Plan`.
        folder: Run folder.
        monitor: Name in the logs that decides which epoch is best.
        mode: "max" or "min".
        seed: Seed of the data stream.
        callbacks: Callbacks that the optimizer's schedule needs.
        observers: Callbacks of the recipe that look on, and keep no state.
        validate: Function that returns values of the validation split by name, run after each epoch; or None.
        watch: Function `(epoch, value) -> bool` that gets each epoch, from 1, and its monitored value, and returns
            whether to stop there; or None.
        budget: `Budget` by whose clock the training ends, whatever the number of its epochs; or None.
        error: How far from the best value of the monitor another is as good; see `BestWeights`.
        engine: `kit.training.engine.Processes` where several processes train; each has a `folder` of its own then.

    Returns:
        `Trained`.
    """
    again = functools.partial(
        fit,
        model,
        network,
        splits,
        plan,
        folder=folder,
        monitor=monitor,
        mode=mode,
        seed=seed,
        callbacks=callbacks,
        observers=observers,
        validate=validate,
        watch=watch,
        budget=budget,
        error=error,
        engine=engine,
    )
    parts.check_counts(model)
    training = plan.training
    if not training.epochs and budget is None:
        log.info("train.epochs is 0: the weights stay as they are")
        lora.merge(network)
        write_history(folder / "history.csv", [])
        return Trained([], 0, 0.0, 0.0, last_weights=network.get_weights())
    most = training.epochs if budget is None else MOST_EPOCHS
    path = folder / "checkpoint" / "state.npz"
    path.parent.mkdir(exist_ok=True)
    restored = checkpoint.load_state(path, most) if path.exists() else None
    done, begun = (restored[1]["epochs"], restored[1].get("steps", 0)) if restored else (0, 0)  # begun: was stopped
    best = BestWeights(
        network,
        monitor,
        mode,
        keep_last=training.use_validation,
        # Few episodes often end alike; an agent that has acted for longer has seen more.
        prefer_latest_on_tie=splits.train.follows_model,
        error=error,
    )
    frozen = training.transfer
    freeze = transfer.Freeze(network, frozen.freeze, frozen.unfreeze_epochs) if frozen.freeze else None
    others = [SynchronizedReplicas()] if training.devices > 1 else []
    if training.workers > 1:
        others.append(SummedMetrics(engine, plan.steps_per_epoch - begun))
    if checkpoint.averages(model):
        others.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    scores = Scores(validate)
    if validate is not None:
        others.append(scores)
    if training.workers > 1:
        others.append(SameLogs(engine))
    if budget is not None:
        others.append(budget)
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
    # What is made by acting has a state of its own, and devices have statistics apart: they are saved by the epoch.
    is_by_step = training.devices == 1 and not splits.train.follows_model
    stop = Stop() if is_by_step and training.workers == 1 else None
    state = RunState(
        path,
        folder / "history.csv",
        others,
        restored,
        plan.steps_per_epoch,
        stop,
        minutes=training.checkpoint_minutes if is_by_step else 0.0,
        is_awaited=watch is not None or splits.train.follows_model,  # what acts goes on in the arrays that are saved
        engine=engine,
    )
    if restored:
        checkpoint.check_fits(path, restored, network, len(others))
    watched = [WatchedValue(watch, monitor)] if watch and not begun else []
    verdicts = [watch(row["epoch"], row[monitor]) for row in restored[1]["history"]] if watched and restored else []
    is_enough = bool(verdicts) and verdicts[-1]
    last_of_all = [*([freeze] if freeze else []), *training.sampling.callbacks(training.epochs)]
    last_of_all += [tracking.Tracking(training.track, folder)] if training.track else []
    for optimizer in checkpoint.optimizers(model):
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
    if training.matmul_precision == "bfloat16":
        device.tell_matmul_precision(len(fused.multiplying_layers(model)))
    model.steps_per_execution = plan.steps_per_execution
    if plan.jit_compile != "auto":
        model.jit_compile = plan.jit_compile
    if restored and (restored[1]["stopped"] or done >= most or is_enough):
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
        size, steps = training.batch_size, plan.steps_per_epoch
        if begun:
            of_all = "" if budget else f" of {most}"
            log.info("going on in epoch %d%s, after step %d of %d", done + 1, of_all, begun, steps)
            # Keras makes the metrics' sums, which are about to be put back, only when they are first needed.
            with fused.training(model, training.matmul_precision):  # its function is that of all validations to come
                model.evaluate(splits.validation.take(slice(0, size)).batches(size), verbose=0)
        elif restored:
            log.info("going on after epoch %d%s", done, "" if budget else f" of {most}")
        restored = None  # may be large, and is in the hands of `RunState`
        progress = Progress(training.epochs, steps - begun, size * splits.train.batches_per_step, best, budget)
        # Made before several processes draw together: what changes the data draws for whole batches by itself.
        shard = {"shard": engine.shard} if training.workers > 1 else {}
        stream = splits.train.stream(size, seed, done * steps + begun, most * steps, **shard)
        heard = stop.heard() if stop else contextlib.nullcontext()
        slower = layer_rates.lowered(model, network, frozen.layer_decay)
        try:
            fast = fused.training(model, training.matmul_precision)
            with warnings.catch_warnings(), engine.together(model), fast, slower, heard:
                warnings.filterwarnings("ignore", "A layer's `trainable` state has changed")  # `Freeze` sees to it
                model.fit(
                    stream,
                    steps_per_epoch=steps - begun,
                    initial_epoch=done,
                    epochs=most,  # of the rest of an epoch `RunState` ends it: the last epoch is another one
                    validation_data=splits.validation.batches(size),
                    callbacks=[*others, state, *watched, progress, *last_of_all],
                    shuffle=False,
                    verbose=0,
                )
        finally:
            state.writer.close()
            progress.stop()
            network.predict_function = None  # traced with what is faster while it trains: equal to rounding alone
            if freeze:
                freeze.restore()
        if begun:  # the rest of that epoch is trained and saved; from here on it is a run after whole epochs
            return again()
        seconds = state.elapsed()
    last_weights = lora.merged_weights(network)
    network.set_weights(best.best_weights)
    averaged = 0
    if last.kept:
        kept = float(state.rows[best.best_epoch][monitor])
        averaged = _averaged(model, network, splits, plan, best, kept, last, freeze, seed, validate)
    lora.merge(network)
    return Trained(state.rows, best.best_epoch + 1, *seconds, scores.cpu_seconds, averaged, last_weights)


def _averaged(model, network, splits, plan, best, kept, last, freeze, seed, validate):
    """Gives a network the mean of its last weights, if they are at least as good as those kept; returns their number.

    `kept` is the value of the epoch that is kept.
    """
    size, done = plan.training.batch_size, plan.training.epochs * plan.steps_per_epoch
    batches = splits.train.stream(size, seed, done, done + averaging.STATISTICS_BATCHES)
    if freeze:
        freeze.apply(plan.training.epochs - 1)
    averaging.average(network, last.kept, batches)
    if freeze:
        freeze.restore()
    found = model.evaluate(splits.validation.batches(size), return_dict=True, verbose=0)
    found |= validate() if validate is not None else {}
    value = float(found[best.monitor.removeprefix("val_")])
    is_better = best.sign * value >= best.sign * kept
    log.info(
        "mean of the last %d epochs: %s %.4f, epoch %d: %.4f; the %s is kept",
        len(last.kept),
        best.monitor,
        value,
        best.best_epoch + 1,
        kept,
        "mean" if is_better else "epoch",
    )
    if is_better:
        return len(last.kept)
    network.set_weights(best.best_weights)
    return 0
