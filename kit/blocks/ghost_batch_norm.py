"""Ghost batch normalisation: each small part of a large batch is normalised by its own mean and variance.

Hoffer, Hubara and Soudry, "Train longer, generalize better", 2017.
"""

import keras
from keras import ops


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
        def vector(name, value, trainable):
            return self.add_weight(shape=(shape[-1],), initializer=value, trainable=trainable, name=name)

        self.gamma, self.beta = vector("gamma", "ones", True), vector("beta", "zeros", True)
        self.moving_mean = vector("moving_mean", "zeros", False)
        self.moving_variance = vector("moving_variance", "ones", False)

    def call(self, x, training=False):
        if not training:
            scale = self.gamma * ops.rsqrt(self.moving_variance + self.epsilon)
            return x * ops.cast(scale, x.dtype) + ops.cast(self.beta - self.moving_mean * scale, x.dtype)
        batch = ops.shape(x)[0]
        parts = (batch + self.virtual_batch_size - 1) // self.virtual_batch_size
        size = (batch + parts - 1) // parts
        # A last part of fewer rows is filled up with zeros, which do not count.
        padded = ops.concatenate([x, ops.zeros((parts * size - batch, x.shape[-1]), x.dtype)])
        grouped = ops.reshape(ops.cast(padded, "float32"), (parts, size, x.shape[-1]))  # (parts, rows, dim)
        is_real = ops.cast(ops.reshape(ops.arange(parts * size) < batch, (parts, size, 1)), "float32")
        count = ops.sum(is_real, axis=1, keepdims=True)  # (parts, 1, 1)
        mean = ops.sum(grouped, axis=1, keepdims=True) / count
        centred = (grouped - mean) * is_real
        variance = ops.sum(centred**2, axis=1, keepdims=True) / count
        self._move(mean[:, 0], variance[:, 0], parts)
        out = centred * (ops.rsqrt(variance + self.epsilon) * self.gamma) + self.beta
        return ops.cast(ops.reshape(out, (-1, x.shape[-1]))[:batch], x.dtype)

    def _move(self, means, variances, parts):
        """Moves the moving means as part after part would."""
        left = ops.power(self.momentum, ops.cast(parts, "float32"))
        after = ops.arange(parts - 1, -1, -1, dtype="float32")
        weights = (1 - self.momentum) * ops.power(self.momentum, after)[:, None]  # (parts, 1)
        for moving, values in ((self.moving_mean, means), (self.moving_variance, variances)):
            moving.assign(left * moving + ops.stop_gradient(ops.sum(weights * values, axis=0)))

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        own = {"virtual_batch_size": self.virtual_batch_size, "momentum": self.momentum, "epsilon": self.epsilon}
        return {**super().get_config(), **own}
