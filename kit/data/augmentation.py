"""Random changes of training images, with Keras' own layers, that can be repeated from any step."""

import keras
import tensorflow as tf
from keras import layers

from kit.errors import check


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
        num_classes: Number of classes, where a layer mixes images and so their labels, which become shares (batch,
            classes); None leaves labels as they are.
    """

    def __init__(self, chain, seed, num_classes=None):
        self.chain = chain
        self.num_classes = num_classes
        self.seeds = [StepSeed(seed, stream) for stream in range(len(chain))]
        for layer, generator in zip(chain, self.seeds, strict=True):
            layer.generator = generator

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
        return batch["images"], batch["labels"], *others


def augmentation(
    seed,
    num_classes,
    *,
    flip=False,
    translation=0.0,
    rotation=0.0,
    zoom=0.0,
    rand_augment=0,
    rand_augment_magnitude=0.5,
    random_erasing=0.0,
    mixup=0.0,
    cutmix=0.0,
):
    """Returns the random changes of training images, or None where there are none.

    Args:
        seed: Seed of the run.
        num_classes: Number of classes.
        flip: Mirror half of the images left to right.
        translation: Largest shift in each direction, as a share of the side; what comes in is black.
        rotation: Largest turn in each direction, in degrees; what comes in is black.
        zoom: Largest share of the side that is cut away.
        rand_augment: Number of RandAugment operations (Cubuk et al., 2019).
        rand_augment_magnitude: Their strength, from 0 to 1.
        random_erasing: Share of the images in which a rectangle is blanked out (Zhong et al., 2017).
        mixup: Parameter alpha of MixUp (Zhang et al., 2017); 0 is off.
        cutmix: Parameter alpha of CutMix (Yun et al., 2019); 0 is off.

    Raises:
        SettingError: a value is out of range.
    """
    for key, value in (("translation", translation), ("zoom", zoom)):
        check(0 <= value < 1, key, value, "a share from 0 to below 1")
    check(0 <= rotation <= 180, "rotation", rotation, "0 to 180 degrees")
    for key, value in (("rand_augment_magnitude", rand_augment_magnitude), ("random_erasing", random_erasing)):
        check(0 <= value <= 1, key, value, "a number from 0 to 1")
    check(0 <= rand_augment <= 11, "rand_augment", rand_augment, "a number of operations from 0 to 11")
    check(mixup >= 0, "mixup", mixup, "at least 0")
    check(0 <= cutmix <= 1, "cutmix", cutmix, "a number from 0 to 1")
    check(not (mixup and cutmix), "cutmix", cutmix, "0 where mixup is on: choose one of the two")
    chain = []
    if flip:
        chain.append(layers.RandomFlip("horizontal"))
    if rotation:
        chain.append(layers.RandomRotation(rotation / 360, fill_mode="constant"))
    if zoom:
        chain.append(layers.RandomZoom((-zoom, 0.0), fill_mode="constant"))
    if translation:
        # Nearest keeps pixels as they are and costs half of what interpolation does.
        chain.append(layers.RandomTranslation(translation, translation, fill_mode="constant", interpolation="nearest"))
    if rand_augment:
        chain.append(layers.RandAugment((0, 255), rand_augment, rand_augment_magnitude))
    if random_erasing:
        chain.append(
            layers.RandomErasing(
                (random_erasing, random_erasing), scale=(0.02, 0.33), fill_value=0, value_range=(0, 255)
            )
        )
    if mixup:
        chain.append(layers.MixUp(mixup))
    if cutmix:
        chain.append(layers.CutMix((cutmix, cutmix)))
    return Augmentation(chain, seed, num_classes if mixup or cutmix else None) if chain else None
