"""The settings of `[train]`, and the plan of a training: these settings as they are carried out on data and machine."""

import dataclasses
from typing import Literal

from kit.errors import check
from kit.training import device
from kit.training.cluster import LOCAL, check_name
from kit.training.sampling import Sampling
from kit.training.transfer import Transfer


@dataclasses.dataclass(frozen=True)
class Training:
    """The settings of `[train]`.

    Args:
        epochs: Most epochs to train; early stopping may end sooner, and so may `minutes`. 0 trains nothing: weights are
            evaluated and kept as they are, such as published ones (`model.weights`) or those of `train.start_from`.
        minutes: Minutes that the whole run may take, reading, evaluation and page included: it trains as many epochs as
            go into them, whatever `epochs` says, and the learning rate's schedule follows the clock. Two such runs are
            not the same, since the clock is not; one that is carried on has what was left of its minutes. With several
            seeds each run has as many.
        batch_size: Examples in a training step.
        steps_per_epoch: Steps between two validations and checkpoints; by default one pass over the training
            examples. Fewer make epochs short: the data goes on where it was.
        checkpoint_minutes: Minutes after which the state is saved within an epoch, too, so that a process that dies
            loses no more than these; 0 saves it at the end of each epoch alone, and so do agents and `devices`.
        patience: Epochs without improvement of the monitored value before training stops; 0 never stops early.
        min_delta: What counts as an improvement for early stopping.
        monitor: Value that decides which epoch is best; by default the recipe's own.
        steps_per_execution: Steps in one compiled call; "auto" measures the model on this machine.
        jit_compile: Compile with XLA; "auto" is off on a CPU, where it was measured to be slower.
        mixed_precision: Keras dtype policy; "auto" is mixed_bfloat16 on a GPU that has it (NVIDIA since compute
            capability 8), else Keras' `floatx`, float32. A run that is carried on keeps what was decided at first.
        matmul_precision: Precision of the products of dense layers and convolutions of at least 16 outputs in steps and
            validations of a float32 network: "bfloat16" rounds factors and results to 8 bits, forwards and backwards;
            CPUs with AMX multiply several times as fast. Muon orthogonalises so, too. Weights, sums and all else stay
            float32, and what is saved and scored.
        deterministic: Make every operation deterministic, so that equal runs give equal bits.
        devices: Number of GPUs of this machine to train on (MirroredStrategy); without a GPU, of logical CPUs.
        workers: Number of processes that train one model, each with its rows of every batch: the result is that of one
            process, to rounding. Where one of them dies all end, and the same command goes on. Where Slurm or
            `TF_CONFIG` has started the same command on as many machines, they are these; each is given `--folder`.
        cluster: Where these processes are: "local" is this machine, or those that Slurm or `TF_CONFIG` names; "ray" the
            Ray cluster that it is part of, or which `RAY_ADDRESS` names; "ray://HOST:PORT" one whose client port that
            is. Its nodes share the run folder. Where one is lost, all begin again from the last checkpoint.
        model_parallel: Number of devices among which the matrices of a network are divided, each with every example of
            a batch (`KERAS_BACKEND=jax` alone); without GPUs, of logical CPUs.
        transfer: Weights to begin with, and layers that keep theirs.
        average_epochs: Average the weights of so many last epochs, and keep the mean if it is at least as good on the
            validation split as the best epoch; 0 is off. With a constant learning rate this is stochastic weight
            averaging.
        sampling: Scheduled sampling of a model that writes sequences.
        share: Share of the training examples that is trained on, of each class as near to it as possible; a smaller
            share is part of a larger one. What is learned of them before, such as a vocabulary, is learned of all.
        use_validation: Train on the validation split too, with settings that are decided: nothing stops early, the
            weights are those of the last epoch.
        seeds: Runs of the same settings, one after the other, with `seed`, `seed + 1` and so on. With more than one
            the folder holds a run folder for each, and what their scores say together: mean, standard deviation, and
            interquartile mean with an interval.
        folds: Cross-validation: the examples are divided into so many folds, and each run has another one as its test
            split, and its validation split from the others; 0 is off. The folder holds a run folder for each, their
            statistics, and a table of out-of-fold predictions. A test split that the source itself prescribes is used
            by none of them, and left for a run without folds; its validation split is folded like the rest. Classes
            are stratified, groups (`data.group`) stay whole, and with `data.time` each fold trains on what is earlier
            (forward chaining).
        tensorboard: Write TensorBoard logs into the run folder.
        track: Trackers that are told settings, epochs and scores: "mlflow", "wandb". One that fails is a warning.

    Raises:
        SettingError: a value is out of range.
    """

    epochs: int = 20
    minutes: float | None = None
    batch_size: int = 128
    steps_per_epoch: int | None = None
    checkpoint_minutes: float = 10.0
    patience: int = 10
    min_delta: float = 0.0
    monitor: str | None = None
    steps_per_execution: int | Literal["auto"] = "auto"
    jit_compile: bool | Literal["auto"] = "auto"
    mixed_precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    matmul_precision: Literal["float32", "bfloat16"] = "float32"
    deterministic: bool = False
    devices: int = 1
    workers: int = 1
    cluster: str = "local"
    model_parallel: int = 1
    transfer: Transfer = Transfer()
    average_epochs: int = 0
    sampling: Sampling = Sampling()
    share: float = 1.0
    use_validation: bool = False
    seeds: int = 1
    folds: int = 0
    tensorboard: bool = False
    track: tuple[Literal["mlflow", "wandb"], ...] = ()

    def __post_init__(self):
        for key in ("epochs", "batch_size", "devices", "workers", "seeds", "model_parallel"):
            value, least = getattr(self, key), 0 if key == "epochs" else 1
            check(value >= least, key, value, f"at least {least}")
            check(value < 2**31, key, value, "less than 2147483648")
        is_float32 = self.matmul_precision == "float32" or self.mixed_precision in ("auto", "float32")
        check(is_float32, "matmul_precision", self.matmul_precision, f"'float32' with {self.mixed_precision}")
        check(self.folds != 1 and 0 <= self.folds < 2**31, "folds", self.folds, "0, or at least 2")
        check(not self.folds or self.seeds == 1, "folds", self.folds, "0 with several seeds: each --seed has its own")
        is_possible = self.minutes is None or 0 < self.minutes < 1e6
        check(is_possible, "minutes", self.minutes, "a number of minutes above 0")
        is_possible = 0 <= self.checkpoint_minutes < 1e6
        check(is_possible, "checkpoint_minutes", self.checkpoint_minutes, "a number of minutes, or 0")
        check(self.average_epochs != 1, "average_epochs", 1, "0, or at least 2")
        check(
            not self.epochs or self.average_epochs <= self.epochs,
            "average_epochs",
            self.average_epochs,
            f"at most {self.epochs} epochs",
        )
        unfreeze_epochs = self.transfer.unfreeze_epochs
        check(
            not unfreeze_epochs or not self.epochs or unfreeze_epochs < self.epochs,
            "unfreeze_epochs",
            unfreeze_epochs,
            f"less than the {self.epochs} epochs of the training",
        )
        check(0 < self.share <= 1, "share", self.share, "above 0, at most 1")
        for key in ("patience", "min_delta", "average_epochs"):
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
        check_name(self.cluster, "cluster")
        check(self.workers > 1 or self.cluster == LOCAL, "cluster", self.cluster, f"{LOCAL!r} where train.workers is 1")
        if self.workers > 1:
            check(self.batch_size % self.workers == 0, "batch_size", self.batch_size, f"a multiple of {self.workers}")
            alone = {"devices": (1,), "minutes": (None,), "average_epochs": (0,), "jit_compile": ("auto", False)}
            for key, allowed in (alone | {"steps_per_execution": ("auto", 1)}).items():
                value = getattr(self, key)
                check(value in allowed, key, value, f"{allowed[0]!r} with train.workers above 1")


