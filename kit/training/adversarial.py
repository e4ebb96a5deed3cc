"""GAN training: a generator and a discriminator against each other, inside `keras.Model.fit`.

Goodfellow et al., "Generative Adversarial Nets", 2014: a generator makes images out of noise, a discriminator tells
them from real ones, and each learns from the other.
"""

import keras
import tensorflow as tf
from keras import ops

from kit.errors import SettingError, check, choose
from kit.training.decay import sparing
from kit.training.diff_augment import POLICIES, diff_augment


def _non_saturating(real, fake):
    """Goodfellow et al., 2014, section 3, with the generator's gradient that does not vanish."""
    return ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake)), lambda fake: ops.mean(ops.softplus(-fake))


def _least_squares(real, fake):
    """Mao et al., "Least Squares Generative Adversarial Networks", 2017, equation 9."""
    loss = 0.5 * (ops.mean(ops.square(real - 1.0)) + ops.mean(ops.square(fake)))
    return loss, lambda fake: 0.5 * ops.mean(ops.square(fake - 1.0))


def _wasserstein(real, fake):
    """Arjovsky, Chintala and Bottou, "Wasserstein GAN", 2017."""
    return ops.mean(fake) - ops.mean(real), lambda fake: -ops.mean(fake)


def _hinge(real, fake):
    """Lim and Ye, "Geometric GAN", 2017; Miyato et al., 2018."""
    return ops.mean(ops.relu(1.0 - real)) + ops.mean(ops.relu(1.0 + fake)), lambda fake: -ops.mean(fake)


# Name to a function of the discriminator's logits for real and generated images, (batch, 1) each: its loss, and the
# generator's as a function of the latter.
LOSSES = {
    "non_saturating": _non_saturating,
    "least_squares": _least_squares,
    "wasserstein": _wasserstein,
    "hinge": _hinge,
}


