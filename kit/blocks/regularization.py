"""Regularisation: stochastic depth (DropPath), layer scale, L1 and L2 penalties of kernels."""

import keras
from keras import layers, ops, regularizers

from kit.errors import check


@keras.saving.register_keras_serializable("kit")
class StochasticDepth(layers.Layer):
    """Drops a whole residual branch, per example, while training.

    Huang et al., "Deep Networks with Stochastic Depth", 2016. What is kept is scaled by `1 / (1 - rate)`, so nothing
    changes in expectation and nothing has to be done at inference.

    Args:
        rate: Probability that an example's branch is dropped, from 0 to below 1.
        seed: Seed of the layer's own random numbers.

    Shape:
        in, out: (batch, ...)

    Raises:
        SettingError: `rate` is out of range.
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        check(0 <= rate < 1, "rate", rate, "a number from 0 to below 1")
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True
        self.built = True

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        shape = (ops.shape(inputs)[0],) + (1,) * (len(inputs.shape) - 1)
        uniform = keras.random.uniform(shape, seed=self.seed_generator)
        keep = ops.cast(uniform >= self.rate, inputs.dtype)
        return inputs * keep / (1 - self.rate)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable("kit")
class LayerScale(layers.Layer):
    """Multiplies each channel by a learned factor that begins small, so that deep networks begin as identities.

    Touvron, Cord, Sablayrolles, Synnaeve and Jegou, "Going Deeper with Image Transformers", 2021.

    Args:
        start: Value that the factors begin at.

    Shape:
        in, out: (batch, ..., channels)
    """

    def __init__(self, start, **kwargs):
        super().__init__(**kwargs)
        self.start = start
        self.supports_masking = True

    def build(self, input_shape):
        start = keras.initializers.Constant(self.start)
        self.factor = self.add_weight((input_shape[-1],), initializer=start, name="factor")
        self.built = True

    def call(self, inputs):
        return inputs * ops.cast(self.factor, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "start": self.start}


def branch(x, layer_scale=0.0, drop_rate=0.0, *, name):
    """Layer scale and stochastic depth of a residual branch, before it is added.

    Args:
        x: Output of the branch.
        layer_scale: Value that its learned factors begin at; 0 is none.
        drop_rate: Probability of dropping it, per example; 0 is never.
        name: Prefix of the layers' names.

    Shape:
        in, out: (batch, ..., channels)
    """
    if layer_scale:
        x = LayerScale(layer_scale, name=f"{name}_scale")(x)
    return StochasticDepth(drop_rate, name=f"{name}_drop")(x) if drop_rate else x


def penalize_kernels(model, l1=0.0, l2=0.0):
    """Adds an L1 and an L2 penalty to every kernel of a model; biases and normalisation scales are left free.

    Args:
        model: A built model; changed in place.
        l1: Factor of the sum of absolute kernel values in the loss.
        l2: Factor of the sum of squared kernel values in the loss.

    Raises:
        SettingError: a factor is negative.
    """
    check(l1 >= 0, "l1", l1, "a number of at least 0")
    check(l2 >= 0, "l2", l2, "a number of at least 0")
    if not l1 and not l2:
        return
    for layer in model._flatten_layers(include_self=False, recursive=True):
        for variable in layer._trainable_variables:
            if variable.name == "kernel":
                variable.regularizer = regularizers.L1L2(l1, l2)
                layer.kernel_regularizer = variable.regularizer