@dataclasses.dataclass(frozen=True)
class Plan:
    """A training as it is carried out.

    Args:
        training: Its `Training`.
        steps_per_epoch: Steps between two validations and checkpoints.
        steps_per_execution: Steps in one compiled call.
        jit_compile: Whether XLA compiles; "auto" leaves it to Keras.
        mixed_precision: Name of the Keras dtype policy.
    """

    training: Training
    steps_per_epoch: int
    steps_per_execution: int
    jit_compile: bool | Literal["auto"]
    mixed_precision: str

    @property
    def of_machine(self):
        """Decisions for the machine that the training began on, which a resumed run keeps."""
        return {key: getattr(self, key) for key in ("jit_compile", "steps_per_execution", "mixed_precision")}


def steps_per_epoch(training, examples):
    """Returns the steps of an epoch over the training examples.

    Raises:
        SettingError: the batch is larger than the data, or `steps_per_execution` does not divide an epoch; or the
            data, which are made by acting, do not go with a setting.
    """
    if examples.follows_model:
        check(
            training.jit_compile is not True or examples.has_fixed_shapes,
            "jit_compile",
            True,
            "false: rounds are of different sizes, and XLA would compile for each",
        )
    expected = f"at most {len(examples)}, the number of training examples"
    check(training.batch_size <= len(examples), "batch_size", training.batch_size, expected)
    steps = training.steps_per_epoch
    if steps is None:
        steps = examples.steps_per_epoch(training.batch_size)
    if examples.follows_model:
        check(training.minutes is None, "minutes", training.minutes, "none, but epochs: the data are made by acting")
        only = dict.fromkeys(("devices", "workers", "share"), (1,))
        for key, allowed in (only | {"average_epochs": (0,), "steps_per_execution": (1, "auto")}).items():
            value = getattr(training, key)
            check(value in allowed, key, value, f"{allowed[0]}: the data are made by acting")
    if training.steps_per_execution != "auto":
        check(
            steps % training.steps_per_execution == 0,
            "steps_per_execution",
            training.steps_per_execution,
            f"a divisor of the {steps} steps of an epoch",
        )
    return steps


def planned(training, steps, model, examples):
    """Returns the `Plan` of a new training: compilation and steps in one call are decided for this machine.

    Args:
        training: `Training`.
        steps: Steps of an epoch.
        model: The built model.
        examples: The training examples.
    """
    in_a_call = training.steps_per_execution
    if in_a_call == "auto" and (training.devices > 1 or training.workers > 1 or examples.follows_model):
        in_a_call = 1
    elif in_a_call == "auto":
        batch = examples.take(slice(0, training.batch_size)).batches(training.batch_size)
        in_a_call = device.steps_per_execution(model, next(iter(batch))[0], steps)
    is_compiled = False
    if not examples.follows_model or examples.has_fixed_shapes:
        is_compiled = device.compilation(training.jit_compile)
    return Plan(training, steps, in_a_call, is_compiled, device.precision(training.mixed_precision))
