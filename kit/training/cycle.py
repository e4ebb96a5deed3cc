"""CycleGAN training: two translators that undo each other, and two discriminators, inside `keras.Model.fit`.

Zhu, Park, Isola and Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017.
"""

import keras
import tensorflow as tf
from keras import ops

from kit.errors import SettingError, check, choose
from kit.training.adversarial import LOSSES, scaled
from kit.training.decay import sparing

# `LOSSES` halves the generator's least squares as Mao et al. do; Zhu et al. do not, and the weights are theirs.
_FACTORS = {"least_squares": 2.0}


class ImagePool(keras.layers.Layer):
    """Some of the images that a generator has made, so that its discriminator does not forget what it once knew.

    Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training", 2017, section
    2.3. The pool is filled by the first images. From then on each one has an even chance of taking a random place in
    it, and the image that was there is shown instead. What it holds are weights, so that a checkpoint carries it.

    Args:
        size: Number of images; 0 shows each as it is.
        image_shape: Height, width and channels of an image.
        seed: Seed of the draws.
        name: Name of the layer.
    """

    def __init__(self, size, image_shape, seed=None, name="pool"):
        super().__init__(name=name, dtype="float32", trainable=False)
        self.size = size
        if size:
            self.noise = keras.random.SeedGenerator(seed)
            self.images = self.add_weight(shape=(size, *image_shape), initializer="zeros", name="images")
            self.count = self.add_weight(shape=(), dtype="int32", initializer="zeros", name="count")
        self.built = True

    def call(self, images):
        """Returns what the discriminator is shown in place of new images, (batch, height, width, channels)."""
        if not self.size:
            return images
        kept = ops.minimum(ops.shape(images)[0], self.size)  # of a larger batch the rest is shown as it is
        places = ops.arange(kept)
        chosen = keras.random.shuffle(ops.arange(self.size), seed=self.noise)[:kept]
        is_swapped = keras.random.uniform((self.size,), seed=self.noise)[:kept] < 0.5
        is_full = self.count >= self.size
        slots = ops.where(is_full, chosen, (self.count + places) % self.size)
        is_stored = ops.where(is_full, is_swapped, self.count + places < self.size)[:, None, None, None]
        new, old = images[:kept], ops.take(self.images, slots, axis=0)
        self.images.assign(
            tf.tensor_scatter_nd_update(self.images.value, slots[:, None], ops.where(is_stored, new, old))
        )
        self.count.assign(ops.minimum(self.count + kept, self.size))
        return ops.concatenate([ops.where(ops.logical_and(is_full, is_stored), old, new), images[kept:]])


