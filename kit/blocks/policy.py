"""Policy heads (categorical, Gaussian), value head, and normalisation of observations."""

import keras
from keras import layers, ops
from keras.config import floatx

# Normalised observations are clipped to this, in standard deviations.
_LIMIT = 10.0


@keras.saving.register_keras_serializable("kit")
class SharedVector(layers.Layer):
    """Learned vector, the same for every input, such as a policy's standard deviations.

    Args:
        dim: Its length.
        initial: Each number of it in the beginning.

    Shape:
        in: (batch, ...), of which only the size of the batch counts
        out: (batch, dim)
    """

    def __init__(self, dim, initial=0.0, **kwargs):
        super().__init__(**kwargs)
        self.dim, self.initial = dim, initial

    def build(self, input_shape):
        self.vector = self.add_weight(
            shape=(self.dim,), initializer=keras.initializers.Constant(self.initial), name="vector"
        )

    def call(self, inputs):
        return ops.broadcast_to(ops.convert_to_tensor(self.vector), (ops.shape(inputs)[0], self.dim))

    def compute_output_shape(self, input_shape):
        return input_shape[0], self.dim

    def get_config(self):
        return {**super().get_config(), "dim": self.dim, "initial": self.initial}


def _dense(dim, gain, name):
    return layers.Dense(dim, dtype=floatx(), kernel_initializer=keras.initializers.Orthogonal(gain), name=name)


def categorical(x, num_actions):
    """Categorical policy head: logits of numbered actions, nearly equal in the beginning, so that all are tried.

    Shape:
        in: (batch, dim)
        out: (batch, num_actions)
    """
    return _dense(num_actions, 0.01, "policy")(x)


def gaussian(x, num_actions, initial_log_std=0.0):
    """Gaussian policy head: means and logarithms of standard deviations of the numbers in an action, side by side.

    The deviations are the same in all states.

    Shape:
        in: (batch, dim)
        out: (batch, 2 * num_actions)
    """
    mean = _dense(num_actions, 0.01, "mean")(x)
    log_std = SharedVector(num_actions, initial_log_std, dtype=floatx(), name="log_std")(mean)
    return layers.Concatenate(dtype=floatx(), name="policy")([mean, log_std])


def head(num_actions, is_continuous, initial_log_std=0.0):
    """Returns the policy head, a function of features, for numbered actions or for vectors of so many numbers."""
    if is_continuous:
        return lambda x: gaussian(x, num_actions, initial_log_std)
    return lambda x: categorical(x, num_actions)


def state_value(x):
    """Value head: the value of the state.

    Shape:
        in: (batch, dim)
        out: (batch, 1)
    """
    return _dense(1, 1.0, "value")(x)


def normalized(observation):
    """Normalises observations by mean and standard deviation, and clips them to ten deviations.

    The moments are set from outside (`layer.moving_mean`, `moving_variance` of the layer `normalization`).

    Shape:
        in: (batch, ...)
        out: (batch, ...)
    """
    axes = list(range(1, len(observation.shape)))
    layer = layers.BatchNormalization(
        axis=axes[-1], center=False, scale=False, epsilon=1e-8, trainable=False, dtype=floatx(), name="normalization"
    )
    return ops.clip(layer(observation), -_LIMIT, _LIMIT)
