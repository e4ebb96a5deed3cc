"""Random changes of training images, with Keras' own layers, that can be repeated from any step."""

import keras
import tensorflow as tf


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
    """A chain of Keras image layers applied to batches, as `Examples.augment` wants it.

    Args:
        chain: Keras image augmentation layers, in order.
        seed: Seed of the run.
    """

    def __init__(self, chain, seed):
        self.chain = chain
        self.seeds = [StepSeed(seed, stream) for stream in range(len(chain))]
        for layer, generator in zip(chain, self.seeds, strict=True):
            layer.generator = generator

    def __call__(self, step, inputs, *others):
        for generator in self.seeds:
            generator.at(step)
        for layer in self.chain:
            inputs = layer(inputs, training=True)
        return inputs, *others


def flip_and_translation(flip, translation, seed):
    """Returns the augmentation that shifts images by whole pixels and mirrors them, or None where it does nothing.

    Args:
        flip: Mirror half of the images left to right.
        translation: Largest shift in each direction, as a share of the side; what comes in is black.
        seed: Seed of the run.
    """
    chain = []
    if flip:
        chain.append(keras.layers.RandomFlip("horizontal"))
    if translation:
        # Nearest keeps pixels as they are and costs half of what interpolation does.
        chain.append(
            keras.layers.RandomTranslation(translation, translation, fill_mode="constant", interpolation="nearest")
        )
    return Augmentation(chain, seed) if chain else None
