"""Agent: base class of the training wrappers (`keras.Model`), and the callback that keeps experience in checkpoints."""

import keras
import tensorflow as tf

from kit.agents.rounds import Rounds, learning_function
from kit.errors import SettingError
from kit.training.checkpoint import inside
from kit.training.decay import sparing


class Agent(keras.Model):
    """Training wrapper around a network that acts while it learns.

    Args:
        network: Functional model from observations; it is what a run keeps.
        returns: `kit.agents.options.ReturnOptions`.
        name: Name of the wrapper.
    """

    def __init__(self, network, returns, name):
        super().__init__(name=name)
        self.network, self.discount = network, returns.discount
        if keras.config.dtype_policy().name == "mixed_float16":
            raise SettingError("train.mixed_precision", "expected 'float32' or 'mixed_bfloat16' for an agent")

    def compile(self, optimizer, jit_compile="auto"):
        """Sets the optimizer, or its name."""
        optimizer = keras.optimizers.get(optimizer)
        if getattr(inside(optimizer), "use_ema", False):
            raise SettingError("optimizer.use_ema", "the agent acts with the weights as they are; expected false")
        optimizer = sparing(optimizer, self.network)
        super().compile(optimizer=optimizer, jit_compile=jit_compile)
        optimizer.build(self.network.trainable_variables)

    def train_step(self, data):
        """Learns from a round of experience once it is there.

        The round is made with the weights of before, and a compiled step that waits for its data does whatever needs
        none at once: weight decay would reach the weights while the agent still acts with them.
        """
        with tf.control_dependencies([array for array in tf.nest.flatten(data) if array is not None]):
            return self.learn(data)

    def make_train_function(self, force=False):
        """Makes the function that `fit` calls for each step; from `Rounds` it learns by `learning_function`."""
        if self.train_function is not None and not force:
            return
        super().make_train_function(force)
        of_keras, made = self.train_function, []

        def function(iterator):
            if self.run_eagerly or not isinstance(iterator, Rounds):
                return of_keras(iterator)
            data = next(iterator)
            if not made:
                made.append(learning_function(self.train_step, iterator.signature, self.jit_compile))
            return made[0](data)

        self.train_function = function

    def learn(self, data):
        """Takes the gradient steps of a round; returns what to log, a dictionary."""
        raise NotImplementedError


class ExperienceCallback(keras.callbacks.Callback):
    """Lets experience act with the agent that `fit` trains, logs it, and keeps its state in checkpoints.

    Args:
        experience: Training split, a `kit.agents.experience.TrainingExperience`.
        folder: Run folder, where large observations are kept.
    """

    def __init__(self, experience, folder):
        super().__init__()
        self.experience = experience
        self.folder = folder

    def on_train_begin(self, logs=None):
        self.experience.begin(self.model, self.folder, self.params["steps"])

    def on_epoch_end(self, epoch, logs=None):
        logs.update(self.experience.logs())
        if self.experience.is_spent:
            self.model.stop_training = True
        self.saved = self.experience.arrays()

    def arrays(self):
        return self.saved

    def put_back(self, arrays):
        self.experience.put_back(arrays)
