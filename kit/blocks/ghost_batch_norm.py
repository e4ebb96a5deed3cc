"""Ghost batch normalisation: each small part of a large batch is normalised by its own mean and variance.

Hoffer, Hubara and Soudry, "Train longer, generalize better", 2017.
"""

import keras
from keras import ops
from keras.config import floatx


@ops.custom_gradient
def _normalised(x, mean, scale, share, gamma, beta):
    """Returns (x - mean) * scale * gamma + beta, with the gradient of mean and scale, too: in a few steps, not in many.

    Args:
        x: (parts, rows, dim)
        mean, scale: Mean of each part, and one over its standard deviation, (parts, 1, dim).
        share: One over the number of rows of a part; 0 for rows that do not count, (parts, rows, 1).
        gamma, beta: (dim,)
    """
    factor = scale * gamma

    def gradient(*upstream):
        (dy,) = upstream
        normal = (x - mean) * scale
        of_beta, of_gamma = ops.sum(dy, axis=1, keepdims=True), ops.sum(dy * normal, axis=1, keepdims=True)
        dx = factor * (dy - share * (of_beta + normal * of_gamma))
        return dx, None, None, None, ops.sum(of_gamma, axis=(0, 1)), ops.sum(of_beta, axis=(0, 1))

    return x * factor + (beta - mean * factor), gradient


@keras.saving.register_keras_serializable("kit")
class GhostBatchNormalization(keras.layers.Layer):
    """Batch normalisation of parts of a batch; in prediction by moving means, as batch normalisation does.

    Args:
        virtual_batch_size: Rows of a part; a batch is cut into as few parts of about equal size as hold no more.
        momentum: Share of the moving means that stays at each part.
        epsilon: Added to the variance.

    Shape:
        in, out: (batch, dim)
    """

    def __init__(self, virtual_batch_size=128, momentum=0.98, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.virtual_batch_size, self.momentum, self.epsilon = virtual_batch_size, momentum, epsilon

    def build(self, shape):
        vector = {"shape": (shape[-1],)}
        self.gamma = self.add_weight(**vector, initializer="ones", name="gamma")
        self.beta = self.add_weight(**vector, initializer="zeros", name="beta")
        self.moving_mean = self.add_weight(**vector, initializer="zeros", trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(**vector, initializer="ones", trainable=False, name="moving_variance")

    def call(self, x, training=False):
        if not training:
            scale = self.gamma * ops.rsqrt(self.moving_variance + self.epsilon)
            return x * ops.cast(scale, x.dtype) + ops.cast(self.beta - self.moving_mean * scale, x.dtype)
        batch, dim = ops.shape(x)[0], x.shape[-1]
        parts = (batch + self.virtual_batch_size - 1) // self.virtual_batch_size
        size = (batch + parts - 1) // parts
        # A last part of fewer rows is filled up with zeros, which do not count.
        padded = ops.pad(ops.cast(x, floatx()), [[0, parts * size - batch], [0, 0]])
        grouped = ops.reshape(padded, (parts, size, dim))  # (parts, rows, dim)
        is_real = ops.cast(ops.reshape(ops.arange(parts * size, dtype="int32") < batch, (parts, size, 1)), floatx())
        count = ops.sum(is_real, axis=1, keepdims=True)  # (parts, 1, 1)
        mean = ops.sum(grouped, axis=1, keepdims=True) / count
        # Of the squares less the square of the mean, so that numbers are read once; they are near 0.
        variance = ops.maximum(ops.sum(grouped**2, axis=1, keepdims=True) / count - mean**2, 0.0)
        mean, variance = ops.stop_gradient(mean), ops.stop_gradient(variance)
        self._move(mean[:, 0], variance[:, 0], parts)
        scale = ops.rsqrt(variance + self.epsilon)
        gamma, beta = 1.0 * self.gamma, 1.0 * self.beta  # tensors: variables would be read inside
        out = _normalised(grouped, mean, scale, is_real / count, gamma, beta)
        return ops.cast(ops.reshape(out, (-1, dim))[:batch], x.dtype)

    def _move(self, means, variances, parts):
        """Moves the moving means as part after part would."""
        left = ops.power(self.momentum, ops.cast(parts, floatx()))
        after = ops.arange(parts - 1, -1, -1, dtype=floatx())
        weights = (1 - self.momentum) * ops.power(self.momentum, after)[:, None]  # (parts, 1)
        for moving, values in ((self.moving_mean, means), (self.moving_variance, variances)):
            moving.assign(left * moving + ops.stop_gradient(ops.sum(weights * values, axis=0)))

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        own = {"virtual_batch_size": self.virtual_batch_size, "momentum": self.momentum, "epsilon": self.epsilon}
        return {**super().get_config(), **own}
