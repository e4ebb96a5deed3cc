"""Own data: rules that decide the settings which are "auto" in `own.toml`, by facts of the data and of the machine.

A rule is a plain function of `Facts` that returns a value and the reason for it, None where there is nothing to say. A
recipe names its rules, setting by setting, in the order in which they are asked: one may rely on what those before it
have decided. The numbers go between those of the settings that come with the recipes, which were tuned on sets of 1,300
to 60,000 images, 1,800 to 12,500 sentences and 10,000 to 29,000 pairs.
"""

import dataclasses
import math
from collections.abc import Callable

from kit.data import source_facts
from kit.weights import keras_applications


@dataclasses.dataclass
class Facts:
    """What rules go by.

    Args:
        examples: Training examples.
        classes: Number of classes, or of different tags; 0 where there are none.
        side: Median of the shorter sides of the images, in pixels; 0 for texts.
        is_of_one_size: All images have one size.
        channels: Channels of the images.
        tokens: Words of the training texts, those of both sides of a pair.
        words: Different words of the training texts.
        length: Words of a text that 99 of 100 do not exceed.
        minutes: Minutes that the whole run may take; None without a budget.
        settings: Settings as they stand: flat dictionary of dotted keys, with what has been decided so far.
    """

    examples: int
    classes: int = 0
    side: int = 0
    is_of_one_size: bool = True
    channels: int = 0
    tokens: int = 0
    words: int = 0
    length: int = 0
    minutes: float | None = None
    settings: dict = dataclasses.field(default_factory=dict)

    @property
    def is_photographs(self):
        """Images are coloured, and larger than an icon."""
        return self.channels == 3 and self.side > 36


@dataclasses.dataclass(frozen=True)
class OwnData:
    """How data of a user's own decide settings.

    Args:
        look: Function `(data, given) -> dict` of fields of `Facts`, of `kit.data.source_facts`.
        rules: Dotted key of a setting to a function from `Facts` to its value and the reason in words. In place of the
            value it may return a dictionary of settings: its own, and those that go with it unless they were stated.
    """

    look: Callable
    rules: dict


def _power_of_two(number):
    return 2 ** max(round(math.log2(max(number, 1))), 0)


# Images


def weights(facts):
    """Photographs begin with published weights, where Keras has kept some on this machine."""
    settings = facts.settings
    is_free = settings.get("model.backbone") == "auto" and settings.get("data.image_size") == "auto"
    if not facts.is_photographs or not is_free:
        return None, None
    kept = keras_applications.on_this_machine()
    if kept is None:
        reason = "no published weights are on this machine; few photographs are learned far better from such: "
        return None, reason + "--model.backbone mobilenetv2 --model.weights imagenet --data.image_size 160 fetches them"
    variant, side = kept
    values = {"model.weights": "imagenet", "model.backbone": variant, "data.image_size": side}
    return values, "published weights are on this machine"


def freeze(facts):
    """What is published keeps its weights at first."""
    if facts.settings.get("model.weights"):
        return ("backbone",), "published weights, until the new last layer knows the classes"
    return (), None


