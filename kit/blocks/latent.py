"""Latent variables of a variational autoencoder: the Gaussian of a code, and the distribution of pixels.

Kingma and Welling, "Auto-Encoding Variational Bayes", 2014.
"""

import keras
from keras import layers, ops
from keras.config import floatx

from kit.errors import check

LIKELIHOODS = ("bernoulli", "gaussian")


def moments(code):
    """Returns mean and logarithm of the variance of latent variables.

    Args:
        code: What an encoder returns for them.

    Shape:
        in: (batch, 2 * latent_dim)
        out: (batch, latent_dim) twice
    """
    return ops.split(code, 2, axis=-1)


def kl_divergence(mean, log_variance):
    """Returns how far Gaussians are from the standard normal distribution, in nats.

    Shape:
        in: (batch, latent_dim) twice
        out: (batch,)
    """
    return 0.5 * ops.sum(ops.square(mean) + ops.exp(log_variance) - 1.0 - log_variance, axis=-1)


@keras.saving.register_keras_serializable("kit")
class GaussianLatent(layers.Layer):
    """Draws latent variables while training, and adds their divergence from the prior to the loss.

    At inference it returns the mean. The loss is `weight * beta * KL`, where the weight grows from 0 to 1 in the first
    steps (Bowman et al., "Generating Sentences from a Continuous Space", 2016) and is 1 at inference.

    Args:
        beta: Factor of the divergence (Higgins et al., "beta-VAE", 2017); 1 is the evidence lower bound.
        warmup_steps: Training steps until the divergence has its whole weight; 0 gives it from the beginning.
        seed: Seed of the layer's own random numbers.

    Shape:
        in: (batch, 2 * latent_dim), mean and logarithm of the variance side by side
        out: (batch, latent_dim)

    Raises:
        SettingError: a value is below 0.
    """

    def __init__(self, beta=1.0, warmup_steps=0, seed=None, **kwargs):
        super().__init__(**kwargs)
        check(beta >= 0, "beta", beta, "at least 0")
        check(warmup_steps >= 0, "warmup_steps", warmup_steps, "at least 0")
        self.beta, self.warmup_steps, self.seed = beta, warmup_steps, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        self.step = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False, name="step")

    def begin_again(self):
        """Takes the steps back that were counted: the weights may have come from another training."""
        self.step.assign(0)

    def call(self, code, training=False):
        mean, log_variance = moments(ops.cast(code, floatx()))
        weight = self.beta
        if training and self.warmup_steps:
            weight = weight * ops.minimum(ops.cast(self.step, floatx()) / self.warmup_steps, 1.0)
            self.step.assign_add(1)
        self.add_loss(weight * ops.mean(kl_divergence(mean, log_variance)))
        if training:
            noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
            mean = mean + ops.exp(0.5 * log_variance) * noise
        return ops.cast(mean, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] // 2)

    def get_config(self):
        mine = {"beta": self.beta, "warmup_steps": self.warmup_steps, "seed": self.seed}
        return {**super().get_config(), **mine}


@keras.saving.register_keras_serializable("kit")
class PixelDistribution(layers.Layer):
    """Turns a decoder's answer into the means of its pixels, and knows how pixels scatter around them.

    Args:
        likelihood: "bernoulli" takes a pixel for the probability of white; "gaussian" for a number with an error.
        stddev: Standard deviation of that error, as a share of the range of pixels.

    Shape:
        in: (batch, height, width, channels)
        out: (batch, height, width, channels), pixels from 0 to 255

    Raises:
        SettingError: an unknown likelihood, or a standard deviation that is not above 0.
    """

    def __init__(self, likelihood="bernoulli", stddev=0.1, **kwargs):
        super().__init__(**{"dtype": floatx(), **kwargs})
        check(likelihood in LIKELIHOODS, "likelihood", likelihood, " or ".join(LIKELIHOODS))
        check(stddev > 0, "pixel_stddev", stddev, "above 0")
        self.likelihood, self.stddev = likelihood, stddev

    def call(self, logits):
        return 255.0 * ops.sigmoid(logits)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "likelihood": self.likelihood, "stddev": self.stddev}
