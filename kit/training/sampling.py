"""Scheduled sampling: a decoder that trains more and more on what it would have written itself."""

import dataclasses
import math
import types
from typing import Literal

import keras
from keras import ops

from kit.errors import check
from kit.training.parts import ModelOfParts

# Share of the way from 0 to 1 of the sampling, at a share of the training: Bengio et al., 2015, section 2.4.
_STEEPNESS = 8.0
SCHEDULES = {
    "linear": lambda done: done,
    "exponential": lambda done: (1 - math.exp(-_STEEPNESS * done)) / (1 - math.exp(-_STEEPNESS)),
    "inverse_sigmoid": lambda done: 0.5 + 0.5 * math.tanh(_STEEPNESS * (done - 0.5) / 2) / math.tanh(_STEEPNESS / 4),
}


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Settings of scheduled sampling.

    Args:
        sampling_rate: Share of the target's tokens that a model which writes sequences takes from its own predictions
            in the last epoch (scheduled sampling); 0 is teacher forcing alone.
        sampling_schedule: How that share grows, from 0 in the first epoch.

    Raises:
        SettingError: a value is out of range.
    """

    sampling_rate: float = 0.0
    sampling_schedule: Literal["linear", "exponential", "inverse_sigmoid"] = "linear"

    def __post_init__(self):
        check(0 <= self.sampling_rate <= 1, "sampling_rate", self.sampling_rate, "a share from 0 to 1")
        check(self.sampling_schedule in SCHEDULES, "sampling_schedule", self.sampling_schedule, " or ".join(SCHEDULES))

    def callbacks(self, epochs):
        """Returns the callbacks of a training of so many epochs."""
        return [ScheduledSampling(self.sampling_rate, self.sampling_schedule, epochs)] if self.sampling_rate else []


class TeacherForcing(ModelOfParts):
    """A functional model from `source` and `target` to the logits of the next target, with its own training step.

    While `sampling` is off it trains as any other: the target so far is the true one. While it is on, a share
    `share.rate` of the target's tokens is replaced by what the model predicts for them from the true ones, and the
    model trains on that mixture: Bengio et al., "Scheduled Sampling for Sequence Prediction with Recurrent Neural
    Networks", 2015, in the two passes of Mihaylova and Martins, "Scheduled Sampling for Transformers", 2019, which need
    no loop over time. The first token, the start, and padding stay.

    It is never saved: `kit` saves the functional model inside.
    """

    sampling = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # In a plain object, which Keras does not track: it is no weight, and is set anew in each epoch.
        self.share = types.SimpleNamespace(rate=keras.Variable(0.0, trainable=False, name="sampling_rate"))
        self.sampling_seed = keras.random.SeedGenerator(0)

    def train_step(self, data):
        if self.sampling:
            inputs, *others = data
            data = ({**inputs, "target": self._mixed(inputs)}, *others)
        return super().train_step(data)

    def _mixed(self, inputs):
        target = inputs["target"]
        predicted = ops.cast(ops.argmax(self(inputs, training=False), axis=-1), target.dtype)[:, :-1]
        uniform = keras.random.uniform(ops.shape(predicted), seed=self.sampling_seed)
        later = target[:, 1:]
        is_replaced = ops.logical_and(uniform < ops.cast(self.share.rate, uniform.dtype), later > 0)
        return ops.concatenate([target[:, :1], ops.where(is_replaced, predicted, later)], axis=1)


class ScheduledSampling(keras.callbacks.Callback):
    """Sets the share of sampled tokens at the beginning of each epoch, from 0 in the first to `rate` in the last.

    Args:
        rate: Share in the last epoch, above 0 and up to 1.
        schedule: A name of `SCHEDULES`.
        epochs: Epochs of the whole training; where there is only one it has the whole rate.
    """

    def __init__(self, rate, schedule, epochs):
        super().__init__()
        self.rate = rate
        self.schedule = SCHEDULES[schedule]
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        self.model.share.rate.assign(self.rate * self.schedule(epoch / (self.epochs - 1) if self.epochs > 1 else 1.0))


def switch_on(model, rate):
    """Makes a model train with sampling; must come before its training function is compiled.

    Raises:
        SettingError: it is none that writes sequences.
    """
    check(isinstance(model, TeacherForcing), "sampling_rate", rate, "0 for a model that writes no sequences")
    model.sampling = True
