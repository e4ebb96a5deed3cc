"""Feature network that images are compared by: a classifier of a fixed set of images, trained once and kept."""

import dataclasses
import hashlib
import logging

import keras
import numpy as np
import tensorflow as tf
from filelock import FileLock
from keras import layers

from kit.data import cache
from kit.data.columns import Dense
from kit.data.examples import Examples
from kit.errors import Unavailable
from kit.files import atomic, reading
from kit.training.saving import save_model

log = logging.getLogger("kit")

# What the classifier is; another one gives other distances, so the number is part of the kept file's name.
_VERSION = 3
_STEPS, _BATCH, _SEED = 1000, 128, 0
_MOST_TURNED = 10_000
_WIDTHS, _SIDE, _FEATURES = (32, 64, 128), 4, 64


class Reference:
    """Features of images as a small convolutional network sees them that tells classes of images apart.

    It learns from a set of images that does not depend on the run, so that runs with other seeds, or other shares of
    validation images, are measured by one network. It is trained when it is first asked, and kept in `$KIT_CACHE`, or
    `kit` in the user's folder for caches, for other runs; and by `keep` with a run, which is scored by that one ever
    after.

    Without classes it learns by how many quarters an image was turned: Gidaris, Singh and Komodakis, "Unsupervised
    Representation Learning by Predicting Image Rotations", 2018.

    Args:
        images: uint8 array of training images, (examples, height, width, channels), which made ones are set beside.
        fixed: Function without arguments that returns what the network learns from: images that are not of the test
            split, (examples, height, width, channels), and the class of each, (examples,).
        num_classes: Number of classes; below 2 they are not used.
    """

    def __init__(self, images, fixed, num_classes):
        self.images = images
        self.fixed = fixed
        self.num_classes = num_classes
        self.has_classes = num_classes > 1
        self._network = None
        self._training = {}

    def keep(self, folder, only_if_used=False):
        """Brings the network back from a folder, or puts it there; if so asked, only where it has been used already."""
        path = folder / "features.keras"
        if path.exists():
            if self._network is None:
                with reading(path):
                    self._network = keras.models.load_model(path, compile=False, safe_mode=True)
            return
        if only_if_used and self._network is None:
            return
        save_model(self._classifier(), path)

    def fingerprint(self):
        """Returns a name for the network, made of its weights: distances compare where it is the same."""
        weights = b"".join(np.ascontiguousarray(each).tobytes() for each in self._classifier().get_weights())
        return f"kit-{hashlib.sha256(weights).hexdigest()[:12]}"

    def features_and_probabilities(self, images, batch_size=500):
        """Returns features (examples, channels) and, of each class, probabilities (examples, classes)."""
        features, logits = _answers(self._classifier(), self._seen(images), batch_size)
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        return features, shifted / shifted.sum(1, keepdims=True)

    def features(self, images):
        """Returns features of images, (examples, channels)."""
        return self.features_and_probabilities(images)[0]

    def some(self, count):
        """Returns so many of the training images, always the same ones."""
        return _some(self.images, count)

    def of_training(self, count):
        """Returns the features of so many training images, always the same ones."""
        if count not in self._training:
            self._training[count] = self.features(self.some(count))
        return self._training[count]

    def untrained(self, count):
        """Returns a reference to a few of the images whose network has learned nothing: for a trial, not for scores."""
        few = Reference(self.some(count), self.fixed, self.num_classes)
        inputs, x, logits = _layers(few._seen(few.images).shape[1:], self.num_classes if self.has_classes else 4)
        few._network = keras.Model(inputs, [x, logits])
        return few

    def _seen(self, images):
        """Returns what the network looks at: all of an image, or a square of it where it was turned."""
        side = min(images.shape[1:3])
        return np.asarray(images) if self.has_classes else np.asarray(images)[:, :side, :side]

    def _classifier(self):
        """Returns the network: the one that is kept, or a new one, which is then kept."""
        if self._network is not None:
            return self._network
        images, labels = self.fixed()
        name = f"features-{self._key(images, labels)}.keras"
        try:
            path = cache.folder() / name
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                with FileLock(path.with_suffix(".lock")):  # the others wait for the one that trains it
                    if not path.exists():
                        self._network = self._trained(images, labels)
                        with atomic(path) as temporary:
                            self._network.save(temporary)
            if self._network is None:
                with reading(path):
                    self._network = keras.models.load_model(path, compile=False, safe_mode=True)
        except (OSError, RuntimeError, Unavailable) as error:  # no home, no room, no rights
            log.info("the classifier cannot be kept for other runs: %s", error)
            self._network = self._network or self._trained(images, labels)
        return self._network

    def _key(self, images, labels):
        """Returns a name for what the network is and what it learns from."""
        digest = hashlib.sha256(f"{_VERSION} {_STEPS} {images.shape} {self.num_classes}".encode())
        digest.update(np.ascontiguousarray(images))
        digest.update(np.ascontiguousarray(labels, dtype="int64") if self.has_classes else b"")
        return digest.hexdigest()[:16]

    def _trained(self, images, labels):
        """Returns the network, trained; nothing in it is drawn from the caller's random numbers."""
        log.info("training the classifier that scores images, once for this data")
        outputs = self.num_classes
        if not self.has_classes:
            some = self._seen(_some(images, _MOST_TURNED))
            quarters = [np.rot90(some, turn, axes=(1, 2)) for turn in range(4)]
            images, labels, outputs = np.concatenate(quarters), np.repeat(np.arange(4), len(some)), 4
        inputs, x, logits = _layers(images.shape[1:], outputs)
        model = keras.Model(inputs, logits)
        model.compile(
            keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, _STEPS)),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            steps_per_execution=1 if tf.distribute.has_strategy() else 20,  # Keras cannot do both
            jit_compile=False,
        )
        examples = Examples({"image": Dense(images)}, {"label": Dense(labels.astype("int32"))})
        batches = examples.stream(min(_BATCH, len(images)), _SEED, 0, _STEPS)
        model.fit(batches, steps_per_epoch=_STEPS, epochs=1, shuffle=False, verbose=0)
        # Divided by their spread, so that distances of different data sets are of one size.
        spread = _answers(keras.Model(inputs, [x, logits]), images[:: max(1, len(images) // 5000)], 500)[0].std(0)
        policy = "float32"
        x = layers.Rescaling(float(1 / max(np.sqrt(np.square(spread).mean()), 1e-6)), dtype=policy, name="scaled")(x)
        return keras.Model(inputs, [x, logits], name="features")


def few_examples(examples, rows):
    """Returns some of the examples with a `Reference`, theirs being `untrained`."""
    few = examples.take(rows)
    return dataclasses.replace(few, reference=few.reference.untrained(len(rows)))


def _layers(shape, outputs):
    """Returns input, features and logits of the network, given the shape of an image and the number of classes."""
    initial, policy = keras.initializers.HeNormal, "float32"
    inputs = keras.Input(shape, name="image")
    x = layers.Rescaling(1 / 127.5, -1, dtype=policy, name="scale")(inputs)
    for index, width in enumerate(_WIDTHS, 1):
        x = layers.Conv2D(
            width,
            3,
            2,
            "same",
            use_bias=False,
            kernel_initializer=initial(seed=index),
            dtype=policy,
            name=f"stage{index}_conv",
        )(x)
        x = layers.BatchNormalization(momentum=0.9, dtype=policy, name=f"stage{index}_norm")(x)
        x = layers.ReLU(dtype=policy, name=f"stage{index}")(x)
    if max(x.shape[1:3]) > _SIDE:
        x = layers.AdaptiveAveragePooling2D(_SIDE, dtype=policy, name="pool")(x)
    x = layers.Flatten(dtype=policy, name="flatten")(x)
    x = layers.Dense(_FEATURES, "relu", kernel_initializer=initial(seed=10), dtype=policy, name="features")(x)
    logits = layers.Dense(outputs, kernel_initializer=initial(seed=11), dtype=policy, name="logits")(x)
    return inputs, x, logits


def _some(images, count):
    return images[np.sort(np.random.default_rng(_SEED).permutation(len(images))[:count])]


def _answers(network, images, batch_size):
    """Returns features and logits of images; not compiled, since these are a few calls of many shapes."""
    blocks = [
        [keras.ops.convert_to_numpy(part) for part in network(images[start : start + batch_size].astype("float32"))]
        for start in range(0, len(images), batch_size)
    ]
    return [np.concatenate(part) for part in zip(*blocks, strict=True)]
