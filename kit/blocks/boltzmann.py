"""Restricted Boltzmann machines, the layers of a deep belief network.

Smolensky, "Information Processing in Dynamical Systems: Foundations of Harmony Theory", 1986; Hinton, "Training
Products of Experts by Minimizing Contrastive Divergence", 2002.
"""

import keras
from keras import layers, ops
from keras.config import floatx

from kit.errors import check

KINDS = ("bernoulli", "gaussian")


@keras.saving.register_keras_serializable("kit")
class Standardization(layers.Layer):
    """Brings numbers to mean 0 and variance 1 by two weights that are measured and do not learn.

    Before they are measured it changes nothing.

    Shape:
        in, out: (batch, ...)
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": floatx(), **kwargs})

    def build(self, input_shape):
        self.mean = self.add_weight(shape=(), initializer="zeros", trainable=False, name="mean")
        self.stddev = self.add_weight(shape=(), initializer="ones", trainable=False, name="stddev")

    def measure(self, values):
        """Takes mean and variance of an array."""
        self.mean.assign(values.mean())
        self.stddev.assign(max(float(values.std()), 1e-6))

    def call(self, x):
        return (x - self.mean) / self.stddev

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("kit")
class RestrictedBoltzmann(layers.Layer):
    """A layer of hidden units that can be trained without labels, as a model of what it is given.

    In a network it is a dense layer: sigmoid units, or linear ones where the hidden units are Gaussian. How it is
    trained alone is part of it: `kit.training.boltzmann` reads that.

    Args:
        units: Number of hidden units.
        visible: Kind of what it is given: "bernoulli" for values from 0 to 1, "gaussian" for numbers of mean 0 and
            variance 1 (Welling, Rosen-Zvi and Hinton, "Exponential Family Harmoniums", 2005).
        hidden: Kind of its own units: "bernoulli", or "gaussian" for a linear code (Hinton and Salakhutdinov, 2006).
        epochs: Passes over the data when it is trained alone; 0 leaves it as it is.
        learning_rate: Learning rate of that training.
        gibbs_steps: Steps of the Markov chain: the k of contrastive divergence.
        persistent: Let the chain go on from batch to batch (Tieleman, "Training Restricted Boltzmann Machines using
            Approximations to the Likelihood Gradient", 2008) in place of beginning at the data.

    Shape:
        in: (batch, visible)
        out: (batch, units)

    Raises:
        SettingError: an unknown kind, or a value out of range.
    """

    def __init__(
        self,
        units,
        visible="bernoulli",
        hidden="bernoulli",
        epochs=10,
        learning_rate=0.05,
        gibbs_steps=1,
        persistent=False,
        **kwargs,
    ):
        # Small differences of large sums: few bits would lose them.
        super().__init__(**{"dtype": floatx(), **kwargs})
        for key, value in (("visible", visible), ("hidden", hidden)):
            check(value in KINDS, key, value, " or ".join(KINDS))
        for key, value, least in (("units", units, 1), ("gibbs_steps", gibbs_steps, 1), ("epochs", epochs, 0)):
            check(value >= least, key, value, f"at least {least}")
        check(learning_rate > 0, "learning_rate", learning_rate, "above 0")
        self.units, self.visible, self.hidden = units, visible, hidden
        self.epochs, self.learning_rate = epochs, learning_rate
        self.gibbs_steps, self.persistent = gibbs_steps, persistent

    def build(self, input_shape):
        # Where it is not trained alone it is a common layer, whose weights should begin as such.
        start = "glorot_uniform" if not self.epochs else keras.initializers.RandomNormal(stddev=0.01)
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), initializer=start, name="kernel")
        self.hidden_bias = self.add_weight(shape=(self.units,), initializer="zeros", name="hidden_bias")
        # No part of a network's way forward: it learns only while the layer is trained alone.
        self.visible_bias = self.add_weight(
            shape=(input_shape[-1],), initializer="zeros", trainable=False, name="visible_bias"
        )

    def call(self, visible):
        """Returns the mean of the hidden units."""
        total = ops.matmul(visible, self.kernel) + self.hidden_bias
        return ops.sigmoid(total) if self.hidden == "bernoulli" else total

    def visible_mean(self, hidden):
        """Returns the mean of the visible units, (batch, visible), given hidden ones, (batch, units)."""
        total = ops.matmul(hidden, ops.transpose(self.kernel)) + self.visible_bias
        return ops.sigmoid(total) if self.visible == "bernoulli" else total

    def free_energy(self, visible):
        """Returns the energy of visible units with the hidden ones summed out, (batch,); low where they are likely."""
        total = ops.matmul(visible, self.kernel) + self.hidden_bias
        of_hidden = ops.softplus(total) if self.hidden == "bernoulli" else 0.5 * ops.square(total)
        if self.visible == "bernoulli":
            of_visible = -ops.matmul(visible, self.visible_bias[:, None])[:, 0]
        else:
            of_visible = 0.5 * ops.sum(ops.square(visible - self.visible_bias), axis=-1)
        return of_visible - ops.sum(of_hidden, axis=-1)

    def gibbs(self, visible, seed):
        """Returns visible units after `gibbs_steps` steps of the Markov chain that begins with the given ones.

        Args:
            visible: Values of the visible units.
            seed: `keras.random.SeedGenerator`.

        Returns:
            Values drawn at the end, and their means, (batch, visible) each.
        """
        for _ in range(self.gibbs_steps):
            hidden = _drawn(self.call(visible), self.hidden, seed)
            mean = self.visible_mean(hidden)
            visible = _drawn(mean, self.visible, seed)
        return visible, mean

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        names = ("units", "visible", "hidden", "epochs", "learning_rate", "gibbs_steps", "persistent")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _drawn(mean, kind, seed):
    """Returns random values of units of a kind with the given means."""
    if kind == "gaussian":
        return mean + keras.random.normal(ops.shape(mean), seed=seed)
    return ops.cast(keras.random.uniform(ops.shape(mean), seed=seed) < mean, mean.dtype)


def pixels_as(x, visible):
    """Returns what the visible units of a first layer are given.

    Args:
        x: Pixels between -1 and 1.
        visible: Kind of the visible units: "bernoulli" gets values from 0 to 1, "gaussian" standardised ones.

    Shape:
        in, out: (batch, pixels)
    """
    if visible == "gaussian":
        return Standardization(name="standardization")(x)
    return layers.Rescaling(0.5, 0.5, name="probability")(x)