class Adversarial(keras.Model):
    """A generator and a discriminator that train against each other.

    Each step is one of the discriminator; every `critic_steps` steps the generator takes one too, on images of the same
    latent vectors. It is given images of pixels from 0 to 255 and, with classes, labels.

    `sampler` is the network that is kept: the moving average of the generator, which returns pixels from 0 to 255.

    Args:
        generator: Model from latent vectors (batch, latent_dim) and, with classes, labels (batch,) to images (batch,
            height, width, channels) between -1 and 1.
        discriminator: Model from such images and, with classes, labels to logits (batch, 1).
        loss: One of `LOSSES`.
        critic_steps: Steps of the discriminator for one of the generator.
        gradient_penalty: Factor of the penalty on gradients whose norm is not 1, between real and generated images
            (Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, equation 3).
        r1: Half of it is the factor of the squared norm of gradients at real images (Mescheder, Geiger and Nowozin,
            "Which Training Methods for GANs do actually Converge?", 2018, equation 9).
        r1_interval: Steps of the discriminator for one with the penalty `r1`, which is then as many times as large
            (Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, section 3.1).
        weight_clip: Bound of the discriminator's weights (Arjovsky et al., 2017); 0 is none.
        augment: Random changes that the discriminator sees both kinds of images through, of `POLICIES`.
        ema_momentum: Share of its former value that the moving average of the generator's weights keeps in a step.
        seed: Seed of the noise.

    Raises:
        SettingError: an unknown loss or change, or a value out of range.
    """

    def __init__(
        self,
        generator,
        discriminator,
        *,
        loss="non_saturating",
        critic_steps=1,
        gradient_penalty=0.0,
        r1=0.0,
        r1_interval=1,
        weight_clip=0.0,
        augment=(),
        ema_momentum=0.999,
        seed=None,
    ):
        super().__init__(name="adversarial")
        self.losses_of = choose(LOSSES, loss, "loss")
        for key, value in (("critic_steps", critic_steps), ("r1_interval", r1_interval)):
            check(value >= 1, key, value, "at least 1")
        for key, value in (("gradient_penalty", gradient_penalty), ("r1", r1), ("weight_clip", weight_clip)):
            check(value >= 0, key, value, "at least 0")
        check(0 <= ema_momentum < 1, "ema_momentum", ema_momentum, "a number from 0 to below 1")
        for policy in augment:
            choose(POLICIES, policy, "augment")
        if keras.config.dtype_policy().name == "mixed_float16":
            raise SettingError("mixed_precision", "expected 'float32' or 'mixed_bfloat16' for two networks")
        self.generator, self.discriminator = generator, discriminator
        self.critic_steps, self.gradient_penalty = critic_steps, gradient_penalty
        self.r1, self.r1_interval = r1, r1_interval
        self.weight_clip, self.policies, self.ema_momentum = weight_clip, tuple(augment), ema_momentum
        self.latent_dim = generator.inputs[0].shape[-1]
        self.is_conditional = len(generator.inputs) > 1
        self.average = keras.models.clone_model(generator)
        self.average.trainable = False
        self.average.set_weights(generator.get_weights())
        pixels = keras.layers.Rescaling(127.5, 127.5, dtype="float32", name="pixels_255")(self.average.output)
        self.sampler = keras.Model(self.average.input, pixels, name="generator")
        self.noise = keras.random.SeedGenerator(seed)
        # Steps of the discriminator; not its optimizer's own count, which goes by accumulated gradients.
        self.turn = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False, name="turn")
        self.built = True
        self._means = [keras.metrics.Mean(name) for name in ("loss", "generator_loss")]

    def compile(self, optimizer, discriminator_optimizer=None):
        """Sets the two optimizers.

        Args:
            optimizer: Keras optimizer of the generator, or its name.
            discriminator_optimizer: That of the discriminator; by default of the same kind.
        """
        generator = keras.optimizers.get(optimizer)
        if discriminator_optimizer is None:
            discriminator_optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(generator))
        discriminator = keras.optimizers.get(discriminator_optimizer)
        super().compile(optimizer=generator)
        self.optimizers = [sparing(generator, self.generator), sparing(discriminator, self.discriminator)]
        for each, network in zip(self.optimizers, (self.generator, self.discriminator), strict=True):
            each.build(network.trainable_variables)

    @property
    def metrics(self):
        return self._means

    def follow(self):
        """Gives the generator the weights of its average, after that was given others."""
        self.generator.set_weights(self.average.get_weights())

    def call(self, images):
        """Returns how real images (batch, height, width, channels) of pixels look, after a look at as many made ones.

        The machine is measured by it: it is what a step computes, forward.
        """
        count = ops.shape(images)[0]
        label = [ops.zeros((count,), "int32")] if self.is_conditional else []
        made = self.generator(_with(keras.random.normal((count, self.latent_dim), seed=0), label))
        return self.discriminator(_with(scaled(images), label)) + self.discriminator(_with(made, label))

    def train_step(self, data):
        images, classes, _ = keras.utils.unpack_x_y_sample_weight(data)
        real, label = scaled(images), [classes] if self.is_conditional else []
        latent = keras.random.normal((ops.shape(real)[0], self.latent_dim), seed=self.noise)
        if self.critic_steps == 1:
            with tf.GradientTape() as tape:
                fake = self.generator(_with(latent, label), training=True)
            loss = self._improve_discriminator(real, fake, label)
            self._improve_generator(tape, fake, label)
        else:
            fake = self.generator(_with(latent, label), training=True)
            loss = self._improve_discriminator(real, fake, label)

            def step():
                with tf.GradientTape() as tape:
                    fake = self.generator(_with(latent, label), training=True)
                self._improve_generator(tape, fake, label)

            is_due = self.turn % self.critic_steps == 0
            tf.cond(is_due, lambda: (step(), tf.constant(0))[1], lambda: tf.constant(0))
        self._means[0].update_state(loss)
        return {mean.name: mean.result() for mean in self._means}

    def _improve_discriminator(self, real, fake, label):
        """Takes a step of the discriminator; returns its loss."""
        fake = tf.stop_gradient(fake)
        with tf.GradientTape() as tape:
            logits = self._logits(real, label), self._logits(fake, label)
            loss, _ = self.losses_of(*logits)
            if self.gradient_penalty:
                loss += self.gradient_penalty * self._slope_penalty(real, fake, label)
            if self.r1 and self.r1_interval == 1:
                loss += self._r1_penalty(real, label)
            scaled = _of_replica(loss)
        variables = self.discriminator.trainable_variables
        gradients = tape.gradient(scaled, variables)
        if self.r1 and self.r1_interval > 1:
            gradients = [tf.convert_to_tensor(each) for each in gradients]  # an embedding's is of some rows

            def penalised():
                with tf.GradientTape() as tape:
                    penalty = self._r1_penalty(real, label)
                    scaled = _of_replica(penalty)
                # Biases at the end have no influence on it.
                nothing = tf.UnconnectedGradients.ZERO
                slopes = tape.gradient(scaled, [each.value for each in variables], unconnected_gradients=nothing)
                return loss + penalty, [one + other for one, other in zip(gradients, slopes, strict=True)]

            is_due = self.turn % self.r1_interval == 0
            loss, gradients = tf.cond(is_due, penalised, lambda: (loss, gradients))
        self.optimizers[1].apply(gradients, variables)
        self.turn.assign_add(1)
        if self.weight_clip:
            for variable in variables:
                variable.assign(ops.clip(variable, -self.weight_clip, self.weight_clip))
        return loss

    def _improve_generator(self, tape, fake, label):
        """Takes a step of the generator, whose images come from under the tape, and moves its average."""
        with tf.GradientTape(watch_accessed_variables=False) as other:
            other.watch(fake)
            logits = self._logits(fake, label)
            _, loss_of = self.losses_of(logits, logits)
            loss = loss_of(logits)
            scaled = _of_replica(loss)
        variables = self.generator.trainable_variables
        self.optimizers[0].apply(tape.gradient(fake, variables, other.gradient(scaled, fake)), variables)
        steps = ops.cast(self.optimizers[0].iterations, "float32")
        share = ops.maximum(1.0 - self.ema_momentum, 9.0 / (9.0 + steps))  # at first there is little to average
        for mean, value in zip(self.average.variables, self.generator.variables, strict=True):
            if "float" in mean.dtype:
                mean.assign_add(share * (value - mean))
        self._means[1].update_state(loss)

    def _logits(self, images, label):
        """Returns the discriminator's answers, (batch, 1), to images that are changed at random, if so asked."""
        return self.discriminator(_with(diff_augment(images, self.policies, self.noise), label), training=True)

    def _r1_penalty(self, real, label):
        return self.r1_interval * self.r1 / 2 * ops.mean(self._squared_slopes(real, label))

    def _slope_penalty(self, real, fake, label):
        share = keras.random.uniform((ops.shape(real)[0], 1, 1, 1), seed=self.noise)
        slopes = self._squared_slopes(real + share * (fake - real), label)
        return ops.mean(ops.square(ops.sqrt(slopes + 1e-12) - 1.0))

    def _squared_slopes(self, images, label):
        """Returns the squared norm of the discriminator's gradient at each image, (batch,)."""
        with tf.GradientTape() as tape:
            tape.watch(images)
            logits = self.discriminator(_with(images, label), training=True)
        return ops.sum(ops.square(tape.gradient(logits, images)), axis=(1, 2, 3))

    def test_step(self, data):
        images, classes, _ = keras.utils.unpack_x_y_sample_weight(data)
        real, label = scaled(images), [classes] if self.is_conditional else []
        latent = keras.random.normal((ops.shape(real)[0], self.latent_dim), seed=self.noise)
        fake = self.average(_with(latent, label), training=False)
        logits = [self.discriminator(_with(images, label), training=False) for images in (real, fake)]
        loss, generator_loss = self.losses_of(*logits)
        for mean, value in zip(self._means, (loss, generator_loss(logits[1])), strict=True):
            mean.update_state(value, ops.shape(real)[0])  # the last batch may be short
        return {mean.name: mean.result() for mean in self._means}


def _with(first, label):
    """Returns what a network is given: images or latent vectors and, with classes, labels."""
    return [first, *label] if label else first


def scaled(images):
    """Returns pixels from 0 to 255 between -1 and 1."""
    return ops.cast(images, "float32") / 127.5 - 1.0


def _of_replica(loss):
    """Returns the share of a loss that one of several devices adds to the gradient."""
    return loss / tf.distribute.get_strategy().num_replicas_in_sync
