"""Quantiles of a number: several outputs in their order, and the level of each."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("kit")
class Quantiles(keras.layers.Layer):
    """Quantiles in their order: outputs that cross each other are sorted.

    Chernozhukov, Fernández-Val and Galichon, "Quantile and Probability Curves Without Crossing", 2010: sorted they are
    never farther from the true ones.

    Args:
        levels: Level of each quantile, between 0 and 1, rising.

    Shape:
        in, out: (batch, levels)
    """

    def __init__(self, levels, **kwargs):
        super().__init__(**kwargs)
        self.levels = [float(level) for level in levels]

    def call(self, inputs):
        return ops.sort(inputs, axis=-1)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "levels": self.levels}
