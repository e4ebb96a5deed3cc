"""Training by the clock: a run that ends after so many minutes, its learning-rate schedule spread over them."""

import logging
import time

import keras

from kit.errors import SettingError
from kit.terminal import duration

log = logging.getLogger("kit")

# Epochs of a training that ends by the clock: more than any clock allows.
MOST_EPOCHS = 1_000_000
# CPU-seconds that the end of a run takes beside its predictions: compiling them, saving, figures, the page.
_LAST_SECONDS = 3.0
# More than this is not for a processor that waiting was.
_MOST_LOAD = 4.0


def now():
    """Returns a moment: seconds by the clock, and CPU-seconds of this process."""
    return time.perf_counter(), time.process_time()


@keras.saving.register_keras_serializable("kit")
class ByTheClock(keras.optimizers.schedules.LearningRateSchedule):
    """A learning-rate schedule whose step is the share of the time that has gone by, times its steps.

    Args:
        schedule: Keras schedule of a training of `total_steps`.
        total_steps: Its steps.
        share: Variable that holds the share of the time, from 0 to 1.
    """

    def __init__(self, schedule, total_steps, share):
        self.schedule, self.total_steps, self.share = schedule, total_steps, share

    def __call__(self, step):
        return self.schedule(keras.ops.convert_to_tensor(self.share) * self.total_steps)

    def get_config(self):
        """Returns what Keras asks for; the schedule of a training by the clock means nothing outside of it."""
        schedule = keras.optimizers.schedules.serialize(self.schedule)
        return {"schedule": schedule, "total_steps": self.total_steps, "share": float(self.share)}


class Budget(keras.callbacks.Callback):
    """Ends a training when its time is over, with what the end of the run takes still left of it.

    A run that is carried on has what was left of its minutes; how long the machine was used by nothing does not count.

    Args:
        minutes: Minutes that the whole run may take.
        started: Moment when the run began, as `now` tells it.
        scored: Examples that are scored after the training, as a multiple of those of the validation split, times how
            often its scoring passes through them.
    """

    def __init__(self, minutes, started, scored):
        super().__init__()
        self.seconds = minutes * 60
        self.started, self.worked = started
        self.load = 1.0
        self.scored = scored
        self.share = keras.Variable(0.0, trainable=False, dtype="float32", name="share_of_time")
        # Counters of the checkpoint: seconds that the run had taken, and when its first step had ended.
        self.seconds_spent, self.seconds_at_first_step, self.validation_seconds = 0.0, 0.0, 0.0
        self._before = None
        self._validation_began, self._validations = time.perf_counter(), 0

    @property
    def reserve(self):
        """Seconds that are kept for what comes after the last step: a validation, and the end of the run."""
        return _LAST_SECONDS * self.load + self.validation_seconds * (1 + self.scored)

    def check(self):
        """Raises SettingError where no time is left for a training that is about to begin."""
        self._weigh()
        spent = time.perf_counter() - self.started
        if spent + self.reserve >= self.seconds:
            raise SettingError(
                "minutes",
                f"{self.seconds / 60:.3g} leave no time to train: reading the data and building the model took "
                f"{duration(spent)}, and the end of a run takes about {duration(self.reserve)}; expected at least "
                f"{1.5 * (spent + self.reserve) / 60:.1f}",
            )

    def _weigh(self):
        """Measures how much slower the machine is than one with nothing else to do: seconds for a CPU-second."""
        spent, worked = (after - before for after, before in zip(now(), (self.started, self.worked), strict=True))
        # Waiting for a disk or a network slows the beginning down, and not the end.
        self.load = min(max(spent / max(worked, 1e-3), 1.0), _MOST_LOAD)

    def on_epoch_begin(self, epoch, logs=None):
        if self._before is None:
            self._weigh()
            self._before = self.seconds_spent  # of the process that was interrupted
            if self.seconds_at_first_step:
                self._go_on()
            log.info("training ends by the clock, in about %s", duration(self.left))

    def on_train_batch_end(self, batch, logs=None):
        if not self.seconds_at_first_step:  # it compiles; the schedule begins behind it
            self.seconds_at_first_step = self._spent()
        self._go_on()
        if float(self.share) >= 1.0:
            self.model.stop_training = True

    def on_test_begin(self, logs=None):
        self._validation_began = time.perf_counter()

    def on_test_batch_end(self, batch, logs=None):
        if not self._validations and not batch:  # it compiles; a single batch is over soon
            self._validation_began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        took = time.perf_counter() - self._validation_began
        self._validations += 1
        # Scores of a recipe's own compile too when they are first computed: that is forgotten by the second time.
        self.validation_seconds = took if self._validations < 3 else (self.validation_seconds + took) / 2
        self._go_on()

    def _spent(self):
        """Returns the seconds that the run has taken, those of a process that was interrupted included."""
        return (self._before or 0.0) + time.perf_counter() - self.started

    def _go_on(self):
        """Moves the schedule to where the clock is."""
        self.seconds_spent = self._spent()
        whole = max(self.seconds - self.reserve - self.seconds_at_first_step, 1e-3)
        self.share.assign(min(max(self.seconds_spent - self.seconds_at_first_step, 0.0) / whole, 1.0))

    @property
    def left(self):
        """Seconds until the training ends."""
        return max(self.seconds - self.reserve - self._spent(), 0.0)