def unfreeze_epochs(facts):
    """Its stages are set free one by one, the first after a quarter of the training."""
    if facts.settings.get("model.weights"):
        return max(facts.settings["train.epochs"] // 4, 1), "published weights are set free stage by stage"
    return 0, None


def unfreeze_rate(facts):
    """What was learned on more images moves less."""
    return (0.1, "published weights move less") if facts.settings.get("model.weights") else (1.0, None)


def image_size(facts):
    """Their own size up to 64 pixels; larger ones are made smaller, as far as an afternoon on a CPU asks for it."""
    if facts.is_of_one_size and facts.side <= 64:
        return None, f"the images are all of one size, {facts.side} pixels on the shorter side"
    most = 64 if facts.examples <= 20_000 else 48
    size = max((each for each in (32, 48, 64) if each <= min(facts.side, most)), default=32)
    return size, f"images of {facts.side} pixels in the median; more takes longer, and data.image_size chooses it"


def batch_size(facts):
    """About 40 steps in an epoch, of 16 to 128 examples."""
    size = min(max(_power_of_two(facts.examples / 40), 16), 128)
    return size, f"{facts.examples:,} training examples"


def epochs(facts):
    """Fewer, the more examples there are: 80 epochs of 300 examples, 10 of 60,000."""
    number = min(max(round(80 * (300 / max(facts.examples, 1)) ** 0.4), 8), 80)
    if facts.settings.get("model.weights"):
        return max(number // 4, 4), f"{facts.examples:,} training examples, published weights"
    return number, f"{facts.examples:,} training examples"


def flip(facts):
    """Photographs show the same when they are mirrored; what is drawn or written may not."""
    if facts.channels == 3:
        return True, "coloured images, taken for photographs: they may be mirrored"
    return False, "grey images, which may be written: mirrored letters are others"


def translation(facts):
    """An eighth of the side."""
    return 0.1, "where a thing stands in the image says nothing of its class"


def zoom(facts):
    """Photographs show things near and far."""
    return (0.2, "photographs: near and far") if facts.is_photographs else (0.0, "small or grey images")


def rotation(facts):
    """Photographs are not held straight."""
    return (10.0, "photographs: not held straight") if facts.is_photographs else (0.0, "small or grey images")


def image_backbone(facts):
    """A residual network of a stage more for photographs, and without a strided stem for icons."""
    size = facts.settings.get("data.image_size") or facts.side
    size = min(size) if isinstance(size, list | tuple) else size
    if size <= 16:
        values = {"model.backbone": "resnet8", "backbone.stem": "cifar", "backbone.zero_init": True}
        return values, f"images of {size} pixels"
    if size <= 40:
        widths = [32, 64, 128] if facts.examples < 10_000 else [48, 96, 192]
        values = {"model.backbone": "resnet8", "backbone.widths": widths, "backbone.zero_init": True}
        return values, f"{facts.examples:,} training images of {size} pixels"
    values = {"model.backbone": "resnet8", "backbone.depths": [1, 1, 1, 1], "backbone.widths": [32, 64, 128, 256]}
    return values | {"backbone.zero_init": True}, f"images of {size} pixels"


def image_rate(facts):
    """The square root of the batch: 0.01 for 128 examples, which residual networks and AdamW were tuned at."""
    size = facts.settings["train.batch_size"]
    rate = 0.01 * math.sqrt(size / 128)
    if facts.settings.get("model.weights"):
        return 0.001, "published weights"
    return float(f"{rate:.2g}"), f"batches of {size}"


LABELLED_IMAGES = OwnData(
    source_facts.of_images,
    {
        "model.weights": weights,
        "data.image_size": image_size,
        "data.flip": flip,
        "data.translation": translation,
        "data.zoom": zoom,
        "data.rotation": rotation,
        "train.batch_size": batch_size,
        "train.epochs": epochs,
        "model.backbone": image_backbone,
        "optimizer.learning_rate": image_rate,
        "train.freeze": freeze,
        "train.unfreeze_epochs": unfreeze_epochs,
        "train.unfreeze_rate": unfreeze_rate,
    },
)


# Images without classes


def latent_dim(facts):
    """A number for about 60 pixels of a side of 28, as the variational autoencoder's paper takes 20 for MNIST."""
    size = facts.settings.get("data.image_size") or facts.side
    size = min(size) if isinstance(size, list | tuple) else size
    number = 8 if size <= 16 else 20 if size <= 32 else 64
    return number, f"images of {size} pixels"


def autoencoder_rate(facts):
    """What the convolutional autoencoder of the digits learns with, at any batch."""
    size = facts.settings["train.batch_size"]
    return float(f"{0.003 * math.sqrt(size / 64):.2g}"), f"batches of {size}"


def autoencoder_epochs(facts):
    """Twice those of a classifier: nothing over-fits that soon."""
    number, reason = epochs(facts)
    return min(2 * number, 100), reason


IMAGES = OwnData(
    source_facts.of_images,
    {
        "data.image_size": image_size,
        "train.batch_size": batch_size,
        "train.epochs": autoencoder_epochs,
        "model.latent_dim": latent_dim,
        "optimizer.learning_rate": autoencoder_rate,
    },
)


# Tagged sentences


def tagging_batch(facts):
    """About 100 steps in an epoch, of 16 to 128 sentences."""
    size = min(max(_power_of_two(facts.examples / 100), 16), 128)
    return size, f"{facts.examples:,} training sentences"


def tagging_epochs(facts):
    """About 1,500 steps, and 6 to 40 epochs."""
    steps = max(facts.examples / facts.settings["train.batch_size"], 1)
    number = min(max(round(1500 / steps), 6), 40)
    return number, f"{facts.examples:,} training sentences in batches of {facts.settings['train.batch_size']}"


def tagging_rate(facts):
    """The square root of the batch: 0.01 for 64 sentences."""
    size = facts.settings["train.batch_size"]
    return float(f"{0.01 * math.sqrt(size / 64):.2g}"), f"batches of {size}"


def tagging_units(facts):
    """Wider for more words."""
    number = 64 if facts.tokens < 30_000 else 100 if facts.tokens < 150_000 else 128
    values = {"model.backbone": "bilstm_crf", "backbone.units": number}
    return values, f"{facts.tokens:,} training words"


SENTENCES = OwnData(
    source_facts.of_sentences,
    {
        "train.batch_size": tagging_batch,
        "train.epochs": tagging_epochs,
        "model.backbone": tagging_units,
        "optimizer.learning_rate": tagging_rate,
    },
)


# Pairs of sentences


def vocabulary_size(facts):
    """As many pieces as there are half as many different words, 500 to 10,000."""
    number = min(max(round(facts.words / 2, -2), 500), 10_000)
    return int(number), f"{facts.words:,} different words"


def translation_batch(facts):
    """About 150 steps in an epoch, of 32 to 128 pairs."""
    size = min(max(_power_of_two(facts.examples / 150), 32), 128)
    return size, f"{facts.examples:,} training pairs"


def translation_epochs(facts):
    """About 2,500 steps, and 5 to 40 epochs."""
    steps = max(facts.examples / facts.settings["train.batch_size"], 1)
    number = min(max(round(2500 / steps), 5), 40)
    return number, f"{facts.examples:,} training pairs in batches of {facts.settings['train.batch_size']}"


def translator(facts):
    """A small Transformer; a wider one where there is something to fill it."""
    values = (
        {"model.backbone": "transformer_tiny"}
        if facts.tokens > 400_000
        else {
            "model.backbone": "transformer",
            "backbone.depth": 2,
            "backbone.feedforward_dim": 256,
        }
    )
    return values | {"backbone.positions": "rotary", "backbone.dropout": 0.1}, f"{facts.tokens:,} training words"


def max_length(facts):
    """Four times the length that 99 of 100 sentences have: words are cut into pieces."""
    return min(max(4 * facts.length, 64), 512), f"99 of 100 sentences have at most {facts.length} words"


PAIRS = OwnData(
    source_facts.of_pairs,
    {
        "data.vocabulary_size": vocabulary_size,
        "data.max_length": max_length,
        "train.batch_size": translation_batch,
        "train.epochs": translation_epochs,
        "model.backbone": translator,
    },
)
