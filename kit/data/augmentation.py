"""Data augmentation: random changes of training images, by Keras' own layers, repeatable from any step."""

import keras
import tensorflow as tf
from keras import layers


class StepSeed(keras.random.SeedGenerator):
    """Random seeds that depend on a seed, the training step and the number of the call, and on nothing before them.

    Keras' augmentation layers count their own calls; in a parallel pipeline, or after a resume, the count is another.
    Put in the place of a layer's generator, this one gives every step the same numbers whenever it is computed.

    Args:
        seed: Seed of the run.
        stream: Number that keeps the layers of one pipeline apart.
    """

    def __init__(self, seed, stream):
        super().__init__(seed)
        self.base = seed * 1000 + stream
        self.step = None
        self.calls = 0

    def at(self, step):
        """Sets the step that the next seeds are for."""
        self.step, self.calls = step, 0

    def next(self, ordered=True):
        """Returns a new seed, (2,)."""
        self.calls += 1
        first = self.base * 64 + self.calls
        return tf.stack(
            [
                tf.constant(first & 0x7FFFFFFF, tf.int32),
                tf.cast(self.step & 0x7FFFFFFF, tf.int32),
            ]
        )


class Augmentation:
    """A chain of Keras image layers applied to batches, as `Examples.transform` wants it.

    Args:
        chain: Keras image augmentation layers, in order.
        seed: Seed of the run.
        num_classes: Number of classes, where a layer mixes images and so their labels, which become shares (batch,
            classes); None leaves labels as they are.
        class_weights: Weight of each class in the loss, (classes,), which is mixed like the labels; or None.
    """

    def __init__(self, chain, seed, num_classes=None, class_weights=None):
        self.chain = chain
        self.num_classes = num_classes
        self.class_weights = class_weights
        self.seeds = [StepSeed(seed, stream) for stream in range(len(chain))]
        for layer, generator in zip(chain, self.seeds, strict=True):
            # In place of its attribute `generator`: under JAX Keras makes another one, which counts its own calls.
            layer._get_seed_generator = lambda backend=None, own=generator: own

    def __call__(self, step, inputs, labels, *others):
        for generator in self.seeds:
            generator.at(step)
        if self.num_classes is None:
            for layer in self.chain:
                inputs = layer(inputs, training=True)
            return inputs, labels, *others
        batch = {"images": inputs, "labels": tf.one_hot(labels, self.num_classes)}
        for layer in self.chain:
            batch = layer(batch, training=True)
        if self.class_weights is not None:
            others = (tf.linalg.matvec(batch["labels"], self.class_weights),)
        return batch["images"], batch["labels"], *others


def augmentation(seed, num_classes, options, class_weights=None):
    """Returns the random changes of training images, or None where there are none.

    Args:
        seed: Seed of the run.
        num_classes: Number of classes.
        options: `Augmentations`.
        class_weights: Weight of each class in the loss, float32 (classes,), where examples are weighted; or None.
    """
    chain = []
    if options.flip:
        chain.append(layers.RandomFlip("horizontal"))
    if options.rotation:
        chain.append(layers.RandomRotation(options.rotation / 360, fill_mode="constant"))
    if options.zoom:
        chain.append(layers.RandomZoom((-options.zoom, 0.0), fill_mode="constant"))
    if options.translation:
        # Nearest keeps pixels as they are and costs half of what interpolation does.
        share = options.translation
        chain.append(layers.RandomTranslation(share, share, fill_mode="constant", interpolation="nearest"))
    if options.rand_augment:
        chain.append(layers.RandAugment((0, 255), options.rand_augment, options.rand_augment_magnitude))
    if options.random_erasing:
        share = options.random_erasing
        chain.append(layers.RandomErasing((share, share), scale=(0.02, 0.33), fill_value=0, value_range=(0, 255)))
    if options.mixup:
        chain.append(layers.MixUp(options.mixup))
    if options.cutmix:
        chain.append(layers.CutMix((options.cutmix, options.cutmix)))
    if not chain:
        return None
    return Augmentation(chain, seed, num_classes if options.mixup or options.cutmix else None, class_weights)