class CycleConsistent(keras.Model):
    """Two generators between two kinds of images, A and B, of which no two belong together.

    A generator learns to deceive the discriminator of what it makes; the way there and back again has to lead to the
    image that it began with; and an image that is of the wanted kind already should stay as it is. A step is one of
    both generators and then one of both discriminators, which are shown real images and those of a pool of made ones.
    It is given pairs `((a, b),)` of batches of pixels from 0 to 255.

    `network` is what is kept: from pixels of both kinds to pixels of the respective other one, with the generators
    inside by their names, `a_to_b` and `b_to_a`.

    Args:
        a_to_b: Functional model `a_to_b` from images (batch, height, width, channels) between -1 and 1 to such images.
        b_to_a: The same for the other direction.
        discriminator_a: Model from such images to logits of any number for each, of being one of A.
        discriminator_b: The same for B.
        loss: One of `kit.training.adversarial.LOSSES`.
        cycle_weight: Factor of the mean absolute difference between an image and what comes back of it.
        identity_weight: Factor of the mean absolute difference between an image of the wanted kind and what is made
            of it; 0 leaves it away.
        pool_size: Made images of each kind that the discriminators are shown again; 0 shows them the new ones alone.
        seed: Seed of the pools.

    Raises:
        SettingError: an unknown loss, or a value out of range.
    """

    def __init__(
        self,
        a_to_b,
        b_to_a,
        discriminator_a,
        discriminator_b,
        *,
        loss="least_squares",
        cycle_weight=10.0,
        identity_weight=5.0,
        pool_size=50,
        seed=None,
    ):
        super().__init__(name="cycle_consistent")
        self.losses_of, self.factor = choose(LOSSES, loss, "loss"), _FACTORS.get(loss, 1.0)
        for key, value in (
            ("cycle_weight", cycle_weight),
            ("identity_weight", identity_weight),
            ("pool_size", pool_size),
        ):
            check(value >= 0, key, value, "at least 0")
        if keras.config.dtype_policy().name == "mixed_float16":
            raise SettingError("mixed_precision", "expected 'float32' or 'mixed_bfloat16' for several networks")
        self.a_to_b, self.b_to_a = a_to_b, b_to_a
        self.discriminator_a, self.discriminator_b = discriminator_a, discriminator_b
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        self.network = _of_pixels(a_to_b, b_to_a)
        shape, seeds = a_to_b.output.shape[1:], (seed, None if seed is None else seed + 1)
        self.pool_a = ImagePool(pool_size, shape, seeds[0], "pool_a")
        self.pool_b = ImagePool(pool_size, shape, seeds[1], "pool_b")
        self.built = True
        names = ("loss", "generator_loss", "cycle_loss", "identity_loss")
        self._means = [keras.metrics.Mean(name) for name in names]

    def compile(self, optimizer, discriminator_optimizer=None):
        """Sets the two optimizers.

        Args:
            optimizer: Keras optimizer of both generators, or its name.
            discriminator_optimizer: That of both discriminators; by default of the same kind.
        """
        generators = keras.optimizers.get(optimizer)
        if discriminator_optimizer is None:
            discriminator_optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(generators))
        discriminators = keras.optimizers.get(discriminator_optimizer)
        super().compile(optimizer=generators)
        self.optimizers = [
            sparing(generators, self.a_to_b, self.b_to_a),
            sparing(discriminators, self.discriminator_a, self.discriminator_b),
        ]
        for each, variables in zip(self.optimizers, (self._generators(), self._discriminators()), strict=True):
            each.build(variables)

    @property
    def metrics(self):
        return self._means

    def _generators(self):
        return [*self.a_to_b.trainable_variables, *self.b_to_a.trainable_variables]

    def _discriminators(self):
        return [*self.discriminator_a.trainable_variables, *self.discriminator_b.trainable_variables]

    def call(self, inputs):
        """Returns how translations of both kinds look to the discriminators, after a way back of each.

        The machine is measured by it: it is what a step computes, forward.

        Args:
            inputs: Pixels of A and of B.
        """
        a, b = (scaled(each) for each in inputs)
        made = self._translated(a, b, False)
        answers = ops.mean(self.discriminator_a(made["fake_a"])) + ops.mean(self.discriminator_b(made["fake_b"]))
        return answers + sum(self._distances(a, b, made))

    def train_step(self, data):
        (a, b), _, _ = keras.utils.unpack_x_y_sample_weight(data)
        a, b = scaled(a), scaled(b)
        with tf.GradientTape() as tape:
            made = self._translated(a, b, True)
            loss, cycle, identity = self._generator_losses(a, b, made, True)
            total = loss + self.cycle_weight * cycle + self.identity_weight * identity
        variables = self._generators()
        self.optimizers[0].apply(tape.gradient(total, variables), variables)
        shown = self.pool_a(tf.stop_gradient(made["fake_a"])), self.pool_b(tf.stop_gradient(made["fake_b"]))
        with tf.GradientTape() as tape:
            discriminator_loss = self._discriminator_loss(a, b, *shown, True)
        variables = self._discriminators()
        self.optimizers[1].apply(tape.gradient(discriminator_loss, variables), variables)
        return self._updated(a, discriminator_loss, loss, cycle, identity)

    def test_step(self, data):
        (a, b), _, _ = keras.utils.unpack_x_y_sample_weight(data)
        a, b = scaled(a), scaled(b)
        made = self._translated(a, b, False)
        discriminator_loss = self._discriminator_loss(a, b, made["fake_a"], made["fake_b"], False)
        return self._updated(a, discriminator_loss, *self._generator_losses(a, b, made, False))

    def _translated(self, a, b, training):
        """Returns what the generators make of images of each kind, by name.

        `fake` is made of the other kind, `back` of a fake, and `same` of images that are of the wanted kind already.
        """
        made = {}
        for fake, generator, source, target in (("b", self.a_to_b, a, b), ("a", self.b_to_a, b, a)):
            if self.identity_weight:  # one call for both is faster, and each image is translated on its own
                both = generator(ops.concatenate([source, target]), training=training)
                made[f"fake_{fake}"], made[f"same_{fake}"] = tf.split(
                    both, [ops.shape(source)[0], ops.shape(target)[0]]
                )
            else:
                made[f"fake_{fake}"] = generator(source, training=training)
        made["back_a"] = self.b_to_a(made["fake_b"], training=training)
        made["back_b"] = self.a_to_b(made["fake_a"], training=training)
        return made

    def _distances(self, a, b, made):
        """Returns the cycle loss and the identity loss, both directions added up."""
        cycle = _difference(made["back_a"], a) + _difference(made["back_b"], b)
        if not self.identity_weight:
            return cycle, ops.zeros_like(cycle)
        return cycle, _difference(made["same_a"], a) + _difference(made["same_b"], b)

    def _generator_losses(self, a, b, made, training):
        """Returns what the generators minimise: the adversarial, the cycle and the identity loss."""
        loss = 0.0
        for name, discriminator in (("a", self.discriminator_a), ("b", self.discriminator_b)):
            logits = discriminator(made[f"fake_{name}"], training=training)
            _, loss_of = self.losses_of(logits, logits)
            loss += self.factor * loss_of(logits)
        return loss, *self._distances(a, b, made)

    def _discriminator_loss(self, a, b, fake_a, fake_b, training):
        """Returns what the discriminators minimise, both added up."""
        loss = 0.0
        for discriminator, real, fake in ((self.discriminator_a, a, fake_a), (self.discriminator_b, b, fake_b)):
            logits = [discriminator(images, training=training) for images in (real, fake)]
            loss += self.losses_of(*logits)[0]
        return loss

    def _updated(self, images, *values):
        for mean, value in zip(self._means, values, strict=True):
            mean.update_state(value, ops.shape(images)[0])  # the last batch may be short
        return {mean.name: mean.result() for mean in self._means}


def _of_pixels(a_to_b, b_to_a):
    """Returns the functional model of both directions, from pixels to pixels."""
    inputs, outputs = [], []
    for name, generator in (("a", a_to_b), ("b", b_to_a)):
        pixels = keras.Input(generator.input.shape[1:], name=name)
        x = keras.layers.Rescaling(1 / 127.5, -1, dtype="float32", name=f"{name}_scaled")(pixels)
        x = keras.layers.Rescaling(127.5, 127.5, dtype="float32", name=f"{name}_translated")(generator(x))
        inputs.append(pixels)
        outputs.append(x)
    return keras.Model(inputs, outputs, name="translators")


def _difference(first, second):
    return ops.mean(ops.abs(first - second))
